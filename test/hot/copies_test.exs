defmodule Magnesia.Hot.CopiesTest do
  @moduledoc """
  Copies of a table on two nodes: added, moved, loaded, of different storage, through deaths.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Backend
  alias Magnesia.Backend.Copying
  alias Magnesia.{Engine, HotNodes, Pair}

  @moduletag timeout: 600_000
  @aliases [:magnesia_ram, :magnesia_disc, :magnesia_disc_only]

  setup do
    a = HotNodes.start()
    b = HotNodes.start()
    HotNodes.cluster([a, b])
    {:ok, a: a, b: b}
  end

  defp create(peer, tab, options) do
    {:atomic, :ok} =
      HotNodes.mnesia(peer, :create_table, [tab, [attributes: [:k, :v]] ++ options])
  end

  defp fill(peer, tab, count) do
    write = &:mnesia.dirty_write/1
    rows = for k <- 1..count, do: {tab, key(k, count), rem(k, 7)}
    :ok = HotNodes.call(peer, :lists, :foreach, [write, rows])
  end

  # Large tables are more than the twenty chunks that a sender sends without waiting.
  defp key(k, count) when count > 1000, do: {k, String.duplicate("x", 1000)}
  defp key(k, _count), do: k

  test "a copy is added, has all rows and the index, follows, and is moved back", %{a: a, b: b} do
    for alias_name <- @aliases,
        to <- Enum.uniq([alias_name, :magnesia_disc, :ram_copies]),
        kind <- if(to == alias_name, do: [:set, :bag], else: [:ordered_set]) do
      tab = :"#{alias_name}_#{to}_#{kind}"
      create(a, tab, [{alias_name, [a.node]}, {:index, [:v]}, {:type, kind}])
      fill(a, tab, 2000)
      {:atomic, :ok} = HotNodes.mnesia(a, :add_table_copy, [tab, b.node, to])
      assert length(HotNodes.rows(b, tab)) == 2000
      assert HotNodes.rows(b, tab) == HotNodes.rows(a, tab)
      assert length(HotNodes.mnesia(b, :dirty_index_read, [tab, 1, :v])) == 286
      write = [&:mnesia.write/1, [{tab, :new, 1}]]
      {:atomic, :ok} = HotNodes.mnesia(a, :sync_transaction, write)
      assert HotNodes.rows(b, tab) == HotNodes.rows(a, tab)
      {:atomic, :ok} = HotNodes.mnesia(a, :del_table_copy, [tab, a.node])
      assert length(HotNodes.rows(b, tab)) == 2001
      refute {[tab], true} == {[tab], tab in HotNodes.call(a, Engine, :tables, [:hot])}
      {:atomic, :ok} = HotNodes.mnesia(a, :move_table_copy, [tab, b.node, a.node])
      assert length(HotNodes.rows(a, tab)) == 2001
    end
  end

  test "a node that was away has the other's rows, no older ones, and a sound index", %{
    a: a,
    b: b
  } do
    for alias_name <- @aliases do
      create(a, alias_name, [{alias_name, [a.node, b.node]}, {:index, [:v]}])
      fill(a, alias_name, 300)
    end

    Pair.until(fn -> Enum.all?(@aliases, &(length(HotNodes.rows(b, &1)) == 300)) end)
    HotNodes.kill(b)

    for tab <- @aliases do
      for k <- 1..100, do: :ok = HotNodes.mnesia(a, :dirty_delete, [tab, k])
      for k <- 101..150, do: :ok = HotNodes.mnesia(a, :dirty_write, [{tab, k, :changed}])
    end

    b = HotNodes.again(b)
    HotNodes.load(b)

    for tab <- @aliases do
      assert HotNodes.rows(b, tab) == HotNodes.rows(a, tab)
      assert length(HotNodes.rows(b, tab)) == 200
      read = &(b |> HotNodes.mnesia(:dirty_index_read, [tab, &1, :v]) |> length())
      assert read.(:changed) == 50
      assert read.(1) == Enum.count(151..300, &(rem(&1, 7) == 1))
    end
  end

  test "aliases registered on two nodes at run time are the same property" do
    [a, b] = for _ <- 1..2, do: HotNodes.start()
    for peer <- [a, b], do: :ok = HotNodes.mnesia(peer, :start, [])
    for peer <- [a, b], do: {:atomic, :ok} = HotNodes.call(peer, Backend, :register, [])
    true = HotNodes.call(a, :net_kernel, :connect_node, [b.node])
    assert {:ok, [_]} = HotNodes.mnesia(a, :change_config, [:extra_db_nodes, [b.node]])
    create(a, :t, magnesia_ram: [a.node, b.node])
    :ok = HotNodes.mnesia(a, :dirty_write, [{:t, 1, 2}])
    Pair.until(fn -> HotNodes.rows(b, :t) == [{:t, 1, 2}] end)
  end

  test "a node that learnt the aliases from another opens its database with the first table" do
    [a, b] = for _ <- 1..2, do: HotNodes.start()
    for peer <- [a, b], do: :ok = HotNodes.mnesia(peer, :start, [])
    true = HotNodes.call(a, :net_kernel, :connect_node, [b.node])
    assert {:ok, [_]} = HotNodes.mnesia(a, :change_config, [:extra_db_nodes, [b.node]])
    {:atomic, :ok} = HotNodes.call(a, Backend, :register, [])
    create(a, :t, magnesia_ram: [a.node, b.node])
    :ok = HotNodes.mnesia(a, :dirty_write, [{:t, 1, 2}])
    Pair.until(fn -> HotNodes.rows(b, :t) == [{:t, 1, 2}] end)
  end

  test "chunks are bounded by bytes", %{a: a} do
    create(a, :t, magnesia_ram: [a.node])
    text = String.duplicate("x", 10_000)
    for k <- 1..100, do: :ok = HotNodes.mnesia(a, :dirty_write, [{:t, k, text}])
    {:standard, first, next} = HotNodes.call(a, Copying, :sender, [:t])
    {rows, continuation} = HotNodes.call(a, :erlang, :apply, [first, []])
    assert length(rows) in 1..10
    assert is_function(next, 1)
    assert continuation != :"$end_of_table"
  end
end
