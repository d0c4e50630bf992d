defmodule Magnesia.Strict.Selection do
  @moduledoc """
  Queries in an activity: match specifications, patterns, all keys.

  In a transaction a query with one clause and a bound key locks that record, any other the
  table. Without own operations on the table the engine's answer is the answer; with some, whole
  rows are read, merged and run through the specification. Chunks are `Magnesia.Strict.Chunks`'
  business.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Strict.Dirty
  alias Magnesia.Strict.Facts
  alias Magnesia.Strict.Locks
  alias Magnesia.Strict.Own
  alias Magnesia.Strict.Pattern

  defguardp is_table(tab) when is_atom(tab) and tab != :schema
  defguardp is_record(record) when is_tuple(record) and tuple_size(record) > 2

  @doc "Selects in the activity that the process carries."
  @spec select(tuple() | :undefined, term(), term(), term()) :: list()
  def select(state, tab, spec, lock) when is_table(tab) and is_list(spec) do
    case state do
      {:magnesia, tid, ts} -> select(tid, ts, tab, spec, lock)
      {mod, tid, ts} -> mod.select(tid, ts, tab, spec, lock)
      _ -> abort(:no_transaction)
    end
  end

  def select(_state, tab, spec, _lock), do: abort({:badarg, tab, spec})

  @doc "Selects in a given activity."
  @spec select(tuple(), term(), term(), term(), term()) :: list()
  def select({:tid, _, _}, ctx, tab, spec, lock) do
    lock(ctx, tab, spec, lock)

    case own(ctx, tab) do
      [] ->
        Dirty.select(tab, spec)

      ops ->
        facts = Facts.fetch!(tab, :setorbag)
        rows = Dirty.select(tab, Pattern.rows_of(spec))
        ops |> Own.merge(rows, facts.type) |> Own.run(spec)
    end
  end

  def select({:ets, _}, _ts, tab, spec, _lock),
    do: Dirty.bare(tab, fn -> Dirty.select(tab, spec) end)

  def select(_tid, _ts, tab, spec, _lock), do: Dirty.select(tab, spec)

  @doc "Matches in the activity that the process carries."
  @spec match_object(tuple() | :undefined, term(), term(), term()) :: [tuple()]
  def match_object({:magnesia, tid, ts}, tab, pattern, lock) do
    match_object(tid, ts, tab, pattern, lock)
  end

  def match_object({mod, tid, ts}, tab, pattern, lock) do
    mod.match_object(tid, ts, tab, pattern, lock)
  end

  def match_object(_, _tab, _pattern, _lock), do: abort(:no_transaction)

  @doc "Matches in a given activity."
  @spec match_object(tuple(), term(), term(), term(), term()) :: [tuple()]
  def match_object(tid, ts, tab, pattern, lock) when is_table(tab) and is_record(pattern) do
    case tid do
      {:tid, _, _} -> match_locked(ts, tab, pattern, lock)
      {:ets, _} -> Dirty.bare(tab, fn -> Dirty.scan(tab, pattern) end)
      _ -> Dirty.match_object(tab, pattern)
    end
  end

  def match_object(_tid, _ts, tab, pattern, _lock), do: abort({:bad_type, tab, pattern})

  @doc "All keys in the activity that the process carries."
  @spec all_keys(tuple() | :undefined, term()) :: [term()]
  def all_keys({:magnesia, tid, ts}, tab), do: all_keys(tid, ts, tab, :read)
  def all_keys({mod, tid, ts}, tab), do: mod.all_keys(tid, ts, tab, :read)
  def all_keys(_, _tab), do: abort(:no_transaction)

  @doc "All keys in a given activity."
  @spec all_keys(tuple(), term(), term(), term()) :: [term()]
  def all_keys(tid, ts, tab, lock) when is_table(tab) do
    facts = Facts.fetch!(tab, :wild_pattern)
    Facts.unique_keys(facts, select(tid, ts, tab, Facts.keys_spec(facts), lock))
  end

  def all_keys(_tid, _ts, tab, _lock), do: abort({:bad_type, tab})

  @doc "Takes the lock that a specification needs."
  @spec lock(Engine.context(), atom(), term(), term()) :: :ok
  def lock(ctx, tab, spec, lock) do
    case Pattern.bound_key(spec) do
      {:ok, key} -> Locks.hold_record(ctx, tab, key, lock)
      :error -> Locks.hold_table(ctx, tab, lock)
    end
  end

  @doc "The transaction's own operations on a table."
  @spec own(Engine.context(), atom()) :: Own.ops()
  def own(ctx, tab) do
    case Engine.tx_own(ctx, tab) do
      ops when is_list(ops) -> ops
      {:"$magnesia_error", reason} -> abort(reason, tab, {:no_exists, tab})
    end
  end

  defp match_locked(ctx, tab, pattern, lock) do
    lock(ctx, tab, Pattern.rows(pattern), lock)
    rows = Dirty.match_object(tab, pattern)

    case own(ctx, tab) do
      [] -> rows
      ops -> Own.merge_matching(ops, rows, Facts.fetch!(tab, :setorbag).type, pattern)
    end
  end
end
