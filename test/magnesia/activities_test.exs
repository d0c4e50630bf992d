defmodule Magnesia.ActivitiesTest do
  @moduledoc """
  Activities against stock Mnesia: outcomes by class of exception, nesting, the dirty contexts,
  access modules, what a process carries.
  """

  use ExUnit.Case, async: false

  import Magnesia.Pair

  setup_all do
    fresh()
    on_exit(&stop/0)
  end

  setup do
    for subject <- [:mnesia, :magnesia], table <- [:s, :o, :b], do: subject.clear_table(table)
    :ok
  end

  defmodule Echo do
    @moduledoc "An access module that tells what it was called with."
    def read(tid, _store, tab, key, lock), do: {:read, elem(tid, 0), tab, key, lock}
    def write(tid, _store, tab, record, lock), do: {:write, elem(tid, 0), tab, record, lock}
    def delete(tid, _, tab, key, lock), do: {:delete, elem(tid, 0), tab, key, lock}
    def delete_object(tid, _, tab, record, lock), do: {elem(tid, 0), tab, record, lock}
    def lock(tid, _store, item, kind), do: {:lock, elem(tid, 0), item, kind}
    def first(_tid, _store, tab), do: {:first, tab}
    def last(_tid, _store, tab), do: {:last, tab}
    def next(_tid, _store, tab, key), do: {:next, tab, key}
    def prev(_tid, _store, tab, key), do: {:prev, tab, key}
    def foldl(_tid, _store, _fun, acc, tab, lock), do: {:foldl, acc, tab, lock}
    def foldr(_tid, _store, _fun, acc, tab, lock), do: {:foldr, acc, tab, lock}
    def all_keys(_tid, _store, tab, lock), do: {:all_keys, tab, lock}
    def select(_tid, _store, tab, spec, lock), do: {:select, tab, spec, lock}
    def select(_tid, _store, tab, spec, n, lock), do: {:select, tab, spec, n, lock}
    def select_cont(_tid, _store, cont), do: {:select_cont, cont}
    def match_object(_tid, _store, tab, pattern, lock), do: {:match, tab, pattern, lock}
    def index_read(_tid, _store, tab, value, attr, lock), do: {:index, tab, value, attr, lock}

    def index_match_object(_tid, _store, tab, pattern, attr, lock) do
      {:index_match, tab, pattern, attr, lock}
    end
  end

  test "each way to leave the fun has its own outcome" do
    for leave <- [
          fn _ -> :value end,
          fn _ -> {:EXIT, {:aborted, :x}} end,
          fn _ -> {:aborted, :x} end,
          fn _ -> exit(:x) end,
          fn _ -> exit({:aborted, :x}) end,
          fn _ -> exit(:normal) end,
          fn _ -> throw(:x) end,
          fn _ -> throw({:aborted, :x}) end,
          fn _ -> :erlang.error(:x) end,
          fn _ -> :erlang.error({:aborted, :x}) end,
          fn m -> m.abort(:x) end,
          fn m -> m.abort({:aborted, :x}) end,
          fn m -> m.abort({:node_not_running, :elsewhere}) end
        ] do
      for kind <- [:transaction, :sync_transaction, :async_dirty, :sync_dirty, :ets],
          outer <- [:none, :transaction, :async_dirty] do
        same(fn m ->
          run = fn -> outcome(fn -> m.activity(limited(kind), fn -> leave.(m) end) end) end

          if outer == :none,
            do: run.(),
            else: {m.activity(outer, run), m.get_activity_id()}
        end)
      end

      same(fn m -> {m.transaction(fn -> leave.(m) end, [], 2), m.is_transaction()} end)
      same(fn m -> m.transaction(fn -> m.transaction(fn -> leave.(m) end, 2) end, 2) end)
    end
  end

  # An abort that asks for another run would run for ever.
  defp limited(kind) when kind in [:transaction, :sync_transaction], do: {kind, 2}
  defp limited(kind), do: kind

  test "arguments are checked as stock Mnesia checks them" do
    fun = fn -> :ok end

    for args <- [
          [fun, -1],
          [fun, :x],
          [fun, [1]],
          [fun, 3],
          [fun, :infinity],
          [fun, [], 0],
          [fun, [], -1],
          [fun, :x, 1],
          [:notafun],
          [fn a -> a end, [1]],
          [fn a -> a end, [1], 2],
          [fn a, b -> {a, b} end, [1]]
        ],
        name <- [:transaction, :sync_transaction] do
      same(fn m -> apply(m, name, args) end)
    end

    for kind <- [:transaction, {:transaction, 2}, {:transaction, -1}, :ets, :bogus, {:ets, 1}] do
      same(fn m -> m.activity(kind, :notafun) end)
      same(fn m -> m.activity(kind, fn -> m.is_transaction() end) end)
      same(fn m -> m.activity(kind, fn a -> a end, [1]) end)
    end

    for name <- [:async_dirty, :sync_dirty, :ets],
        args <- [[:x], [fun, :x], [fn a -> a end, [1]]] do
      same(fn m -> apply(m, name, args) end)
    end
  end

  test "an inner level is undone alone and kept until the outer one ends" do
    same(fn m ->
      m.dirty_write({:s, 1, :old})

      outcome =
        m.transaction(fn ->
          m.write({:s, 1, :outer})
          m.write({:s, 2, :outer})

          inner =
            m.transaction(fn ->
              m.write({:s, 1, :inner})
              m.delete({:s, 2})
              m.write({:b, 1, :inner})

              deepest =
                m.transaction(fn ->
                  m.delete({:s, 1})
                  m.write({:b, 1, :deepest})
                  m.abort({m.read(:s, 1), m.read(:b, 1)})
                end)

              kept = m.transaction(fn -> m.write({:b, 1, :kept}) end)
              seen = {m.read(:s, 1), m.read(:s, 2), m.read(:b, 1)}
              m.abort({deepest, kept, seen})
            end)

          m.transaction(fn -> m.write({:o, 1, :kept}) end)
          {inner, m.read(:s, 1), m.read(:s, 2), m.read(:b, 1), m.read(:o, 1)}
        end)

      {outcome, m.dirty_read(:s, 1), m.dirty_read(:s, 2), m.dirty_read(:b, 1),
       m.dirty_read(:o, 1)}
    end)
  end

  test "an outer abort takes what inner levels kept" do
    same(fn m ->
      outcome =
        m.transaction(fn ->
          m.transaction(fn -> m.write({:s, 1, :inner}) end)
          m.abort(m.read(:s, 1))
        end)

      {outcome, m.dirty_read(:s, 1)}
    end)
  end

  test "a dirty context inside a transaction is the transaction" do
    for name <- [:async_dirty, :sync_dirty, :ets] do
      same(fn m ->
        outcome =
          m.transaction(fn ->
            apply(m, name, [fn -> {m.write({:s, 1, :a}), m.is_transaction()} end])
            failed = outcome(fn -> apply(m, name, [fn -> m.abort(:x) end]) end)
            {failed, m.read(:s, 1), m.dirty_read(:s, 1)}
          end)

        {outcome, m.dirty_read(:s, 1)}
      end)
    end
  end

  test "a transaction inside a dirty context is one of its own" do
    same(fn m ->
      m.async_dirty(fn ->
        first = m.transaction(fn -> {m.write({:s, 1, :a}), m.is_transaction()} end)
        second = m.transaction(fn -> m.abort(:x) end)
        {first, second, m.is_transaction(), m.read(:s, 1)}
      end)
    end)
  end

  test "an access module is called with the activity's id and store" do
    calls = [
      {:read, [:s, 1]},
      {:read, [{:s, 1}]},
      {:wread, [{:s, 1}]},
      {:read, [:s, 1, :write]},
      {:write, [{:s, 1, 2}]},
      {:s_write, [{:s, 1, 2}]},
      {:write, [:s, {:s, 1, 2}, :write]},
      {:delete, [{:s, 1}]},
      {:s_delete, [{:s, 1}]},
      {:delete_object, [{:s, 1, 2}]},
      {:lock, [{:table, :s}, :read]},
      {:read_lock_table, [:s]},
      {:first, [:s]},
      {:last, [:s]},
      {:next, [:s, 1]},
      {:prev, [:s, 1]},
      {:all_keys, [:s]},
      {:select, [:s, []]},
      {:select, [:s, [], 5, :read]},
      {:select, [:anything]},
      {:match_object, [{:s, 1, 2}]},
      {:index_read, [:s, 1, :v]},
      {:index_match_object, [{:s, 1, 2}, :v]},
      {:foldl, [fn _, a -> a end, 0, :s]},
      {:foldr, [fn _, a -> a end, 0, :s]}
    ]

    for {name, args} <- calls, kind <- [:transaction, :async_dirty, :ets] do
      same(fn m -> m.activity(kind, fn -> apply(m, name, args) end, [], Echo) end)

      same(fn m ->
        outcome(fn -> m.activity(kind, fn -> apply(m, name, args) end, Nowhere) end)
      end)
    end
  end

  test "the own module's functions take an activity's id and store" do
    same(fn m ->
      m.dirty_write({:s, 1, :a})

      m.transaction(fn ->
        {_, id, store} = m.get_activity_id()
        m.write(id, store, :s, {:s, 2, :b}, :write)
        m.delete(id, store, :s, 1, :write)

        {m.read(id, store, :s, 2, :read), m.all_keys(id, store, :s, :read),
         m.first(id, store, :s), m.next(id, store, :s, 2),
         m.foldl(id, store, fn row, acc -> [row | acc] end, [], :s, :read),
         m.select(id, store, :s, [{:_, [], [:"$_"]}], :read),
         m.lock(id, store, {:table, :o}, :write)}
      end)
    end)
  end

  test "a process can put its activity aside" do
    same(fn m ->
      m.transaction(fn ->
        m.write({:s, 1, :a})
        state = m.get_activity_id()
        m.put_activity_id(:undefined)
        outside = {m.is_transaction(), outcome(fn -> m.read(:s, 1) end)}
        m.put_activity_id(state)
        {outside, m.read(:s, 1)}
      end)
    end)
  end

  test "another transaction can run beside the one put aside" do
    outcome =
      :magnesia.transaction(fn ->
        :magnesia.write({:s, 1, :first})
        state = :magnesia.get_activity_id()
        :magnesia.put_activity_id(:undefined)
        beside = :magnesia.transaction(fn -> :magnesia.write({:s, 2, :second}) end)
        :magnesia.put_activity_id(state)
        {beside, :magnesia.read(:s, 1)}
      end)

    assert outcome == {:atomic, {{:atomic, :ok}, [{:s, 1, :first}]}}
    assert Enum.sort(:magnesia.dirty_all_keys(:s)) == [1, 2]
  end

  test "a transaction belongs to its process" do
    same(fn m ->
      m.transaction(fn ->
        m.write({:s, 1, :a})
        Task.await(Task.async(fn -> outcome(fn -> m.read(:s, 1) end) end))
      end)
    end)

    assert {:atomic, {:exit, {:aborted, :not_owner}}} =
             :magnesia.transaction(fn ->
               state = :magnesia.get_activity_id()

               Task.await(
                 Task.async(fn ->
                   :magnesia.put_activity_id(state)
                   outcome(fn -> :magnesia.read(:s, 1) end)
                 end)
               )
             end)
  end

  test "added arities: write/2, delete/2, match_object/2, dirty_read/3" do
    assert {:atomic, [{:person, 1, :a}]} =
             :magnesia.transaction(fn ->
               :magnesia.write(:rn, {:person, 1, :a})
               :magnesia.write(:rn, {:person, 2, :b})
               :magnesia.delete(:rn, 2)
               both = :magnesia.match_object(:rn, {:_, :_})
               ^both = :magnesia.match_object(:rn, {:person, :_, :_})
             end)

    :magnesia.dirty_write({:i, 1, :red, :x})
    assert :magnesia.dirty_read(:i, :red, :v) == [{:i, 1, :red, :x}]
    assert :magnesia.dirty_read(:i, :red, 3) == [{:i, 1, :red, :x}]

    assert {:exit, {:aborted, :no_transaction}} =
             outcome(fn -> :magnesia.match_object(:s, {1}) end)
  end

  test "without a database every activity says so" do
    stop()

    for call <- [
          fn m -> m.transaction(fn -> :ok end) end,
          fn m -> m.async_dirty(fn -> m.read(:s, 1) end) end,
          fn m -> m.async_dirty(fn -> m.write({:s, 1, 2}) end) end,
          fn m -> m.dirty_read(:s, 1) end,
          fn m -> m.dirty_write({:s, 1, 2}) end,
          fn m -> m.dirty_delete(:s, 1) end,
          fn m -> m.dirty_all_keys(:s) end,
          fn m -> m.dirty_first(:s) end,
          fn m -> m.dirty_index_read(:i, 1, :v) end,
          fn m -> m.dirty_update_counter(:s, 1, 1) end
        ] do
      same(call)
    end
  after
    fresh()
  end
end
