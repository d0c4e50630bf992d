Code.require_file("../../examples/patterns/fragmentation.ex", __DIR__)

defmodule Magnesia.Patterns.FragmentationTest do
  # The visits of the example, while the table grows and shrinks and after a restart.
  use Magnesia.DatabaseCase

  alias MyApp.Visits

  @moduletag :disc

  setup do
    {:atomic, :ok} = Visits.create(2)
    for id <- 1..300, do: :ok = Visits.note(id, "/#{rem(id, 7)}", id)
    :ok
  end

  defp all_there do
    assert Visits.count() == 300
    for id <- 1..300, do: assert(Visits.fetch(id) == {:ok, {:visits, id, "/#{rem(id, 7)}", id}})
    assert length(Visits.of_page("/3")) == Enum.count(1..300, &(rem(&1, 7) == 3))
    assert Visits.fetch(301) == :error
  end

  test "rows are found whatever the number of fragments, and all are on disc" do
    all_there()
    assert Visits.grow(60) >= 6
    assert Enum.all?(Visits.sizes(), fn {_name, rows} -> rows <= 60 end)
    all_there()
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    :ok = :magnesia.wait_for_tables([:visits], 10_000)
    all_there()
    assert Visits.shrink(200) == 2
    all_there()
  end

  test "what grows while others write loses nothing" do
    writer = fn from -> for id <- from..(from + 199), do: :ok = Visits.note(id, "/new", id) end
    tasks = for from <- [1_000, 2_000], do: Task.async(fn -> writer.(from) end)
    fragments = Visits.grow(80)
    Task.await_many(tasks, 60_000)
    assert fragments > 2
    assert length(Visits.of_page("/new")) == 400
    assert Visits.count() == 700
  end

  test "without the access module only the first fragment is seen" do
    seen = Enum.count(1..300, &(:magnesia.dirty_read(:visits, &1) != []))
    assert seen == :magnesia.table_info(:visits, :size)
    assert seen < 300
  end

  test "the guide's own table is made as it was meant" do
    nodes = [node() | Node.list()]

    assert {:atomic, :ok} =
             :magnesia.create_table(:guide,
               attributes: [:id, :email, :name, :created_at],
               disc_copies: nodes,
               type: :set,
               index: [:email],
               frag_properties: [{:node_pool, nodes, :n_fragments, 4}]
             )

    names = fn -> :magnesia.table_info(:guide, :frag_names) end
    names = :magnesia.activity(:async_dirty, names, [], :mnesia_frag)
    assert length(names) == 4
    for name <- names, do: assert(:magnesia.table_info(name, :storage_type) == :disc_copies)
  end
end
