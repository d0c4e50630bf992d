defmodule Magnesia.LogTest do
  @moduledoc """
  Change logs: no gap, no repeat, the order of the commits, and a table that can be made anew
  from its log; bookmarks and consumers whose effects happen once.
  """
  use ExUnit.Case, async: false
  use Magnesia.DatabaseCase

  alias Magnesia.Log
  alias Magnesia.Log.{Consumer, Entry, TrimmedError}

  @moduletag capture_log: true

  @deadline 20_000

  defp table(name, options \\ []) do
    {:atomic, :ok} = :magnesia.create_table(name, [attributes: [:key, :val]] ++ options)
    name
  end

  defp all(log), do: Enum.to_list(Log.stream(log))
  defp brief(entries), do: for(entry <- entries, do: {entry.verb, entry.table, entry.data})

  # What the changes of a table make of an empty one.
  defp replay(entries, table, kind) do
    Enum.reduce(entries, [], fn
      %Entry{table: ^table} = entry, rows -> change(entry.verb, entry.data, rows, kind)
      _other, rows -> rows
    end)
    |> Enum.sort()
  end

  defp change(:write, row, rows, :set), do: [row | change(:delete, elem(row, 1), rows, :set)]
  defp change(:write, row, rows, :bag), do: [row | List.delete(rows, row)]
  defp change(:delete, key, rows, _kind), do: Enum.reject(rows, &(elem(&1, 1) == key))
  defp change(:delete_object, row, rows, _kind), do: List.delete(rows, row)
  defp change(:clear, [], _rows, _kind), do: []

  defp rows(table), do: Enum.sort(:magnesia.dirty_select(table, [{:_, [], [:"$_"]}]))

  test "every kind of change is an entry, in the order of the commits" do
    table(:s)
    table(:b, type: :bag)
    :ok = Log.create(:log, tables: [:s, :b])
    :magnesia.dirty_write({:s, 1, :a})
    :magnesia.dirty_update_counter(:s, :n, 3)
    :magnesia.dirty_delete({:s, 1})

    {:atomic, :ok} =
      :magnesia.transaction(fn ->
        :magnesia.write({:b, 1, :x})
        :magnesia.write({:b, 1, :y})
        :magnesia.delete_object({:b, 1, :z})
      end)

    {:atomic, :ok} = :magnesia.clear_table(:b)
    :magnesia.ets(fn -> :magnesia.write({:s, 2, :raw}) end)

    {:aborted, :no} =
      :magnesia.transaction(fn ->
        :magnesia.write({:s, 1, :a})
        :magnesia.abort(:no)
      end)

    entries = all(:log)

    assert brief(entries) == [
             {:write, :s, {:s, 1, :a}},
             {:write, :s, {:s, :n, 3}},
             {:delete, :s, 1},
             {:write, :b, {:b, 1, :x}},
             {:write, :b, {:b, 1, :y}},
             {:delete_object, :b, {:b, 1, :z}},
             {:clear, :b, []},
             {:write, :s, {:s, 2, :raw}}
           ]

    assert for(entry <- entries, do: entry.number) == Enum.to_list(1..8)
    assert for(entry <- entries, do: entry.first) == [1, 2, 3, 4, 4, 4, 7, 8]
  end

  for storage <- [:ram_copies, :disc_copies] do
    @tag disc: storage == :disc_copies
    test "writers at once leave no gap and no repeat, and the log makes the tables, #{storage}" do
      options = [{unquote(storage), [node()]}]
      table(:s, options)
      table(:b, [type: :bag] ++ options)
      :ok = Log.create(:log, tables: [:s, :b], storage: unquote(storage))
      writers = for writer <- 1..4, do: Task.async(fn -> write(writer, 300) end)
      Task.await_many(writers, @deadline)
      entries = all(:log)
      assert for(entry <- entries, do: entry.number) == Enum.to_list(1..length(entries))
      assert replay(entries, :s, :set) == rows(:s)
      assert replay(entries, :b, :bag) == rows(:b)
      assert length(entries) >= 4 * 300
    end
  end

  @tag :disc
  test "a log's storage goes by the friendly names and by Mnesia's" do
    for {name, storage} <- [
          ram: :ram_copies,
          disc: :disc_copies,
          ram_copies: :ram_copies,
          disc_copies: :disc_copies
        ] do
      log = :"log_#{name}"
      assert Log.create(log, storage: name) == :ok
      assert :magnesia.table_info(log, :storage_type) == storage
      assert :magnesia.table_info(:"#{log}_bookmarks", :storage_type) == storage
    end

    assert_raise ArgumentError, ~r/storage must be :ram or :disc, not :disk/, fn ->
      Log.create(:log, storage: :disk)
    end
  end

  defp write(writer, count) do
    :rand.seed(:exsss, {writer, 7, 7})

    for n <- 1..count do
      key = :rand.uniform(5)

      case :rand.uniform(6) do
        1 -> :magnesia.dirty_delete({:s, key})
        2 -> :magnesia.dirty_delete_object({:b, key, :rand.uniform(3)})
        3 -> :magnesia.dirty_write({:b, key, :rand.uniform(3)})
        4 -> :magnesia.dirty_update_counter(:s, {:count, key}, 1)
        _ -> :magnesia.transaction(fn -> in_transaction(key, {writer, n}) end)
      end
    end
  end

  defp in_transaction(key, value) do
    :magnesia.write({:s, key, value})
    :magnesia.delete({:b, key})
    :magnesia.write({:b, key, :rand.uniform(3)})
  end

  test "entries of one's own are numbered by the commit, and go with an inner level" do
    :ok = Log.create(:log)
    table(:s)
    :ok = Log.add_table(:log, :s)

    {:atomic, _} =
      :magnesia.transaction(fn ->
        Log.append(:log, :one)
        :magnesia.transaction(fn -> Log.append(:log, :kept) end)

        :magnesia.transaction(fn ->
          Log.append(:log, :dropped)
          :magnesia.abort(:no)
        end)

        Log.append(:log, :two)
      end)

    Log.append(:log, :alone)
    :magnesia.dirty_write({:s, 1, 1})
    assert for(entry <- all(:log), do: entry.data) == [:one, :kept, :two, :alone, {:s, 1, 1}]
    assert rows(:log) |> Enum.map(&elem(&1, 1)) == [1, 2, 3, 4, 5]
    :ok = Log.remove_table(:s)
    :magnesia.dirty_write({:s, 1, 2})
    assert Log.last(:log) == 5
  end

  @tag :disc
  test "numbers and bookmarks go on after a restart" do
    table(:s, disc_copies: [node()])
    :ok = Log.create(:log, tables: [:s])
    for n <- 1..10, do: :magnesia.dirty_write({:s, n, n})
    :ok = Log.acknowledge(:log, :me, 10)
    assert Log.trim(:log) == 9
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    :ok = :magnesia.wait_for_tables([:s, :log], @deadline)
    :magnesia.dirty_write({:s, 11, 11})
    assert Log.bookmark(:log, :me) == 10
    assert [%Entry{number: 11, data: {:s, 11, 11}}] = Log.read(:log, 10)
    assert :ok = Log.create(:log, tables: [:s])
  end

  test "a bookmark moves with the transaction or not at all, and back only by rewinding" do
    :ok = Log.create(:log)
    for n <- 1..5, do: Log.append(:log, n)

    {:aborted, :no} =
      :magnesia.transaction(fn ->
        Log.acknowledge(:log, :me, 3)
        :magnesia.abort(:no)
      end)

    assert Log.bookmark(:log, :me) == 0
    :ok = Log.acknowledge(:log, :me, 4)
    :ok = Log.acknowledge(:log, :me, 2)
    assert Log.bookmark(:log, :me) == 4
    :ok = Log.rewind(:log, :me, 1)
    assert Log.consumers(:log) == [{:me, 1}]
    :ok = Log.forget(:log, :me)
    assert Log.consumers(:log) == []
  end

  test "trimming keeps what a consumer still needs, unless it is told otherwise" do
    :ok = Log.create(:log)
    for n <- 1..2_000, do: Log.append(:log, n)
    assert Log.trim(:log) == 0
    :ok = Log.acknowledge(:log, :fast, 1_900)
    :ok = Log.acknowledge(:log, :slow, 700)
    assert Log.trim(:log) == 700
    assert [%Entry{number: 701} | _] = Log.read(:log, 700)
    assert Log.trim(:log, keep: 100) == 1_200
    error = assert_raise TrimmedError, fn -> Log.read(:log, 700) end
    assert Exception.message(error) =~ "entry 701 was trimmed"
    :ok = Log.acknowledge(:log, :fast, 2_000)
    :ok = Log.acknowledge(:log, :slow, 2_000)
    assert Log.trim(:log) == 99
    Log.append(:log, :next)
    assert Log.last(:log) == 2_001
  end

  test "who waits is woken by the commit" do
    :ok = Log.create(:log)
    assert Log.await(:log, 0, 0) == :timeout
    test = self()

    waiter =
      Task.async(fn ->
        send(test, :waits)
        Log.await(:log, 0, @deadline)
      end)

    assert_receive :waits, @deadline
    Log.append(:log, :now)
    assert Task.await(waiter, @deadline) == :ok
    assert Log.await(:log, 0) == :ok
  end

  test "a write whose log is gone is refused" do
    table(:s)
    :ok = Log.create(:log, tables: [:s])
    {:atomic, :ok} = :magnesia.delete_table(:log)
    assert {:aborted, _} = catch_exit(:magnesia.dirty_write({:s, 1, 1}))
    assert {:aborted, _} = :magnesia.transaction(fn -> :magnesia.write({:s, 1, 1}) end)
    assert :magnesia.dirty_read(:s, 1) == []
    :ok = Log.create(:log, tables: [:s])
    assert :ok = :magnesia.dirty_write({:s, 1, 1})
  end

  test "a consumer's effects happen once for each entry, whatever dies" do
    table(:s)
    table(:effect)
    :ok = Log.create(:log, tables: [:s])
    writer = Task.async(fn -> for n <- 1..500, do: :magnesia.dirty_write({:s, n, n}) end)

    handler = fn entries ->
      for entry <- entries do
        [] = :magnesia.read(:effect, entry.number, :write)
        :magnesia.write({:effect, entry.number, entry.data})
        if :rand.uniform(40) == 1, do: raise("the handler fails")
      end
    end

    options = [log: :log, name: :worker, handler: handler, batch: 7]
    children = [{Consumer, options}]

    {:ok, supervisor} =
      Supervisor.start_link(children, strategy: :one_for_one, max_restarts: 10_000)

    Task.await(writer, @deadline)
    await_bookmark(500, System.monotonic_time(:millisecond) + @deadline)
    Supervisor.stop(supervisor)
    assert rows(:effect) == for(n <- 1..500, do: {:effect, n, {:s, n, n}})
  end

  defp await_bookmark(number, deadline) do
    cond do
      Log.bookmark(:log, :worker) == number -> :ok
      System.monotonic_time(:millisecond) > deadline -> flunk("the consumer is stuck")
      true -> await_bookmark(number, deadline)
    end
  end

  test "misspelt options are named" do
    assert_raise ArgumentError, ~r/tabels/, fn -> Log.create(:log, tabels: [:s]) end
    assert {:error, %Magnesia.SchemaError{}} = Log.create(:log, tables: [:nosuch])
  end
end
