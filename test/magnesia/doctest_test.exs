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
  doctest Magnesia.Event
  doctest Magnesia.Events
  doctest Magnesia.Log
  doctest Magnesia.Log.Consumer
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

  # What the modules `Magnesia` and `:magnesia` are made of: users call those.
  @behind ~w(Conditions Context Database Engine Find Job Logs Notices Remote Rows Scan Shape
             Subscribers Tables)a

  # Single functions, or modules, that an example in a test's database cannot show.
  @not_shown %{
    Backend: "a stock Mnesia calls it, test/hot runs one",
    Compat: "puts another module :mnesia into the VM, compat_test.exs does so in one of its own",
    Demo: "prints for minutes, demo_test.exs runs it",
    Export: "reads a directory that nobody has open, export_test.exs does",
    Hot: "works on a running stock Mnesia, test/hot runs one",
    Import: "reads a stock Mnesia, its example is the module's own",
    Supervisor: "opens and closes the one database of the VM, supervision_test.exs does"
  }

  # Called by other modules only, or by a supervisor.
  @called_inside [
    {Magnesia.Cache, :child_spec, 1},
    {Magnesia.Events, :groups, 0},
    {Magnesia.Events, :refresh, 0},
    {Magnesia.Events, :start_link, 0},
    {Magnesia.Overload, :look, 3},
    {Magnesia.Unique, :attributes, 1},
    {Magnesia.Unique, :enforce, 2},
    {Magnesia.Unique, :keep, 2},
    {Magnesia.Unique, :reason, 2},
    {Magnesia.Unique, :release, 2}
  ]

  # A module of one name is one that people call; those below it are its rooms.
  defp for_people do
    {:ok, modules} = :application.get_key(:magnesia, :modules)
    source = Path.expand("../../elixir_lib", __DIR__)

    for module <- modules,
        ["Magnesia" | rest] when length(rest) < 2 <- [split(module)],
        List.starts_with?(module.module_info(:compile)[:source], String.to_charlist(source)),
        do: module
  end

  test "every function that people call has an example, but for a short list" do
    without =
      for module <- for_people() ++ [Magnesia.Log.Consumer],
          {:docs_v1, _, _, _, %{}, _, docs} <- [Code.fetch_docs(module)],
          {{:function, name, arity}, _, _, %{"en" => doc}, _} <- docs,
          not (doc =~ "iex>"),
          do: {module, name, arity}

    excused = for name <- @behind ++ Map.keys(@not_shown), do: Module.concat(Magnesia, name)
    left = Enum.reject(without, fn {module, _, _} -> module in excused end)
    assert Enum.sort(left) == Enum.sort(@called_inside)
    # Whoever needs no excuse any more loses it.
    assert excused -- Enum.map(without, &elem(&1, 0)) == []
  end

  defp split(module) do
    if match?("Elixir." <> _, Atom.to_string(module)), do: Module.split(module), else: []
  end
end
