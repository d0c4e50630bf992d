defmodule Magnesia.Bench.HotPair do
  @moduledoc """
  Two VMs with a stock Mnesia each, one of which copies tables from the other.

  They are made for the fixture and end with it. The rows go over Erlang's distribution on
  127.0.0.1.
  """

  alias Magnesia.Bench.{Hot, Noop, Rows, World}
  alias Magnesia.OtherVm

  @support ~w(rows.ex world.ex noop.ex)

  @doc "Starts the VMs and fills a table for each side on the first."
  @spec build(keyword, pos_integer, map) :: map
  def build(sides, rows, plan) do
    [first, second] = nodes = for name <- ["one", "two"], do: start(name, plan)
    true = call(first, :net_kernel, :connect_node, [second.node])
    types = [backend_types: Hot.backend_types()]
    :ok = call(first, :mnesia, :create_schema, [Enum.map(nodes, & &1.node), types])

    for node <- nodes do
      :ok = call(node, :mnesia, :start, [])
      :ok = call(node, :mnesia, :wait_for_tables, [[:schema], 60_000])
      :ok = call(node, Noop, :expect, [rows])
    end

    tables = Map.new(sides, fn {side, storage} -> {side, table(first, side, storage, rows)} end)
    Map.put(tables, :pair, {first, second})
  end

  defp start(name, plan) do
    dir = Path.join([plan.dir, "hot_load", name])

    settings = [dir: String.to_charlist(dir)]
    peer = OtherVm.start(:"magnesia_bench_#{name}_#{System.pid()}", [], settings)
    files = for file <- @support, do: Path.join(__DIR__, file)
    {:ok, _modules, _} = call(peer, Kernel.ParallelCompiler, :compile, [files])
    peer
  end

  defp call(peer, module, function, arguments),
    do: OtherVm.call(peer, module, function, arguments, :infinity)

  defp table(first, side, storage, rows) do
    options = [{:attributes, Rows.attributes()}, {storage, [first.node]}]
    filled = if side == :noop, do: 0, else: rows
    arguments = [:mnesia, :"hot_#{side}", options, filled, &Rows.numbered/2]
    {call(first, World, :table, arguments), storage}
  end

  @doc "The time that a row takes from one VM to the other, for both sides in turn."
  @spec measure(map, map) :: map
  def measure(built, plan) do
    samples =
      for _round <- 1..min(3, plan.rounds), {table, storage} <- [built.ours, built.mnesia] do
        {copy(built, table, storage) / built.rows, 0}
      end

    {ours, peer} = samples |> Enum.chunk_every(2) |> Enum.map(&List.to_tuple/1) |> Enum.unzip()
    Hot.result(ours, peer)
  end

  defp copy(%{pair: {_first, second}} = built, table, storage) do
    began = :erlang.monotonic_time(:nanosecond)
    {:atomic, :ok} = call(second, :mnesia, :add_table_copy, [table, second.node, storage])
    spent = :erlang.monotonic_time(:nanosecond) - began
    rows = call(second, :mnesia, :table_info, [table, :size])
    if rows != built.rows, do: raise("#{rows} rows were copied, not #{built.rows}")
    {:atomic, :ok} = call(second, :mnesia, :del_table_copy, [table, second.node])
    spent
  end

  @doc "Ends the VMs of a fixture that has some."
  @spec stop(map) :: :ok
  def stop(%{pair: {first, second}}), do: Enum.each([first, second], &:peer.stop(&1.pid))
  def stop(_other), do: :ok
end
