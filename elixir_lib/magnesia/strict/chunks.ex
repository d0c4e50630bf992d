defmodule Magnesia.Strict.Chunks do
  @moduledoc """
  Queries in chunks: `select/4` and its continuations.

  A continuation names the activity it was made in. In another transaction it is refused, in a
  dirty activity it goes on as a plain scan. The limit counts stored rows; own rows are folded
  into the chunk they belong to, and those that are left make a last chunk of their own.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Strict.Dirty
  alias Magnesia.Strict.Facts
  alias Magnesia.Strict.Own
  alias Magnesia.Strict.Pattern
  alias Magnesia.Strict.Selection

  require Record

  @end_of_table :"$end_of_table"

  Record.defrecordp(:continuation, :magnesia_select,
    tab: nil,
    tid: nil,
    cursor: @end_of_table,
    limit: 1,
    written: [],
    spec: [],
    kind: :set
  )

  @typedoc "Where a query goes on."
  @type continuation :: tuple() | :"$end_of_table"
  @typedoc "A chunk of results."
  @type chunk :: {list(), continuation()} | :"$end_of_table"

  @doc "The first chunk, in the activity that the process carries."
  @spec select(tuple() | :undefined, term(), term(), term(), term()) :: chunk()
  def select(state, tab, spec, limit, lock)
      when is_atom(tab) and tab != :schema and is_list(spec) and is_integer(limit) do
    case state do
      {:magnesia, tid, ts} -> select(tid, ts, tab, spec, limit, lock)
      {mod, tid, ts} -> mod.select(tid, ts, tab, spec, limit, lock)
      _ -> abort(:no_transaction)
    end
  end

  def select(_state, tab, spec, limit, _lock), do: abort({:badarg, tab, spec, limit})

  @doc "The first chunk, in a given activity."
  @spec select(tuple(), term(), term(), term(), term(), term()) :: chunk()
  def select(tid, ts, tab, spec, limit, lock) do
    facts = Facts.fetch!(tab, :disc_copies)
    select_in(tid, ts, facts, spec, limit, lock, &first(tab, &1, limit, facts))
  end

  @doc "As `select/6`, with a fun for the first chunk of stored rows."
  @spec select_with(tuple(), term(), atom(), list(), integer(), term(), (list() -> chunk())) ::
          chunk()
  def select_with(tid, ts, tab, spec, limit, lock, first) do
    select_in(tid, ts, Facts.fetch!(tab, :setorbag), spec, limit, lock, first)
  end

  @doc "The first chunk with given operations merged in, for a process outside the transaction."
  @spec select_own(tuple(), Own.ops(), atom(), list(), integer()) :: chunk()
  def select_own(id, ops, tab, spec, limit) do
    facts = Facts.fetch!(tab, :disc_copies)
    state = continuation(tab: tab, tid: id, limit: limit, kind: facts.type)
    with_own(ops, spec, state, &first(tab, &1, limit, facts))
  end

  @doc "The first chunk of stored rows."
  @spec stored(atom(), list(), integer()) :: chunk()
  def stored(tab, spec, limit), do: first(tab, spec, limit, Facts.fetch!(tab, :disc_copies))

  defp select_in(tid, ts, %{name: tab} = facts, spec, limit, lock, first) do
    state = continuation(tab: tab, tid: tid, limit: limit, kind: facts.type)

    case tid do
      {:tid, _, _} ->
        Selection.lock(ts, tab, spec, lock)
        with_own(Selection.own(ts, tab), spec, state, first)

      {:ets, _} ->
        Dirty.bare(tab, fn -> wrap(first.(spec), state) end)

      _ ->
        wrap(first.(spec), state)
    end
  end

  @doc "The next chunk, in the activity that the process carries."
  @spec continue(tuple() | :undefined, term()) :: chunk()
  def continue({:magnesia, tid, ts}, cont), do: continue(tid, ts, cont)
  def continue({mod, tid, ts}, cont), do: mod.select_cont(tid, ts, cont)
  def continue(_, _cont), do: abort(:no_transaction)

  @doc "The next chunk, in a given activity."
  @spec continue(tuple(), term(), term()) :: chunk()
  def continue(_tid, _ts, @end_of_table), do: @end_of_table

  def continue(tid, _ts, continuation(tid: tid, written: []) = state) do
    wrap(more(state), state)
  end

  def continue(tid, _ts, continuation(tid: tid) = state), do: merge(more(state), state)
  def continue({:tid, _, _}, _ts, continuation()), do: abort(:wrong_transaction)

  def continue(tid, ts, continuation() = state) do
    continue(tid, ts, continuation(state, tid: tid, written: [], spec: []))
  end

  def continue(_tid, _ts, cont), do: abort({:badarg, cont})

  defp with_own([], spec, state, first), do: wrap(first.(spec), state)

  defp with_own(ops, spec, continuation(kind: kind) = state, first) do
    rows_of = Pattern.rows_of(spec)
    unless Engine.spec_valid(spec), do: :erlang.error(:badarg)
    state = continuation(state, written: Own.pending(ops, kind), spec: spec)
    merge(first.(rows_of), state)
  end

  defp wrap(@end_of_table, _state), do: @end_of_table
  defp wrap({rows, cursor}, state), do: {rows, continuation(state, cursor: cursor)}

  defp merge(@end_of_table, continuation(written: ops, spec: spec, kind: kind)) do
    {ops |> Own.merge_rest(kind) |> Own.run(spec), @end_of_table}
  end

  defp merge({rows, cursor}, continuation(written: ops, spec: spec, kind: kind) = state) do
    {merged, left} = Own.merge_chunk(ops, rows, kind)
    {Own.run(merged, spec), continuation(state, cursor: cursor, written: left)}
  end

  # Stored rows, exactly as many as the limit says unless the table ends

  defp first(tab, spec, limit, facts) when limit <= 0 do
    abort({:badarg, [facts.storage, tab, spec, limit]})
  end

  defp first(_tab, [], _limit, _facts), do: @end_of_table

  defp first(tab, spec, limit, facts) do
    case Engine.select_chunk(tab, spec, limit) do
      {:"$magnesia_error", :badarg} -> abort({:badarg, [facts.storage, tab, spec, limit]})
      {:"$magnesia_error", reason} -> abort(reason, tab, {:no_exists, {tab, :disc_copies}})
      slice -> gather(slice, limit, [])
    end
  end

  defp more(continuation(cursor: @end_of_table)), do: @end_of_table

  defp more(continuation(cursor: cursor, limit: limit, tab: tab)) do
    case Engine.select_chunk_more(cursor, limit) do
      {:"$magnesia_error", reason} -> abort(reason, tab, {:no_exists, tab})
      slice -> gather(slice, limit, [])
    end
  end

  defp gather({:done, rows}, _limit, before) do
    case join(rows, before) do
      [] -> @end_of_table
      all -> {all, @end_of_table}
    end
  end

  defp gather({:more, rows, cursor}, limit, before) do
    case limit - length(rows) do
      0 -> {join(rows, before), cursor}
      left -> gather(Engine.select_chunk_more(cursor, left), left, [rows | before])
    end
  end

  defp gather({:"$magnesia_error", reason}, _limit, _before), do: abort(reason)

  defp join(rows, []), do: rows
  defp join(rows, before), do: Enum.reduce(before, rows, &(&1 ++ &2))
end
