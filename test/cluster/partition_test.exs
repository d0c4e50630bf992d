defmodule Magnesia.Cluster.PartitionTest do
  @moduledoc """
  A network that is cut in two and mended, with stock tables and ours in one cluster: whatever
  Mnesia answers, reports and keeps of the ones it does of the others.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Cluster.Events
  alias Magnesia.HotNodes
  alias Magnesia.Patience
  alias Magnesia.Pair

  @moduletag timeout: 300_000
  @pairs [
    ram_copies: :magnesia_ram,
    disc_copies: :magnesia_disc,
    disc_only_copies: :magnesia_disc_only
  ]

  setup do
    peers = HotNodes.start_all(for _ <- 1..3, do: [log: :emergency])
    HotNodes.cluster(peers)
    nodes = Enum.map(peers, & &1.node)

    for {stock, ours} <- @pairs, storage <- [stock, ours], majority? <- [false, true] do
      options = [
        {:attributes, [:k, :v]},
        {:index, [:v]},
        {:majority, majority?},
        {storage, nodes}
      ]

      tab = table(storage, majority?)
      {:atomic, :ok} = HotNodes.mnesia(hd(peers), :create_table, [tab, options])
    end

    {:ok, peers: peers}
  end

  defp table(storage, true), do: :"majority_#{storage}"
  defp table(storage, false), do: :"t_#{storage}"

  # The same on each table; stock and ours must answer the same. Gives the answers.
  defp each(what, fun) do
    for {stock, ours} <- @pairs, majority? <- [false, true], into: %{} do
      [expected, answer] =
        for storage <- [stock, ours], do: answer(fun, table(storage, majority?))

      assert {what, ours, majority?, answer} == {what, ours, majority?, expected}
      {{ours, majority?}, answer}
    end
  end

  defp answer(fun, tab), do: nameless(Pair.outcome(fn -> fun.(tab) end), tab)

  defp nameless(tab, tab), do: :tab
  defp nameless(term, tab) when is_list(term), do: Enum.map(term, &nameless(&1, tab))

  defp nameless(term, tab) when is_tuple(term),
    do: term |> Tuple.to_list() |> nameless(tab) |> List.to_tuple()

  defp nameless(term, _tab), do: term

  defp write(peer, activity, tab, key) do
    HotNodes.mnesia(peer, activity, [&:mnesia.write/1, [{tab, key, 1}]])
  end

  # With every activity: whether it is done, and why not.
  defp write_all(peer, side) do
    for activity <- [:transaction, :sync_transaction, :async_dirty, :sync_dirty] do
      each({side, activity}, &write(peer, activity, &1, {side, activity}))
    end
  end

  defp rows(peer, what), do: each(what, &HotNodes.rows(peer, &1))

  defp running(peer, peers) do
    wanted = peers |> Enum.map(& &1.node) |> Enum.sort()

    Patience.await("#{peer.node} doesn't see #{inspect(wanted)} running", fn ->
      Enum.sort(HotNodes.mnesia(peer, :system_info, [:running_db_nodes])) == wanted
    end)
  end

  defp cut(peer, others) do
    for node <- [peer | others] do
      :ok = HotNodes.call(node, :application, :set_env, [:kernel, :dist_auto_connect, :never])
    end

    for other <- others, do: HotNodes.call(peer, :erlang, :disconnect_node, [other.node])
    running(peer, [peer])
    for other <- others, do: running(other, others)
  end

  defp mend(peer, others) do
    for other <- others, do: true = HotNodes.call(peer, :net_kernel, :connect_node, [other.node])
  end

  defp inconsistent(peer) do
    HotNodes.call(peer, Events, :inconsistent, [])
  end

  test "answers, reports and rows are those of stock tables", %{peers: [a, b, c] = peers} do
    for peer <- peers, do: :ok = HotNodes.call(peer, Events, :start, [])
    each(:before, &write(a, :sync_transaction, &1, :before))
    cut(a, [b, c])
    write_all(a, :alone)
    write_all(b, :most)
    alone = rows(a, :alone)
    most = rows(b, :most)
    assert rows(c, :other) == most

    # What is compared is not nothing: a minority writes where that is allowed alone.
    for {_stock, ours} <- @pairs do
      assert length(elem(alone[{ours, false}], 1)) == 5
      assert length(elem(most[{ours, true}], 1)) == 5
      assert length(elem(alone[{ours, true}], 1)) < 5
    end

    mend(a, [b, c])
    reported? = fn -> Enum.all?(peers, &(inconsistent(&1) != [])) end
    Patience.await("nobody reports an inconsistent database", reported?)
    assert {:running_partitioned_network, b.node} in inconsistent(a)
    assert {:running_partitioned_network, a.node} in inconsistent(b)
    assert rows(a, :alone) == alone
    assert rows(b, :most) == most

    # The minority takes the majority's rows, as it is told.
    :ok = HotNodes.mnesia(a, :set_master_nodes, [[b.node]])
    :stopped = HotNodes.mnesia(a, :stop, [])
    HotNodes.load(a)
    for peer <- peers, do: running(peer, peers)
    assert rows(a, :taken) == most
    each(:after, &write(a, :sync_transaction, &1, :after))
    now = rows(a, :now)
    for {_stock, ours} <- @pairs, do: assert(length(elem(now[{ours, false}], 1)) == 6)
    for peer <- [b, c], do: assert(rows(peer, :now) == now)
    each(:index, &length(HotNodes.mnesia(a, :dirty_index_read, [&1, 1, :v])))
  end
end
