defmodule Magnesia.Cluster.AcknowledgementTest do
  @moduledoc """
  When Mnesia says that a `sync_transaction` is done: after all nodes have it where the tables of
  the commit have copies of the same storage on the same nodes, and as soon as its own node has it
  otherwise. So it is with stock tables, and the same with ours.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Cluster.Gate
  alias Magnesia.HotNodes
  alias Magnesia.Patience

  @moduletag timeout: 300_000

  # A letter is a node; the first one commits.
  @commits [
    {"a", :waits, [[disc_copies: "ab"], [disc_copies: "ab"]]},
    {"a", :waits, [[magnesia_disc: "ab"], [magnesia_disc: "ab"]]},
    {"a", :waits, [[magnesia_disc_only: "ab"], [magnesia_disc_only: "ab"]]},
    {"a", :waits, [[ram_copies: "a", disc_copies: "b"], [ram_copies: "a", disc_copies: "b"]]},
    {"a", :waits, [[ram_copies: "a", magnesia_disc: "b"], [ram_copies: "a", magnesia_disc: "b"]]},
    {"c", :waits, [[disc_copies: "ab"], [disc_copies: "ab"]]},
    {"c", :waits, [[magnesia_disc: "ab"], [magnesia_disc: "ab"]]},
    {"a", :told, [[ram_copies: "ab"], [disc_copies: "ab"]]},
    {"a", :told, [[magnesia_ram: "ab"], [magnesia_disc: "ab"]]},
    {"a", :told, [[magnesia_disc: "ab"], [disc_copies: "ab"]]},
    {"a", :told, [[disc_copies: "ab"], [disc_copies: "a"]]},
    {"a", :told, [[magnesia_disc: "ab"], [magnesia_disc: "a"]]},
    {"c", :told, [[magnesia_ram: "ab"], [magnesia_disc: "ab"]]}
  ]

  test "a sync_transaction waits for all nodes over tables that lie alike alone" do
    [a, b, _c] = peers = HotNodes.start_all(for _ <- 1..3, do: [log: :critical])
    HotNodes.cluster(peers)
    plugin = [Gate.index(), Gate, :values]
    {:atomic, :ok} = HotNodes.call(a, :mnesia_schema, :add_index_plugin, plugin)
    peers = Map.new(Enum.zip(["a", "b", "c"], peers))

    for {{caller, expected, tables}, number} <- Enum.with_index(@commits) do
      caller = peers[caller]
      tabs = for {copies, n} <- Enum.with_index(tables), do: create(peers, copies, number, n)
      :ok = HotNodes.call(b, Gate, :close, [])
      pid = HotNodes.call(caller, Gate, :commit, [tabs, number])
      Patience.await("nothing is held for #{inspect(tables)}", fn -> held?(b) end)
      state = fn -> HotNodes.call(caller, Gate, :state, [pid]) end
      Patience.await("no word of #{inspect(tables)}", fn -> state.() != :began end)
      assert {tables, state.()} == {tables, expected}
      # The other node has none of it yet.
      there = for tab <- tabs, here?(b, tab), do: tab
      assert Enum.flat_map(there, &HotNodes.rows(b, &1)) == []
      :ok = HotNodes.call(b, Gate, :open, [])

      Patience.await("#{inspect(tables)} doesn't come to its end", fn ->
        state.() == :told and
          Enum.all?(there, &(HotNodes.rows(b, &1) == [Gate.row(&1, number)]))
      end)
    end
  end

  defp create(peers, copies, number, n) do
    tab = :"tab_#{number}_#{n}"

    copies =
      for {storage, names} <- copies do
        {storage, for(name <- String.graphemes(names), do: peers[name].node)}
      end

    options = [attributes: [:k, :v], index: [Gate.index()]] ++ copies
    assert HotNodes.mnesia(peers["a"], :create_table, [tab, options]) == {:atomic, :ok}
    tab
  end

  defp held?(peer), do: HotNodes.call(peer, Gate, :held?, [])

  defp here?(peer, tab), do: tab in HotNodes.mnesia(peer, :system_info, [:local_tables])
end
