defmodule Magnesia.Interop.Rabbitmq do
  @moduledoc """
  The RabbitMQ of Debian's package, run where it was unpacked by its own scripts. Magnesia is put
  onto its code path as docs/hot.md says: by `RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS`.
  """

  alias Magnesia.Interop.Program

  @doc "A RabbitMQ that is yet to be started, and the port of its clients."
  @spec new() :: {Program.t(), :inet.port_number()}
  def new do
    port = Program.free_port()
    program = Program.new(:rabbitmq, [{"RABBITMQ_NODE_PORT", "#{port}"}])
    path = &Path.join(program.folder, &1)
    File.write!(path.("enabled_plugins"), "[].")

    env = [
      {"RABBITMQ_NODENAME", "#{program.node}"},
      {"RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1"},
      {"RABBITMQ_DIST_PORT", "#{Program.free_port()}"},
      {"RABBITMQ_MNESIA_BASE", path.("mnesia")},
      {"RABBITMQ_LOG_BASE", path.("log")},
      {"RABBITMQ_ENABLED_PLUGINS_FILE", path.("enabled_plugins")},
      {"RABBITMQ_CONFIG_FILE", path.("rabbitmq")},
      {"RABBITMQ_GENERATED_CONFIG_DIR", path.("config")},
      {"RABBITMQ_PID_FILE", path.("pid")},
      {"RABBITMQ_CONF_ENV_FILE", "/dev/null"},
      {"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-args_file #{Program.bundle(program.folder)}"}
    ]

    {%{program | env: program.env ++ env}, port}
  end

  @doc "Starts it, and waits until clients can connect."
  @spec start(Program.t()) :: Program.t()
  def start(program) do
    Program.start(program, [script("rabbitmq-server")], fn program ->
      Program.try_call(program, :rabbit, :is_running, []) == true and
        Program.output(program) =~ "Starting broker... completed"
    end)
  end

  @doc "Ends it in good order."
  @spec stop(Program.t()) :: :ok
  def stop(program), do: Program.stop(program, line(["stop"]))

  @doc "What `rabbitmqctl` answers, sorted by lines."
  @spec control(Program.t(), [String.t()]) :: [String.t()]
  def control(program, arguments), do: Program.control(program, line(arguments))

  defp line(arguments), do: [script("rabbitmqctl"), "--quiet" | arguments]

  defp script(name), do: Path.join([Program.packages(), "usr/lib/rabbitmq/bin", name])
end
