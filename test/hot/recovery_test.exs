defmodule Magnesia.Hot.RecoveryTest do
  @moduledoc """
  Killed VMs, a killed owner, a Mnesia that stops and starts, a disk that refuses.
  """
  use Magnesia.HotCase

  alias Magnesia.Backend
  alias Magnesia.Backend.Place
  alias Magnesia.{Engine, HotLoad, HotNodes, Pair}

  @moduletag :ram

  @tag timeout: 300_000
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

  for way <- [:die, :dump] do
    @tag way: way
    test "a VM that dies between two rows of a commit (#{way}) has all of it afterwards",
         %{way: way} do
      peer = HotNodes.start()
      HotNodes.cluster([peer])
      plugin = [{:explode}, HotLoad, :explode]
      {:atomic, :ok} = HotNodes.call(peer, :mnesia_schema, :add_index_plugin, plugin)

      for {tab, alias_name} <- [a: :magnesia_disc, b: :magnesia_disc_only] do
        options = [attributes: [:k, :v, :w], index: [{:explode}]]
        options = [{alias_name, [peer.node]} | options]
        {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [tab, options])
        for k <- 1..10, do: :ok = HotNodes.mnesia(peer, :dirty_write, [{tab, -k, :old, 0}])
      end

      ref = Process.monitor(peer.pid)
      _ = catch_exit(HotNodes.call(peer, HotLoad, :doomed, [[:a, :b], way]))
      assert_receive {:DOWN, ^ref, _, _, _}, 10_000

      peer = HotNodes.again(peer)
      HotNodes.load(peer)
      [a, b] = Enum.map([:a, :b], &HotNodes.rows(peer, &1))
      assert a == for(k <- 1..100, do: {:a, k, :fine, 0}) ++ [{:a, 101, :boom, 0}]
      assert b == for(k <- 1..100, do: {:b, k, :fine, 0})
    end
  end

  test "a process that dies in the middle of a commit is waited for no longer" do
    peer = HotNodes.start()
    HotNodes.cluster([peer])
    options = [magnesia_disc: [peer.node], attributes: [:k, :v]]
    {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [:a, options])
    assert HotNodes.call(peer, HotLoad, :begun_and_died, [:a]) == {1, 0}
  end

  test "after an orderly end Mnesia's log is run through, and counters don't count twice" do
    peer = HotNodes.start()
    HotNodes.cluster([peer])

    for {tab, alias_name} <- [a: :magnesia_disc, b: :magnesia_disc_only] do
      options = [{:attributes, [:k, :v]}, {alias_name, [peer.node]}]
      {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [tab, options])
      :ok = HotNodes.mnesia(peer, :dirty_write, [{tab, :written, 10}])
      for _ <- 1..5, do: HotNodes.mnesia(peer, :dirty_update_counter, [tab, :written, 1])
      for _ <- 1..7, do: HotNodes.mnesia(peer, :dirty_update_counter, [tab, :alone, 1])
    end

    HotNodes.stop(peer)
    peer = HotNodes.again(peer)
    HotNodes.load(peer)

    for tab <- [:a, :b] do
      assert HotNodes.rows(peer, tab) == [{tab, :alone, 7}, {tab, :written, 15}]
    end

    # The epoch goes on only where a crash may have left indexes behind.
    assert HotNodes.call(peer, Place, :epoch, []) == 1
    refute HotNodes.call(peer, Place, :ahead?, [])
    HotNodes.kill(peer)
    peer = HotNodes.again(peer)
    HotNodes.load(peer)
    assert HotNodes.call(peer, Place, :epoch, []) == 2
    assert HotNodes.call(peer, Place, :ahead?, [])
  end

  test "an index that fell behind its table in a crash is built anew" do
    peer = HotNodes.start()
    HotNodes.cluster([peer])
    options = [attributes: [:k, :v], index: [:v], magnesia_disc: [peer.node]]
    {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [:a, options])
    for k <- 1..20, do: :ok = HotNodes.mnesia(peer, :dirty_write, [{:a, k, 1}])
    # The row changes and the index doesn't, as when a VM dies between the two.
    :ok = HotNodes.call(peer, Engine, :write, [[:a], {:a, 1, 2}])
    assert HotNodes.mnesia(peer, :dirty_index_read, [:a, 2, :v]) == []
    HotNodes.kill(peer)
    peer = HotNodes.again(peer)
    HotNodes.load(peer)
    assert HotNodes.mnesia(peer, :dirty_index_read, [:a, 2, :v]) == [{:a, 1, 2}]
    assert length(HotNodes.mnesia(peer, :dirty_index_read, [:a, 1, :v])) == 19
  end

  test "a full disk refuses new writes with the reason, and takes them when there is room" do
    # Mnesia's own log stays short, so that it isn't the first to meet the limit.
    peer = HotNodes.start(mnesia: [dump_log_write_threshold: 20])
    HotNodes.cluster([peer])

    for {tab, alias_name} <- [d: :magnesia_disc, r: :magnesia_ram] do
      options = [{:attributes, [:k, :v]}, {alias_name, [peer.node]}]
      {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [tab, options])
    end

    HotNodes.limit_files(peer, 600_000)
    text = String.duplicate("x", 4000)
    assert written = fill(peer, text, 1)
    assert {:aborted, {:magnesia, reason}} = last(peer, text)
    assert is_binary(reason)
    assert HotNodes.call(peer, Backend, :alarm, []) == reason
    # Rows are read, tables in memory are written.
    assert [{:d, 1, ^text}] = HotNodes.mnesia(peer, :dirty_read, [:d, 1])
    assert :ok = HotNodes.mnesia(peer, :dirty_write, [{:r, 1, text}])

    # No table comes to a disk that takes no rows.
    for to <- [:magnesia_disc, :magnesia_disc_only] do
      assert {:aborted, refused} = HotNodes.call(peer, Backend, :convert, [:r, to, peer.node])
      assert inspect(refused, printable_limit: :infinity) =~ reason
      assert HotNodes.rows(peer, :r) == [{:r, 1, text}]
      assert {:aborted, refused} = HotNodes.mnesia(peer, :create_table, [:n, [{to, [peer.node]}]])
      assert inspect(refused, printable_limit: :infinity) =~ reason
    end

    HotNodes.limit_files(peer, :unlimited)
    Pair.until(fn -> HotNodes.call(peer, Backend, :alarm, []) == nil end)
    assert {:atomic, :ok} = last(peer, text)
    assert HotNodes.mnesia(peer, :table_info, [:d, :size]) >= written
  end

  defp fill(peer, text, k) do
    case HotNodes.mnesia(peer, :sync_dirty, [&:mnesia.dirty_write/1, [{:d, k, text}]]) do
      :ok when k < 2000 -> fill(peer, text, k + 1)
      {:error, {:magnesia, _}} -> k - 1
    end
  end

  defp last(peer, text) do
    HotNodes.mnesia(peer, :transaction, [&:mnesia.write/1, [{:d, :last, text}]])
  end

  # A different moment in each round, by what was written.
  defp tick(peer, round) do
    Pair.until(fn -> HotNodes.mnesia(peer, :table_info, [:a, :size]) > round * 600 end)
  end
end
