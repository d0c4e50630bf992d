defmodule Magnesia.Interop.Ejabberd do
  @moduledoc """
  The ejabberd of Debian's package with everything in Mnesia, started by its own `ejabberdctl`,
  of which only the lines that name a user and the library folder are changed. Magnesia is put
  onto its code path as docs/hot.md says: by `vm.args` in its configuration folder.
  """

  alias Magnesia.Interop.Program

  # ejabberd's own modules that keep tables, with nothing of them changed.
  @modules ~w(mod_adhoc mod_blocking mod_caps mod_disco mod_last mod_muc mod_offline mod_privacy
              mod_private mod_roster mod_shared_roster mod_vcard)

  @doc "An ejabberd that is yet to be started, and the port of its clients."
  @spec new(String.t()) :: {Program.t(), :inet.port_number()}
  def new(more_arguments \\ "") do
    program = Program.new(:ejabberd, [])
    port = Program.free_port()
    for part <- ~w(conf spool logs), do: File.mkdir_p!(Path.join(program.folder, part))
    File.write!(Path.join(program.folder, "conf/ejabberd.yml"), configuration(port))
    File.write!(Path.join(program.folder, "conf/inetrc"), "")
    bundle = Program.bundle(program.folder)
    args = "-args_file #{bundle}\n-setcookie #{Program.cookie()}\n#{more_arguments}\n"
    File.write!(Path.join(program.folder, "conf/vm.args"), args)
    File.write!(script(program), changed_script())
    File.chmod!(script(program), 0o755)
    {program, port}
  end

  defp configuration(port) do
    """
    loglevel: info
    hosts: [localhost]
    listen:
      - {port: #{port}, ip: "127.0.0.1", module: ejabberd_c2s, max_stanza_size: 262144}
    acl: {local: {user_regexp: ""}}
    access_rules: {local: {allow: local}, c2s: {allow: all}}
    shaper_rules: {max_user_sessions: 100, max_user_offline_messages: 1000}
    modules:
      mod_admin_extra: {}
    #{Enum.map_join(@modules, "\n", &"  #{&1}: {}")}
    """
  end

  defp script(program), do: Path.join(program.folder, "ejabberdctl")

  defp changed_script do
    root = Program.packages()
    [there] = Path.wildcard("#{root}/usr/lib/*/ejabberd-*/ebin/ejabberd.app") |> Enum.take(1)

    libraries =
      "#{root}/usr/lib/erlang/lib:#{there |> Path.split() |> Enum.drop(-3) |> Path.join()}"

    text = File.read!(Path.join(root, "usr/sbin/ejabberdctl"))
    text = Regex.replace(~r/^INSTALLUSER=.*$/m, text, "INSTALLUSER=")
    Regex.replace(~r/^ERL_LIBS=.*$/m, text, "ERL_LIBS='#{libraries}'")
  end

  @doc "Starts it, and waits until clients can log in."
  @spec start(Program.t()) :: Program.t()
  def start(program) do
    accepting = "Start accepting TCP connections"

    Program.start(program, line(program, ["foreground"]), fn program ->
      Program.output(program) =~ accepting and
        Program.try_call(program, :erlang, :node, []) == program.node
    end)
  end

  @doc "Ends it in good order."
  @spec stop(Program.t()) :: :ok
  def stop(program), do: Program.stop(program, line(program, ["stop"]))

  @doc "What `ejabberdctl` answers, sorted by lines."
  @spec control(Program.t(), [String.t()]) :: [String.t()]
  def control(program, arguments) do
    program |> Program.control(line(program, arguments)) |> Enum.reject(&warning?/1)
  end

  defp warning?(line), do: line =~ "not recommended to run ejabberd as root"

  defp line(program, arguments) do
    path = &Path.join(program.folder, &1)

    [script(program), "--config-dir", path.("conf"), "--spool", path.("spool")] ++
      ["--logs", path.("logs"), "--node", "#{program.node}" | arguments]
  end
end
