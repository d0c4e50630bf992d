defmodule Magnesia.Cluster.LoadingTest do
  @moduledoc """
  Tables of more chunks than a sender sends without waiting, loaded from another node that dies
  half-way, or by one that does, while others write.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Cluster.{Copies, Field, HalfWay}
  alias Magnesia.HotNodes
  alias Magnesia.Patience

  @moduletag timeout: 600_000
  @aliases [:magnesia_ram, :magnesia_disc, :magnesia_disc_only]
  # About sixteen rows a chunk.
  @rows 900
  @bytes 4_000
  @half 25

  defp start(count) do
    # With one scheduler whoever counts chunks is never behind; all tables are loaded at once.
    options = [log: :error, args: ["+S", "1"], mnesia: [no_table_loaders: 5]]
    peers = HotNodes.start_all(List.duplicate(options, count))
    HotNodes.cluster(peers)
    peers
  end

  defp tables(peers) do
    nodes = Enum.map(peers, & &1.node)

    for alias_name <- @aliases do
      options = [{:attributes, [:k, :v, :n]}, {:index, [:v]}, {alias_name, nodes}]
      {:atomic, :ok} = HotNodes.mnesia(hd(peers), :create_table, [alias_name, options])
      {:atomic, :ok} = HotNodes.call(hd(peers), Field, :fill, [alias_name, @rows, @bytes])
      %{name: alias_name, kind: :set, family: alias_name, order: :place}
    end
  end

  # Starts Mnesia where its tables are halted on their way, and says where they come from.
  defp halted(peer, tabs) do
    :ok = HotNodes.call(peer, HalfWay, :arm, [tabs, @half])
    :ok = HotNodes.mnesia(peer, :start, [])

    Patience.await("the tables don't come half-way", fn ->
      map_size(HotNodes.call(peer, HalfWay, :halted, [])) == length(tabs)
    end)

    halted = HotNodes.call(peer, HalfWay, :halted, [])
    assert [node] = Enum.uniq(Map.values(halted))
    node
  end

  defp load_node(peer, tab), do: HotNodes.mnesia(peer, :table_info, [tab, :load_node])

  test "another holder supplies what a sender that died didn't, and a receiver begins again" do
    peers = start(3)
    tables = tables(peers)
    tabs = Enum.map(tables, & &1.name)
    before = Field.rest(peers, tables)
    [_, _, receiver] = peers
    HotNodes.kill(receiver)
    receiver = HotNodes.again(receiver)
    sending = halted(receiver, tabs)
    assert sending != receiver.node
    [sender] = for peer <- peers, peer.node == sending, do: peer
    [other] = for peer <- peers, peer.node not in [sending, receiver.node], do: peer

    # Written while rows are on their way.
    seed = Field.seed()
    running = [Field.write(other, :meanwhile, tables, :all, seed)]
    Field.progress(running, 30)
    HotNodes.kill(sender)
    :ok = HotNodes.call(receiver, HalfWay, :release, [])
    :ok = HotNodes.mnesia(receiver, :wait_for_tables, [tabs, 60_000])
    for tab <- tabs, do: assert(load_node(receiver, tab) == other.node)
    Field.progress(running, 30)

    # The one that was the sender is killed in the middle of its own loading.
    again = HotNodes.again(sender)
    assert halted(again, tabs) in [receiver.node, other.node]
    HotNodes.kill(again)
    Field.progress(running, 30)
    again = HotNodes.again(sender)
    :ok = HotNodes.load(again)
    Field.progress(running, 30)
    writers = Field.stop(running)
    Field.rest([receiver, other, again], tables, before, writers)
  end

  test "a table on disk keeps its rows where its only sender died half-way" do
    [a, b] = peers = start(2)
    tables = tables(peers)
    tabs = Enum.map(tables, & &1.name)
    before = Field.rest(peers, tables)
    HotNodes.kill(b)
    b = HotNodes.again(b)
    assert halted(b, tabs) == a.node
    HotNodes.kill(a)
    :ok = HotNodes.call(b, HalfWay, :release, [])
    # It knows by now that the other is down, so it is where the tables come from next.
    Patience.await("the other isn't missed", fn ->
      HotNodes.mnesia(b, :system_info, [:running_db_nodes]) == [b.node]
    end)

    HotNodes.kill(b)
    b = HotNodes.again(b)
    HotNodes.load(b)
    a = HotNodes.again(a)
    HotNodes.load(a)
    {[memory], disk} = Enum.split_with(tables, &(&1.name == :magnesia_ram))
    now = Field.rest([a, b], disk)
    for %{name: tab} <- disk, do: assert(Copies.words(now[tab], before[tab]) =~ ~r/^0 keys/)
    assert Field.rest([a, b], [memory]) == %{magnesia_ram: %{}}
  end
end
