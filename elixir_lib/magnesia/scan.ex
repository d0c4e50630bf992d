defmodule Magnesia.Scan do
  @moduledoc """
  Walks over many rows in chunks: streams, folds, counts.

  In a transaction a walk holds the table's read lock and sees the transaction's own writes. A
  stream outside of one holds no lock: each chunk is what is committed when it is fetched, and a
  row that stays in place is seen exactly once. At most one chunk is in memory.
  """

  alias Magnesia.Context
  alias Magnesia.Engine
  alias Magnesia.Options
  alias Magnesia.Shape
  alias Magnesia.Conditions
  alias Magnesia.Strict.Activity

  @end_of_table :"$end_of_table"
  @chunk 500

  @typep plan :: %{table: atom(), chunk: pos_integer(), walk: term(), from: term()}

  defp rules do
    [
      chunk: {&(is_integer(&1) and &1 > 0), "a number of rows above zero"},
      from: {fn _ -> true end, "a key"},
      to: {fn _ -> true end, "a key"},
      order: {&(&1 in [:asc, :desc]), ":asc or :desc"}
    ]
  end

  @doc "A lazy stream of a table's rows."
  @spec stream(atom(), keyword()) :: Enumerable.t()
  def stream(table, options) do
    {name, shape} = Shape.of(table)
    plan = plan(name, stored(shape, options), "Magnesia.stream/2")
    Stream.resource(fn -> {:begin, plan} end, &step(name, shape, &1), fn _ -> :ok end)
  end

  defp step(_table, _shape, :done), do: {:halt, :done}

  defp step(table, shape, state) do
    {records, state} = Context.run_here(table, fn -> fetch(state) end)
    {Shape.rows(shape, records), state}
  end

  defp stored(nil, options), do: options

  defp stored(shape, options) do
    for option <- options do
      case option do
        {bound, key} when bound in [:from, :to] -> {bound, Shape.key(shape, key)}
        other -> other
      end
    end
  end

  @doc "Folds over a table's rows, all of one moment."
  @spec fold(atom(), acc, (tuple() | struct(), acc -> acc), keyword()) :: acc when acc: term()
  def fold(table, acc, fun, options) do
    {name, shape} = Shape.of(table)
    plan = plan(name, stored(shape, options), "Magnesia.fold/4")
    fun = if shape, do: fn record, acc -> fun.(shape.from_record(record), acc) end, else: fun
    Context.run(name, fn -> reduce({:begin, plan}, acc, fun) end)
  end

  defp reduce(:done, acc, _fun), do: acc

  defp reduce(state, acc, fun) do
    {rows, state} = fetch(state)
    reduce(state, List.foldl(rows, acc, fun), fun)
  end

  @doc "How many rows a table has, those that the transaction has written included."
  @spec count(atom()) :: non_neg_integer()
  def count(table) do
    table = Shape.name(table)

    Context.run(table, fn ->
      case Activity.state() do
        {_mod, {:tid, _, _}, ctx} -> count_locked(ctx, table)
        _dirty -> size(table)
      end
    end)
  end

  defp count_locked(ctx, table) do
    _definition = Conditions.definition(table)
    :magnesia.read_lock_table(table)

    case Engine.tx_own(ctx, table) do
      [] -> size(table)
      _own -> length(:magnesia.select(table, Conditions.spec(table, [], true)))
    end
  end

  @doc "How many rows are stored."
  @spec size(atom()) :: non_neg_integer()
  def size(table) do
    case Engine.size(table) do
      size when is_integer(size) -> size
      _failure -> :magnesia.abort({:no_exists, table})
    end
  end

  # Plans

  @spec plan(atom(), keyword(), String.t()) :: plan()
  defp plan(table, options, place) do
    Options.validate!(options, rules(), place)
    definition = Context.run_here(table, fn -> Conditions.definition(table) end)
    order = Keyword.get(options, :order)

    if order != nil and definition.type != :ordered_set do
      raise ArgumentError,
            "#{place}: table #{inspect(table)} is a #{definition.type} and has no order; " <>
              "an ordered_set has one"
    end

    %{
      table: table,
      chunk: Keyword.get(options, :chunk, @chunk),
      walk: walk(order, definition, options),
      from: Keyword.fetch(options, :from)
    }
  end

  defp walk(:desc, _definition, options), do: {:desc, Keyword.fetch(options, :to)}
  defp walk(_order, definition, options), do: {:spec, Conditions.range(definition, options)}

  # Chunks: {rows, the state after them}

  defp fetch({:begin, %{walk: {:spec, spec}} = plan}) do
    if :magnesia.is_transaction() do
      locked(:magnesia.select(plan.table, spec, plan.chunk, :read))
    else
      free(Engine.select_chunk(plan.table, spec, plan.chunk), plan)
    end
  end

  defp fetch({:begin, %{walk: {:desc, to}} = plan}), do: backwards(top(plan.table, to), plan)
  defp fetch({:locked, continuation}), do: locked(:magnesia.select(continuation))
  defp fetch({:free, cursor, plan}), do: free(Engine.select_chunk_more(cursor, plan.chunk), plan)
  defp fetch({:desc, key, plan}), do: backwards(key, plan)

  defp locked(@end_of_table), do: {[], :done}
  defp locked({rows, @end_of_table}), do: {rows, :done}
  defp locked({rows, continuation}), do: {rows, {:locked, continuation}}

  defp free({:done, rows}, _plan), do: {rows, :done}
  defp free({:more, rows, cursor}, plan), do: {rows, {:free, cursor, plan}}
  defp free(_failure, plan), do: :magnesia.abort({:no_exists, plan.table})

  defp top(table, :error), do: here(:last, [table])

  defp top(table, {:ok, to}) do
    if here(:read, [table, to]) == [], do: here(:prev, [table, to]), else: to
  end

  defp backwards(key, plan), do: backwards(key, plan, plan.chunk, [])
  defp backwards(@end_of_table, _plan, _left, rows), do: {Enum.reverse(rows), :done}
  defp backwards(key, plan, 0, rows), do: {Enum.reverse(rows), {:desc, key, plan}}

  defp backwards(key, plan, left, rows) do
    case plan.from do
      {:ok, from} when key < from ->
        {Enum.reverse(rows), :done}

      _ ->
        found = here(:read, [plan.table, key])
        backwards(here(:prev, [plan.table, key]), plan, left - 1, found ++ rows)
    end
  end

  defp here(function, arguments) do
    if :magnesia.is_transaction() do
      apply(:magnesia, function, arguments)
    else
      apply(:magnesia, :"dirty_#{function}", arguments)
    end
  end
end
