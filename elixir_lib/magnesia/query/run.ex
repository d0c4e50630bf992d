defmodule Magnesia.Query.Run do
  @moduledoc """
  Runs queries: the rows from the engine in the order that is wanted, by the slice where that is
  enough, sorted where it is not.

  In a transaction the rows that it has written itself take part and the table is locked as by
  any select. An order by the key of an ordered set is the engine's own; a limit without an order,
  or with that one, stops the walk. Every other order keeps the results, or with a limit the best
  so far, with the values that they are sorted by.
  """

  alias Magnesia.Conditions
  alias Magnesia.Context
  alias Magnesia.Engine
  alias Magnesia.Options
  alias Magnesia.Query
  alias Magnesia.Strict.Activity
  alias Magnesia.Strict.Selection

  @chunk 500

  @typedoc "How results come in their order: the engine's, or sorted by attributes."
  @type order :: {:engine, :any | :asc | :desc} | {:sorted, [:asc | :desc]}

  @doc "All results."
  @spec all(Query.t()) :: [term()]
  def all(query) do
    decode(query, Context.run(query.name, fn -> fetch(query, order(query)) end))
  end

  @doc "How many results there are."
  @spec count(Query.t()) :: non_neg_integer()
  def count(%{limit: limit} = query) do
    query = %{query | result: true, order: []}
    found = length(Context.run(query.name, fn -> fetch(query, order(query)) end))
    if limit, do: min(found, limit), else: found
  end

  @doc "A lazy stream of the results."
  @spec stream(Query.t(), keyword()) :: Enumerable.t()
  def stream(query, options) do
    rules = [chunk: {&(is_integer(&1) and &1 > 0), "a number of rows above zero"}]
    Options.validate!(options, rules, "Magnesia.Query.stream/2")
    chunk = Keyword.get(options, :chunk, @chunk)

    stream = Stream.resource(fn -> :begin end, &step(&1, query, chunk), fn _ -> :ok end)
    if query.limit, do: Stream.take(stream, query.limit), else: stream
  end

  defp step(:done, _query, _chunk), do: {:halt, :done}

  defp step(state, query, chunk) do
    {results, state} =
      Context.run_here(query.name, fn ->
        case {state, order(query)} do
          {:begin, {:engine, order}} -> first(query, order, chunk)
          {:begin, sorted} -> {fetch(query, sorted), :done}
          {next, _order} -> next.()
        end
      end)

    {decode(query, results), state}
  end

  @doc "How the results of a query come in their order."
  @spec order(Query.t()) :: order()
  # A key that is said looks its row up whatever the table is.
  def order(%{order: [], clauses: [{head, _guards}]})
      when is_integer(elem(head, 1)) or is_binary(elem(head, 1)),
      do: {:engine, :asc}

  def order(%{order: [], name: name}) do
    {:engine, if(Conditions.definition(name).type == :ordered_set, do: :any, else: :asc)}
  end

  def order(%{order: [{direction, position, _term} | _] = order, name: name}) do
    if position == 2 and Conditions.definition(name).type == :ordered_set,
      do: {:engine, direction},
      else: {:sorted, for({direction, _position, _term} <- order, do: direction)}
  end

  defp decode(%{decode: nil}, results), do: results
  defp decode(%{decode: decode}, results), do: Enum.map(results, decode)

  # All that is wanted, in order

  defp fetch(%{limit: 0}, _order), do: []

  defp fetch(%{limit: nil} = query, {:engine, :asc}) do
    select(query.name, Query.to_spec(query))
  end

  defp fetch(%{limit: nil} = query, {:engine, :desc}) do
    :lists.reverse(select(query.name, Query.to_spec(query)))
  end

  defp fetch(%{limit: nil} = query, {:engine, :any}) do
    spec = Query.to_spec(query)

    # The whole table is walked in the engine; a range of an index is read slice by slice.
    if match?({:index_range, _}, Engine.select_access(query.name, spec, :any)),
      do: gather(first(query, :any, @chunk), :infinity, []),
      else: select(query.name, spec)
  end

  defp fetch(%{limit: limit} = query, {:engine, order}) do
    gather(first(query, order, min(limit, @chunk)), limit, [])
  end

  defp fetch(query, {:sorted, directions}) do
    keys = {List.to_tuple(for {_, _, term} <- query.order, do: term)}
    sortable = %{query | result: {{keys, query.result}}}
    sort = &sort(&1, directions)

    sorted =
      case query.limit do
        nil -> sort.(select(query.name, Query.to_spec(sortable)))
        limit -> best(first(sortable, :any, @chunk), limit, sort, [])
      end

    for {_keys, result} <- sorted, do: result
  end

  # A stream outside of a transaction has no activity.
  defp select(name, spec) do
    if Activity.state() == :undefined,
      do: :magnesia.dirty_select(name, spec),
      else: :magnesia.select(name, spec)
  end

  defp gather({results, :done}, left, before), do: joined([take(results, left) | before])

  defp gather({results, next}, left, before) do
    case less(left, length(results)) do
      0 -> joined([take(results, left) | before])
      left -> gather(next.(), left, [results | before])
    end
  end

  defp less(:infinity, _count), do: :infinity
  defp less(left, count), do: max(left - count, 0)
  defp take(results, :infinity), do: results
  defp take(results, left), do: Enum.take(results, left)
  defp joined(backwards), do: backwards |> :lists.reverse() |> :lists.append()

  defp best({results, :done}, limit, sort, before), do: best(results, limit, sort, before)

  defp best({results, next}, limit, sort, before) do
    best(next.(), limit, sort, best(results, limit, sort, before))
  end

  defp best(results, limit, sort, before), do: Enum.take(sort.(before ++ results), limit)

  defp sort(results, directions) do
    case Enum.uniq(directions) do
      [:asc] -> :lists.keysort(1, results)
      [:desc] -> :lists.reverse(:lists.keysort(1, results))
      _mixed -> Enum.sort(results, &sorted?(elem(&1, 0), elem(&2, 0), 0, directions))
    end
  end

  defp sorted?(_a, _b, _n, []), do: true

  defp sorted?(a, b, n, [direction | rest]) do
    {left, right} = {elem(a, n), elem(b, n)}

    cond do
      left == right -> sorted?(a, b, n + 1, rest)
      direction == :asc -> left < right
      true -> left > right
    end
  end

  # Slices: results and what gives those after them, or `:done`

  defp first(query, order, chunk) do
    spec = Query.to_spec(query)

    case Activity.state() do
      {_mod, {:tid, _, _}, ctx} -> first_locked(ctx, query.name, spec, order, chunk)
      _dirty -> first_free(query.name, spec, order, chunk)
    end
  end

  defp first_locked(ctx, name, spec, order, chunk) do
    Selection.lock(ctx, name, spec, :read)

    case {Selection.own(ctx, name), order} do
      {[], order} -> first_free(name, spec, order, chunk)
      {_own, :desc} -> {:lists.reverse(:magnesia.select(name, spec)), :done}
      {_own, _up} -> locked(:magnesia.select(name, spec, chunk, :read))
    end
  end

  defp locked(:"$end_of_table"), do: {[], :done}
  defp locked({results, :"$end_of_table"}), do: {results, :done}

  defp locked({results, continuation}) do
    {results, fn -> locked(:magnesia.select(continuation)) end}
  end

  # By keys or by an index, rows come upwards whatever was asked for.
  defp first_free(name, spec, :desc, chunk) do
    if Engine.select_access(name, spec, :desc) in [:all, :key_range],
      do: free(Engine.select_ordered(name, spec, chunk, :desc), name, chunk),
      else: {:lists.reverse(:magnesia.dirty_select(name, spec)), :done}
  end

  defp first_free(name, spec, order, chunk) do
    free(Engine.select_ordered(name, spec, chunk, order), name, chunk)
  end

  defp free({:done, results}, _name, _chunk), do: {results, :done}

  defp free({:more, results, cursor}, name, chunk) do
    {results, fn -> free(Engine.select_chunk_more(cursor, chunk), name, chunk) end}
  end

  defp free(_failure, name, _chunk), do: :magnesia.abort({:no_exists, name})
end
