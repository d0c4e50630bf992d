defmodule Magnesia.DoctestTest do
  use Magnesia.DatabaseCase

  setup do
    # What Magnesia.start/1 falls back to: the examples are in memory.
    Application.delete_env(:magnesia, :dir)
    columns = [:name, :country, :people]
    :ok = Magnesia.create_table(:city, attributes: columns, type: :ordered_set, index: [:country])
    :ok = Magnesia.create_table(:hits)
    :ok = Magnesia.create_table(:visit, attributes: [:person, :place], type: :bag)

    for row <- [
          {:city, "Bergen", :no, 290},
          {:city, "Oslo", :no, 710},
          {:city, "Paris", :fr, 2100},
          {:visit, "Ann", "Oslo"},
          {:visit, "Ann", "Paris"}
        ] do
      {:ok, ^row} = Magnesia.put(row)
    end

    :ok
  end

  doctest Magnesia
  doctest Magnesia.Backup
  doctest Magnesia.BackupError
  doctest Magnesia.Error
  doctest Magnesia.Options
  doctest Magnesia.Conditions
  doctest Magnesia.Query
  doctest Magnesia.Query.Spec
  doctest Magnesia.Ref
  doctest Magnesia.Sandbox
  doctest Magnesia.Shape
  doctest Magnesia.Overload
  doctest Magnesia.Overview
  doctest Magnesia.Table
  doctest Magnesia.Telemetry
  doctest Magnesia.Unique
  doctest Magnesia.Table.Sortable
  doctest Magnesia.Table.Type

  test "every public function of Magnesia has an example" do
    {:docs_v1, _, _, _, _, _, docs} = Code.fetch_docs(Magnesia)

    without =
      for {{:function, name, arity}, _, _, doc, _} <- docs,
          not (is_map(doc) and doc["en"] =~ "iex>"),
          do: {name, arity}

    assert without == []
  end
end
