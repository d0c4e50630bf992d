defmodule Magnesia.Strict.Writes do
  @moduledoc """
  Writing and deleting in an activity.

  In a transaction the engine locks, checks the record and keeps the operation until the commit;
  in the other contexts it happens at once. What a transaction has written is never held here.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Strict.Dirty
  alias Magnesia.Strict.Locks
  alias Magnesia.Strict.Pattern

  @kinds [:write, :sticky_write]

  defguardp is_table(tab) when is_atom(tab) and tab != :schema
  defguardp is_record(record) when is_tuple(record) and tuple_size(record) > 2

  @doc "Writes in the activity that the process carries."
  @spec write(tuple() | :undefined, term(), term(), term()) :: :ok
  def write({:magnesia, tid, ts}, tab, record, lock), do: write(tid, ts, tab, record, lock)
  def write({mod, tid, ts}, tab, record, lock), do: mod.write(tid, ts, tab, record, lock)
  def write(_, _tab, _record, _lock), do: abort(:no_transaction)

  @doc "Writes in a given activity."
  @spec write(tuple(), term(), term(), term(), term()) :: :ok
  def write(tid, ts, tab, record, lock) when is_table(tab) and is_record(record) do
    case tid do
      {:tid, _, _} when lock in @kinds -> write_locked(ts, tab, record, lock)
      {:tid, _, _} -> abort({:bad_type, tab, lock})
      {:ets, _} -> Dirty.bare(tab, fn -> Dirty.write(tab, record, &Engine.write_bare/2) end)
      _ -> Dirty.write(tab, record)
    end
  end

  def write(_tid, _ts, tab, record, lock), do: abort({:bad_type, tab, record, lock})

  @doc "Writes under a lock; table, record and lock are known to be of the right shape."
  @spec write_locked(Engine.context(), atom(), tuple(), Engine.lock()) :: :ok
  def write_locked(ctx, tab, record, lock) do
    case Engine.tx_write(ctx, tab, record, lock) do
      :ok -> :ok
      delayed -> settle_write(delayed, ctx, tab, record, lock)
    end
  end

  @doc "Goes on after the engine has not answered a write with `:ok`."
  @spec settle_write(
          Engine.delayed() | Engine.failure(),
          Engine.context(),
          atom(),
          tuple(),
          atom()
        ) :: :ok
  def settle_write({:wait, token}, ctx, tab, record, lock) do
    Locks.await(token, {tab, elem(record, 1)}, lock)
    write_locked(ctx, tab, record, lock)
  end

  # The key is locked all the same when the record is not one of the table's.
  def settle_write({:"$magnesia_error", :bad_type}, ctx, tab, record, lock) do
    Locks.hold_record(ctx, tab, elem(record, 1), lock)
    abort({:bad_type, record})
  end

  def settle_write(other, _ctx, tab, record, lock) do
    refuse(other, tab, elem(record, 1), lock)
  end

  @doc "Deletes a key in the activity that the process carries."
  @spec delete(tuple() | :undefined, term(), term(), term()) :: :ok
  def delete({:magnesia, tid, ts}, tab, key, lock), do: delete(tid, ts, tab, key, lock)
  def delete({mod, tid, ts}, tab, key, lock), do: mod.delete(tid, ts, tab, key, lock)
  def delete(_, _tab, _key, _lock), do: abort(:no_transaction)

  @doc "Deletes a key in a given activity."
  @spec delete(tuple(), term(), term(), term(), term()) :: :ok
  def delete(tid, ts, tab, key, lock) when is_table(tab) do
    case tid do
      {:tid, _, _} when lock in @kinds -> delete_locked(ts, tab, key, lock)
      {:tid, _, _} -> abort({:bad_type, tab, lock})
      {:ets, _} -> Dirty.bare(tab, fn -> Dirty.delete(tab, key, &Engine.delete_bare/2) end)
      _ -> Dirty.delete(tab, key)
    end
  end

  def delete(_tid, _ts, tab, _key, _lock), do: abort({:bad_type, tab})

  @doc "Deletes one exact record in the activity that the process carries."
  @spec delete_object(tuple() | :undefined, term(), term(), term()) :: :ok
  def delete_object({:magnesia, tid, ts}, tab, record, lock) do
    delete_object(tid, ts, tab, record, lock)
  end

  def delete_object({mod, tid, ts}, tab, record, lock) do
    mod.delete_object(tid, ts, tab, record, lock)
  end

  def delete_object(_, _tab, _record, _lock), do: abort(:no_transaction)

  @doc "Deletes one exact record in a given activity."
  @spec delete_object(tuple(), term(), term(), term(), term()) :: :ok
  def delete_object(tid, ts, tab, record, lock) when is_table(tab) and is_record(record) do
    if Pattern.has_var(record), do: abort({:bad_type, tab, record})

    case tid do
      {:tid, _, _} when lock in @kinds -> delete_object_locked(ts, tab, record, lock)
      {:tid, _, _} -> abort({:bad_type, tab, lock})
      {:ets, _} -> Dirty.bare(tab, fn -> delete_object_bare(tab, record) end)
      _ -> Dirty.delete_object(tab, record)
    end
  end

  def delete_object(_tid, _ts, tab, _record, _lock), do: abort({:bad_type, tab})

  defp delete_object_bare(tab, record) do
    Dirty.delete_object(tab, record, &Engine.delete_object_bare/2)
  end

  defp delete_locked(ctx, tab, key, lock) do
    case Engine.tx_delete(ctx, tab, key, lock) do
      :ok ->
        :ok

      {:wait, token} ->
        Locks.await(token, {tab, key}, lock)
        delete_locked(ctx, tab, key, lock)

      other ->
        refuse(other, tab, key, lock)
    end
  end

  defp delete_object_locked(ctx, tab, record, lock) do
    case Engine.tx_delete_object(ctx, tab, record, lock) do
      :ok ->
        :ok

      {:wait, token} ->
        Locks.await(token, {tab, elem(record, 1)}, lock)
        delete_object_locked(ctx, tab, record, lock)

      # A record that no row of the table can equal: the lock is all there is to do.
      {:"$magnesia_error", :bad_type} ->
        Locks.hold_record(ctx, tab, elem(record, 1), lock)

      other ->
        refuse(other, tab, elem(record, 1), lock)
    end
  end

  @spec refuse(term(), atom(), term(), atom()) :: no_return()
  defp refuse({:die, blocker}, tab, key, lock) do
    Locks.give_way(blocker, {tab, key}, :write, lock)
  end

  defp refuse({:"$magnesia_error", reason}, tab, _key, :sticky_write) do
    abort(reason, tab, {:not_local, tab})
  end

  defp refuse({:"$magnesia_error", reason}, tab, _key, _lock) do
    abort(reason, tab, {:no_exists, tab})
  end
end
