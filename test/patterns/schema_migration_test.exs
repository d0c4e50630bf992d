Code.require_file("../../examples/patterns/schema_migration.ex", __DIR__)

defmodule Magnesia.Patterns.SchemaMigrationTest do
  # Steps up and down, repeated, cut short, and on rows that they cannot take.
  use Magnesia.DatabaseCase

  alias MyApp.Migration

  @moduletag :disc
  @old [:id, :email, :name, :created_at]

  setup do
    {:atomic, :ok} = Migration.create(disc_copies: [node()])
    for id <- 1..50, do: :ok = :magnesia.dirty_write({:users, id, "#{id}@x", "n#{id}", id})
    :ok
  end

  test "the table goes up and down again, and its version is kept with it" do
    assert Migration.version() == 0
    assert Migration.migrate() == {:ok, 2}

    assert :magnesia.dirty_index_read(:users, "7@x", :email) == [
             {:users, 7, "7@x", "n7", 7, :active}
           ]

    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    :ok = :magnesia.wait_for_tables([:users], 10_000)
    assert Migration.version() == 2
    assert Migration.migrate() == {:ok, 2}
    assert Migration.migrate(0) == {:ok, 0}
    assert :magnesia.table_info(:users, :attributes) == @old
    assert :magnesia.table_info(:users, :index) == []
    assert :magnesia.dirty_read(:users, 7) == [{:users, 7, "7@x", "n7", 7}]
    assert Migration.migrate(3) == {:error, {:unknown_version, 3}}
  end

  test "a step that was done and not noted is passed over" do
    {:atomic, :ok} = :magnesia.add_table_index(:users, :email)
    assert Migration.migrate(1) == {:ok, 1}
    {:atomic, :ok} = :magnesia.delete_table_property(:users, :version)
    assert Migration.migrate() == {:ok, 2}
  end

  test "a step that fails leaves the table and its version as they were" do
    assert Migration.migrate(1) == {:ok, 1}
    # Away goes the column that the step back would need.
    {:atomic, :ok} =
      :magnesia.transform_table(:users, &Tuple.delete_at(&1, 4), [:id, :email, :name])

    assert {:error, {2, _reason}} = Migration.migrate(2)
    assert Migration.version() == 1
    assert :magnesia.table_info(:users, :attributes) == [:id, :email, :name]
    assert :magnesia.dirty_read(:users, 7) == [{:users, 7, "7@x", "n7"}]
  end

  test "the guide's step is refused for what it is" do
    fun = fn {users, id, email, name, at} -> {users, id, email, name, :active, at} end

    assert {:aborted, {:bad_type, :users, false, ^fun, :users}} =
             :magnesia.transform_table(:users, false, fun)
  end
end
