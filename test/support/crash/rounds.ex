defmodule Magnesia.Crash.Rounds do
  @moduledoc """
  Rounds of `kill -9`: a VM works on a directory, dies at a random moment, and the directory is
  opened here and checked. Some rounds follow each other in one directory, so that what was
  recovered is worked on and recovered again.
  """

  alias Magnesia.Crash.Check
  alias Magnesia.Crash.Load
  alias Magnesia.Crash.Victim

  # Rounds in one directory.
  @together 5
  @longest_ms 60

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

  # What the load had acknowledged when it was killed.
  defp killed(dir, kind, round) do
    level = Enum.random([:transaction, :sync_transaction])
    dump = Enum.random([:dump, :quiet])
    load = [dir | Enum.map([kind, round, level, dump], &to_string/1)]
    Victim.killed(Load, load, :rand.uniform(@longest_ms + 1) - 1)
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
end
