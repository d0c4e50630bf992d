defmodule Magnesia.Cluster.FragmentsTest do
  @moduledoc """
  Fragmented tables on two nodes, their fragments converted to the aliases: what Mnesia's own
  fragmentation does with them, and what it can't.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Backend
  alias Magnesia.HotNodes
  alias Magnesia.Pair

  @moduletag timeout: 300_000
  @aliases [:magnesia_ram, :magnesia_disc, :magnesia_disc_only]
  @rows 300

  setup do
    peers = HotNodes.start_all(for _ <- 1..2, do: [log: :critical])
    HotNodes.cluster(peers)
    {:ok, peers: peers, nodes: Enum.map(peers, & &1.node)}
  end

  defp create(peer, tab, nodes, frag) do
    frag = [node_pool: nodes] ++ frag
    HotNodes.mnesia(peer, :create_table, [tab, [attributes: [:k, :v], frag_properties: frag]])
  end

  defp fragments(peer, tab), do: HotNodes.call(peer, :mnesia_frag, :frag_names, [tab])

  defp convert(peer, tabs, to, nodes) do
    for tab <- tabs, node <- nodes do
      assert {tab, HotNodes.call(peer, Backend, :convert, [tab, to, node])} ==
               {tab, {:atomic, :ok}}
    end
  end

  defp change(peer, tab, change), do: HotNodes.mnesia(peer, :change_table_frag, [tab, change])

  defp activity(peer, fun, args) do
    HotNodes.mnesia(peer, :activity, [:sync_transaction, fun, args, :mnesia_frag])
  end

  defp write(peer, tab, keys) do
    rows = for k <- keys, do: {tab, k, k * 2}
    :ok = activity(peer, &:lists.foreach/2, [&:mnesia.write/1, rows])
  end

  # All rows by way of the fragments on both nodes, and each fragment's copies alike.
  defp check(peers, tab, keys) do
    for peer <- peers do
      found = activity(peer, &:lists.map/2, [&:mnesia.read/1, for(k <- keys, do: {tab, k})])
      assert found == for(k <- keys, do: [{tab, k, k * 2}])
    end

    Pair.until(fn -> Enum.all?(fragments(hd(peers), tab), &alike?(peers, &1)) end)
    sizes = for name <- fragments(hd(peers), tab), do: length(HotNodes.rows(hd(peers), name))
    assert Enum.sum(sizes) == Enum.count(keys)
    assert Enum.all?(sizes, &(&1 > 0))
  end

  defp alike?(peers, name), do: peers |> Enum.uniq_by(&HotNodes.rows(&1, name)) |> length() == 1

  test "all fragments but the first are converted; fragments and nodes come and go", context do
    %{peers: [a, b] = peers, nodes: nodes} = context

    for tab <- @aliases do
      {:atomic, :ok} = create(a, tab, nodes, n_fragments: 3, n_ram_copies: 2)
      write(a, tab, 1..@rows)
      [_first | others] = fragments(a, tab)
      convert(a, others, tab, nodes)
      check(peers, tab, 1..@rows)

      # A new fragment is like the first one; what it gets comes from one that is hot.
      for _ <- 1..2 do
        assert change(a, tab, {:add_frag, nodes}) == {:atomic, :ok}
        check(peers, tab, 1..@rows)
        new = List.last(fragments(a, tab))
        assert HotNodes.mnesia(a, :table_info, [new, :storage_type]) == :ram_copies
        convert(b, [new], tab, nodes)
        check(peers, tab, 1..@rows)
      end

      write(b, tab, (@rows + 1)..(@rows + 50))
      assert change(a, tab, {:del_node, b.node}) == {:atomic, :ok}
      assert change(a, tab, {:add_node, b.node}) == {:atomic, :ok}
      check(peers, tab, 1..(@rows + 50))

      for _ <- 1..3 do
        assert change(b, tab, :del_frag) == {:atomic, :ok}
        check(peers, tab, 1..(@rows + 50))
      end
    end

    # The fragments that are no more have left nothing behind.
    left = for name <- HotNodes.call(a, Magnesia.Engine, :tables, [:hot]), do: "#{name}"
    assert Enum.filter(left, &(&1 =~ "frag3")) == []
  end

  test "Mnesia can't make fragments of an external storage itself, nor split such a first one",
       %{peers: [a, b] = peers, nodes: nodes} do
    # It takes the nodes of n_external_copies for aliases.
    assert {:aborted, {:function_clause, _}} = create(a, :t, nodes, n_external_copies: 1)
    assert {:aborted, {:badarg, :t, :n_magnesia_ram}} = create(a, :t, nodes, n_magnesia_ram: 1)

    {:atomic, :ok} = create(a, :t, nodes, n_fragments: 2, n_ram_copies: 2)
    write(a, :t, 1..@rows)
    convert(a, fragments(a, :t), :magnesia_ram, nodes)
    assert {:aborted, {:function_clause, _}} = change(a, :t, {:add_frag, nodes})
    check(peers, :t, 1..@rows)
    # An alias that was there once keeps its place in the definition, with no nodes.
    convert(b, [:t], :ram_copies, nodes)
    assert {:aborted, {:combine_error, :t_frag3, _}} = change(a, :t, {:add_frag, nodes})
    # Fragments are merged all the same.
    assert change(a, :t, :del_frag) == {:atomic, :ok}
    check(peers, :t, 1..@rows)
  end

  test "a node that was killed loads its fragments from the other", context do
    %{peers: [a, b], nodes: nodes} = context
    {:atomic, :ok} = create(a, :t, nodes, n_fragments: 4, n_ram_copies: 2)
    write(a, :t, 1..@rows)

    for {name, to} <- Enum.zip(tl(fragments(a, :t)), @aliases), do: convert(a, [name], to, nodes)
    HotNodes.kill(b)
    write(a, :t, (@rows + 1)..(@rows + 50))
    b = HotNodes.again(b)
    HotNodes.load(b)
    check([a, b], :t, 1..(@rows + 50))
  end
end
