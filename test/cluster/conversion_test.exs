defmodule Magnesia.Cluster.ConversionTest do
  @moduledoc """
  Changes of storage on one node of a cluster while both nodes write: nothing that was
  acknowledged is lost, and the copy that was changed is what the other one is.

  `MAGNESIA_CLUSTER_CONVERSIONS` says how many of the 18 ways between stock storages and aliases
  are gone for each type of table, `MAGNESIA_SEED` with which to begin.
  """
  use ExUnit.Case, async: false

  alias Magnesia.{Backend, Hot, HotNodes}
  alias Magnesia.Cluster.Field

  @moduletag timeout: 3_600_000
  @aliases [:magnesia_ram, :magnesia_disc, :magnesia_disc_only]

  setup do
    peers = HotNodes.start_all(for _ <- 1..2, do: [log: :critical])
    HotNodes.cluster(peers)
    {:ok, peers: peers, seed: Field.seed()}
  end

  # A round trip that goes each way between a stock storage and an alias once.
  defp ways(:ordered_set), do: round_trip([:ram_copies, :disc_copies])
  defp ways(_kind), do: round_trip([:ram_copies, :disc_copies, :disc_only_copies])

  defp round_trip(stock) do
    [one, two, three] = @aliases

    for {from, next} <- Enum.zip(stock, tl(stock) ++ [hd(stock)]),
        {to, back} <- [{one, from}, {two, from}, {three, next}],
        way <- [{from, to}, {to, back}] do
      way
    end
  end

  defp gone(kind, count, seed) do
    ways = ways(kind)
    first = rem(seed, length(ways))
    ways |> Stream.cycle() |> Stream.drop(first) |> Enum.take(min(count, length(ways)))
  end

  defp writers([a, b], tables, seed) do
    for {peer, n} <- Enum.with_index([a, b, b]) do
      Field.write(peer, {:writer, n}, tables, :transactions, seed)
    end
  end

  test "every way between stock storages and aliases keeps what is written meanwhile", context do
    %{peers: [a, b] = peers, seed: seed} = context
    count = Field.figure("MAGNESIA_CLUSTER_CONVERSIONS", 5)
    IO.puts("cluster: #{count} conversions from MAGNESIA_SEED=#{seed}")

    {tables, ways} =
      for kind <- [:set, :ordered_set, :bag] do
        [{from, _to} | _] = ways = gone(kind, count, seed)
        copies = Enum.concat([{from, [a.node]}], ram_copies: [b.node])
        copies = if from == :ram_copies, do: [ram_copies: [a.node, b.node]], else: copies
        [table] = Field.tables(a, :t, copies, [kind])
        # Its storages are of both sorts in turn.
        {%{table | order: :none}, Enum.map(ways, &{table.name, elem(&1, 1)})}
      end
      |> Enum.unzip()

    before = Field.rest(peers, tables)
    running = writers(peers, tables, seed)

    for n <- 0..(count - 1), ways <- ways, {tab, to} <- Enum.slice(ways, n, 1) do
      Field.progress(running, 5)
      # From either node.
      caller = Enum.at(peers, :erlang.phash2({tab, to, seed}, 2))
      result = HotNodes.call(caller, Backend, :convert, [tab, to, a.node])
      assert {tab, to, result} == {tab, to, {:atomic, :ok}}
    end

    Field.progress(running, 20)
    Field.rest(peers, tables, before, Field.stop(running))
  end

  test "a move with its checks goes on under transactions of both nodes", context do
    %{peers: [a, b] = peers, seed: seed} = context
    both = [a.node, b.node]
    [table] = Field.tables(a, :t, [ram_copies: both], [:set])
    before = Field.rest(peers, [table])
    running = writers(peers, [table], seed)

    for {peer, to} <- [{a, :magnesia_ram}, {b, :magnesia_disc}, {a, :ram_copies}] do
      Field.progress(running, 5)
      assert {:ok, %{to: ^to}} = HotNodes.call(peer, Hot, :move, [table.name, to])
    end

    Field.progress(running, 20)
    Field.rest(peers, [table], before, Field.stop(running))
  end
end
