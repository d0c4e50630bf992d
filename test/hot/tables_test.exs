defmodule Magnesia.Hot.TablesTest do
  @moduledoc """
  Tables of a stock Mnesia under each alias: made, written, read, restarted.
  """
  use Magnesia.HotCase

  alias Magnesia.Backend

  @kinds [:set, :ordered_set, :bag]

  test "the module has every function that Mnesia asks for" do
    for function <- :mnesia_backend_type.behaviour_info(:callbacks) do
      {name, arity} = function
      assert function_exported?(Backend, name, arity), "#{name}/#{arity} is missing"
    end
  end

  test "the aliases are registered once, in the order of backend_types/0" do
    assert Backend.register() == {:atomic, :ok}
    {:mnesia_backend_types, types} = :mnesia.read_table_property(:schema, :mnesia_backend_types)
    assert types == Backend.backend_types()
  end

  for alias_name <- [:magnesia_ram, :magnesia_disc, :magnesia_disc_only], kind <- @kinds do
    @tag alias_name: alias_name, kind: kind
    test "#{kind} on #{alias_name}: writes, reads, an index, a restart", context do
      %{alias_name: alias_name, kind: kind} = context
      tab = create(alias_name, :t, type: kind, index: [:w])
      rows = for k <- 1..20, do: {tab, k, "v", rem(k, 3)}
      Enum.each(rows, &(:ok = :mnesia.dirty_write(&1)))

      assert {:atomic, [{^tab, 21, 1, 2}]} =
               :mnesia.transaction(fn ->
                 :ok = :mnesia.write({tab, 21, 1, 2})
                 :ok = :mnesia.delete({tab, 3})
                 :mnesia.read(tab, 21)
               end)

      expected = List.delete(rows, {tab, 3, "v", 0}) ++ [{tab, 21, 1, 2}]
      assert rows(tab) == expected
      assert :mnesia.table_info(tab, :size) == 20
      assert :mnesia.table_info(tab, :memory) > 0
      by_index = :mnesia.dirty_index_read(tab, 0, :w)
      assert Enum.sort(by_index) == Enum.filter(expected, &(elem(&1, 3) == 0))

      restart()
      expected = if alias_name == :magnesia_ram, do: [], else: expected
      assert rows(tab) == expected
      by_index = :mnesia.dirty_index_read(tab, 0, :w)
      assert Enum.sort(by_index) == Enum.filter(expected, &(elem(&1, 3) == 0))
    end
  end

  @tag :ram
  test "a Mnesia in memory has tables in memory, and says why others can't be" do
    tab = create(:magnesia_ram, :t)
    :ok = :mnesia.dirty_write({tab, 1, 2, 3})
    assert rows(tab) == [{tab, 1, 2, 3}]

    assert {:aborted, reason} = :mnesia.create_table(:u, magnesia_disc: [node()])
    assert inspect(reason) =~ "needs a Mnesia with its schema on disk"
  end
end
