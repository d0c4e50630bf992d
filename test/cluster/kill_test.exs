defmodule Magnesia.Cluster.KillTest do
  @moduledoc """
  Nodes of a stock Mnesia killed while all write, started again, loaded from the others: each
  copy has every acknowledged transaction then, and all copies are the same.

  `MAGNESIA_CLUSTER_ROUNDS` sets the rounds, `MAGNESIA_SEED` what is written and who dies. Tables
  of all aliases, and some with another storage on each node, are in one cluster.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Cluster.Field
  alias Magnesia.HotNodes

  @moduletag timeout: 3_600_000

  setup do
    peers = HotNodes.start_all(for _ <- 1..3, do: [log: :critical])
    HotNodes.cluster(peers)
    {:ok, peers: peers, seed: Field.seed(), rounds: Field.figure("MAGNESIA_CLUSTER_ROUNDS", 1)}
  end

  test "every acknowledged transaction is on every copy after a kill -9", context do
    %{peers: [a, b, c] = peers, seed: seed, rounds: rounds} = context
    _ = :rand.seed(:exsss, seed)

    tables =
      for {family, copies} <- families(a, b, c), table <- Field.tables(a, family, copies) do
        table
      end

    IO.puts("cluster: #{rounds} rounds from MAGNESIA_SEED=#{seed}")
    before = Field.rest(peers, tables)

    try do
      Enum.reduce(1..rounds, {peers, before}, &round(&1, &2, tables, seed))
    rescue
      error in [ExUnit.AssertionError] ->
        again = "MAGNESIA_SEED=#{seed} MAGNESIA_CLUSTER_ROUNDS=#{rounds}"

        message =
          "#{error.message}\nrepeat: #{again} mix test #{Path.relative_to_cwd(__ENV__.file)}"

        reraise %{error | message: message}, __STACKTRACE__
    end
  end

  defp families(a, b, c) do
    both = [a.node, b.node]

    [
      ram: [magnesia_ram: both],
      disc: [magnesia_disc: both],
      only: [magnesia_disc_only: both],
      mixed: [ram_copies: [a.node], magnesia_disc: [b.node], magnesia_disc_only: [c.node]]
    ]
  end

  # One dies, then all of them, and so on.
  defp round(number, {peers, before}, tables, seed) when rem(number, 2) == 1 do
    victim = Enum.random(Enum.take(peers, 2))
    others = peers -- [victim]

    running =
      [Field.write(victim, {number, 0}, tables, :sync, seed)] ++
        for {peer, n} <- Enum.with_index(others ++ others, 1) do
          Field.write(peer, {number, n}, tables, :transactions, seed)
        end

    :ok = Field.progress(running, 50 + :rand.uniform(200))
    :ok = HotNodes.kill(victim)
    :ok = Field.progress(running, 100)
    again = HotNodes.again(victim)
    :ok = HotNodes.load(again)
    :ok = Field.progress(running, 50)
    writers = Field.stop(running, [victim])
    peers = for peer <- peers, do: if(peer == victim, do: again, else: peer)
    {peers, Field.rest(peers, tables, before, writers)}
  end

  defp round(number, {peers, before}, tables, seed) do
    holders = Enum.take(peers, 2)

    running =
      for {peer, n} <- Enum.with_index(holders ++ holders) do
        Field.write(peer, {number, n}, tables, :sync, seed)
      end

    :ok = Field.progress(running, 50 + :rand.uniform(200))
    :ok = HotNodes.kill_all(peers)
    peers = peers |> Enum.map(& &1.options) |> HotNodes.start_all()
    :ok = HotNodes.load_all(peers)
    writers = Field.stop(running, for({peer, _, _} <- running, do: peer))
    {memory, kept} = Enum.split_with(tables, &(&1.family == :ram))
    empty = Map.new(memory, &{&1.name, %{}})
    assert Field.rest(peers, memory) == empty
    before = Map.drop(before, Enum.map(memory, & &1.name))
    {peers, Map.merge(empty, Field.rest(peers, kept, before, writers, true))}
  end
end
