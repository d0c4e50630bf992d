defmodule Magnesia.Strict.Fold do
  @moduledoc """
  foldl and foldr in an activity.

  Rows are fetched in chunks. As long as the transaction has no operation of its own on the
  table a row goes straight to the fun; from then on each row is looked at again, so that what
  the fun writes is seen by the rows that follow, while keys that it adds are not visited. Own
  keys that were there before the fold are visited in key order in an ordered set and last
  otherwise, once for each own write.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Strict.Facts
  alias Magnesia.Strict.Locks
  alias Magnesia.Strict.Reads
  alias Magnesia.Strict.Selection

  require Record

  @end_of_table :"$end_of_table"
  @slice 512
  @rows [{:_, [], [:"$_"]}]

  # seq: the transaction's state when the table was last known to have no own operation.
  Record.defrecordp(:walk, tid: nil, ctx: nil, tab: nil, fun: nil, kind: :set, seq: nil)

  @doc "Folds in the activity that the process carries."
  @spec fold(tuple() | :undefined, :foldl | :foldr, fun(), term(), term(), term()) :: term()
  def fold({:magnesia, tid, ts}, direction, fun, acc, tab, lock) do
    fold(direction, tid, ts, fun, acc, tab, lock)
  end

  def fold({mod, tid, ts}, :foldl, fun, acc, tab, lock) do
    mod.foldl(tid, ts, fun, acc, tab, lock)
  end

  def fold({mod, tid, ts}, :foldr, fun, acc, tab, lock) do
    mod.foldr(tid, ts, fun, acc, tab, lock)
  end

  def fold(_, _direction, _fun, _acc, _tab, _lock), do: abort(:no_transaction)

  @doc "Folds in a given activity."
  @spec fold(:foldl | :foldr, tuple(), term(), fun(), term(), term(), term()) :: term()
  def fold(direction, tid, ts, fun, acc, tab, lock) do
    Locks.lock_for_fold(tid, ts, tab, lock)
    if tab == :schema, do: abort({:bad_type, :schema})
    facts = Facts.fetch!(tab, :setorbag)
    walk = walk(tid: tid, ctx: ts, tab: tab, fun: fun, kind: facts.type)
    guarded(direction, walk, acc)
  end

  # Whatever class of exception the fun leaves with, the fold aborts with its reason.
  defp guarded(direction, walk, acc) do
    try do
      run(direction, walk, acc)
    catch
      _, reason -> abort(reason)
    else
      {:EXIT, {:aborted, reason}} -> abort(reason)
      {:EXIT, reason} -> abort(reason)
      value -> value
    end
  end

  defp run(direction, walk(tid: {:tid, _, _}, ctx: ctx, tab: tab) = walk, acc) do
    ops = Selection.own(ctx, tab)
    own = own_keys(:lists.sort(for {key, :write, _} <- ops, do: key), walk)
    walk = if ops == [], do: walk(walk, seq: Engine.tx_seq(ctx)), else: walk
    scan(direction, walk, acc, own)
  end

  defp run(direction, walk, acc), do: scan(direction, walk(walk, ctx: nil), acc, [])

  defp scan(:foldr, walk(kind: :ordered_set, tab: tab) = walk, acc, own) do
    backwards(Engine.last(tab), walk, acc, :lists.reverse(own))
  end

  defp scan(_direction, walk(tab: tab) = walk, acc, own) do
    slices(Engine.select_chunk(tab, @rows, @slice), walk, acc, own, :none)
  end

  # Forwards, slice by slice

  defp slices({:done, rows}, walk, acc, own, last) do
    {walk, acc, own, _last} = each(rows, walk, acc, own, last)
    rest(own, walk, acc)
  end

  defp slices({:more, rows, cursor}, walk, acc, own, last) do
    {walk, acc, own, last} = each(rows, walk, acc, own, last)
    slices(Engine.select_chunk_more(cursor, @slice), walk, acc, own, last)
  end

  defp slices({:"$magnesia_error", reason}, walk(tab: tab), _acc, _own, _last) do
    abort(reason, tab, {:no_exists, [tab]})
  end

  defp each(rows, walk(ctx: nil, fun: fun) = walk, acc, own, last) do
    {walk, plain(rows, fun, acc), own, last}
  end

  defp each(rows, walk(seq: nil) = walk, acc, own, last), do: touched(rows, walk, acc, own, last)

  defp each(rows, walk(ctx: ctx, fun: fun, seq: seq) = walk, acc, own, last) do
    untouched(rows, Engine.tx_seq(ctx), seq, fun, walk, acc, own, last)
  end

  defp plain([row | rows], fun, acc), do: plain(rows, fun, fun.(row, acc))
  defp plain([], _fun, acc), do: acc

  # No own operation on the table: the transaction's state is asked after each row.
  defp untouched([row | rows], seq, seq, fun, walk(ctx: ctx) = walk, acc, own, _last) do
    acc = fun.(row, acc)
    untouched(rows, Engine.tx_seq(ctx), seq, fun, walk, acc, own, {:row, elem(row, 1)})
  end

  defp untouched([], seq, seq, _fun, walk, acc, own, last), do: {walk, acc, own, last}

  defp untouched(rows, now, _seq, fun, walk(ctx: ctx, tab: tab) = walk, acc, own, last) do
    case Selection.own(ctx, tab) do
      [] -> untouched(rows, now, now, fun, walk(walk, seq: now), acc, own, last)
      _ -> touched(rows, walk(walk, seq: nil), acc, own, last)
    end
  end

  # A key of a bag is visited with all its rows at once: after its first row either the others
  # are passed because they have been read, or they come as they were when that row came.
  defp touched([row | rows], walk(fun: fun) = walk, acc, own, last) do
    key = elem(row, 1)

    case last do
      {:read, same} when same === key ->
        touched(rows, walk, acc, own, last)

      {:row, same} when same === key ->
        touched(rows, walk, fun.(row, acc), own, last)

      _ ->
        {acc, own} = before(own, key, walk, acc)
        touched(rows, walk, visit(key, walk, acc), passed(own, key, walk), {:read, key})
    end
  end

  defp touched([], walk, acc, own, last), do: {walk, acc, own, last}

  # Backwards, key by key, which only an ordered set does

  defp backwards(@end_of_table, walk, acc, own), do: rest(own, walk, acc)

  defp backwards({:"$magnesia_error", reason}, walk(tab: tab), _acc, _own) do
    abort(reason, tab, {:no_exists, [tab]})
  end

  defp backwards(key, walk(tab: tab) = walk, acc, own) do
    {acc, own} = after_key(own, key, walk, acc)
    acc = visit(key, walk, acc)
    backwards(Engine.prev(tab, key), walk, acc, passed(own, key, walk))
  end

  # Own keys

  defp before([own | rest], key, walk(kind: :ordered_set) = walk, acc) when own < key do
    before(rest, key, walk, visit(own, walk, acc))
  end

  defp before(own, _key, _walk, acc), do: {acc, own}

  defp after_key([own | rest], key, walk, acc) when own > key do
    after_key(rest, key, walk, visit(own, walk, acc))
  end

  defp after_key(own, _key, _walk, acc), do: {acc, own}

  # In key order for an ordered set. Otherwise keys that are equal lie together, in a tree, from
  # which a visited key is taken wherever it is.
  defp own_keys([], _walk), do: []
  defp own_keys(keys, walk(kind: :ordered_set)), do: keys

  defp own_keys(keys, _walk) do
    keys
    |> :lists.reverse()
    |> Enum.reduce([], fn
      key, [{same, equal} | groups] when key == same -> [{key, [key | equal]} | groups]
      key, groups -> [{key, [key]} | groups]
    end)
    |> :gb_trees.from_orddict()
  end

  defp passed([own | rest], key, walk(kind: :ordered_set)) when own == key, do: rest
  defp passed(own, _key, walk(kind: :ordered_set)), do: own
  defp passed([], _key, _walk), do: []

  defp passed(own, key, _walk) do
    case :gb_trees.lookup(key, own) do
      :none -> own
      {:value, [_]} -> :gb_trees.delete(key, own)
      {:value, [_ | equal]} -> :gb_trees.update(key, equal, own)
    end
  end

  defp rest(own, walk, acc) when is_list(own), do: Enum.reduce(own, acc, &visit(&1, walk, &2))
  defp rest(own, walk, acc), do: rest(:lists.append(:gb_trees.values(own)), walk, acc)

  defp visit(key, walk(tid: tid, ctx: ctx, tab: tab, fun: fun), acc) do
    plain(Reads.read(tid, ctx, tab, key, :read), fun, acc)
  end
end
