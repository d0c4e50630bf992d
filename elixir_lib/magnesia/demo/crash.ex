defmodule Magnesia.Demo.Crash do
  @moduledoc """
  The last act of the demo: `kill -9` for a VM in the middle of its writes.

  Starts `Magnesia.Demo.Writer` in a child VM, counts what it acknowledges, kills it by its
  operating-system pid at a random moment, opens the directory here and compares. Never kills any
  process but the one it started.
  """

  alias Magnesia.Demo.Writer

  @start_ms 60_000

  @typedoc "What was acknowledged and what was found afterwards."
  @type outcome :: %{
          pid: String.t(),
          acknowledged: non_neg_integer,
          found: non_neg_integer,
          lost: non_neg_integer,
          halves: non_neg_integer,
          unheard: non_neg_integer
        }

  @doc """
  Lets the writer work on `db` in `dir` for a random time of at most `longest_ms`, kills it and
  checks.

  `db` must be stopped in this VM; afterwards it runs on `dir`.
  """
  @spec run(module, Path.t(), pos_integer) :: {:ok, outcome} | {:error, String.t()}
  def run(db, dir, longest_ms) do
    options = [:binary, :exit_status, line: 256, args: args(db, dir)]
    port = Port.open({:spawn_executable, erl()}, options)

    case await_pid(port) do
      {:ok, pid} -> observe(port, pid, longest_ms, &reopen(db, dir, &1, &2))
      :error -> {:error, "the writing VM did not start"}
    end
  end

  @doc "Compares the acknowledged ids `1..last` with the rows of the reopened tables."
  @spec compare(String.t(), non_neg_integer, [tuple], [tuple]) :: outcome
  def compare(pid, last, ledger, mirror) do
    [left, right] = for rows <- [ledger, mirror], do: MapSet.new(rows, &sound_id/1)
    both = MapSet.intersection(left, right)
    found = if last == 0, do: 0, else: Enum.count(1..last, &MapSet.member?(both, &1))

    %{
      pid: pid,
      acknowledged: last,
      found: found,
      lost: last - found,
      halves: MapSet.size(MapSet.union(left, right)) - MapSet.size(both),
      unheard: MapSet.size(both) - found
    }
  end

  defp sound_id(row) do
    {table, id} = {elem(row, 0), elem(row, 1)}
    if row == Writer.row(table, id), do: id, else: {:damaged, row}
  end

  defp observe(port, pid, longest_ms, reopen) do
    work_ms = div(longest_ms, 4) + :rand.uniform(longest_ms - div(longest_ms, 4))
    timer = Process.send_after(self(), {:kill, pid}, work_ms)

    case acknowledged(port, 0) do
      {:killed, last} -> {:ok, reopen.(pid, last)}
      {:ended, status} -> ended_early(status, timer)
    end
  end

  defp acknowledged(port, last) do
    receive do
      {^port, {:data, {:eol, "ack " <> id}}} -> acknowledged(port, String.to_integer(id))
      {^port, {:data, {_flag, _other}}} -> acknowledged(port, last)
      {^port, {:exit_status, status}} -> {:ended, status}
      {:kill, pid} -> after_kill(kill(pid, port), last)
    end
  end

  defp after_kill(port, last) do
    receive do
      {^port, {:data, {:eol, "ack " <> id}}} -> after_kill(port, String.to_integer(id))
      {^port, {:data, {_flag, _other}}} -> after_kill(port, last)
      {^port, {:exit_status, _status}} -> {:killed, last}
    end
  end

  defp reopen(db, dir, pid, last) do
    Application.put_env(db, :dir, String.to_charlist(dir))
    :ok = db.start()
    tables = Writer.tables()
    :ok = db.wait_for_tables(tables, 60_000)
    [ledger, mirror] = for table <- tables, do: db.dirty_select(table, [{:_, [], [:"$_"]}])
    compare(pid, last, ledger, mirror)
  end

  defp ended_early(status, timer) do
    _left = Process.cancel_timer(timer)
    {:error, "the writing VM ended by itself, status #{status}"}
  end

  defp await_pid(port) do
    receive do
      {^port, {:data, {:eol, "pid " <> pid}}} -> {:ok, pid}
      {^port, {:data, {_flag, _line}}} -> await_pid(port)
      {^port, {:exit_status, _status}} -> :error
    after
      @start_ms -> :error
    end
  end

  defp kill(pid, port) do
    {_output, 0} = System.cmd("kill", ["-9", pid])
    port
  end

  defp erl, do: Path.join([to_string(:code.root_dir()), "bin", "erl"])

  defp args(db, dir) do
    root = to_string(:code.root_dir())

    paths =
      for path <- Enum.map(:code.get_path(), &to_string/1),
          String.ends_with?(path, "/ebin") and not String.starts_with?(path, root),
          entry <- ["-pa", path],
          do: entry

    ["-noshell", "-noinput", "-kernel", "logger_level", "error"] ++
      paths ++ ["-run", Atom.to_string(Writer), "main", dir, Atom.to_string(db)]
  end
end
