defmodule Magnesia.Bench.Measures do
  @moduledoc """
  How each figure of the catalogue is measured on the tables of its fixture.

  Every clause returns nanoseconds (or bytes) a unit for the measured database and for its peer.
  Scans first check that both sides find the same number of rows: a fast wrong answer is an error.
  """

  alias Magnesia.Bench.{Backups, Friendly, Hot, Loops, Rows, Specs, Stopwatch, Told}
  import Stopwatch, only: [side: 1, side: 2]

  @scan_heap 4_000_000
  @hot_keys 200

  @doc "Measures the line `name` on the tables in `built`."
  @spec run(String.t(), map, map) :: Stopwatch.result()
  def run("read.set.mnesia", built, plan), do: against_mnesia(:read, built, plan)
  def run("read.set.p" <> procs, built, plan), do: against_ets(:read, built, plan, procs)
  def run("read.hot", built, plan), do: hot(built, plan)
  def run("write.set.p" <> procs, built, plan), do: against_ets(:write, built, plan, procs)
  def run("write.ram.mnesia", built, plan), do: against_mnesia(:write, built, plan)
  def run("write.disc.mnesia", built, plan), do: against_mnesia(:write, built, plan)
  def run("scan.none" <> _, built, plan), do: scan(&Specs.under(&1, 0), built, plan)
  def run("scan.tenth" <> _, built, plan), do: scan(&Specs.under(&1, 100), built, plan)
  def run("scan.all", built, plan), do: scan_all(built, plan)
  def run("fold.tx", built, plan), do: fold(built, plan)
  def run("tx.rw.p" <> procs, built, plan), do: against_mnesia(:tx_rw, built, plan, procs)
  def run("tx.read", built, plan), do: against_mnesia(:tx_read, built, plan)
  def run("tx.empty", built, plan), do: against_mnesia(:tx_empty, built, plan)
  def run("tx.disc", built, plan), do: against_mnesia(:tx_write, built, plan)
  def run("tx.hotkey.p4", built, plan), do: hotkey(built, plan)
  def run("ordered.read", built, plan), do: against_ets(:read, built, plan)
  def run("ordered.next", built, plan), do: against_ets(:next, built, plan)
  def run("ordered.write", built, plan), do: against_ets(:write, built, plan)
  def run("ordered.read.general", built, plan), do: against_ets(:read_general, built, plan)
  def run("ordered.next.general", built, plan), do: against_ets(:next_general, built, plan)
  def run("ordered.write.general", built, plan), do: against_ets(:write_general, built, plan)
  def run("ordered.range", built, plan), do: range(built, plan)
  def run("read.value1k", built, plan), do: value(1_000, built, plan)
  def run("read.value10k", built, plan), do: value(10_000, built, plan)
  def run("index.read", built, plan), do: against_mnesia(:index_read, built, plan)
  def run("index.write2", built, plan), do: against_mnesia(:write_index, built, plan)
  def run("disconly.write", built, plan), do: against_mnesia(:write, built, plan)
  def run("disconly.read", built, plan), do: against_mnesia(:read, built, plan)
  def run("sync.p" <> procs, built, plan), do: sync(built, plan, String.to_integer(procs))
  def run("start.1m", built, plan), do: restart(built, plan)

  def run("backup." <> _ = name, built, plan), do: Backups.run(name, built, plan)
  def run("restore." <> _ = name, built, plan), do: Backups.run(name, built, plan)
  def run("traverse." <> _ = name, built, plan), do: Backups.run(name, built, plan)

  def run("memory.1m", built, plan), do: memory(built, plan)
  def run("growth." <> _type, built, plan), do: growth(built, plan)
  def run("table.struct", built, plan), do: Friendly.run("table.struct", built, plan)
  def run("cache." <> _ = name, built, plan), do: Friendly.run(name, built, plan)
  def run("query." <> _ = name, built, plan), do: Friendly.run(name, built, plan)
  def run("hot." <> _ = name, built, plan), do: Hot.run(name, built, plan)
  def run("events." <> _ = name, built, plan), do: Told.run(name, built, plan)
  def run("log." <> _ = name, built, plan), do: Told.run(name, built, plan)

  defp against_ets(loop, built, plan, procs \\ "1") do
    procs = String.to_integer(procs)
    ours = loop(subject(plan), loop, built.ours, built.rows, procs: procs)
    peer = loop(Loops.Ets, loop, built.ets, built.rows, procs: procs)
    Stopwatch.compare(ours, peer, plan)
  end

  defp against_mnesia(loop, built, plan, procs \\ "1") do
    procs = String.to_integer(procs)
    ours = loop(subject(plan), loop, built.ours, built.rows, procs: procs)
    peer = loop(Loops.Mnesia, loop, built.mnesia, built.rows, procs: procs)
    Stopwatch.compare(ours, peer, plan)
  end

  defp hot(built, plan) do
    keys = min(@hot_keys, built.rows)
    ours = loop(subject(plan), :read, built.ours, keys, [])
    Stopwatch.compare(ours, loop(Loops.Ets, :read, built.ets, keys, []), plan)
  end

  defp hotkey(built, plan) do
    ours = loop(subject(plan), :tx_update, built.ours, 1, procs: 4)
    peer = loop(Loops.Mnesia, :tx_update, built.mnesia, 1, procs: 4)
    Stopwatch.compare(ours, peer, plan)
  end

  defp range(built, plan) do
    keys = max(1, built.rows - 100)
    ours = loop(subject(plan), :range, built.ours, keys, [])
    Stopwatch.compare(ours, loop(Loops.Ets, :range, built.ets, keys, []), plan)
  end

  defp value(bytes, built, plan) do
    {ours, ets} = Map.fetch!(built, bytes)
    keys = Map.fetch!(built.rows, bytes)
    ours = loop(subject(plan), :read, ours, keys, [])
    Stopwatch.compare(ours, loop(Loops.Ets, :read, ets, keys, []), plan)
  end

  defp scan(spec, built, plan) do
    loops = subject(plan)
    {ours, ets, spec_ours, spec_ets} = {built.ours, built.ets, spec.(built.ours), spec.(:row)}
    ours = fn -> loops.select(ours, spec_ours) end
    peer = fn -> Loops.Ets.select(ets, spec_ets) end
    same_rows!(ours.(), peer.())
    whole(built, plan, ours, peer)
  end

  defp scan_all(built, plan) do
    loops = subject(plan)
    {ours, ets, spec} = {built.ours, built.ets, Specs.all(built.ours)}
    same_rows!(loops.select(ours, spec), Loops.Ets.all(ets))
    whole(built, plan, fn -> loops.select(ours, spec) end, fn -> Loops.Ets.all(ets) end)
  end

  defp fold(built, plan) do
    loops = subject(plan)
    {ours, mnesia} = {built.ours, built.mnesia}
    same_rows!(loops.fold(ours), Loops.Mnesia.fold(mnesia))
    whole(built, plan, fn -> loops.fold(ours) end, fn -> Loops.Mnesia.fold(mnesia) end)
  end

  defp whole(built, plan, ours, peer) do
    options = [units: built.rows, heap: @scan_heap]
    plan = if plan.round_ms == 0, do: plan, else: %{plan | round_ms: plan.round_ms * 2}
    repeat = fn fun -> fn _index, n -> Enum.each(1..n, fn _ -> fun.() end) end end
    Stopwatch.compare(side(repeat.(ours), options), side(repeat.(peer), options), plan)
  end

  defp sync(built, plan, procs) do
    record = :erlang.term_to_binary(Rows.row(built.ours, 1, 1))
    path = Path.join(plan.dir, "bare.log")

    bare = fn _index, n ->
      {:ok, file} = :file.open(path, [:raw, :binary, :write])
      Loops.File.write_sync(n, file, record)
      :file.close(file)
    end

    IO.puts("# peer file: #{byte_size(record)} bytes a record, :file.write and :file.datasync")
    ours = loop(subject(plan), :sync_write, built.ours, built.rows, procs: procs)
    result = Stopwatch.compare(ours, side(bare), plan)
    File.rm(path)
    result
  end

  defp restart(built, plan) do
    pairs = [{plan.subject, built.ours}, {:mnesia, built.mnesia}]

    samples =
      for _round <- 1..min(3, plan.rounds), {db, table} <- pairs do
        :stopped = db.stop()

        {wall, cpu} =
          Stopwatch.time(fn ->
            :ok = db.start()
            :ok = db.wait_for_tables([table], :infinity)
          end)

        same_rows!(db.table_info(table, :size), built.rows)
        {wall, cpu}
      end

    {ours, peer} = samples |> Enum.chunk_every(2) |> Enum.map(&List.to_tuple/1) |> Enum.unzip()
    {wall_ours, cpu_ours} = Stopwatch.medians(ours)
    {wall_peer, cpu_peer} = Stopwatch.medians(peer)
    %{ours: wall_ours, peer: wall_peer, cpu_ours: cpu_ours, cpu_peer: cpu_peer}
  end

  defp memory(built, plan) do
    word = :erlang.system_info(:wordsize)
    ours = plan.subject.table_info(built.ours, :memory) * word / built.rows
    peer = :ets.info(built.ets, :memory) * word / built.rows
    resident = Float.round(built.resident_ours / built.rows, 1)
    IO.puts("# memory.1m: resident memory of the VM grew by #{resident} bytes a row of ours")
    %{ours: ours, peer: peer, cpu_ours: 0.0, cpu_peer: 0.0}
  end

  defp growth(%{small: {small, few}, huge: {huge, many}}, plan) do
    at_many = loop(subject(plan), :tx_write, huge, many, [])
    Stopwatch.compare(at_many, loop(subject(plan), :tx_write, small, few, []), plan)
  end

  defp subject(%{subject: :magnesia}), do: Loops.Magnesia
  defp subject(%{subject: :mnesia}), do: Loops.Mnesia

  defp loop(module, name, table, keys, options) do
    side(fn index, n -> apply(module, name, [n, Rows.seed(index), table, keys]) end, options)
  end

  defp same_rows!(rows, rows), do: :ok

  defp same_rows!(ours, peer),
    do: raise("the two sides disagree: #{ours} rows against #{peer}")
end
