defmodule Magnesia.Crash.Rounds do
  @moduledoc """
  Rounds of `kill -9`: a VM works on a directory, dies at a random moment, and the directory is
  opened here and checked. Some rounds follow each other in one directory, so that what was
  recovered is worked on and recovered again.

  Never kills any process but the one it started.
  """

  alias Magnesia.Crash.Check
  alias Magnesia.Crash.Load

  # Rounds in one directory.
  @together 5
  @longest_ms 60
  @start_ms 60_000

  @typedoc "What all rounds came to."
  @type report :: %{
          rounds: non_neg_integer,
          acknowledged: non_neg_integer,
          found: non_neg_integer,
          complaints: [String.t()]
        }

  @doc """
  Plays `count` rounds below `dir`, which is made and removed. Stops at the first complaint.
  """
  @spec run(Path.t(), pos_integer, integer) :: report
  def run(dir, count, seed) do
    :rand.seed(:exsss, {seed, 1, 2})
    File.mkdir_p!(dir)
    report = %{rounds: 0, acknowledged: 0, found: 0, complaints: []}

    {report, _acknowledged} = Enum.reduce_while(1..count, {report, %{}}, &next(dir, &1, &2))
    File.rm_rf!(dir)
    report
  end

  defp next(dir, round, {report, acknowledged}) do
    group = div(round - 1, @together)
    kind = if rem(group, 2) == 0, do: :bank, else: :append
    path = Path.join(dir, "group-#{group}")
    acknowledged = if rem(round - 1, @together) == 0, do: %{}, else: acknowledged
    told = Map.merge(acknowledged, killed(path, kind, round))
    {complaints, found} = Check.run(kind, told, rows(path, kind))

    report = %{
      rounds: round,
      acknowledged: report.acknowledged + numbers(told, round),
      found: report.found + numbers(found, round),
      complaints: Enum.map(complaints, &"round #{round}, #{kind}: #{&1}")
    }

    # What was recovered once stays.
    if complaints == [], do: {:cont, {report, found}}, else: {:halt, {report, found}}
  end

  defp numbers(last, round) do
    Enum.sum(for {{^round, _number}, n} <- last, do: n)
  end

  # Starts the load, kills it, and returns what it had acknowledged.
  defp killed(dir, kind, round) do
    level = Enum.random([:transaction, :sync_transaction])
    dump = Enum.random([:dump, :quiet])
    env = [{~c"ERL_CRASH_DUMP_BYTES", ~c"0"}]
    args = args(dir, kind, round, level, dump)
    options = [:binary, :exit_status, :eof, line: 256, env: env, args: args]
    port = Port.open({:spawn_executable, erl()}, options)
    pid = await_ready(port)
    timer = Process.send_after(self(), {:kill, pid}, :rand.uniform(@longest_ms + 1) - 1)
    told = acknowledged(port, %{}, [:eof, :exit_status])
    _left = Process.cancel_timer(timer)
    Port.close(port)
    told
  end

  defp await_ready(port) do
    receive do
      {^port, {:data, {:eol, "ready " <> pid}}} -> pid
      {^port, {:data, {_flag, line}}} -> raise "the working VM says: #{line}"
      {^port, {:exit_status, status}} -> raise "the working VM ended with #{status}"
    after
      @start_ms -> raise "the working VM did not start"
    end
  end

  # Until the VM has ended and nothing is left in the pipe, in whichever order.
  defp acknowledged(_port, told, []), do: told

  defp acknowledged(port, told, open) do
    receive do
      {:kill, pid} ->
        {_output, 0} = System.cmd("kill", ["-9", pid])
        acknowledged(port, told, open)

      {^port, {:data, {:eol, "ack " <> rest}}} ->
        [round, number, n] = rest |> String.split() |> Enum.map(&String.to_integer/1)
        acknowledged(port, Map.put(told, {round, number}, n), open)

      # A line that the kill has cut.
      {^port, {:data, {:noeol, _line}}} ->
        acknowledged(port, told, open)

      {^port, {:data, {:eol, line}}} ->
        raise "the working VM says: #{line}"

      {^port, :eof} ->
        acknowledged(port, told, open -- [:eof])

      {^port, {:exit_status, 137}} ->
        acknowledged(port, told, open -- [:exit_status])

      {^port, {:exit_status, status}} ->
        raise "the working VM ended by itself with #{status}"
    end
  end

  defp rows(dir, kind) do
    Application.put_env(:magnesia, :dir, String.to_charlist(dir))
    :ok = :magnesia.start()
    :ok = :magnesia.wait_for_tables(Load.tables(kind), 60_000)

    rows =
      for table <- Load.tables(kind), into: %{} do
        list = :magnesia.dirty_select(table, [{:_, [], [:"$_"]}])
        {table, {list, :magnesia.table_info(table, :size)}}
      end

    :stopped = :magnesia.stop()
    Application.delete_env(:magnesia, :dir)
    rows
  end

  defp erl, do: Path.join([to_string(:code.root_dir()), "bin", "erl"])

  defp args(dir, kind, round, level, dump) do
    root = to_string(:code.root_dir())

    paths =
      for path <- Enum.map(:code.get_path(), &to_string/1),
          String.ends_with?(path, "/ebin") and not String.starts_with?(path, root),
          entry <- ["-pa", Path.expand(path)],
          do: entry

    load = [dir | Enum.map([kind, round, level, dump], &to_string/1)]

    ["-noshell", "-noinput", "-kernel", "logger_level", "error"] ++
      paths ++ ["-run", Atom.to_string(Load), "main"] ++ load
  end
end
