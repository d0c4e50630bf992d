defmodule Magnesia.Bench.Hot do
  @moduledoc """
  The figures of tables that a stock Mnesia keeps on our backend: the same calls of `:mnesia` on
  a table of an alias of ours and on one of its own. A name that ends in `.limit` measures a
  table of a backend that does nothing (`Magnesia.Bench.Noop`) in the place of ours: its ratio is
  the highest that any backend can reach.

  All tables of a fixture are in one Mnesia, but for starts, where each has its own directory,
  and for loads, which are between two VMs.
  """

  alias Magnesia.Bench.{HotPair, Loops, Noop, Rows, Specs, Stopwatch, World}

  @scan_heap 4_000_000
  @storages %{
    hot_set: {:magnesia_ram, :ram_copies, :noop_ram},
    hot_ordered: {:magnesia_ram, :ram_copies, :noop_ram},
    hot_disc: {:magnesia_disc, :disc_copies, :noop_disc_only},
    hot_disconly: {:magnesia_disc_only, :disc_only_copies, :noop_disc_only},
    hot_load: {:magnesia_ram, :ram_copies, :noop_ram}
  }

  @doc "Builds the tables of `fixture` with `rows` rows."
  @spec build(atom, pos_integer, map) :: map
  def build(fixture, rows, plan) do
    {hot, stock, noop} = @storages[fixture]
    hot = if plan.subject == :mnesia, do: stock, else: hot
    IO.puts("# #{fixture}: #{hot} against #{stock}, limit #{noop}")
    sides = [ours: hot, mnesia: stock, noop: noop]
    Map.merge(%{rows: rows, fixture: fixture}, tables(fixture, sides, rows, plan))
  end

  defp tables(:hot_load, sides, rows, plan), do: HotPair.build(sides, rows, plan)

  defp tables(:hot_disc, sides, rows, plan) do
    :stopped = :mnesia.stop()

    Map.new(sides, fn {side, storage} ->
      dir = Path.join([plan.dir, "hot_disc", "#{table(side)}"])
      Application.put_env(:mnesia, :dir, String.to_charlist(dir))
      :ok = :mnesia.create_schema([node()], backend_types: backend_types())
      :ok = :mnesia.start()
      fill(side, storage, :set, rows)
      :dumped = :mnesia.dump_log()
      :stopped = :mnesia.stop()
      {side, {String.to_charlist(dir), table(side)}}
    end)
  end

  defp tables(fixture, sides, rows, _plan) do
    {:atomic, :ok} = Magnesia.Backend.register()
    :ok = Noop.register()
    Noop.expect(rows)
    type = if fixture == :hot_ordered, do: :ordered_set, else: :set
    Map.new(sides, fn {side, storage} -> {side, fill(side, storage, type, rows)} end)
  end

  @doc "The aliases of both backends."
  @spec backend_types() :: [{atom, module}]
  def backend_types, do: Magnesia.Backend.backend_types() ++ Noop.backend_types()

  defp fill(side, storage, type, rows) do
    options = [{:attributes, Rows.attributes()}, {:type, type}, {storage, [node()]}]
    rows = if side == :noop, do: 0, else: rows
    World.table(:mnesia, table(side), options, rows, &Rows.numbered/2)
  end

  defp table(side), do: :"hot_#{side}"

  @doc "Measures the line `name` on the tables in `built`."
  @spec run(String.t(), map, map) :: Stopwatch.result()
  def run(name, built, plan) do
    case String.split(name, ".limit") do
      [figure, ""] -> measure(figure, Map.put(built, :ours, built.noop), :limit, plan)
      [figure] -> measure(figure, built, :ours, plan)
    end
  end

  defp measure("hot.read.p" <> procs, built, _side, plan), do: loop(:read, built, plan, procs)
  defp measure("hot.write.p" <> procs, built, _side, plan), do: loop(:write, built, plan, procs)
  defp measure("hot.tx.p" <> procs, built, _side, plan), do: loop(:tx_rw, built, plan, procs)
  defp measure("hot.ordered.read", built, _side, plan), do: loop(:read, built, plan)
  defp measure("hot.ordered.next", built, _side, plan), do: loop(:next, built, plan)
  defp measure("hot.disconly.read", built, _side, plan), do: loop(:read, built, plan)
  defp measure("hot.disconly.write", built, _side, plan), do: loop(:write, built, plan)
  defp measure("hot.range", built, side, plan), do: range(built, side, plan)
  defp measure("hot.scan", built, side, plan), do: scan(built, side, plan)
  defp measure("hot.memory", built, _side, _plan), do: memory(built)
  defp measure("hot.disc.start", built, _side, plan), do: start(built, plan)
  defp measure("hot.load", built, _side, plan), do: HotPair.measure(built, plan)

  defp loop(name, built, plan, procs \\ "1") do
    options = [procs: String.to_integer(procs)]
    sides(built, plan, &looped(name, &1, built.rows, options))
  end

  defp looped(name, table, keys, options) do
    run = fn index, n -> apply(Loops.Mnesia, name, [n, Rows.seed(index), table, keys]) end
    Stopwatch.side(run, options)
  end

  defp sides(built, plan, side) do
    Stopwatch.compare(side.(built.ours), side.(built.mnesia), plan)
  end

  defp range(built, side, plan) do
    from = div(built.rows, 2)
    same_rows!(built, side, &Specs.range(&1, from))
    sides(built, plan, &looped(:range, &1, max(1, built.rows - 100), []))
  end

  defp scan(built, side, plan) do
    same_rows!(built, side, &Specs.under(&1, 100))

    sides(built, plan, fn table ->
      spec = Specs.under(table, 100)
      repeat = fn _index, n -> Enum.each(1..n, fn _ -> Loops.Mnesia.select(table, spec) end) end
      Stopwatch.side(repeat, units: built.rows, heap: @scan_heap)
    end)
  end

  # A fast wrong answer is an error; a backend that does nothing has none to give.
  defp same_rows!(_built, :limit, _spec), do: :ok

  defp same_rows!(built, :ours, spec) do
    [ours, peer] = for tab <- [built.ours, built.mnesia], do: Loops.Mnesia.select(tab, spec.(tab))

    if ours != peer, do: raise("the two sides disagree: #{ours} rows against #{peer}")
  end

  defp memory(built) do
    [ours, peer] =
      for tab <- [built.ours, built.mnesia] do
        :mnesia.table_info(tab, :memory) * :erlang.system_info(:wordsize) / built.rows
      end

    %{ours: ours, peer: peer, cpu_ours: 0.0, cpu_peer: 0.0}
  end

  defp start(built, plan) do
    samples =
      for _round <- 1..min(3, plan.rounds), {dir, table} <- [built.ours, built.mnesia] do
        Application.put_env(:mnesia, :dir, dir)

        time =
          Stopwatch.time(fn ->
            :ok = :mnesia.start()
            :ok = :mnesia.wait_for_tables([table], :infinity)
          end)

        # The table of the backend that does nothing has as many rows as it was told.
        Noop.expect(built.rows)
        rows = :mnesia.table_info(table, :size)
        if rows != built.rows, do: raise("#{rows} rows after the start, not #{built.rows}")
        :stopped = :mnesia.stop()
        time
      end

    {ours, peer} = samples |> Enum.chunk_every(2) |> Enum.map(&List.to_tuple/1) |> Enum.unzip()
    result(ours, peer)
  end

  @doc "The medians of two lists of times."
  @spec result([{number, number}], [{number, number}]) :: Stopwatch.result()
  def result(ours, peer) do
    {wall_ours, cpu_ours} = Stopwatch.medians(ours)
    {wall_peer, cpu_peer} = Stopwatch.medians(peer)
    %{ours: wall_ours, peer: wall_peer, cpu_ours: cpu_ours, cpu_peer: cpu_peer}
  end
end
