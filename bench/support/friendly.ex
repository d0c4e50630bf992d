defmodule Magnesia.Bench.Friendly do
  @moduledoc """
  The figures of the layer for Elixir: what a struct costs beside a tuple, and a query beside the
  match specification that one would write by hand. Both sides are ours: the peer is the same
  work without the layer.
  """

  alias Magnesia.Bench.Rows
  alias Magnesia.Cache
  alias Magnesia.Bench.Stopwatch
  import Stopwatch, only: [side: 1, side: 2]

  defmodule Row do
    @moduledoc "The benchmark row as a table module."
    use Magnesia.Table,
      name: :bench_friendly,
      attributes: Rows.attributes(),
      types: [id: :integer, first: :string, second: :string, number: :integer, state: :atom]
  end

  import Magnesia.Bench.Rows, only: [next_seed: 1, pick: 2]
  import Magnesia.Query, only: [from: 2]

  @scan_heap 4_000_000

  @doc "Builds the table with `rows` rows."
  @spec build(pos_integer) :: map
  def build(rows) do
    :ok = Row.create()
    fill(0, rows)
    %{rows: rows, ours: :bench_friendly}
  end

  defp fill(rows, rows), do: :ok

  defp fill(i, rows) do
    :ok = :magnesia.dirty_write(Rows.row(:bench_friendly, i, i))
    fill(i + 1, rows)
  end

  @doc "Builds a cache, and a table of ETS, with the same `rows` rows."
  @spec build_cache(pos_integer) :: map
  def build_cache(rows) do
    # The table goes with the database of the next lines, before the cache would look at it.
    {:ok, _keeper} = Cache.start_link(name: :bench_cache, rows: rows, sweep: 86_400_000)
    ets = :ets.new(:peer, [:set, :public, read_concurrency: true])

    for i <- 0..(rows - 1) do
      :ok = Cache.put(:bench_cache, i, Rows.first(i), ttl: 3_600_000)
      :ets.insert(ets, {i, Rows.first(i)})
    end

    %{rows: rows, ets: ets}
  end

  @doc "Measures the line `name`."
  @spec run(String.t(), map, map) :: Stopwatch.result()
  def run("table.struct", built, plan) do
    record = Rows.row(built.ours, 1, 1)
    ours = fn _index, n -> both_ways(n, record) end
    peer = fn _index, n -> read(n, built.ours) end
    Stopwatch.compare(side(ours), side(peer), plan)
  end

  def run("query.select", built, plan) do
    most = 100
    spec = [{{built.ours, :"$1", :_, :_, :"$2", :_}, [{:<, :"$2", most}], [{{:"$1", :"$2"}}]}]
    ours = fn -> length(asked(most)) end
    peer = fn -> length(Magnesia.select_spec(built.ours, spec)) end
    if ours.() != peer.(), do: raise("the two sides disagree")
    options = [units: built.rows, heap: @scan_heap]
    repeat = fn fun -> fn _index, n -> Enum.each(1..n, fn _ -> fun.() end) end end
    Stopwatch.compare(side(repeat.(ours), options), side(repeat.(peer), options), plan)
  end

  def run("query.key", built, plan) do
    ours = fn _index, n -> Enum.each(1..n, &by_key(rem(&1, built.rows))) end

    peer = fn _index, n ->
      Enum.each(1..n, fn i ->
        i = rem(i, built.rows)
        spec = [{{built.ours, i, :"$1", :_, :_, :_}, [], [:"$1"]}]
        Magnesia.select_spec(built.ours, spec)
      end)
    end

    Stopwatch.compare(side(ours), side(peer), plan)
  end

  def run("cache.hit", built, plan) do
    ours = fn index, n -> hits(n, Rows.seed(index), built.rows) end
    peer = fn index, n -> lookups(n, Rows.seed(index), built.ets, built.rows) end
    Stopwatch.compare(side(ours), side(peer), plan)
  end

  defp hits(0, _seed, _rows), do: :ok

  defp hits(n, seed, rows) do
    seed = next_seed(seed)
    _value = Cache.fetch(:bench_cache, pick(seed, rows), &missing/0)
    hits(n - 1, seed, rows)
  end

  defp missing, do: raise("a key of the benchmark is not in the cache")

  defp lookups(0, _seed, _ets, _rows), do: :ok

  defp lookups(n, seed, ets, rows) do
    seed = next_seed(seed)
    [{_key, _value}] = :ets.lookup(ets, pick(seed, rows))
    lookups(n - 1, seed, ets, rows)
  end

  defp asked(most) do
    Magnesia.Query.all(from r in Row, where: r.number < ^most, select: {r.id, r.number})
  end

  defp by_key(id), do: Magnesia.Query.all(from r in Row, where: r.id == ^id, select: r.first)

  defp both_ways(0, _record), do: :ok

  defp both_ways(n, record) do
    record = Row.to_record(Row.from_record(record))
    both_ways(n - 1, record)
  end

  defp read(0, _table), do: :ok

  defp read(n, table) do
    [_row] = :magnesia.dirty_read(table, 1)
    read(n - 1, table)
  end
end
