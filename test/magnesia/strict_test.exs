defmodule Magnesia.StrictTest do
  @moduledoc """
  The strict module's surface: every function of stock Mnesia that it has answers to the same
  arguments, also to wrong ones; its documentation's examples run.
  """

  use ExUnit.Case, async: false

  import Magnesia.Pair

  setup_all do
    fresh()
    on_exit(&stop/0)
  end

  doctest :magnesia

  @tables [:s, :nosuch, :schema, "s", nil]
  @records [{:s, 1, :a}, {:s, 1}, {:s, 1, 2, 3}, {:nosuch, 1, 2}, {:schema, 1, 2}, {}, :x]
  @locks [:read, :write, :sticky_write, :foo]
  @patterns [
    {:s, :_, :_},
    {:s, 1, :_},
    {:i, :_, 1, :_},
    {:i, :_, :_, 1},
    {:s, :_},
    {:_, 1, 2},
    :x
  ]
  @specs [[{:_, [], [:"$_"]}], [], [{{:s, 1, :_}, [], [:"$_"]}], [{:bad}], :x]

  @operations [
    read: [@tables, [1], @locks],
    read: [[{:s, 1}, {:nosuch, 1}, :x]],
    wread: [[{:s, 1}, {:nosuch, 1}, :x]],
    write: [@records],
    s_write: [@records],
    write: [@tables, @records, @locks],
    delete: [[{:s, 1}, {:nosuch, 1}, :x]],
    delete: [@tables, [1], @locks],
    delete_object: [@records ++ [{:s, :_, 1}]],
    delete_object: [@tables, @records, @locks],
    match_object: [@patterns],
    match_object: [@tables ++ [:i], @patterns, @locks],
    select: [@tables, @specs],
    select: [@tables, @specs, @locks],
    select: [@tables, [[], [{:bad}], :x], [0, 1, :x], @locks],
    select: [[:"$end_of_table", :x, {:a, :b}]],
    all_keys: [@tables],
    first: [@tables],
    last: [@tables],
    next: [@tables, [77]],
    prev: [@tables, [77]],
    foldl: [[&__MODULE__.count/2, :x], [0], @tables],
    foldr: [[&__MODULE__.count/2], [0], @tables, @locks],
    index_read: [[:s, :i, :nosuch], [1, :_, {1, :"$1"}], [:k, :v, :zz, 3, 4, 9, {:v}, "v"]],
    index_match_object: [@patterns, [:k, :v, :w, 3, 9, :zz]],
    index_match_object: [[:s, :i, :nosuch], @patterns, [:v, 4], @locks],
    lock: [
      [{:table, :s}, {:table, :nosuch}, {:record, :s, 1}, {:global, :g, [node()]}, :x],
      @locks
    ],
    read_lock_table: [@tables],
    write_lock_table: [@tables]
  ]

  @dirty [
    dirty_read: [@tables, [1]],
    dirty_read: [[{:s, 1}, :x]],
    dirty_write: [@records],
    dirty_write: [@tables, @records],
    dirty_delete: [[{:s, 1}, :x]],
    dirty_delete: [@tables, [1]],
    dirty_delete_object: [@records ++ [{:s, :_, 1}]],
    dirty_delete_object: [@tables, @records],
    dirty_update_counter: [[{:s, :c}, :x], [1, :x]],
    dirty_update_counter: [@tables ++ [:b, :i], [:c], [1, -5, 1.5]],
    dirty_match_object: [@patterns],
    dirty_match_object: [@tables ++ [:i], @patterns],
    dirty_select: [@tables, @specs],
    dirty_all_keys: [@tables],
    dirty_index_read: [[:s, :i, :nosuch], [1, :_], [:k, :v, :zz, 3, 4, 9, {:v}, "v"]],
    dirty_index_match_object: [@patterns, [:k, :v, :w, 3, 9, :zz]],
    dirty_first: [@tables],
    dirty_last: [@tables],
    dirty_next: [@tables, [77]],
    dirty_prev: [@tables, [77]],
    dirty_slot: [@tables, [-1, :x]]
  ]

  @doc "Counts rows."
  def count(_row, n), do: n + 1

  # A wrong argument that stock Mnesia lets through to a bare ets table.
  @bare [:write, :s_write, :delete_object]

  test "operations in an activity answer as stock Mnesia's, whatever the arguments" do
    for {name, lists} <- @operations,
        args <- combinations(lists),
        kind <- [{:transaction, 1}, :async_dirty, :ets],
        not (kind == :ets and (name in @bare or name in [:all_keys, :index_read])) do
      compare(name, args, fn m -> m.activity(kind, fn -> apply(m, name, args) end) end)
    end
  end

  test "without an activity they say so" do
    for {name, lists} <- @operations, args <- combinations(lists) do
      compare(name, args, fn m -> apply(m, name, args) end)
    end
  end

  test "with an own write on the table they answer as stock Mnesia's" do
    for {name, lists} <- @operations, args <- combinations(lists) do
      compare(name, args, fn m ->
        m.transaction(fn ->
          m.write({:s, 1, :own})
          m.write({:i, 1, 1, 1})
          apply(m, name, args)
        end)
      end)
    end
  end

  test "dirty operations answer as stock Mnesia's, whatever the arguments" do
    for {name, lists} <- @dirty, args <- combinations(lists) do
      compare(name, args, fn m -> apply(m, name, args) end)
    end
  end

  test "has_var looks into tuples and lists" do
    atoms = [:_, :"$1", :"$", :"$a", :a]

    for term <- atoms ++ [{1, {:_}}, [1, :_], [1 | :_], %{a: :_}, "_", {}, []] do
      same(fn m -> m.has_var(term) end)
    end
  end

  defp compare(name, args, call) do
    for subject <- [:mnesia, :magnesia], table <- [:s, :i, :b] do
      for key <- subject.dirty_all_keys(table), do: subject.dirty_delete(table, key)
    end

    assert {name, args, ours(call)} == {name, args, stock(call)}
  end

  defp ours(call), do: one(call, :magnesia)
  defp stock(call), do: one(call, :mnesia)

  defp one(call, subject) do
    Task.await(
      Task.async(fn ->
        Magnesia.Parity.Normal.term(outcome(fn -> call.(subject) end), subject)
      end)
    )
  end

  defp combinations([]), do: [[]]
  defp combinations([list | rest]), do: for(x <- list, tail <- combinations(rest), do: [x | tail])
end
