# A part of the workload of scripts/sanitize_nif.exs: the calls of the native library that few
# public functions make, through the gate itself, with what they are for and with what they must
# refuse. Changes only tables that it is given rows of, and leaves their rows as they were.

defmodule Magnesia.SanitizeNif.Gate do
  alias Magnesia.{Engine, Log}

  @tables [:set, :ordered, :bag]
  @all [{:_, [], [:"$_"]}]
  @refused :"$magnesia_error"

  # With rows in the three tables.
  def run do
    checkpoints()
    rebuilds()
    queries()
    unique()
    events()
    logs()
    refusals()
  end

  defp rows(table), do: Enum.sort(Engine.select_all(table, @all))
  defp kept, do: for(table <- @tables, do: {table, :rows})

  defp checkpoints do
    earlier = Engine.checkpoint_start(kept())
    0 = Engine.checkpoint_kept(earlier)
    before = Map.new(@tables, &{&1, rows(&1)})
    for table <- @tables, row <- Enum.take_every(before[table], 3), do: change(row)
    true = Engine.checkpoint_kept(earlier) > 100
    later = Engine.checkpoint_start(kept())

    for table <- @tables do
      items = items(Engine.checkpoint_rows(earlier, table, false))
      true = Enum.sort(items) == before[table]
      true = read(bytes(Engine.checkpoint_rows(earlier, table, false))) == items
      changed = items(Engine.checkpoint_changes(later, earlier, table))
      true = length(changed) > 30
      true = read(bytes(Engine.checkpoint_changes(later, earlier, table))) == changed
      true = read(Engine.items_write(changed)) == changed
    end

    damaged(bytes(Engine.checkpoint_rows(earlier, :set, false)), &Engine.items_read/1)
    ended(earlier)
    restored(later, before)
    image()
  end

  # A row is written over, or goes alone or with its key.
  defp change(row) do
    case :erlang.phash2(row, 3) do
      0 -> :ok = :magnesia.dirty_write(put_elem(row, 2, String.duplicate("changed", 20)))
      1 -> :ok = :magnesia.dirty_delete(elem(row, 0), elem(row, 1))
      2 -> :ok = :magnesia.dirty_delete_object(row)
    end
  end

  defp items(reading) do
    case Engine.rows_next(reading, 7) do
      {items, :more} -> items ++ items(reading)
      {items, :done} -> items
    end
  end

  defp bytes(reading) do
    case Engine.rows_log(reading, 500) do
      {bytes, _count, :more} -> bytes <> bytes(reading)
      {bytes, _count, :done} -> bytes
    end
  end

  # What is not whole yet stands at the end.
  defp read(bytes) do
    size = byte_size(bytes)
    {:ok, items, ^size} = Engine.items_read(bytes)
    {:ok, most, _used} = Engine.items_read(binary_part(bytes, 0, size - 1))
    true = length(most) == length(items) - 1
    items
  end

  # One wrong byte, wherever it is.
  defp damaged(bytes, take) do
    for _ <- 1..100 do
      at = :rand.uniform(byte_size(bytes)) - 1
      <<left::binary-size(at), byte, right::binary>> = bytes
      answer = take.(<<left::binary, Bitwise.bxor(byte, :rand.uniform(255)), right::binary>>)
      true = elem(answer, 0) in [:ok, :damaged, :bad_type]
    end
  end

  # Whoever reads it is told; another is let go of by nobody but the garbage collector.
  defp ended(checkpoint) do
    reading = Engine.checkpoint_rows(checkpoint, :bag, false)
    {[_ | _], :more} = Engine.rows_next(reading, 1)
    :ok = Engine.checkpoint_end(checkpoint)
    :ok = Engine.checkpoint_end(checkpoint)

    for answer <- [
          Engine.rows_next(reading, 1),
          Engine.rows_log(reading, 1),
          Engine.checkpoint_kept(checkpoint),
          Engine.checkpoint_rows(checkpoint, :set, false)
        ],
        do: {@refused, :closed} = answer

    {pid, ref} = spawn_monitor(fn -> Engine.checkpoint_start(kept()) end)
    receive do: ({:DOWN, ^ref, _, ^pid, :normal} -> :ok)
  end

  # The rows as they were come back as bytes and as terms.
  defp restored(later, before) do
    handle = Engine.rebuild_start()
    for table <- @tables, do: :ok = Engine.rebuild_table(handle, blueprint(table), false)
    bytes = Engine.items_write(before.set)
    {:ok, {size, count, count}} = Engine.rebuild_log(handle, bytes)
    true = size == byte_size(bytes) and count == length(before.set)

    for table <- [:ordered, :bag] do
      {:ok, _rows} = Engine.rebuild_items(handle, before[table])
      gone = for row <- before[table], uniq: true, do: {table, elem(row, 1)}
      {:ok, 0} = Engine.rebuild_items(handle, gone)
      {:ok, _rows} = Engine.rebuild_items(handle, before[table] ++ [{:another, 1, 2}])
    end

    :ok = Engine.rebuild_commit(handle, nil)
    for table <- @tables, do: true = rows(table) == before[table]
    # What was begun before goes on with the rows that it saw.
    true = length(items(Engine.checkpoint_rows(later, :set, true))) > 100
    :ok = Engine.checkpoint_end(later)
  end

  defp blueprint(table), do: Tuple.insert_at(Engine.table_definition(table), 0, table)

  # The image of a table in memory is what was last saved of it, if anything was.
  defp image do
    checkpoint = Engine.checkpoint_start([{:set, :image}])
    true = is_list(items(Engine.checkpoint_rows(checkpoint, :set, false)))
    :ok = Engine.checkpoint_end(checkpoint)
  end

  # Tables that are given up half-way, in every way there is, and one that goes.
  defp rebuilds do
    rows = rows(:set)
    bytes = Engine.items_write(rows)
    handle = Engine.rebuild_start()
    :ok = Engine.rebuild_table(handle, blueprint(:set), true)
    damaged(bytes, &Engine.rebuild_log(handle, &1))

    {:bad_type, _reason, {0, 0, 0}} =
      Engine.rebuild_log(handle, Engine.items_write([{:set, 1, 2}]))

    for item <- [{:set, 1, 2}, {}, 7, {1, 2}],
        do: {:bad_type, ^item} = Engine.rebuild_items(handle, [item])

    :ok = Engine.rebuild_abort(handle)
    :ok = Engine.rebuild_abort(handle)
    {@refused, :closed} = Engine.rebuild_log(handle, bytes)
    {@refused, :closed} = Engine.rebuild_items(handle, rows)
    {@refused, _} = Engine.rebuild_commit(handle, nil)

    {pid, ref} =
      spawn_monitor(fn ->
        dropped = Engine.rebuild_start()
        :ok = Engine.rebuild_table(dropped, blueprint(:bag), true)
        {:ok, _rows} = Engine.rebuild_items(dropped, rows(:bag))
      end)

    receive do: ({:DOWN, ^ref, _, ^pid, :normal} -> :ok)
    :ok = Engine.table_create(:spare, :set, :ram_copies, :spare, 3, [], :read_write, [])
    :ok = Engine.write(:spare, {:spare, 1, 2})
    going = Engine.rebuild_start()
    :ok = Engine.rebuild_drop(going, :spare)
    :ok = Engine.rebuild_commit(going, nil)
    {@refused, :no_table} = Engine.read(:spare, 1)
    true = rows(:set) == rows
  end

  defp queries do
    for {table, orders} <- [set: [:any], ordered: [:any, :asc, :desc], bag: [:any]],
        order <- orders do
      slices = slices(Engine.select_ordered(table, @all, 17, order))
      true = Enum.sort(slices) == rows(table)
      if order == :desc, do: true = Enum.reverse(slices) == Engine.select_all(table, @all)
      {_table, key, _value, group} = hd(slices)

      for {head, guards} <- [
            {{table, {:const, key}, :_, :_}, []},
            {{table, :"$1", :_, :_}, [{:==, :"$1", {:const, key}}]},
            {{table, :_, :_, group}, []},
            {{table, :_, :_, :"$1"}, [{:>, :"$1", 1}, {:"=<", :"$1", 3}]},
            {{table, :"$1", :_, :_}, [{:>, :"$1", {:const, key}}]},
            {:_, []}
          ] do
        spec = [{head, guards, [:"$_"]}]
        true = access?(Engine.select_access(table, spec, order))
        found = slices(Engine.select_ordered(table, spec, 5, order))
        true = Enum.sort(found) == Enum.sort(Engine.select_all(table, spec))
      end
    end
  end

  defp access?(access) when access in [:all, :key_range], do: true
  defp access?(access), do: elem(access, 0) in [:keys, :index, :index_range]

  defp slices({:done, rows}), do: rows
  defp slices({:more, rows, next}), do: rows ++ slices(Engine.select_chunk_more(next, 17))

  defp unique do
    options = [attributes: [:key, :value, :group], unique: [:group]]
    :ok = Magnesia.create_table(:one, options)
    for n <- 1..100, do: :ok = :magnesia.dirty_write({:one, n, "value #{n}", "group #{n}"})
    {:EXIT, _} = catch_exit(fn -> :magnesia.dirty_write({:one, 0, 1, "group 7"}) end)

    {:aborted, {:not_unique, :one, :group}} =
      :magnesia.transaction(fn -> :magnesia.write({:one, 0, 1, "group 7"}) end)

    :ok = Engine.table_unique(:one, [], [])
    :ok = :magnesia.dirty_write({:one, 0, 1, "group 7"})
    {@refused, _} = Engine.table_unique(:one, [4], [nil])
    :ok = Engine.table_unique(:one, [4], ["group 7"])

    for bad <- [:all, [:four], [-4], [1 | 2]] do
      {@refused, :badarg} = Engine.table_unique(:one, bad, [])
    end

    # Where there is no index nothing is held to it.
    :ok = Engine.table_unique(:one, [0, 3, 99], [])
    {:atomic, :ok} = :magnesia.delete_table(:one)
  end

  defp catch_exit(fun) do
    fun.()
  catch
    :exit, reason -> {:EXIT, reason}
  end

  # One who is told, then two, and writes of which nobody is told.
  defp events do
    watch()
    parent = self()

    second =
      spawn_link(fn ->
        watch()
        send(parent, :watching)
        count(0, parent)
      end)

    written()
    receive do: (:watching -> :ok)
    written()
    message = {:mnesia_table_event, {:write, :set, {:set, 1, 2, 3}, [], :published}}
    :ok = Engine.publish([{{:set, :detailed}, message}, {:activity, :published}])

    for stream <- [{:table, :set, :detailed}, {:table, :bag, :simple}, :activity],
        do: {:ok, _} = :magnesia.unsubscribe(stream)

    send(second, :stop)
    receive do: ({:told, told} when told > 20 -> :ok)
    flush()
  end

  defp watch do
    for stream <- [{:table, :set, :detailed}, {:table, :bag, :simple}, :activity],
        do: {:ok, _} = :magnesia.subscribe(stream)
  end

  defp written do
    for table <- [:set, :bag], n <- 1..10 do
      row = {table, {:watched, n}, String.duplicate("w", 20 * n), n}
      :ok = :magnesia.dirty_write(row)
      {:atomic, :ok} = :magnesia.transaction(fn -> :magnesia.write(put_elem(row, 2, n)) end)
      :ok = :magnesia.ets(fn -> :magnesia.write(put_elem(row, 2, :bare)) end)
      :ok = :magnesia.ets(fn -> :magnesia.delete_object(put_elem(row, 2, :bare)) end)
      {:atomic, :ok} = :magnesia.transaction(fn -> :magnesia.delete({table, {:watched, n}}) end)
      :ok = :magnesia.ets(fn -> :magnesia.write(row) end)
      :ok = :magnesia.ets(fn -> :magnesia.delete({table, {:watched, n}}) end)
    end
  end

  defp count(told, parent) do
    receive do
      :stop -> send(parent, {:told, told})
      _event -> count(told + 1, parent)
    end
  end

  defp flush do
    receive do
      {:mnesia_table_event, _} -> flush()
      {:mnesia_activity_event, _} -> flush()
      :published -> flush()
    after
      0 -> :ok
    end
  end

  # Entries of each kind, one who waits for them, and one who dies while he waits.
  defp logs do
    :ok = Log.create(:journal, tables: [:set, :bag])
    position = Log.last(:journal)
    parent = self()
    waiting = fn -> send(parent, {:waits, Engine.log_wait(:journal, Log.last(:journal))}) end
    {pid, ref} = spawn_monitor(waiting)
    receive do: ({:waits, :wait} -> :ok)
    receive do: ({:DOWN, ^ref, _, ^pid, :normal} -> :ok)
    :wait = Engine.log_wait(:journal, position)
    written()
    receive do: ({:"$magnesia_log", :journal} -> :ok)
    true = Engine.log_wait(:journal, position) > position
    :ok = Log.await(:journal, position)
    true = length(Enum.to_list(Log.stream(:journal, position))) > 40
    true = Log.trim(:journal, keep: 5) >= 0
    for table <- [:set, :bag], do: :ok = Log.remove_table(table)
    :ok = Log.delete(:journal)
  end

  # What none of them takes.
  defp refusals do
    junk = [make_ref(), self(), -1, 1.5, "binary", <<1::3>>, %{}, {}, {:set, 1}, [1 | 2], [[]]]

    for bad <- junk do
      for answer <- [
            Engine.checkpoint_start(bad),
            Engine.checkpoint_start([{bad, :rows}]),
            Engine.checkpoint_start([{:set, bad}]),
            Engine.checkpoint_end(bad),
            Engine.checkpoint_kept(bad),
            Engine.checkpoint_rows(bad, :set, false),
            Engine.checkpoint_changes(bad, bad, :set),
            Engine.rows_next(bad, 1),
            Engine.rows_log(bad, 1),
            Engine.rebuild_table(bad, blueprint(:set), true),
            Engine.rebuild_table(Engine.rebuild_start(), bad, true),
            Engine.rebuild_drop(bad, :set),
            Engine.rebuild_log(bad, ""),
            Engine.rebuild_items(bad, []),
            Engine.rebuild_commit(bad, nil),
            Engine.rebuild_abort(bad),
            Engine.items_write({bad}),
            Engine.select_ordered(:set, @all, 1, bad),
            Engine.select_access(:set, @all, bad),
            Engine.select_access(:set, bad, :any),
            Engine.table_unique(bad, [4], []),
            Engine.table_unique(:set, bad, []),
            Engine.publish([bad | 1]),
            Engine.set_logs([bad]),
            Engine.log_wait(bad, 0),
            Engine.log_wait(:set, [bad]),
            Engine.write_bare(:set, bad),
            Engine.delete_object_bare(:set, [bad]),
            Engine.delete_bare(bad, 1)
          ],
          do: {@refused, _reason} = answer
    end
  end
end
