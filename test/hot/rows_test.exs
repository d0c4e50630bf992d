defmodule Magnesia.Hot.RowsTest do
  @moduledoc """
  Rows under each alias answer to every call of Mnesia as those of a stock table do.
  """
  use Magnesia.HotCase

  @end_of_table :"$end_of_table"

  # A table in memory and one for each alias, each with the same records; what a fun answers on
  # them must be the same.
  defp same(kind, fun, options \\ []) do
    [{_, expected} | others] =
      for alias_name <- [:ram_copies | aliases()] do
        tab = :"t_#{alias_name}"
        _ = :mnesia.delete_table(tab)
        create(alias_name, tab, [type: kind, record_name: :row] ++ options)
        {alias_name, outcome(fn -> fun.(tab) end, tab)}
      end

    for {alias_name, answer} <- others, do: assert({alias_name, answer} == {alias_name, expected})
    expected
  end

  defp outcome(fun, tab) do
    {:value, fun.()}
  catch
    kind, reason -> {kind, inspect(reason) |> String.replace(inspect(tab), ":tab")}
  end

  defp fill(tab, rows), do: Enum.each(rows, &(:ok = :mnesia.dirty_write(tab, &1)))

  test "keys are =:= in sets and bags, == in ordered sets" do
    for kind <- [:set, :ordered_set, :bag] do
      same(kind, fn tab ->
        fill(tab, [{:row, 1, :a, 0}, {:row, 1.0, :b, 0}, {:row, {1, [2.0]}, :c, 0}])
        {rows(tab), :mnesia.dirty_read(tab, 1), :mnesia.dirty_read(tab, {1.0, [2]})}
      end)
    end
  end

  test "an object is deleted where it is the same, and where a map in it matches" do
    for kind <- [:set, :ordered_set, :bag] do
      same(kind, fn tab ->
        fill(tab, [{:row, 1, :a, 0}, {:row, 2, %{a: 1, b: 2}, 0}, {:row, 3, [%{a: 1}], 0}])
        :ok = :mnesia.dirty_delete_object(tab, {:row, 1, :b, 0})
        :ok = :mnesia.dirty_delete_object(tab, {:row, 1, :a, 0.0})
        first = rows(tab)
        :ok = :mnesia.dirty_delete_object(tab, {:row, 2, %{a: 1}, 0})
        :ok = :mnesia.dirty_delete_object(tab, {:row, 3, [%{a: 1}], 0})
        :ok = :mnesia.dirty_delete_object(tab, {:row, 1, :a, 0})
        {first, rows(tab)}
      end)
    end
  end

  test "counters start, add, stop at zero, and write over what is no integer" do
    for kind <- [:set, :ordered_set] do
      same(
        kind,
        fn tab ->
          fill(tab, [{:row, :text, "text"}, {:row, :float, 1.5}])
          steps = [{:new, 5}, {:new, -3}, {:new, -10}, {:less, -1}, {:text, 2}, {:float, -2}]
          steps = steps ++ [{:new, 0xFFFFFFFFFFFFFFFFFFFF}, {:new, 1}, {1, 1}, {1.0, 1}]
          {for({key, by} <- steps, do: :mnesia.dirty_update_counter(tab, key, by)), rows(tab)}
        end,
        attributes: [:k, :v]
      )
    end
  end

  test "counters of many processes lose nothing" do
    for alias_name <- aliases() do
      tab = create(alias_name, :"c_#{alias_name}", attributes: [:k, :v])
      add = fn _ -> for _ <- 1..200, do: :mnesia.dirty_update_counter(tab, :n, 1) end
      1..4 |> Task.async_stream(add) |> Stream.run()
      assert :mnesia.dirty_read(tab, :n) == [{tab, :n, 800}]
    end
  end

  test "a query with a limit goes on in another process, twice from one place" do
    for kind <- [:set, :ordered_set, :bag], limit <- [1, 7, 100, 2500] do
      same(kind, fn tab ->
        fill(tab, for(k <- 1..100, do: {:row, k, rem(k, 3), 0}))
        spec = [{{:row, :"$1", :"$2", :_}, [{:>, :"$2", 0}], [:"$1"]}]

        {:atomic, keys} =
          :mnesia.transaction(fn -> collect(:mnesia.select(tab, spec, limit, :read)) end)

        Enum.sort(keys)
      end)
    end
  end

  defp collect(@end_of_table), do: []

  defp collect({rows, cont}), do: rows ++ collect(:mnesia.select(cont))

  test "continuations may be repaired, stepped twice and by others" do
    for alias_name <- aliases() do
      tab = create(alias_name, :"s_#{alias_name}", type: :ordered_set)
      fill(tab, for(k <- 1..30, do: {tab, k, 0, 0}))
      spec = [{{tab, :"$1", :_, :_}, [], [:"$1"]}]
      {first, cont} = Magnesia.Backend.select(alias_name, tab, spec, 10)
      assert first == Enum.to_list(1..10)
      step = fn -> Magnesia.Backend.select(Magnesia.Backend.repair_continuation(cont, spec)) end
      assert {second, last} = Task.await(Task.async(step))
      assert second == Enum.to_list(11..20)
      assert {^second, _} = step.()
      assert {third, last} = Magnesia.Backend.select(last)
      assert third == Enum.to_list(21..30)
      rest = if last == @end_of_table, do: last, else: Magnesia.Backend.select(last)
      assert rest == @end_of_table
      assert Magnesia.Backend.select(@end_of_table) == @end_of_table
      assert Magnesia.Backend.repair_continuation(@end_of_table, []) == @end_of_table

      assert Magnesia.Backend.select(alias_name, tab, [{:_, [{:==, 1, 2}], [:_]}], 5) ==
               @end_of_table

      assert {all, @end_of_table} = Magnesia.Backend.select(alias_name, tab, spec, :infinity)
      assert all == Enum.to_list(1..30)
    end
  end

  test "walks, their ends, and keys that are not there" do
    for kind <- [:ordered_set] do
      same(kind, fn tab ->
        fill(tab, for(k <- [1, 2.5, :a, "b", {}, []], do: {:row, k, 0, 0}))

        {walk(&:mnesia.dirty_next(tab, &1), :mnesia.dirty_first(tab)),
         walk(&:mnesia.dirty_prev(tab, &1), :mnesia.dirty_last(tab)), :mnesia.dirty_next(tab, 2),
         :mnesia.dirty_prev(tab, :b)}
      end)
    end

    for kind <- [:set, :bag] do
      same(kind, fn tab ->
        fill(tab, for(k <- [1, 2.5, :a, "b", {}, []], do: {:row, k, 0, 0}))
        Enum.sort(walk(&:mnesia.dirty_next(tab, &1), :mnesia.dirty_first(tab)))
      end)
    end
  end

  test "a step from a key that never was is refused, in an indexed table too" do
    for alias_name <- [:ram_copies, :magnesia_ram, :magnesia_disc], kind <- [:set, :bag] do
      tab = create(alias_name, :"n_#{alias_name}_#{kind}", type: kind, index: [:v])
      fill(tab, [{tab, 1, 0, 0}])
      assert {:aborted, {:badarg, [^tab, 2]}} = catch_exit(:mnesia.dirty_next(tab, 2))
    end
  end

  test "on disk a step from a key that is not there goes on, as in dets" do
    for storage <- [:disc_only_copies, :magnesia_disc_only], kind <- [:set, :bag] do
      tab = create(storage, :"g_#{storage}_#{kind}", type: kind)
      fill(tab, for(k <- 1..50, do: {tab, k, 0, 0}))

      for k <- [0, 51, :never, "text"], step <- [:dirty_next, :dirty_prev] do
        assert apply(:mnesia, step, [tab, k]) in [:"$end_of_table" | Enum.to_list(1..50)]
      end

      # Ours has an order: a walk that deletes what it stands on sees all. Dets leaves some out.
      seen = walk(&deleted_and_next(tab, &1), :mnesia.dirty_first(tab))
      if storage == :magnesia_disc_only, do: assert(Enum.sort(seen) == Enum.to_list(1..50))
    end
  end

  defp deleted_and_next(tab, key) do
    :ok = :mnesia.dirty_delete(tab, key)
    :mnesia.dirty_next(tab, key)
  end

  test "a fixed table is walked while its rows are deleted" do
    for alias_name <- aliases(), kind <- [:set, :ordered_set, :bag] do
      tab = create(alias_name, :"f_#{alias_name}_#{kind}", type: kind)
      fill(tab, for(k <- 1..50, do: {tab, k, 0, 0}))

      {:atomic, keys} =
        :mnesia.transaction(fn ->
          :mnesia.foldl(
            fn row, acc ->
              :ok = :mnesia.dirty_delete(tab, elem(row, 1))
              [elem(row, 1) | acc]
            end,
            [],
            tab
          )
        end)

      assert Enum.sort(keys) == Enum.to_list(1..50)
      assert :mnesia.table_info(tab, :size) == 0
    end
  end

  defp walk(_step, @end_of_table), do: []
  defp walk(step, key), do: [key | walk(step, step.(key))]

  test "slots show every row once and refuse what is beyond" do
    for alias_name <- aliases() do
      tab = create(alias_name, :"o_#{alias_name}")
      fill(tab, for(k <- 1..50, do: {tab, k, 0, 0}))
      slots = Stream.iterate(0, &(&1 + 1)) |> Stream.map(&:mnesia.dirty_slot(tab, &1))
      found = slots |> Enum.take_while(&is_list/1) |> Enum.concat()
      assert Enum.sort(found) == rows(tab)
      assert {:aborted, {:badarg, _}} = catch_exit(:mnesia.dirty_slot(tab, 10_000_000))
    end
  end

  test "matching, by key, by part of a key, by an index, by what is no pattern" do
    for kind <- [:set, :ordered_set, :bag] do
      same(
        kind,
        fn tab ->
          fill(tab, for(k <- 1..40, do: {:row, {rem(k, 4), k}, rem(k, 5), %{k: k}}))

          for pattern <- [
                {:row, {1, 5}, :_, :_},
                {:row, {1, :_}, :_, :_},
                {:row, :_, 3, :_},
                {:row, :"$1", :"$2", %{k: 7}},
                {:other, :_, :_, :_}
              ] do
            Enum.sort(:mnesia.dirty_match_object(tab, pattern)) ++
              Enum.sort(:mnesia.dirty_index_match_object(tab, pattern, :v))
          end
        end,
        index: [:v]
      )
    end
  end

  test "figures are exact, at once, and cleared with the table" do
    for alias_name <- aliases() do
      tab = create(alias_name, :"i_#{alias_name}", index: [:w])
      fill(tab, for(k <- 1..1000, do: {tab, k, k, rem(k, 10)}))
      assert :mnesia.table_info(tab, :size) == 1000
      assert :mnesia.table_info(tab, :wild_pattern) == {tab, :_, :_, :_}
      words = :mnesia.table_info(tab, :memory)
      # A table on disk says what its files take, which lag behind.
      floor = if alias_name == :magnesia_disc_only, do: 0, else: 10_000
      assert words * :erlang.system_info(:wordsize) > floor
      assert {:atomic, :ok} = :mnesia.clear_table(tab)
      assert :mnesia.table_info(tab, :size) == 0
      assert rows(tab) == []
      assert :mnesia.dirty_index_read(tab, 3, :w) == []
    end
  end

  # The limit is the engine's (`@ahead_max`); how long a scheduler was held can't be told where
  # others have the processors.
  test "a commit of many operations is logged ahead beside the schedulers" do
    create(:magnesia_disc, :rows)

    for {count, expected} <- [{200, :log_ahead}, {201, :log_ahead_large}] do
      native = for name <- [:log_ahead, :log_ahead_large], do: {Magnesia.Native, name, 1}
      for call <- native, do: 1 = :erlang.trace_pattern(call, true, [:local])
      parent = self()

      {pid, ref} =
        spawn_monitor(fn ->
          1 = :erlang.trace(self(), true, [:call, {:tracer, parent}])
          write = fn -> for k <- 1..count, do: :mnesia.write({:rows, k, :v, k}) end
          {:atomic, _} = :mnesia.transaction(write)
        end)

      assert_receive {:DOWN, ^ref, :process, ^pid, :normal}, 60_000
      for call <- native, do: :erlang.trace_pattern(call, false, [:local])
      assert_receive {:trace, ^pid, :call, {Magnesia.Native, function, [operations]}}, 10_000
      assert {function, length(operations)} == {expected, count}
      refute_received {:trace, ^pid, :call, _another}
    end
  end
end
