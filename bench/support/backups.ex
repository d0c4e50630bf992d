defmodule Magnesia.Bench.Backups do
  @moduledoc """
  Backups against stock Mnesia's own: the whole database written to a file, the file read back
  into its tables, the file gone over with a fun that counts. Each goes over the same rows.
  """

  alias Magnesia.Bench.Stopwatch

  @doc "Measures the line `name` on the tables in `built`: nanoseconds a row."
  @spec run(String.t(), map, map) :: Stopwatch.result()
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
