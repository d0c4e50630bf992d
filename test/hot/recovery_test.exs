defmodule Magnesia.Hot.RecoveryTest do
  @moduledoc """
  Killed VMs, a killed owner, a Mnesia that stops and starts, a disk that refuses.
  """
  use Magnesia.HotCase

  alias Magnesia.Backend
  alias Magnesia.Backend.{Alarm, Owner, Place, Tables}
  alias Magnesia.{Engine, HotLoad, HotNodes, Pair}

  @moduletag :ram

  test "after kill -9 what was acknowledged is there and no transaction is half there" do
    for round <- 1..5 do
      peer = HotNodes.start()
      HotNodes.cluster([peer])

      for {tab, alias_name} <- [a: :magnesia_disc, b: :magnesia_disc_only, c: :magnesia_disc] do
        options = [{:attributes, [:k, :v, :w]}, {alias_name, [peer.node]}]
        {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [tab, options])
      end

      :ok = HotNodes.call(peer, HotLoad, :pairs, [[:a, :b], 4])
      tick(peer, round)

      for round <- 1..10, n <- 1..50 do
        :ok = HotNodes.mnesia(peer, :dirty_write, [{:c, n, round, n}])
      end

      :ok = HotNodes.kill(peer)

      peer = HotNodes.again(peer)
      HotNodes.load(peer)
      assert HotNodes.rows(peer, :c) == for(n <- 1..50, do: {:c, n, 10, n})

      tables = Enum.map([:a, :b], &HotNodes.rows(peer, &1))
      assert HotLoad.halves(tables) == []
      assert Enum.all?(tables, &(&1 != []))
    end
  end

  test "a VM that dies between two rows of a commit has all of the commit afterwards" do
    peer = HotNodes.start()
    HotNodes.cluster([peer])
    plugin = [{:explode}, HotLoad, :explode]
    {:atomic, :ok} = HotNodes.call(peer, :mnesia_schema, :add_index_plugin, plugin)

    for {tab, alias_name} <- [a: :magnesia_disc, b: :magnesia_disc_only] do
      options = [{:attributes, [:k, :v, :w]}, {alias_name, [peer.node]}, {:index, [{:explode}]}]
      {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [tab, options])
      for k <- 1..10, do: :ok = HotNodes.mnesia(peer, :dirty_write, [{tab, -k, :old, 0}])
    end

    ref = Process.monitor(peer.pid)
    _ = catch_exit(HotNodes.call(peer, HotLoad, :doomed, [[:a, :b]]))
    assert_receive {:DOWN, ^ref, _, _, _}, 10_000

    peer = HotNodes.again(peer)
    HotNodes.load(peer)
    [a, b] = Enum.map([:a, :b], &HotNodes.rows(peer, &1))
    assert a == for(k <- 1..100, do: {:a, k, :fine, 0}) ++ [{:a, 101, :boom, 0}]
    assert b == for(k <- 1..100, do: {:b, k, :fine, 0})
  end

  # A different moment in each round, by what was written.
  defp tick(peer, round) do
    Pair.until(fn -> HotNodes.mnesia(peer, :table_info, [:a, :size]) > round * 600 end)
  end
end
