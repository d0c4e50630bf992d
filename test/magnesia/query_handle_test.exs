defmodule Magnesia.QueryHandleTest do
  @moduledoc """
  Query handles beside stock Mnesia's: the same answers in every context, look-ups by key and by
  index where stock makes them, and cursors, which read in another process.
  """

  use ExUnit.Case, async: false

  import Magnesia.Pair

  alias Magnesia.Parity.Normal

  @moduletag capture_log: true

  # An access module that counts how it is called.
  defmodule Counting do
    @moduledoc false
    for {name, arity} <- [read: 5, index_read: 6, select: 6, select_cont: 3, write: 5] do
      arguments = Macro.generate_arguments(arity, __MODULE__)

      def unquote(name)(unquote_splicing(arguments)) do
        Process.put(:called, [unquote(name) | Process.get(:called, [])])
        apply(Process.get(:subject), unquote(name), unquote(arguments))
      end
    end
  end

  setup_all do
    fresh()
    on_exit(&stop/0)

    for m <- [:mnesia, :magnesia], n <- 1..40 do
      m.dirty_write({:s, n, rem(n, 5)})
      m.dirty_write({:o, n, rem(n, 5)})
      m.dirty_write({:b, rem(n, 9), n})
      m.dirty_write({:i, n, rem(n, 5), n})
      m.dirty_write({:ib, rem(n, 9), rem(n, 5), n})
      m.dirty_write({:io, n, rem(n, 5), n})
    end

    :ok
  end

  @queries [
    "[X || X <- T]",
    "[X || X <- T, element(2, X) =:= 3]",
    "[element(3, X) || X <- T, element(2, X) =:= 3 orelse element(2, X) =:= 7]",
    "[X || X <- T, element(3, X) =:= 2]",
    "[{element(2, X), element(3, X)} || X <- T, element(2, X) > 30]",
    "[X || X <- T, element(3, X) > 1, element(2, X) < 9]",
    "[{X, Y} || X <- T, Y <- T, element(2, X) =:= element(3, Y), element(2, Y) =:= 3]",
    "[X || X <- T, element(3, X) =:= nosuch]"
  ]
  @options [
    [],
    {:n_objects, 3},
    [n_objects: 1, lock: :write],
    [lock: :bad],
    [traverse: {:select, [{:_, [], [:"$_"]}]}],
    [key_equality: :==],
    [traverse: :first_next],
    [bogus: 1]
  ]

  test "queries answer as stock Mnesia's, in every context" do
    plain = for table <- [:s, :o, :b, :i, :ib, :io, :nosuch], q <- @queries, do: {table, q, []}
    options = for table <- [:s, :o], q <- Enum.take(@queries, 2), o <- @options, do: {table, q, o}

    for {table, query, options} <- plain ++ options, kind <- [:transaction, :async_dirty, :ets] do
      same_rows({table, query, options, kind}, fn m ->
        m.activity(kind, fn -> :qlc.eval(handle(m, table, options, query)) end)
      end)
    end
  end

  test "without an activity they say so" do
    same(fn m -> :qlc.eval(handle(m, :s, [], "[X || X <- T]")) end)
    same(fn m -> :qlc.eval(handle(m, :nosuch, [], "[X || X <- T]")) end)
  end

  test "a transaction's own rows are seen" do
    for table <- [:s, :o, :b, :i, :ib, :io], query <- @queries, options <- [[n_objects: 2]] do
      same_rows({table, query, options}, fn m ->
        m.transaction(fn ->
          m.delete({table, 4})
          row = Tuple.duplicate(2, m.table_info(table, :arity))
          m.write(row |> put_elem(0, table) |> put_elem(1, 3))
          m.write(row |> put_elem(0, table) |> put_elem(1, 99))
          answer = :qlc.eval(handle(m, table, options, query))
          m.abort({:seen, Enum.sort(answer)})
        end)
      end)
    end
  end

  test "bound keys and indexed values are looked up, the rest is selected in chunks" do
    for {table, query, calls} <- [
          {:s, "[X || X <- T, element(2, X) =:= 3]", [:read]},
          {:s, "[X || X <- T, element(2, X) =:= 3 orelse element(2, X) =:= 5]", [:read, :read]},
          {:i, "[X || X <- T, element(3, X) =:= 3]", [:index_read]},
          {:i, "[X || X <- T, element(3, X) =:= 3, element(2, X) =:= 3]", [:read]},
          {:i, "[X || X <- T, element(4, X) =:= 3]", [:select]},
          {:s, "[X || X <- T, element(2, X) > 3]", [:select, :select_cont, :select_cont]}
        ],
        m <- [:mnesia, :magnesia] do
      task =
        Task.async(fn ->
          Process.put(:subject, m)
          query = fn -> :qlc.eval(handle(m, table, [n_objects: 20], query)) end
          m.activity(:transaction, query, [], Counting)
          Enum.reverse(Process.get(:called))
        end)

      called = Task.await(task)
      assert Enum.take(called, length(calls)) == calls, inspect({m, table, query, called})
    end
  end

  test "info tells the plan as stock Mnesia does" do
    for table <- [:s, :i, :o, :io, :b], query <- @queries do
      same(fn m ->
        m.activity(:async_dirty, fn ->
          m
          |> handle(table, [], query)
          |> :qlc.info(n_elements: 5)
          |> to_string()
          |> String.replace("magnesia:", "mnesia:")
          |> String.split()
        end)
      end)
    end
  end

  test "a cursor reads what the activity that made it sees" do
    for table <- [:s, :o, :i], query <- @queries, kind <- [:transaction, :async_dirty] do
      same_rows({table, query, kind}, fn m ->
        m.activity(kind, fn ->
          cursor = :qlc.cursor(handle(m, table, [n_objects: 4], query))
          first = :qlc.next_answers(cursor, 3)
          rest = :qlc.next_answers(cursor, :all_remaining)
          :qlc.delete_cursor(cursor)
          first ++ rest
        end)
      end)
    end
  end

  test "a cursor sees the own rows of the transaction, and its table is locked" do
    for table <- [:s, :b, :i, :o], query <- @queries do
      same_rows({table, query}, fn m ->
        m.transaction(fn ->
          row = Tuple.duplicate(2, m.table_info(table, :arity))
          m.delete({table, 4})
          m.write(row |> put_elem(0, table) |> put_elem(1, 3))
          m.write(row |> put_elem(0, table) |> put_elem(1, 99))
          cursor = :qlc.cursor(handle(m, table, [], query))
          answers = :qlc.next_answers(cursor, :all_remaining)
          :qlc.delete_cursor(cursor)
          m.abort({:seen, Enum.sort(answers)})
        end)
      end)
    end

    {:aborted, {:locks, locks}} =
      :magnesia.transaction(fn ->
        cursor = :qlc.cursor(handle(:magnesia, :s, [], "[X || X <- T, element(3, X) > 1]"))
        _ = :qlc.next_answers(cursor, 1)
        :magnesia.abort({:locks, :magnesia.system_info(:held_locks)})
      end)

    assert [{{:s, :______WHOLETABLE_____}, :read, _}] = locks
  end

  test "fragments are queried through their access module" do
    for m <- [:mnesia, :magnesia] do
      {:atomic, :ok} = m.create_table(:f, frag_properties: [n_fragments: 3, node_pool: [node()]])
      write = fn -> for n <- 1..30, do: m.write({:f, n, rem(n, 5)}) end
      m.activity(:transaction, write, [], :mnesia_frag)
    end

    for query <- @queries, options <- [[], [n_objects: 2]] do
      same_rows({:f, query, options}, fn m ->
        run = fn -> :qlc.eval(handle(m, :f, options, query)) end
        m.activity(:transaction, run, [], :mnesia_frag)
      end)

      same_rows({:f, query, options, :cursor}, fn m ->
        run = fn ->
          cursor = :qlc.cursor(handle(m, :f, options, query))
          answers = :qlc.next_answers(cursor, :all_remaining)
          :qlc.delete_cursor(cursor)
          answers
        end

        m.activity(:transaction, run, [], :mnesia_frag)
      end)
    end

    # What a cursor cannot show it refuses instead of leaving it out.
    assert {:exit, {:aborted, {:combine_error, :f, _, :magnesia_frag}}} =
             outcome(fn ->
               run = fn ->
                 :magnesia.write({:f, 1, :own})
                 :qlc.cursor(handle(:magnesia, :f, [], "[X || X <- T]"))
               end

               :magnesia.activity(:transaction, run, [], :mnesia_frag)
             end)
  end

  defp handle(m, table, options, query) do
    bindings = :erl_eval.add_binding(:T, m.table(table, options), :erl_eval.new_bindings())
    :qlc.string_to_handle(String.to_charlist(query <> "."), [], bindings)
  end

  # Rows of a set come in the order of its hash.
  defp same_rows(what, fun) do
    [stock, ours] = for m <- [:mnesia, :magnesia], do: sorted(fun, m)
    assert {what, ours} == {what, stock}
  end

  defp sorted(fun, m) do
    Task.async(fn -> m |> then(&outcome(fn -> fun.(&1) end)) |> ordered() |> Normal.term(m) end)
    |> Task.await(30_000)
  end

  defp ordered({:value, {:atomic, rows}}) when is_list(rows), do: {:atomic, Enum.sort(rows)}
  defp ordered({:value, rows}) when is_list(rows), do: {:value, Enum.sort(rows)}
  defp ordered(other), do: other
end
