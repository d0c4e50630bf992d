defmodule Magnesia.Strict.Walk do
  @moduledoc """
  Walking a table by key in an activity: first, last, next, prev.

  In a transaction the table is read-locked and the transaction's own keys are merged in: by
  order in an ordered set, after the stored keys otherwise, with the known oddities. The walk
  keeps nothing between two steps.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Strict.Dirty
  alias Magnesia.Strict.Facts
  alias Magnesia.Strict.Locks
  alias Magnesia.Strict.Selection

  @end_of_table :"$end_of_table"

  defguardp is_table(tab) when is_atom(tab) and tab != :schema

  @doc "The first key, in a given activity."
  @spec first(tuple(), term(), term()) :: term()
  def first({:tid, _, _}, ctx, tab) when is_table(tab), do: edge(ctx, tab, :next)

  def first({:ets, _}, _ts, tab) when is_table(tab),
    do: Dirty.bare(tab, fn -> Dirty.first(tab) end)

  def first(_tid, _ts, tab), do: Dirty.first(tab)

  @doc "The last key, in a given activity."
  @spec last(tuple(), term(), term()) :: term()
  def last({:tid, _, _}, ctx, tab) when is_table(tab), do: edge(ctx, tab, :prev)
  def last({:ets, _}, _ts, tab) when is_table(tab), do: Dirty.bare(tab, fn -> Dirty.last(tab) end)
  def last(_tid, _ts, tab), do: Dirty.last(tab)

  @doc "The key after another, in a given activity."
  @spec next(tuple(), term(), term(), term()) :: term()
  def next({:tid, _, _}, ctx, tab, key) when is_table(tab), do: step(ctx, tab, key, :next)

  def next({:ets, _}, _ts, tab, key) when is_table(tab) do
    Dirty.bare(tab, fn -> Dirty.next(tab, key) end)
  end

  def next(_tid, _ts, tab, key), do: Dirty.next(tab, key)

  @doc "The key before another, in a given activity."
  @spec prev(tuple(), term(), term(), term()) :: term()
  def prev({:tid, _, _}, ctx, tab, key) when is_table(tab), do: step(ctx, tab, key, :prev)

  def prev({:ets, _}, _ts, tab, key) when is_table(tab) do
    Dirty.bare(tab, fn -> Dirty.prev(tab, key) end)
  end

  def prev(_tid, _ts, tab, key), do: Dirty.prev(tab, key)

  defp edge(ctx, tab, direction) do
    Locks.hold_table(ctx, tab, :read)
    found = if direction == :next, do: Dirty.first(tab), else: Dirty.last(tab)
    merge(Selection.own(ctx, tab), found, @end_of_table, ctx, tab, direction)
  end

  defp step(ctx, tab, key, direction) do
    Locks.hold_table(ctx, tab, :read)

    case stored_step(tab, key, direction) do
      {:"$magnesia_error", :no_key} ->
        from_own(Selection.own(ctx, tab), key, tab, direction)

      {:"$magnesia_error", reason} ->
        abort(reason, tab, {:no_exists, [tab, key]})

      found ->
        merge(Selection.own(ctx, tab), found, key, ctx, tab, direction)
    end
  end

  defp stored_step(tab, key, :next), do: Engine.next(tab, key)
  defp stored_step(tab, key, :prev), do: Engine.prev(tab, key)

  # A key that only the transaction has, in a table without order.
  defp from_own(ops, key, tab, direction) do
    case last_operation(ops, key) do
      operation when operation in [nil, :delete] ->
        abort({:badarg, [tab, key]})

      _ ->
        case keys(ops, direction, Facts.fetch!(tab, :setorbag).type, []) do
          [] -> @end_of_table
          keys -> next_own(key, keys, tab)
        end
    end
  end

  defp merge([], found, _from, _ctx, _tab, _direction), do: found

  defp merge(ops, @end_of_table, from, _ctx, tab, direction) do
    kind = Facts.fetch!(tab, :setorbag).type

    case {keys(ops, direction, kind, []), kind} do
      {[], _} -> @end_of_table
      {keys, :ordered_set} -> next_ordered(from, keys, direction)
      {keys, _} -> next_own(from, keys, tab)
    end
  end

  defp merge(ops, found, from, ctx, tab, direction) do
    case last_operation(ops, found) do
      :delete ->
        again(ctx, tab, found, direction)

      _ ->
        case Facts.fetch!(tab, :setorbag).type do
          :ordered_set ->
            next_ordered(from, keys(ops, direction, :ordered_set, [found]), direction)

          _ ->
            found
        end
    end
  end

  # Past a key that the transaction has deleted, as the activity's own module steps.
  defp again(_ctx, tab, key, :next), do: :magnesia.next(tab, key)
  defp again(_ctx, tab, key, :prev), do: :magnesia.prev(tab, key)

  # The key `:_` finds the operations of every key.
  defp last_operation(ops, key) do
    Enum.reduce(ops, nil, fn
      {own, operation, _}, _last when own === key or key == :_ -> operation
      _, last -> last
    end)
  end

  defp next_ordered(@end_of_table, [key | _], _direction), do: key
  defp next_ordered(from, [key | _], :next) when from < key, do: key
  defp next_ordered(from, [key | _], :prev) when from > key, do: key
  defp next_ordered(from, [_ | rest], direction), do: next_ordered(from, rest, direction)
  defp next_ordered(_from, [], _direction), do: @end_of_table

  # Own keys that are stored too have been passed already.
  defp next_own(from, keys, tab) do
    next =
      case from == @end_of_table || Enum.drop_while(keys, &(&1 !== from)) do
        true -> hd(keys)
        [] -> hd(keys)
        [_] -> @end_of_table
        [_, next | _] -> next
      end

    if next == @end_of_table or Dirty.read(tab, next) == [] do
      next
    else
      next_own(next, keys, tab)
    end
  end

  defp keys(ops, direction, kind, stored) do
    found = collect(ops, stored)

    cond do
      kind == :ordered_set and direction == :prev -> found |> :lists.sort() |> :lists.reverse()
      kind == :ordered_set -> :lists.sort(found)
      direction == :next -> :lists.reverse(found)
      true -> found
    end
  end

  defp collect([{key, :write, _} | rest], [key | _] = found), do: collect(rest, found)
  defp collect([{key, :write, _} | rest], found), do: collect(rest, [key | found])
  defp collect([{key, :delete, _} | rest], [key | found]), do: collect(rest, found)
  defp collect([_ | rest], found), do: collect(rest, found)
  defp collect([], found), do: found
end
