defmodule Magnesia.Cluster.MixedTest do
  @moduledoc """
  One table with another storage on each node, and nodes that join a cluster, leave it and come
  back.
  """
  use ExUnit.Case, async: false

  alias Magnesia.{Backend, HotNodes}
  alias Magnesia.Cluster.Field

  @moduletag timeout: 300_000
  @aliases [:magnesia_ram, :magnesia_disc, :magnesia_disc_only]

  defp start(count) do
    peers = HotNodes.start_all(for _ <- 1..count, do: [log: :emergency])
    HotNodes.cluster(peers)
    peers
  end

  test "copies of three storages are the same, and nodes load from whichever there is" do
    [a, b, c] = peers = start(3)
    seed = Field.seed()
    copies = [ram_copies: [a.node], magnesia_ram: [b.node], magnesia_disc: [c.node]]
    tables = Field.tables(a, :mixed, copies)
    before = Field.rest(peers, tables)

    running =
      for {peer, n} <- Enum.with_index(peers), do: Field.write(peer, {1, n}, tables, :sync, seed)

    Field.progress(running, 60)
    HotNodes.kill(b)
    Field.progress(running, 30)
    b = HotNodes.again(b)
    HotNodes.load(b)
    Field.progress(running, 30)
    # An orderly end.
    {there, here} = Enum.split_with(running, fn {peer, _, _} -> peer == c end)
    first = Field.stop(there)
    :stopped = HotNodes.mnesia(c, :stop, [])
    Field.progress(here, 30)
    HotNodes.load(c)
    Field.progress(here, 30)
    killed = for {peer, _, _} <- here, peer.node == b.node, do: peer
    Field.rest([a, b, c], tables, before, first ++ Field.stop(here, killed))
  end

  # Mnesia asks of a copy that isn't its own whether it is in memory only where nobody else
  # could know: here it takes all external copies for copies on disk.
  test "after all have stopped a copy of magnesia_ram counts as one on disk, of ram_copies not" do
    [a, b] = start(2)

    tables =
      for memory <- [:ram_copies, :magnesia_ram, :mastered] do
        storage = if memory == :mastered, do: :magnesia_ram, else: memory
        copies = [{storage, [a.node]}, {:magnesia_disc, [b.node]}]
        [table] = Field.tables(a, memory, copies, [:set])
        table
      end

    before = Field.rest([a, b], tables)
    :ok = HotNodes.mnesia(a, :set_master_nodes, [:mastered_set, [b.node]])
    # The last to stop is the first to load.
    for peer <- [b, a], do: :stopped = HotNodes.mnesia(peer, :stop, [])
    HotNodes.load_all([a, b])
    now = Field.rest([a, b], tables)
    assert now.ram_copies_set == before.ram_copies_set
    assert now.mastered_set == before.mastered_set
    assert now.magnesia_ram_set == %{}
  end

  test "a node joins, has copies of each alias, leaves, and joins again" do
    [a] = start(1)
    tables = for name <- @aliases, table <- Field.tables(a, name, [{name, [a.node]}]), do: table
    before = Field.rest([a], tables)

    b = HotNodes.start(log: :emergency)
    :ok = HotNodes.mnesia(b, :start, [])
    true = HotNodes.call(a, :net_kernel, :connect_node, [b.node])
    refused(a, b)
    {:atomic, :ok} = HotNodes.call(b, Backend, :register, [])

    Enum.reduce(1..2, before, fn round, before ->
      assert {:ok, [_]} = HotNodes.mnesia(a, :change_config, [:extra_db_nodes, [b.node]])
      schema = [:schema, b.node, :disc_copies]
      {:atomic, :ok} = HotNodes.mnesia(b, :change_table_copy_type, schema)
      running = [Field.write(a, {:joining, round}, tables, :transactions, 1)]

      for %{name: tab, family: to} <- tables do
        assert {tab, HotNodes.mnesia(b, :add_table_copy, [tab, b.node, to])} ==
                 {tab, {:atomic, :ok}}
      end

      Field.progress(running, 10)
      now = Field.rest([a, b], tables, before, Field.stop(running))

      :stopped = HotNodes.mnesia(b, :stop, [])
      {:atomic, :ok} = HotNodes.mnesia(a, :del_table_copy, [:schema, b.node])
      assert HotNodes.mnesia(a, :table_info, [:magnesia_ram_set, :magnesia_ram]) == [a.node]
      # It is a new node to both.
      :ok = HotNodes.mnesia(b, :delete_schema, [[b.node]])
      :ok = HotNodes.mnesia(b, :start, [])
      {:atomic, :ok} = HotNodes.call(b, Backend, :register, [])
      now
    end)
  end

  # Without the aliases; later releases of Mnesia merge them.
  defp refused(a, b) do
    if HotNodes.mnesia(a, :system_info, [:version]) < ~c"4.23.5" do
      assert {:error, {:merge_schema_failed, reason}} =
               HotNodes.mnesia(a, :change_config, [:extra_db_nodes, [b.node]])

      assert inspect(reason) =~ "Cannot merge definitions of table schema"
      assert HotNodes.mnesia(a, :system_info, [:db_nodes]) == [a.node]
    end
  end
end
