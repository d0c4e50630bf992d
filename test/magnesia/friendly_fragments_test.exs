defmodule Magnesia.FriendlyFragmentsTest do
  # Fragmented tables declared to `Magnesia`: in pairs, as guides write them, and in a module.
  use Magnesia.DatabaseCase

  @moduletag :disc

  defmodule Visit do
    use Magnesia.Table,
      name: :visits,
      attributes: [:id, :page],
      storage: :disc,
      frag_properties: [n_fragments: 3]
  end

  defp names(table) do
    within(fn -> :magnesia.table_info(table, :frag_names) end)
  end

  defp within(fun), do: :magnesia.activity(:transaction, fun, [], :mnesia_frag)

  defp storages(table), do: for(name <- names(table), do: Magnesia.info(name).storage)

  test "each fragment is stored as the table was to be" do
    pairs = [node_pool: [node()], n_fragments: 3]

    for storage <- [:ram, :disc, :disc_only] do
      assert Magnesia.create_table(storage, storage: storage, frag_properties: pairs) == :ok
      assert storages(storage) == List.duplicate(storage, 3)
    end

    assert Magnesia.create_table(:l, disc_copies: [node()], frag_properties: pairs) == :ok
    assert storages(:l) == List.duplicate(:disc, 3)
    counted = [n_ram_copies: 1] ++ pairs
    assert Magnesia.create_table(:c, storage: :disc, frag_properties: counted) == :ok
    assert storages(:c) == List.duplicate(:ram, 3)
  end

  test "the one tuple of guides is read as the pairs that were meant" do
    properties = [{:node_pool, [node()], :n_fragments, 4}]
    assert Magnesia.create_table(:t, storage: :disc, frag_properties: properties) == :ok
    assert storages(:t) == List.duplicate(:disc, 4)
  end

  test "what is no property of fragments is an error that names it" do
    assert_raise ArgumentError, ~r/no property :fragments, did you mean :n_fragments/, fn ->
      Magnesia.create_table(:t, frag_properties: [fragments: 4])
    end

    assert {:error, %Magnesia.SchemaError{reason: {:bad_type, :t, {:node_pool, []}}}} =
             Magnesia.create_table(:t, frag_properties: [node_pool: []])

    assert_raise ArgumentError, ~r/frag_properties must be a list/, fn ->
      Magnesia.create_table(:t, frag_properties: 4)
    end
  end

  test "a module's table is ensured however many fragments it has by now" do
    assert Visit.ensure() == :ok
    assert length(names(:visits)) == 3
    {:atomic, :ok} = :magnesia.change_table_frag(:visits, {:add_frag, [node()]})
    assert Visit.ensure() == :ok
    assert length(names(:visits)) == 4

    for id <- 1..50, do: within(fn -> Magnesia.put(struct!(Visit, id: id, page: "/")) end)
    rows = within(fn -> for id <- 1..50, do: Magnesia.get(Visit, id) end)
    assert Enum.map(rows, & &1.id) == Enum.to_list(1..50)
    assert Visit.count() < 50
    assert within(fn -> length(Visit.all(page: "/")) end) == 50

    assert Visit.drop() == :ok
    assert Visit.create(frag_properties: []) == :ok

    assert {:error, %{reason: {:mismatch, :visits, [{:frag_properties, [], _}]}}} = Visit.ensure()
  end
end
