defmodule Magnesia.Strict.Own do
  @moduledoc """
  Merges a transaction's own operations into rows that were read from a table.

  The places and the order in which own rows show up are part of the contract, oddities
  included: first in a set or a bag, by key in an ordered set, the last write of a key before
  the stored row. Pure functions on lists; the operations come from the engine in the order of
  the first operation on each key. The work grows with rows and operations together, not with
  their product; only a bag's key with many rows has all its operations looked at in each chunk.
  """

  alias Magnesia.Engine
  alias Magnesia.Strict.Pattern

  @type ops :: [Engine.own()]
  @type kind :: :set | :ordered_set | :bag
  @typedoc "Operations that wait for the chunk that they belong to."
  @type pending :: ops() | {:pending, :gb_trees.tree()}

  @doc "All rows with all operations merged in."
  @spec merge(ops(), [tuple()], kind()) :: [tuple()]
  def merge([], rows, _kind), do: rows
  def merge(ops, rows, :ordered_set), do: ordered(by_key(ops), rows, [])
  def merge(ops, rows, kind), do: unordered(ops, rows, kind)

  @doc "Merges and then keeps what a pattern matches."
  @spec merge_matching(ops(), [tuple()], kind(), term()) :: [tuple()]
  def merge_matching(ops, rows, kind, pattern) do
    spec = Pattern.rows(pattern)

    ops
    |> Enum.filter(fn
      {_key, :delete_object, record} -> Engine.spec_run([record], spec) != []
      _ -> true
    end)
    |> merge(rows, kind)
    |> run(spec)
  end

  @doc "Runs a match specification over rows."
  @spec run([tuple()], list()) :: list()
  def run(rows, spec) do
    case Engine.spec_run(rows, spec) do
      results when is_list(results) -> results
      {:"$magnesia_error", _} -> :erlang.error(:badarg)
    end
  end

  @doc "Prepares operations for `merge_chunk/3`."
  @spec pending(ops(), kind()) :: pending()
  def pending(ops, :ordered_set), do: by_key(ops)
  def pending(ops, _kind), do: by_equal_key(ops)

  @doc "A chunk with the operations that belong to it, and the operations that are left."
  @spec merge_chunk(pending(), [tuple()], kind()) :: {[tuple()], pending()}
  def merge_chunk([], rows, _kind), do: {rows, []}
  def merge_chunk(ops, rows, :ordered_set), do: ordered_chunk(ops, rows, [])
  def merge_chunk({:pending, tree}, rows, kind), do: chunk(tree, rows, kind)

  @doc "What the operations that are left make by themselves."
  @spec merge_rest(pending(), kind()) :: [tuple()]
  def merge_rest({:pending, tree}, kind) do
    numbered = for {_key, ops} <- :gb_trees.values(tree), op <- ops, do: op
    merge(for({_number, op} <- :lists.keysort(1, numbered), do: op), [], kind)
  end

  def merge_rest(ops, kind), do: merge(ops, [], kind)

  # Sets and bags, whole: from the last operation back, a row is there unless a later operation
  # has taken its key (1 takes 1.0 as well) or, exactly, itself. Own rows come last one first.

  defp unordered(ops, rows, kind) do
    {own, keys, records} = later(:lists.reverse(ops), kind, [], :gb_sets.empty(), %{})
    :lists.reverse(own, Enum.reject(rows, &gone?(&1, keys, records)))
  end

  defp later([{key, :delete, _} | rest], kind, own, keys, records) do
    later(rest, kind, own, :gb_sets.add(key, keys), records)
  end

  defp later([{_key, :delete_object, record} | rest], kind, own, keys, records) do
    later(rest, kind, own, keys, Map.put(records, record, []))
  end

  defp later([{key, :write, record} | rest], kind, own, keys, records) do
    own = if gone?(record, keys, records), do: own, else: [record | own]

    case kind do
      :bag -> later(rest, kind, own, keys, Map.put(records, record, []))
      :set -> later(rest, kind, own, :gb_sets.add(key, keys), records)
    end
  end

  defp later([], _kind, own, keys, records), do: {own, keys, records}

  defp gone?(record, keys, records) do
    is_map_key(records, record) or :gb_sets.is_element(elem(record, 1), keys)
  end

  # Sets and bags, chunk by chunk: operations wait under their key, numbered, until a row of it
  # comes.

  defp by_equal_key(ops) do
    tree =
      ops
      |> Enum.with_index()
      |> Enum.reduce(:gb_trees.empty(), fn {{key, _, _} = op, number}, tree ->
        case :gb_trees.lookup(key, tree) do
          :none -> :gb_trees.insert(key, {key, [{number, op}]}, tree)
          {:value, {first, ops}} -> :gb_trees.update(key, {first, [{number, op} | ops]}, tree)
        end
      end)

    left({:pending, :gb_trees.map(fn _, {key, ops} -> {key, :lists.reverse(ops)} end, tree)})
  end

  defp left({:pending, tree}), do: if(:gb_trees.is_empty(tree), do: [], else: {:pending, tree})

  defp chunk(tree, rows, kind) do
    meant = Enum.reduce(rows, %{}, &collect(&1, tree, &2))
    {tree, there, gone} = Enum.reduce(meant, {tree, [], %{}}, &key_in_chunk(&1, kind, &2))
    own = for {_number, record} <- :lists.keysort(1, there), do: record
    stored = Enum.reject(rows, &is_map_key(gone, &1))
    {:lists.reverse(own, stored), left({:pending, tree})}
  end

  defp collect(row, tree, meant) do
    case :gb_trees.lookup(elem(row, 1), tree) do
      :none ->
        meant

      {:value, {key, ops}} ->
        Map.update(meant, key, {ops, %{row => []}}, fn {ops, rows} ->
          {ops, Map.put(rows, row, [])}
        end)
    end
  end

  defp key_in_chunk({key, {ops, stored}}, kind, {tree, own, gone}) do
    {live, left} = in_chunk(ops, kind, stored, [])
    own = for({record, number} <- live, number != [], do: {number, record}) ++ own
    gone = for {record, _} <- stored, live[record] != [], into: gone, do: {record, []}

    case left do
      [] -> {:gb_trees.delete(key, tree), own, gone}
      _ -> {:gb_trees.update(key, {key, left}, tree), own, gone}
    end
  end

  # live: the rows of the key that are there at this operation, own ones with its number.
  defp in_chunk([], _kind, live, left), do: {live, :lists.reverse(left)}

  defp in_chunk([{number, {key, :write, record}} = op | rest], kind, live, left) do
    case {map_size(live), kind} do
      {0, _} ->
        in_chunk(rest, kind, live, [op | left])

      {_, :bag} ->
        live = Map.put(live, record, number)
        in_chunk(rest, kind, live, [{number, {key, :delete_object, record}} | left])

      {_, :set} ->
        in_chunk(rest, kind, %{record => number}, left)
    end
  end

  defp in_chunk([{_, {_key, :delete, _}} = op | rest], kind, live, left) do
    taken(op, rest, kind, live, %{}, left)
  end

  defp in_chunk([{_, {_key, :delete_object, record}} = op | rest], kind, live, left) do
    taken(op, rest, kind, live, Map.delete(live, record), left)
  end

  # A bag may have more rows of the key in a later chunk.
  defp taken(op, rest, kind, live, live, left), do: in_chunk(rest, kind, live, [op | left])
  defp taken(_op, rest, :set, _live, others, left), do: in_chunk(rest, :set, others, left)
  defp taken(op, rest, :bag, _live, others, left), do: in_chunk(rest, :bag, others, [op | left])

  # Ordered sets: operations and rows both in key order

  # Of keys that are equal and not the same (1 and 1.0) the one touched last comes first.
  defp by_key(ops) do
    groups = Enum.chunk_by(ops, &elem(&1, 0))
    :lists.keysort(1, groups |> :lists.reverse() |> :lists.append())
  end

  defp ordered([{key, _, _} | _] = ops, [row | rows], done) when key > elem(row, 1) do
    ordered(ops, rows, [row | done])
  end

  defp ordered([{_key, op, record} | rest], [], done) do
    ordered(rest, if(op == :write, do: [record], else: []), done)
  end

  defp ordered([op | rest], rows, done), do: ordered(rest, apply_first(op, rows), done)
  defp ordered([], rows, done), do: :lists.reverse(done, rows)

  defp ordered_chunk([{key, _, _} | _] = ops, [row | rows], done) when key > elem(row, 1) do
    ordered_chunk(ops, rows, [row | done])
  end

  defp ordered_chunk(ops, [], done), do: {:lists.reverse(done), ops}

  defp ordered_chunk([op | rest], rows, done) do
    ordered_chunk(rest, apply_first(op, rows), done)
  end

  defp ordered_chunk([], rows, done), do: {:lists.reverse(done, rows), []}

  # The operation's key is that of the first row or comes before it.
  defp apply_first({key, :write, record}, [row | _] = rows) when key < elem(row, 1) do
    [record | rows]
  end

  defp apply_first({key, _delete, _}, [row | _] = rows) when key < elem(row, 1), do: rows
  defp apply_first({_key, :write, record}, [_row | rows]), do: [record | rows]
  defp apply_first({_key, :delete, _}, [_row | rows]), do: rows
  defp apply_first({_key, :delete_object, record}, [record | rows]), do: rows
  defp apply_first({_key, :delete_object, _record}, rows), do: rows
end
