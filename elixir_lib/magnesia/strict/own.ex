defmodule Magnesia.Strict.Own do
  @moduledoc """
  Merges a transaction's own operations into rows that were read from a table.

  The places and the order in which own rows show up are part of the contract, oddities
  included: first in a set or a bag, by key in an ordered set, the last write of a key before
  the stored row. Pure functions on lists; the operations come from the engine in the order of
  the first operation on each key.
  """

  alias Magnesia.Engine
  alias Magnesia.Strict.Pattern

  @type ops :: [Engine.own()]
  @type kind :: :set | :ordered_set | :bag

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
  @spec sorted(ops(), kind()) :: ops()
  def sorted(ops, :ordered_set), do: by_key(ops)
  def sorted(ops, _kind), do: ops

  @doc "A chunk with the operations that belong to it, and the operations that are left."
  @spec merge_chunk(ops(), [tuple()], kind()) :: {[tuple()], ops()}
  def merge_chunk(ops, rows, :ordered_set), do: ordered_chunk(ops, rows, [])
  def merge_chunk(ops, rows, kind), do: chunk(ops, rows, kind, [])

  # Sets and bags

  defp unordered([], rows, _kind), do: rows

  defp unordered([{key, :delete, _} | rest], rows, kind) do
    unordered(rest, drop(key, rows), kind)
  end

  defp unordered([{_key, :delete_object, record} | rest], rows, kind) do
    unordered(rest, :lists.delete(record, rows), kind)
  end

  defp unordered([{_key, :write, record} | rest], rows, :bag) do
    unordered(rest, [record | :lists.delete(record, rows)], :bag)
  end

  defp unordered([{key, :write, record} | rest], rows, :set) do
    unordered(rest, [record | drop(key, rows)], :set)
  end

  defp chunk([], rows, _kind, left), do: {rows, :lists.reverse(left)}

  defp chunk([{key, :delete, _} = op | rest], rows, kind, left) do
    taken(op, rest, rows, drop(key, rows), kind, left)
  end

  defp chunk([{_key, :delete_object, record} = op | rest], rows, kind, left) do
    taken(op, rest, rows, :lists.delete(record, rows), kind, left)
  end

  defp chunk([{key, :write, record} = op | rest], rows, :bag, left) do
    if :lists.keymember(key, 2, rows) do
      left = [{key, :delete_object, record} | left]
      chunk(rest, [record | :lists.delete(record, rows)], :bag, left)
    else
      chunk(rest, rows, :bag, [op | left])
    end
  end

  defp chunk([{key, :write, record} = op | rest], rows, :set, left) do
    case drop(key, rows) do
      ^rows -> chunk(rest, rows, :set, [op | left])
      others -> chunk(rest, [record | others], :set, left)
    end
  end

  # A bag may have more rows of the key in a later chunk.
  defp taken(op, rest, rows, rows, kind, left), do: chunk(rest, rows, kind, [op | left])
  defp taken(_op, rest, _rows, others, :set, left), do: chunk(rest, others, :set, left)
  defp taken(op, rest, _rows, others, :bag, left), do: chunk(rest, others, :bag, [op | left])

  defp drop(key, rows), do: Enum.reject(rows, &(elem(&1, 1) == key))

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
