defmodule Magnesia.Interop.Program do
  @moduledoc """
  An Erlang program of a package, run as its own start script runs it, in a folder of its own
  that goes with the test, and asked things in its VM by a small VM beside it. Both find each
  other by an epmd of their own, so that nothing that runs on the machine is met. Which program
  it is and what it should answer is not said here.
  """

  import ExUnit.Assertions

  @cookie "interop"
  @wait_ms 90_000
  @every_ms 100

  @enforce_keys [:name, :folder, :node, :env, :observer]
  defstruct [:name, :folder, :node, :env, :observer, :port, :pid]

  @type t :: %__MODULE__{}

  @doc "The folder where the packages are unpacked; `scripts/interop` says it."
  @spec packages() :: String.t()
  def packages do
    System.get_env("MAGNESIA_INTEROP") ||
      raise "MAGNESIA_INTEROP names no folder: run these tests by scripts/interop"
  end

  @doc "The cookie of the program's node."
  @spec cookie() :: String.t()
  def cookie, do: @cookie

  @doc "Puts Magnesia into the folder as `mix magnesia.bundle` does; returns its arguments file."
  @spec bundle(String.t()) :: String.t()
  def bundle(folder) do
    target = Path.join(folder, "magnesia")
    Mix.Task.rerun("magnesia.bundle", [target])
    Path.join(target, "magnesia.args")
  end

  @doc "A program that is yet to be started, with an epmd and an observer of its own."
  @spec new(atom(), [{String.t(), String.t()}]) :: t()
  def new(name, env) do
    number = "#{System.pid()}-#{:erlang.unique_integer([:positive])}"
    folder = Path.join(System.tmp_dir!(), "magnesia-interop-#{name}-#{number}")
    File.mkdir_p!(folder)
    cookie_file = Path.join(folder, ".erlang.cookie")
    File.write!(cookie_file, @cookie)
    File.chmod!(cookie_file, 0o400)
    epmd = "#{free_port()}"
    env = [{"HOME", folder}, {"ERL_EPMD_PORT", epmd}, {"ERL_EPMD_ADDRESS", "127.0.0.1"} | env]
    # With another home there is no cargo to build it.
    env = [{"MAGNESIA_NATIVE_PATH", Path.expand("priv/native/libmagnesia_nif.so")} | env]
    env = env ++ [{"ERL_LIBS", nil}, {"ERL_FLAGS", nil}, {"ERL_AFLAGS", nil}]
    {_, 0} = System.cmd("epmd", ["-daemon"], env: env)

    {:ok, observer, _node} =
      :peer.start(%{
        name: :"observer_#{name}",
        host: ~c"localhost",
        connection: :standard_io,
        args: [~c"-setcookie", String.to_charlist(@cookie), ~c"-hidden"],
        env: for({key, value} <- env, value, do: {to_charlist(key), to_charlist(value)})
      })

    program = %__MODULE__{
      name: name,
      folder: folder,
      node: :"#{name}@localhost",
      env: env,
      observer: observer
    }

    ExUnit.Callbacks.on_exit(fn -> remove(program) end)
    program
  end

  @doc "A TCP port that nobody listens at."
  @spec free_port() :: :inet.port_number()
  def free_port do
    {:ok, socket} = :gen_tcp.listen(0, ip: {127, 0, 0, 1})
    {:ok, port} = :inet.port(socket)
    :ok = :gen_tcp.close(socket)
    port
  end

  @doc "Starts the program and waits until `ready?` holds in it; what it prints goes to a file."
  @spec start(t(), [String.t()], (t() -> boolean())) :: t()
  def start(program, [command | arguments], ready?) do
    # The program's whole group ends with this VM too, which then closes its input.
    guard = "exec 3<&0; (cat <&3; kill -9 -$$) >/dev/null 2>&1 & exec 3<&-; "
    line = guard <> "exec \"$@\" >\"$HOME/output\" 2>&1 </dev/null"

    port =
      Port.open({:spawn_executable, "/bin/sh"}, [
        :exit_status,
        args: ["-c", line, "sh", command | arguments],
        env:
          for(
            {key, value} <- program.env,
            do: {to_charlist(key), if(value, do: to_charlist(value), else: false)}
          ),
        cd: program.folder
      ])

    program = %{program | port: port}
    {:os_pid, leader} = Port.info(port, :os_pid)
    remember(program, "-#{leader}")

    wait(
      "#{program.name} has started",
      fn -> ended?(port) or ready?.(program) end,
      &output/1,
      program
    )

    refute ended?(port), "#{program.name} ended at its start: #{output(program)}"
    pid = "#{call(program, :os, :getpid, [])}"
    remember(program, pid)
    %{program | pid: pid}
  end

  defp remember(program, pid) do
    File.write!(Path.join(program.folder, "pids"), pid <> "\n", [:append])
  end

  defp ended?(port), do: Port.info(port) == nil

  @doc "The end of what the program has printed."
  @spec output(t()) :: String.t()
  def output(program) do
    case File.read(Path.join(program.folder, "output")) do
      {:ok, text} -> text |> String.split("\n") |> Enum.take(-30) |> Enum.join("\n")
      {:error, _} -> "it printed nothing"
    end
  end

  @doc "Kills the program's VM as the operating system kills, and waits until it is gone."
  @spec kill(t()) :: :ok
  def kill(program) do
    {_, 0} = System.cmd("kill", ["-9", program.pid])
    gone(program)
  end

  @doc "Waits until the program has ended."
  @spec gone(t()) :: :ok
  def gone(program) do
    wait("#{program.name} has ended", fn -> not alive?(program.pid) end)
    wait("its start script has ended", fn -> ended?(program.port) end)
    wait("its name is free", fn -> not registered?(program) end)
  end

  defp alive?(pid), do: File.exists?("/proc/#{pid}")

  defp registered?(program) do
    {names, 0} = System.cmd("epmd", ["-names"], env: program.env)
    names =~ "name #{program.name} "
  end

  @doc "Ends the program in good order, by a command of its own script."
  @spec stop(t(), [String.t()]) :: :ok
  def stop(program, line) do
    _ = control(program, line)
    gone(program)
  end

  @doc "What a command of the program's own script answers, sorted by lines."
  @spec control(t(), [String.t()]) :: [String.t()]
  def control(program, line) do
    case command(program, line) do
      {text, 0} -> text |> String.split("\n", trim: true) |> Enum.sort()
      {text, status} -> raise "#{Enum.join(line, " ")}: #{status} #{text}"
    end
  end

  @doc "Calls a function in the program's VM."
  @spec call(t(), module(), atom(), [term()]) :: term()
  def call(program, module, function, arguments) do
    request = [program.node, module, function, arguments, 60_000]
    :peer.call(program.observer, :erpc, :call, request, 70_000)
  end

  @doc "As `call/4`, and nil while the program can't be reached."
  @spec try_call(t(), module(), atom(), [term()]) :: term()
  def try_call(program, module, function, arguments) do
    call(program, module, function, arguments)
  rescue
    _not_yet in [ErlangError, UndefinedFunctionError] -> nil
  end

  @doc "Runs a command with the program's environment; its output, and its status."
  @spec command(t(), [String.t()]) :: {String.t(), non_neg_integer()}
  def command(program, [command | arguments]) do
    System.cmd(command, arguments, env: program.env, stderr_to_stdout: true, cd: program.folder)
  end

  @doc """
  Moves a table as its owner does, by `mix magnesia.hot TABLE --to STORAGE`.

  A write outside of transactions in the middle of a change of storage may be lost to Mnesia. The
  command sees that, takes the change back and says so; its owner then tries again, as here.
  """
  @spec move(t(), atom(), atom(), pos_integer()) :: :ok
  def move(program, table, storage, tries \\ 20) do
    arguments =
      ~w(magnesia.hot #{table} --to #{storage} --node #{program.node} --cookie #{@cookie})

    {text, status} =
      System.cmd("mix", arguments, env: program.env, stderr_to_stdout: true, cd: File.cwd!())

    line = text |> String.split("\n", trim: true) |> List.last()
    note(line)

    if status != 0 and tries > 1 and text =~ "it was taken back" do
      move(program, table, storage, tries - 1)
    else
      assert status == 0, "mix #{Enum.join(arguments, " ")} says: #{text}"
      assert storage(program, table) == storage
      :ok
    end
  end

  @doc "How a table is stored."
  @spec storage(t(), atom()) :: atom()
  def storage(program, table) do
    case call(program, :mnesia, :table_info, [table, :storage_type]) do
      {:ext, alias_name, _module} -> alias_name
      stock -> stock
    end
  end

  @doc "The rows of a table, sorted."
  @spec rows(t(), atom()) :: [tuple()]
  def rows(program, table) do
    Enum.sort(call(program, :mnesia, :dirty_select, [table, [{:_, [], [:"$_"]}]]))
  end

  @doc "Says on a line of its own what is done or seen."
  @spec note(String.t()) :: :ok
  def note(text), do: IO.puts("    #{text}")

  @doc "Waits for a condition; fails with the words when it does not come."
  @spec wait(String.t(), (() -> boolean())) :: :ok
  def wait(words, condition), do: wait(words, condition, fn _program -> "" end, nil)

  defp wait(words, condition, detail, program) do
    deadline = System.monotonic_time(:millisecond) + @wait_ms

    wait_until(deadline, condition, fn ->
      "#{words}: not in #{@wait_ms} ms #{detail.(program)}"
    end)
  end

  defp wait_until(deadline, condition, words) do
    cond do
      condition.() ->
        :ok

      System.monotonic_time(:millisecond) > deadline ->
        flunk(words.())

      true ->
        receive do
        after
          @every_ms -> wait_until(deadline, condition, words)
        end
    end
  end

  defp remove(program) do
    case File.read(Path.join(program.folder, "pids")) do
      {:ok, pids} -> for pid <- String.split(pids), do: end_process(pid, program)
      {:error, :enoent} -> :ok
    end

    if Process.alive?(program.observer), do: :peer.stop(program.observer)
    wait("the epmd of #{program.name} has ended", fn -> end_epmd(program) end)
    File.rm_rf!(program.folder)
  end

  # It refuses while it hasn't noticed yet that the last node is gone.
  defp end_epmd(program) do
    {text, _} = System.cmd("epmd", ["-kill"], env: program.env, stderr_to_stdout: true)
    text =~ ~r/Killed|Cannot connect/
  end

  # The number may be another's by now: it is the program's only where it works in its folder. A
  # start script leads a group of processes, which has the number with a minus.
  defp end_process(pid, program) do
    case File.read_link("/proc/#{String.trim_leading(pid, "-")}/cwd") do
      {:ok, folder} ->
        if String.starts_with?(folder, program.folder),
          do: System.cmd("kill", ["-9", "--", pid])

      {:error, _gone} ->
        :ok
    end
  end
end
