defmodule Magnesia.Bench.Told do
  @moduledoc """
  What events and change logs cost: `events.*` a writer whose table is watched, `log.*` a reader
  of a log.

  Subscribers that don't read keep what they are sent, so few events are sent to many of them, and
  each sample has new ones. While anybody else is subscribed, whatever to, an only subscriber is
  not told directly: a figure must never be taken then.
  """

  alias Magnesia.Bench.{Loops, Rows, Stopwatch, World}
  alias Magnesia.{Log, Subscribers}

  @many 1_000
  # Writes an operation to a thousand mailboxes; a sample has about twenty.
  @burst 10
  @chunk 1_000

  @doc "Builds the tables of `events`, `crowd` or `log`."
  @spec build(:events | :crowd | :log, pos_integer, map) :: map
  def build(told, rows, plan) when told in [:events, :crowd] do
    [none, watched] =
      for name <- [:told_none, :told_watched] do
        World.table(plan.subject, name, [attributes: Rows.attributes()], rows, &Rows.numbered/2)
      end

    %{rows: rows, none: none, watched: watched}
  end

  def build(:log, rows, plan) do
    row = fn tab, i -> {tab, i, 0} end
    World.table(plan.subject, :told_source, [], 0, row)
    :ok = Log.create(:told_log, tables: [:told_source])
    for i <- 1..rows, do: :ok = plan.subject.dirty_write({:told_source, rem(i, 1_000), i})
    copies = for r <- plan.subject.dirty_select(:told_log, [{:_, [], [:"$_"]}]), do: r
    ets = World.ets([:ordered_set, :public, {:keypos, 2}], 0, fn _ -> {} end)
    true = :ets.insert(ets, copies)
    %{rows: rows, log: :told_log, ets: ets}
  end

  defp subscriber(db, table, reads?) do
    bench = self()

    pid =
      spawn_link(fn ->
        {:ok, _} = db.subscribe({:table, table, :simple})
        send(bench, {:listens, self()})
        if reads?, do: discard(), else: sleep()
      end)

    receive do
      {:listens, ^pid} -> pid
    end
  end

  # Ends subscribers; the next sample is not to be told to them.
  defp dismiss(pids) do
    Enum.each(pids, &send(&1, :never))
    forgotten(pids)
  end

  defp forgotten(pids) do
    :ok = Subscribers.settle()
    if Enum.any?(pids, &Process.alive?/1), do: forgotten(pids), else: Subscribers.settle()
  end

  defp discard do
    receive do
      :never -> :ok
      _event -> discard()
    end
  end

  defp sleep do
    receive do
      :never -> :ok
    end
  end

  @doc "Measures a line."
  @spec run(String.t(), map, map) :: Stopwatch.result()
  def run("events.one", built, plan) do
    around = around(plan.subject, built.watched, 1, true)
    told = Map.merge(writes(built.watched, built.rows), around)
    Stopwatch.compare(told, writes(built.none, built.rows), plan)
  end

  def run("events.thousand", built, plan) do
    few = %{plan | round_ms: 0, rounds: plan.rounds * 3}
    [many, one] = for count <- [@many, 1], do: around(plan.subject, built.watched, count, false)
    burst = burst(built.watched)
    Stopwatch.compare(Map.merge(burst, many), Map.merge(burst, one), few)
  end

  def run("log.stream", built, plan) do
    ours = fn _index, n -> times(n, fn -> true = Enum.count(Log.stream(built.log)) > 0 end) end
    peer = fn _index, n -> times(n, fn -> chunks(:ets.select(built.ets, all(), @chunk)) end) end
    units = [units: built.rows]
    Stopwatch.compare(Stopwatch.side(ours, units), Stopwatch.side(peer, units), plan)
  end

  def run("log.resume", built, plan) do
    ours = fn _index, n -> times(n, fn -> [_] = Log.read(built.log, place(built), 1) end) end
    peer = fn _index, n -> times(n, fn -> :ets.next(built.ets, place(built)) end) end
    Stopwatch.compare(Stopwatch.side(ours), Stopwatch.side(peer), plan)
  end

  defp writes(table, rows) do
    Stopwatch.side(fn index, n -> Loops.Magnesia.write(n, index, table, rows) end)
  end

  defp burst(table) do
    fun = fn index, n -> Loops.Magnesia.write(n * @burst, index, table, @burst) end
    Stopwatch.side(fun, units: @burst)
  end

  defp around(db, table, count, reads?) do
    %{
      before: fn -> for(_ <- 1..count, do: subscriber(db, table, reads?)) end,
      after: &dismiss/1
    }
  end

  defp times(n, fun), do: Enum.each(1..n, fn _ -> fun.() end)
  defp all, do: [{:_, [], [:"$_"]}]
  defp place(built), do: :rand.uniform(built.rows) - 1

  defp chunks({rows, more}) do
    _entries = Enum.map(rows, &Log.Entry.of/1)
    chunks(:ets.select(more))
  end

  defp chunks(:"$end_of_table"), do: :ok
end
