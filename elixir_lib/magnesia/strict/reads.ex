defmodule Magnesia.Strict.Reads do
  @moduledoc """
  Reading a key in an activity.

  In a transaction the engine locks, looks at the transaction's own operations and answers the
  rows as the transaction must see them. Nothing is cached or merged here.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Strict.Dirty
  alias Magnesia.Strict.Locks

  @kinds [:read, :write, :sticky_write]

  @doc "Reads in the activity that the process carries."
  @spec read(tuple() | :undefined, term(), term(), term()) :: [tuple()]
  def read({:magnesia, tid, ts}, tab, key, lock), do: read(tid, ts, tab, key, lock)
  def read({mod, tid, ts}, tab, key, lock), do: mod.read(tid, ts, tab, key, lock)
  def read(_, _tab, _key, _lock), do: abort(:no_transaction)

  @doc "Reads in a given activity."
  @spec read(tuple(), term(), term(), term(), term()) :: [tuple()]
  def read(tid, ts, tab, key, lock) when is_atom(tab) and tab != :schema do
    case tid do
      {:tid, _, _} when lock in @kinds -> read_locked(ts, tab, key, lock)
      {:tid, _, _} -> abort({:bad_type, tab, lock})
      {:ets, _} -> Dirty.bare(tab, fn -> Dirty.read(tab, key) end)
      _ -> Dirty.read(tab, key)
    end
  end

  def read(_tid, _ts, tab, _key, _lock), do: abort({:bad_type, tab})

  @doc "Reads under a lock; the table's name and the lock's kind are known to be sound."
  @spec read_locked(Engine.context(), atom(), term(), Engine.lock()) :: [tuple()]
  def read_locked(ctx, tab, key, lock) do
    case Engine.tx_read(ctx, tab, key, lock) do
      rows when is_list(rows) -> rows
      delayed -> settle(delayed, ctx, tab, key, lock)
    end
  end

  @doc "Goes on after the engine has answered something else than rows."
  @spec settle(Engine.delayed() | Engine.failure(), Engine.context(), atom(), term(), atom()) ::
          [tuple()]
  def settle({:wait, token}, ctx, tab, key, lock) do
    Locks.await(token, {tab, key}, lock)
    read_locked(ctx, tab, key, lock)
  end

  def settle({:die, blocker}, _ctx, tab, key, lock) do
    Locks.give_way(blocker, {tab, key}, :read, lock)
  end

  def settle({:"$magnesia_error", reason}, _ctx, tab, _key, :sticky_write) do
    abort(reason, tab, {:not_local, tab})
  end

  def settle({:"$magnesia_error", reason}, _ctx, tab, _key, _lock) do
    abort(reason, tab, {:no_exists, tab})
  end
end
