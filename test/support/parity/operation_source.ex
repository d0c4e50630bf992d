defmodule Magnesia.Parity.OperationSource do
  @moduledoc """
  Makes operations on rows, for every context: in no activity, in a transaction, in a dirty or ets
  activity. Inside one script equal numbers keep one spelling in what a transaction writes, since
  which of two spellings wins there is a matter of hash order in stock Mnesia.
  """

  import Magnesia.Parity.Random
  alias Magnesia.Parity.{JunkSource, MatchSource, SchemaSource, Script, Vocabulary}

  @type context :: %{
          activity: :none | :transaction | :dirty | :ets,
          depth: non_neg_integer,
          style: :integer | :float,
          tables: [atom],
          avoid: [pos_integer | String.t()]
        }

  @doc "The context at the top of a script that keeps to a few of the fixed tables."
  @spec top([pos_integer | String.t()]) :: context
  def top(avoid) do
    tables = Enum.uniq(list(2, 4, fn -> pick(Script.tables()) end))
    style = pick([:integer, :float])
    %{activity: :none, depth: 0, style: style, tables: tables, avoid: avoid}
  end

  @doc "Rows to begin with, in the tables of a context."
  @spec opening(context) :: [Script.operation()]
  def opening(context) do
    for table <- context.tables, _row <- list(0, 8, fn -> :row end) do
      {_type, tag, arity, _indexes} = Script.table(table)
      {:call, :dirty_write, [table, record(tag, arity, context)]}
    end
  end

  @doc "One operation for a context."
  @spec operation(context) :: Script.operation()
  def operation(%{activity: :none} = context) do
    weighted([
      {24, fn -> dirty(context) end},
      {16, fn -> activity(context) end},
      {2, fn -> observation(context) end},
      {1, fn -> inside(context) end},
      {2, fn -> JunkSource.call() end}
    ])
  end

  def operation(context) do
    weighted([
      {26, fn -> inside(context) end},
      {3, fn -> dirty(context) end},
      {if(context.depth < 3, do: 3, else: 1), fn -> nested(context) end},
      {1, fn -> observation(context) end},
      {1, fn -> maybe_caught(JunkSource.call(), context) end},
      {1, fn -> {:caught, SchemaSource.refused()} end}
    ])
  end

  defp nested(%{depth: depth} = context) when depth < 3 do
    maybe_caught(activity(context), context)
  end

  defp nested(context), do: inside(context)

  defp maybe_caught(operation, %{activity: :none}), do: operation

  defp maybe_caught(operation, _context) do
    if chance?(3, 4), do: {:caught, operation}, else: operation
  end

  @doc "An activity with its fun."
  @spec activity(context) :: Script.operation()
  def activity(context) do
    {kind, inner} =
      weighted([
        {8, fn -> {{:transaction, pick([[], [], [:infinity], [3]])}, :transaction} end},
        {2, fn -> {{:sync_transaction, []}, :transaction} end},
        {2, fn -> {{:activity, :transaction}, :transaction} end},
        {1, fn -> {{:activity, {:transaction, 2}}, :transaction} end},
        {1, fn -> {{:activity, :sync_transaction}, :transaction} end},
        {1, fn -> {{:activity, :async_dirty}, :dirty} end},
        {2, fn -> {{:async_dirty, []}, :dirty} end},
        {2, fn -> {{:sync_dirty, []}, :dirty} end},
        {1, fn -> {{:ets, []}, :ets} end},
        {1, fn -> {{:activity, :ets}, :ets} end}
      ])

    # Inside a transaction every other activity is that transaction.
    inner = if context.activity == :transaction, do: :transaction, else: inner
    context = within(%{context | activity: inner, depth: context.depth + 1})
    {:activity, kind, list(1, 9, fn -> operation(context) end), ending()}
  end

  # Quirk 94: a write in an ets activity passes the indexes by.
  defp within(%{activity: :ets} = context) do
    if 94 in context.avoid, do: %{context | tables: [:s, :o, :b]}, else: context
  end

  defp within(context), do: context

  defp ending do
    weighted([
      {14, fn -> {:return, Vocabulary.key()} end},
      {2, fn -> {:abort, pick([:x, {:a, 1}, :normal])} end},
      {1, fn -> {:throw, pick([:t, {:aborted, :x}])} end},
      {1, fn -> {:exit, pick([:e, {:aborted, :y}, :normal, {:throw, :z}])} end},
      {1, fn -> {:error, pick([:badarg, :oops])} end}
    ])
  end

  defp dirty(context) do
    table = pick(context.tables)
    {type, tag, arity, indexes} = Script.table(table)
    record = record(tag, arity, context)
    key = key(context)

    weighted([
      {20, fn -> own_tag(:dirty_write, table, record) end},
      {8, fn -> both(:dirty_read, table, key) end},
      {5, fn -> both(:dirty_delete, table, key) end},
      {4, fn -> own_tag(:dirty_delete_object, table, record) end},
      {4, fn -> counter(table, key) end},
      {5, fn -> own_tag(:dirty_match_object, table, MatchSource.pattern(tag, arity)) end},
      {8, fn -> {:call, :dirty_select, [table, MatchSource.spec(tag, arity)]} end},
      {3, fn -> {:call, :dirty_all_keys, [table]} end},
      {4, fn -> {:call, :dirty_index_read, [table, Vocabulary.value(), attribute(indexes)]} end},
      {3, fn -> index_match(:dirty_index_match_object, table, tag, arity, indexes) end},
      {3, fn -> {:walk, :dirty, pick([:next, :prev]), table} end},
      {3, fn -> step("dirty_", table, key) end},
      {1, fn -> {:slots, table} end},
      {if(type == :ordered_set, do: 2, else: 1), fn -> slot(table, type) end}
    ])
  end

  defp slot(table, :ordered_set), do: {:call, :dirty_slot, [table, between(-1, 5)]}
  defp slot(table, _type), do: {:slots, table}

  defp inside(context) do
    table = pick(context.tables)

    weighted([
      {10, fn -> change(table, context) end},
      {12, fn -> reading(table, context) end},
      {6, fn -> query(table) end},
      {4, fn -> traversal(table, context) end},
      {2, fn -> lock(table, key(context)) end}
    ])
    |> maybe_caught(context)
  end

  defp change(table, context) do
    {_type, tag, arity, _indexes} = Script.table(table)
    record = record(tag, arity, context)
    key = key(context)

    weighted([
      {12, fn -> write(table, tag, record) end},
      {5,
       fn ->
         pick([{:call, :delete, [{table, key}]}, {:call, :delete, [table, key, lock_kind()]}])
       end},
      {1, fn -> {:call, :s_delete, [{table, key}]} end},
      {4, fn -> {:call, :delete_object, [table, record, lock_kind()]} end},
      {1, fn -> {:call, pick([:delete_object, :s_delete_object]), [record]} end}
    ])
  end

  defp write(table, table, record) do
    pick([
      {:call, :write, [record]},
      {:call, :write, [record]},
      {:call, :s_write, [record]},
      {:call, :write, [table, record, lock_kind()]}
    ])
  end

  defp write(table, _tag, record), do: {:call, :write, [table, record, lock_kind()]}

  defp lock_kind, do: pick([:write, :write, :write, :sticky_write, :read])

  defp reading(table, context) do
    {_type, _tag, _arity, indexes} = Script.table(table)
    key = any_key(context)

    weighted([
      {4, fn -> {:call, :read, [{table, key}]} end},
      {3, fn -> {:call, :read, [table, key]} end},
      {2, fn -> {:call, :read, [table, key, pick([:read, :write, :sticky_write, :bad])]} end},
      {2, fn -> {:call, :wread, [{table, key}]} end},
      {2, fn -> {:call, :all_keys, [table]} end},
      {4, fn -> {:call, :index_read, [table, Vocabulary.value(), attribute(indexes)]} end},
      {1, fn -> {:call, :is_transaction, []} end},
      {1, fn -> {:call, :table_info, [table, pick([:size, :type])]} end}
    ])
  end

  defp query(table) do
    {_type, tag, arity, indexes} = Script.table(table)
    pattern = MatchSource.pattern(tag, arity)
    spec = MatchSource.spec(tag, arity)

    weighted([
      {2, fn -> {:call, :match_object, [pattern]} end},
      {3, fn -> {:call, :match_object, [table, pattern, pick([:read, :write])]} end},
      {4, fn -> {:call, :select, [table, spec]} end},
      {4, fn -> {:call, :select, [table, spec, pick([:read, :write, :bad])]} end},
      {4, fn -> {:call, :select, [table, MatchSource.whole_rows(tag, arity)]} end},
      {3, fn -> index_match(:index_match_object, table, tag, arity, indexes) end}
    ])
  end

  defp traversal(table, context) do
    {type, tag, arity, _indexes} = Script.table(table)

    weighted([
      {3, fn -> {:walk, :activity, pick([:next, :prev]), table} end},
      {3, fn -> step("", table, any_key(context)) end},
      {3, fn -> {:fold, pick([:foldl, :foldr]), table, pick([nil, nil, :read, :write])} end},
      {4, fn -> chunks(table, type, tag, arity, context) end}
    ])
  end

  defp chunks(table, type, tag, arity, context) do
    spec = pick([MatchSource.whole_rows(tag, arity), MatchSource.spec(tag, arity)])
    between = if type == :ordered_set, do: list(0, 2, fn -> change(table, context) end), else: []
    limit = pick([1, 1, 2, 2, 3, 10, 0])
    {:chunks, table, spec, limit, :read, Enum.map(between, &{:caught, &1})}
  end

  defp lock(table, key) do
    weighted([
      {2, fn -> {:call, :lock, [{:table, table}, pick([:read, :write])]} end},
      {2,
       fn -> {:call, :lock, [{:record, table, key}, pick([:read, :write, :sticky_write])]} end},
      {1, fn -> {:call, :lock, [{:global, key, [node()]}, pick([:read, :write])]} end},
      {1, fn -> {:call, pick([:read_lock_table, :write_lock_table]), [table]} end},
      {2, fn -> {:call, :system_info, [:held_locks]} end}
    ])
  end

  defp observation(context) do
    table = pick(context.tables)

    weighted([
      {4, fn -> {:call, :table_info, [table, pick(SchemaSource.table_items())]} end},
      {2, fn -> {:call, :system_info, [pick(SchemaSource.system_items())]} end},
      {1, fn -> {:call, pick([:is_transaction, :get_activity_id]), []} end},
      {1, fn -> {:call, :wait_for_tables, [Enum.uniq([table, pick([:s, :o])]), 100]} end}
    ])
  end

  defp step(prefix, table, key) do
    pick([
      {:call, :"#{prefix}first", [table]},
      {:call, :"#{prefix}last", [table]},
      {:call, :"#{prefix}next", [table, key]},
      {:call, :"#{prefix}prev", [table, key]}
    ])
  end

  defp counter(table, key) do
    increment = pick([1, 2, -3, 0, 18_446_744_073_709_551_616, 1.5])

    pick([
      {:call, :dirty_update_counter, [table, key, increment]},
      {:call, :dirty_update_counter, [{table, key}, increment]}
    ])
  end

  defp index_match(:dirty_index_match_object = function, table, table, arity, indexes) do
    pattern = MatchSource.pattern(table, arity)
    place = attribute(indexes)
    pick([{:call, function, [pattern, place]}, {:call, function, [table, pattern, place]}])
  end

  defp index_match(:dirty_index_match_object = function, table, tag, arity, indexes) do
    {:call, function, [table, MatchSource.pattern(tag, arity), attribute(indexes)]}
  end

  defp index_match(function, table, tag, arity, indexes) do
    pattern = MatchSource.pattern(tag, arity)
    place = attribute(indexes)

    pick([
      {:call, function, [pattern, place]},
      {:call, function, [table, pattern, place, pick([:read, :write])]}
    ])
  end

  defp attribute([]), do: pick([:v, 3, :zz])
  defp attribute(indexes), do: pick(indexes ++ indexes ++ [:v, :w, 3, 4, :k, :zz])

  # Calls that take {Table, Key} or (Table, Key).
  defp both(function, table, key) do
    pick([{:call, function, [{table, key}]}, {:call, function, [table, key]}])
  end

  # Calls that take (Record) or (Table, Record); the short form only reaches a table named so.
  defp own_tag(function, table, record) do
    pick([{:call, function, [record]}, {:call, function, [table, record]}])
  end

  # In stock Mnesia's index a key pushes out an equal number of the other kind, and of a bag's
  # keys that are equal numbers hash order says which of them are listed twice.
  defp record(tag, arity, context) do
    if arity > 3 or tag == :b do
      key = Vocabulary.spelt(key(context), context.style)
      values = list(arity - 2, arity - 2, fn -> Vocabulary.indexed(context.style) end)
      List.to_tuple([tag, key | values])
    else
      {tag, key(context), Vocabulary.value()}
    end
  end

  defp key(%{activity: :none}), do: Vocabulary.key()
  defp key(context), do: Vocabulary.spelt(Vocabulary.key(), context.style)

  defp any_key(context), do: pick([key(context), Vocabulary.key()])
end
