defmodule Magnesia.Bench.Backups do
  @moduledoc """
  Backups against stock Mnesia's own: the whole database written to a file, the file read back
  into its tables, the file gone over with a fun that counts. Each goes over the same rows. And
  what writers lose by a backup: the same writes with one running all the time, and without.
  """

  alias Magnesia.Bench.{Loops, Rows, Stopwatch}

  @deadline_ms 60_000

  @doc "Measures the line `name` on the tables in `built`: nanoseconds a row."
  @spec run(String.t(), map, map) :: Stopwatch.result()
  def run("backup.writers" <> procs, built, plan) do
    procs = if procs == ".all", do: System.schedulers_online(), else: 1
    write = fn index, n -> Loops.Magnesia.write(n, Rows.seed(index), built.ours, built.rows) end
    writers = Stopwatch.side(write, procs: procs)
    file = file(plan.subject, plan)
    before = fn -> started(plan.subject, file) end
    during = Map.merge(writers, %{before: before, after: &ended/1})
    Stopwatch.compare(during, writers, plan)
  end

  def run(name, built, plan) do
    pairs = [{plan.subject, built.ours}, {:mnesia, built.mnesia}]
    for {db, _table} <- pairs, name != "backup.1m", do: :ok = db.backup(file(db, plan))

    samples =
      for round <- 1..min(5, plan.rounds), pair <- turned(pairs, round) do
        {wall, cpu} = Stopwatch.time(fn -> once(name, pair, plan) end)
        same!(pair, built.rows)
        {elem(pair, 0), {wall / built.rows, cpu / built.rows}}
      end

    {wall_ours, cpu_ours} = medians(samples, plan.subject)
    {wall_peer, cpu_peer} = medians(samples, :mnesia)
    %{ours: wall_ours, peer: wall_peer, cpu_ours: cpu_ours, cpu_peer: cpu_peer}
  end

  # Backups one after the other until it is told to end, the first of them under way.
  defp started(db, file) do
    pid = spawn_link(fn -> back_up(db, file) end)
    until(fn -> db.system_info(:checkpoints) != [] end, now() + @deadline_ms)
    pid
  end

  defp back_up(db, file) do
    :ok = db.backup(file)

    receive do
      {:end, from} -> send(from, {:ended, self()})
    after
      0 -> back_up(db, file)
    end
  end

  defp ended(pid) do
    send(pid, {:end, self()})

    receive do
      {:ended, ^pid} -> :ok
    end
  end

  defp until(condition, deadline) do
    cond do
      condition.() -> :ok
      now() > deadline -> raise "no backup begins"
      true -> until(condition, deadline)
    end
  end

  defp now, do: System.monotonic_time(:millisecond)

  defp turned(pairs, round), do: if(rem(round, 2) == 1, do: pairs, else: Enum.reverse(pairs))

  defp medians(samples, db), do: Stopwatch.medians(for {^db, sample} <- samples, do: sample)

  defp file(db, plan), do: String.to_charlist(Path.join(plan.dir, "#{db}.backup"))

  defp once("backup.1m", {db, _table}, plan), do: :ok = db.backup(file(db, plan))

  defp once("restore.1m", {db, table}, plan) do
    {:atomic, [^table]} = db.restore(file(db, plan), [])
  end

  defp once("traverse.1m", {db, _table}, plan) do
    count = fn item, n -> {[item], n + 1} end

    {:ok, _count} =
      db.traverse_backup(file(db, plan), :mnesia_backup, :none, :read_only, count, 0)
  end

  defp same!({db, table}, rows), do: ^rows = db.table_info(table, :size)
end
