defmodule Magnesia.Hot.BesideTest do
  @moduledoc """
  Hot tables while Magnesia's own database is open in the same VM: neither is in the other's way.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Backend
  alias Magnesia.HotNodes

  test "indexed tables are made, used and deleted, and no write is lost" do
    peer = HotNodes.start(log: :emergency)
    {:ok, _} = HotNodes.call(peer, :application, :ensure_all_started, [:magnesia])
    :ok = HotNodes.call(peer, :magnesia, :start, [[schema_location: :ram]])
    options = [attributes: [:k, :v], index: [:v]]
    {:atomic, :ok} = HotNodes.call(peer, :magnesia, :create_table, [:t, options])
    :ok = HotNodes.call(peer, :magnesia, :dirty_write, [{:t, :own, 1}])
    HotNodes.cluster([peer])

    for {storage, name} <- [magnesia_ram: :r, magnesia_disc: :t, magnesia_disc_only: :o] do
      hot = [{storage, [peer.node]} | options]
      assert HotNodes.mnesia(peer, :create_table, [name, hot]) == {:atomic, :ok}
      write = fn -> HotNodes.mnesia(peer, :transaction, [&:mnesia.write/1, [{name, 1, 2}]]) end
      assert write.() == {:atomic, :ok}
      read = fn -> HotNodes.mnesia(peer, :dirty_index_read, [name, 2, :v]) end
      assert read.() == [{name, 1, 2}]
      assert HotNodes.mnesia(peer, :del_table_index, [name, :v]) == {:atomic, :ok}
      assert HotNodes.mnesia(peer, :add_table_index, [name, :v]) == {:atomic, :ok}
      assert read.() == [{name, 1, 2}]
      assert HotNodes.call(peer, Backend, :alarm, []) == nil
    end

    assert HotNodes.call(peer, :magnesia, :dirty_index_read, [:t, 1, :v]) == [{:t, :own, 1}]
    assert HotNodes.mnesia(peer, :delete_table, [:t]) == {:atomic, :ok}
    assert HotNodes.call(peer, :magnesia, :dirty_read, [:t, :own]) == [{:t, :own, 1}]
  end
end
