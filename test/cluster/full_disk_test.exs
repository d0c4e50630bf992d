defmodule Magnesia.Cluster.FullDiskTest do
  @moduledoc """
  A disk that is too small for a change of storage, or that fills up while a copy comes: Mnesia
  aborts with the reason, the old copy stays, all nodes stay, and with room the same call works.
  """
  use ExUnit.Case, async: false

  alias Magnesia.HotNodes

  @moduletag timeout: 300_000
  @rows 500
  @text String.duplicate("x", 3_000)
  # Less than the rows, more than all that Mnesia itself writes here.
  @limit_bytes 900_000

  setup do
    peers = HotNodes.start_all(for _ <- 1..2, do: [log: :emergency])
    HotNodes.cluster(peers)
    {:ok, peers: peers}
  end

  defp filled(peer, tab, storage) do
    options = [attributes: [:k, :v, :n], index: [:v]] ++ [{storage, [peer.node]}]
    {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [tab, options])
    rows = for k <- 1..@rows, do: {tab, k, rem(k, 7), {k, @text}}
    {:atomic, :ok} = HotNodes.call(peer, Magnesia.Cluster.Field, :write_all, [rows])
    rows
  end

  test "a change of storage is refused and the rows stay", %{peers: [first, second]} do
    for {peer, from, to} <- [
          {first, :ram_copies, :magnesia_disc},
          {first, :disc_copies, :magnesia_ram},
          {second, :magnesia_ram, :magnesia_disc_only},
          {second, :magnesia_disc, :disc_only_copies}
        ] do
      tab = :"#{from}_to_#{to}"
      rows = filled(peer, tab, from)
      change = [tab, peer.node, to]
      HotNodes.limit_files(peer, @limit_bytes)
      assert {:aborted, reason} = HotNodes.mnesia(first, :change_table_copy_type, change)
      assert inspect(reason, printable_limit: :infinity) =~ "has no room for the "
      assert_rows(peer, tab, from, rows)
      HotNodes.limit_files(peer, :unlimited)
      assert HotNodes.mnesia(first, :change_table_copy_type, change) == {:atomic, :ok}
      assert_rows(peer, tab, to, rows)
    end
  end

  test "a copy that the disk doesn't take comes not at all", %{peers: [first, second]} do
    for {from, to} <- [ram_copies: :magnesia_disc, magnesia_disc: :magnesia_disc_only] do
      tab = :"#{from}_and_#{to}"
      rows = filled(first, tab, from)
      add = [tab, second.node, to]
      HotNodes.limit_files(second, @limit_bytes)

      for caller <- [first, second] do
        assert {:aborted, reason} = HotNodes.mnesia(caller, :add_table_copy, add)
        assert inspect(reason, printable_limit: :infinity) =~ ~r/the disk is full|File too large/
        assert HotNodes.mnesia(second, :table_info, [tab, :storage_type]) == :unknown
        assert_rows(first, tab, from, rows)
        # Read from the node that has it, and written there.
        assert HotNodes.mnesia(second, :dirty_read, [tab, 1]) == [hd(rows)]
        write = [&:mnesia.write/1, [hd(rows)]]
        assert HotNodes.mnesia(second, :sync_transaction, write) == {:atomic, :ok}
      end

      HotNodes.limit_files(second, :unlimited)
      if to == :magnesia_disc_only, do: restart(second)
      assert HotNodes.mnesia(second, :add_table_copy, add) == {:atomic, :ok}

      for {peer, storage} <- [{first, from}, {second, to}],
          do: assert_rows(peer, tab, storage, rows)
    end
  end

  # The files of rows beyond memory take no more after a write that failed until they are opened
  # again.
  defp restart(peer) do
    :stopped = HotNodes.mnesia(peer, :stop, [])
    :ok = HotNodes.load(peer)
  end

  defp assert_rows(peer, tab, storage, rows) do
    assert peer.node in HotNodes.mnesia(peer, :table_info, [tab, storage])
    assert HotNodes.rows(peer, tab) == rows
    some = HotNodes.mnesia(peer, :dirty_index_read, [tab, 3, :v])
    assert Enum.sort(some) == Enum.filter(rows, &(elem(&1, 2) == 3))
    assert HotNodes.mnesia(peer, :system_info, [:running_db_nodes]) |> length() == 2
  end
end
