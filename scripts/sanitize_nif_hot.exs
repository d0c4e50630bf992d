# A part of the workload of scripts/sanitize_nif.exs: tables of a stock Mnesia on this engine,
# with each alias and each kind; commits that are logged ahead, and processes that die in them.
# Starts and stops a Mnesia of its own, and leaves no directory behind.

defmodule Magnesia.SanitizeNif.Hot do
  alias Magnesia.{Backend, Engine}

  @aliases [:magnesia_ram, :magnesia_disc, :magnesia_disc_only]
  @kinds [:set, :ordered_set, :bag]
  @refused :"$magnesia_error"
  @rows 150

  def run(dir) do
    Application.put_env(:mnesia, :dir, String.to_charlist(dir))
    :ok = :mnesia.create_schema([node()])
    :ok = :mnesia.start()
    {:atomic, :ok} = Backend.register()
    tables = for storage <- @aliases, kind <- @kinds, do: made(storage, kind)
    for table <- tables, do: filled(table)
    commits(tables)
    deaths(tables)
    refusals(hd(tables))
    converted(hd(tables))
    sizes = Map.new(tables, &{&1, :mnesia.table_info(&1, :size)})
    :stopped = :mnesia.stop()
    :ok = :mnesia.start()
    :ok = :mnesia.wait_for_tables(tables, 60_000)
    for table <- tables, do: true = lost(table, sizes[table])
    for table <- tables, do: {:atomic, :ok} = :mnesia.delete_table(table)
    :stopped = :mnesia.stop()
    :ok = :mnesia.delete_schema([node()])
    File.rm_rf!(dir)
  end

  defp made(storage, kind) do
    table = :"hot_#{storage}_#{kind}"
    options = [attributes: [:key, :value, :group], type: kind, index: [:group]]
    {:atomic, :ok} = :mnesia.create_table(table, [{storage, [node()]} | options])
    table
  end

  defp lost(table, size) do
    :mnesia.table_info(table, :size) == if("#{table}" =~ "magnesia_ram", do: 0, else: size)
  end

  defp filled(table) do
    for n <- 1..@rows, do: :ok = :mnesia.dirty_write({table, n, value(n), rem(n, 5)})
    [{^table, 7, _, 2}] = :mnesia.dirty_read(table, 7)
    30 = length(:mnesia.dirty_index_read(table, 2, :group))
    @rows = walk(table, :mnesia.dirty_first(table))
    {:atomic, @rows} = :mnesia.transaction(fn -> going(table, :mnesia.first(table)) end)
    :ok = :mnesia.dirty_write({table, 1, value(1), 1})
    false = :mnesia.dirty_slot(table, 0) == []
  end

  defp value(n), do: {n, String.duplicate("value", rem(n, 40)), [n | :tail], %{n => 1.5}}

  defp walk(_table, :"$end_of_table"), do: 0
  defp walk(table, key), do: 1 + walk(table, :mnesia.dirty_next(table, key))

  # In a fixed table the way goes on from keys that are gone.
  defp going(table, first) do
    {storage, Backend} = :mnesia_lib.storage_type_at_node(node(), table) |> alias_of()
    :ok = Backend.fixtable(storage, table, true)
    count = gone(table, first)
    :ok = Backend.fixtable(storage, table, false)
    count
  end

  defp alias_of({:ext, storage, module}), do: {storage, module}

  defp gone(_table, :"$end_of_table"), do: 0

  defp gone(table, key) do
    rows = :mnesia.dirty_read(table, key)
    :ok = :mnesia.dirty_delete(table, key)
    next = :mnesia.dirty_next(table, key)
    for row <- rows, do: :ok = :mnesia.dirty_write(row)
    1 + gone(table, next)
  end

  # A few operations, and too many for an ordinary scheduler.
  defp commits(tables) do
    for count <- [2, 300] do
      {:atomic, :ok} =
        :mnesia.transaction(fn ->
          for table <- tables, n <- 1..count do
            :ok = :mnesia.write({table, {:commit, n}, value(n), :commit})
            if rem(n, 3) == 0, do: :ok = :mnesia.delete({table, {:commit, n - 1}})
          end

          for table <- tables, do: :ok = :mnesia.delete_object({table, 7, value(7), 2})
          :ok
        end)

      {:aborted, :given_up} =
        :mnesia.transaction(fn ->
          for table <- tables, do: :mnesia.write({table, 8, :never, 3})
          :mnesia.abort(:given_up)
        end)
    end

    :ok = Engine.dump_log(:hot)
    for table <- tables, do: [{_, 8, _, 3}] = :mnesia.dirty_read(table, 8)
  end

  # What processes logged and never did is forgotten, with or without a dump in between.
  defp deaths(tables) do
    durable = for table <- tables, "#{table}" =~ "disc", do: [table]

    for round <- 1..4 do
      {pid, ref} =
        spawn_monitor(fn ->
          row = fn [table] -> {table, {:owed, round}, value(round), :owed} end
          writes = for table <- durable, do: {table, :write, row.(table)}
          ways = for table <- durable, do: {table, :delete, {:owed, round}}
          objects = for table <- durable, do: {table, :delete_object, row.(table)}
          :ok = Engine.log_ahead(writes ++ ways ++ objects)
          :ok = Engine.log_ahead(List.duplicate(hd(writes), 300))
          if rem(round, 2) == 0, do: :ok = Engine.write(hd(durable), row.(hd(durable)))
        end)

      receive do: ({:DOWN, ^ref, _, ^pid, :normal} -> :ok)
      if round > 2, do: :ok = Engine.dump_log(:hot)
      true = Engine.forget_owed() in [0, 1]
      0 = Engine.forget_owed()
    end
  end

  defp converted(table) do
    size = :mnesia.table_info(table, :size)

    for storage <- [:disc_copies, :magnesia_disc, :magnesia_disc_only, :magnesia_ram] do
      {:atomic, :ok} = Backend.convert(table, storage)
      ^size = :mnesia.table_info(table, :size)
    end
  end

  # What concerns no table of this database is passed over; no list is refused.
  defp refusals(table) do
    for bad <- [make_ref(), -1, 1.5, "binary", <<1::3>>, %{}, {}, {:set, 1}, [1 | 2], [[]]] do
      {@refused, _} = Engine.fix(bad, true)
      {@refused, _} = Engine.fix([table], bad)
      {@refused, _} = Engine.log_ahead({[table], :write, bad})
      :ok = Engine.log_ahead([bad, bad, {[table], bad, bad}, {bad, :delete, 1}])
    end
  end
end
