defmodule Magnesia.Strict.Loan do
  @moduledoc """
  What a query's cursor gets of the transaction that made it: the tables are locked there, and
  the transaction's own operations on them are copied when the cursor is made.

  A transaction belongs to one process, so that the cursor's process could not ask it. This is
  the access module that the cursor's process reads through: committed rows with those operations
  merged in. It only reads.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Strict.Activity
  alias Magnesia.Strict.Chunks
  alias Magnesia.Strict.Dirty
  alias Magnesia.Strict.Fragments
  alias Magnesia.Strict.Index
  alias Magnesia.Strict.Information
  alias Magnesia.Strict.Own
  alias Magnesia.Strict.Facts
  alias Magnesia.Strict.Selection

  @typedoc "The operations of the lender, by table."
  @type own :: %{atom() => Own.ops()}

  @doc "What a cursor on a table gets of an activity: a transaction locks the table first."
  @spec lend(Activity.state(), atom(), term()) :: Activity.state()
  def lend({mod, {:tid, _, _} = tid, ctx}, tab, lock) do
    _ =
      if mod == :magnesia,
        do: lock(tid, ctx, tab, lock),
        else: mod.lock(tid, ctx, {:table, tab}, lock)

    dirty = {:async_dirty, self()}

    case own(ctx, [tab | Fragments.names(tab)]) do
      own when own == %{} -> {mod, dirty, :non_transaction}
      own when mod == :magnesia -> {__MODULE__, dirty, own}
      _own -> abort({:combine_error, tab, ~c"A cursor sees no own writes through", mod})
    end
  end

  def lend(state, _tab, _lock), do: state

  defp lock(tid, ctx, tab, lock), do: :magnesia.lock(tid, ctx, {:table, tab}, lock)

  defp own(ctx, tables) do
    for tab <- tables, Facts.fetch(tab) != :error, ops = Selection.own(ctx, tab), ops != [] do
      {tab, ops}
    end
    |> Map.new()
  end

  @doc "Makes the reading process take part in what was lent, and answers its activity."
  @spec take(Activity.state(), Activity.state()) :: Activity.state()
  def take(:undefined, :undefined), do: :undefined

  def take({__MODULE__, id, own}, {__MODULE__, _id, more}) do
    taken({__MODULE__, id, Map.merge(own, more)})
  end

  def take({_mod, {kind, _}, :non_transaction}, {__MODULE__, _, _} = lent)
      when kind != :tid do
    taken(lent)
  end

  def take(:undefined, lent), do: taken(lent)
  def take(state, _lent), do: state

  defp taken(state) do
    _ = Activity.put_state(state)
    state
  end

  @doc "Reads a key."
  @spec read(tuple(), own(), atom(), term(), term()) :: [tuple()]
  def read(_id, own, tab, key, _lock) do
    kind = Facts.fetch!(tab, :setorbag).type

    for {^key, operation, record} <- Map.get(own, tab, []), reduce: Dirty.read(tab, key) do
      rows -> step(operation, record, rows, kind)
    end
  end

  defp step(:delete, _record, _rows, _kind), do: []
  defp step(:delete_object, record, rows, _kind), do: List.delete(rows, record)
  defp step(:write, record, rows, :bag), do: List.delete(rows, record) ++ [record]
  defp step(:write, record, _rows, _kind), do: [record]

  @doc "Reads by an indexed attribute."
  @spec index_read(tuple(), own(), atom(), term(), term(), term()) :: [tuple()]
  def index_read(_id, own, tab, value, attribute, _lock) do
    rows = Index.dirty_read(tab, value, attribute)

    case Map.get(own, tab, []) do
      [] -> rows
      ops -> Index.merge(ops, rows, tab, value, Facts.position(tab, attribute))
    end
  end

  @doc "Selects a first chunk."
  @spec select(tuple(), own(), atom(), list(), integer(), term()) :: Chunks.chunk()
  def select(id, own, tab, spec, limit, _lock) do
    Chunks.select_own(id, Map.get(own, tab, []), tab, spec, limit)
  end

  @doc "Selects the next chunk."
  @spec select_cont(tuple(), own(), Chunks.continuation()) :: Chunks.chunk()
  def select_cont(id, own, continuation), do: Chunks.continue(id, own, continuation)

  @doc "One thing to know of a table."
  @spec table_info(tuple(), own(), term(), term()) :: term()
  def table_info(_id, _own, tab, item), do: Information.table_info(tab, item)
end
