defmodule Magnesia.Strict.Locks do
  @moduledoc """
  Locks of an activity: taking them, waiting for them, giving way to an older transaction.

  Waiting is a selective receive of the one message that the engine promised. Which locks exist
  and who comes first is decided in the engine; no lock is kept or counted here.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Job
  alias Magnesia.Telemetry.Switch
  alias Magnesia.Telemetry.Transaction

  @whole :______WHOLETABLE_____
  @stick :______STICK_____
  @schema {:table, :schema}
  @notes :magnesia_table_locks
  @kinds [:read, :write, :sticky_write]

  @typedoc "What can be locked."
  @type item :: {:record, atom(), term()} | {:table, atom()} | {:global, term(), [node()]}
  @typedoc "How it can be locked."
  @type kind :: :read | :write | :sticky_write | :load | :none

  @doc "Locks an item in an activity."
  @spec lock(tuple(), term(), item(), kind()) :: term()
  def lock({:tid, _, _}, ctx, item, kind) do
    case item do
      {:record, tab, key} -> record(ctx, tab, key, kind)
      {:table, tab} -> table(ctx, tab, kind)
      {:global, key, nodes} -> global(ctx, key, kind, nodes)
      _ -> abort({:bad_type, item})
    end
  end

  def lock(_tid, _ts, _item, _kind), do: []

  @doc "Locks a table as a fold does: any table may be named outside a transaction."
  @spec lock_for_fold(tuple(), term(), term(), kind()) :: :ok
  def lock_for_fold({:tid, _, _}, ctx, tab, kind) when is_atom(tab) do
    hold_table(ctx, tab, kind)
  end

  def lock_for_fold({:tid, _, _}, _ctx, tab, _kind), do: abort({:bad_type, tab})
  def lock_for_fold(_tid, _ts, _tab, _kind), do: :ok

  @doc "Locks a whole table and does not care what `lock/4` would answer."
  @spec hold_table(Engine.context(), atom(), kind()) :: :ok
  def hold_table(ctx, tab, :read) do
    take(ctx, {:table, tab}, :read)
    note(tab, :read)
  end

  def hold_table(ctx, tab, kind) when kind in [:write, :load] do
    take(ctx, {:table, tab}, :write)
    note(tab, :write)
  end

  def hold_table(ctx, tab, :sticky_write) do
    stick_table(ctx, tab)
    :ok
  end

  def hold_table(_ctx, _tab, :none), do: :ok
  def hold_table(_ctx, tab, kind), do: abort({:bad_type, tab, kind})

  @doc "Locks one record and does not care what `lock/4` would answer."
  @spec hold_record(Engine.context(), atom(), term(), kind()) :: :ok
  def hold_record(ctx, tab, key, kind) when kind in @kinds do
    take(ctx, {:record, tab, key}, kind)
    :ok
  end

  def hold_record(_ctx, _tab, _key, :none), do: :ok
  def hold_record(_ctx, tab, _key, kind), do: abort({:bad_type, tab, kind})

  @doc "Tells whether the process's transaction has asked for a read lock on a whole table."
  @spec table_read_locked?(atom()) :: boolean()
  def table_read_locked?(tab), do: noted?(tab, [:read]) or stuck?(tab)

  @doc "Notes anew that a whole table is read-locked, whatever else is noted of it."
  @spec note_read(atom()) :: :ok
  def note_read(tab), do: if(noted?(tab, [:read]), do: :ok, else: add_note(tab, :read))

  @doc "The notes on whole tables, to be put back when a level of the transaction is undone."
  @spec notes() :: term()
  def notes, do: :erlang.get(@notes)

  @doc "Puts notes back; `:undefined` drops all."
  @spec put_notes(term()) :: term()
  def put_notes(:undefined), do: :erlang.erase(@notes)
  def put_notes(notes), do: :erlang.put(@notes, notes)

  @doc "Waits until the engine says that a lock may be asked for again."
  @spec await(integer()) :: term()
  def await(token) do
    Job.outside(fn ->
      receive do
        {:"$magnesia", ^token, outcome} -> outcome
      end
    end)
  end

  @doc "As `await/1`, for a lock, which is told to those who listen."
  @spec await(integer(), tuple(), atom()) :: term()
  def await(token, oid, kind) do
    if Switch.on?(),
      do: Transaction.wait(oid, kind, fn -> await(token) end),
      else: await(token)
  end

  @doc "Leaves the fun because an older transaction holds what this one wants."
  @spec give_way(term(), term(), term(), atom()) :: no_return()
  def give_way(blocker, item, operation, kind) do
    exit({:aborted, {:cyclic, node(), item, operation, kind, blocker}})
  end

  defp record(ctx, tab, key, kind) when is_atom(tab) do
    case kind do
      :read ->
        hold_record(ctx, tab, key, :read)
        committed(tab, key)

      :write ->
        held = held?(tab, key)
        hold_record(ctx, tab, key, :write)
        if held, do: [], else: [node()]

      :sticky_write ->
        sticky(ctx, tab, key, :ok)

      :none ->
        []

      _ ->
        abort({:bad_type, tab, kind})
    end
  end

  defp record(_ctx, tab, _key, _kind), do: abort({:bad_type, tab})

  # A lock that sticks the table to this node, or is held already, answers as an old one does.
  defp sticky(ctx, tab, key, old) do
    taken =
      if key == @whole,
        do: stick_table(ctx, tab),
        else: take(ctx, {:record, tab, key}, :sticky_write)

    if taken == :granted, do: :granted, else: old
  end

  # The lock that makes the table stick to this node is a read lock first.
  defp stick_table(ctx, tab) do
    held = noted?(tab, [:write])
    taken = take(ctx, {:table, tab}, :sticky_write)
    if taken == :ok and not held, do: note_read(tab)
    note(tab, :write)
    taken
  end

  defp committed(tab, key) do
    case Engine.read(tab, key) do
      rows when is_list(rows) -> rows
      {:"$magnesia_error", reason} -> abort(reason, tab, {:no_exists, tab})
    end
  end

  defp table(ctx, tab, kind) when is_atom(tab) do
    case kind do
      :read ->
        held = noted?(tab, [:read, :write])
        hold_table(ctx, tab, :read)
        if held, do: [node()], else: :ok

      kind when kind in [:write, :load] ->
        held = noted?(tab, [:write])
        hold_table(ctx, tab, kind)
        if held, do: false, else: [node()]

      :sticky_write ->
        sticky(ctx, tab, @whole, [node()])

      :none ->
        []

      _ ->
        abort({:bad_type, tab, kind})
    end
  end

  defp table(_ctx, tab, _kind), do: abort({:bad_type, tab})

  defp global(ctx, key, kind, nodes) when is_list(nodes) do
    if kind not in [:read, :write], do: abort({:bad_type, kind})
    here = Enum.filter(nodes, &(&1 == node()))
    if here != [], do: take(ctx, {:global, key}, kind)
    here
  end

  defp global(_ctx, _key, _kind, nodes), do: abort({:bad_type, nodes})

  # What a level of the transaction has asked for on whole tables shows in some answers, and
  # is forgotten when the level is undone although the lock stays. Notes of an earlier
  # transaction are known by its number.
  defp note(tab, kind) do
    kinds = if kind == :read, do: [:read, :write], else: [:write]
    if noted?(tab, kinds), do: :ok, else: add_note(tab, kind)
  end

  defp add_note(tab, kind) do
    case {:erlang.get(:magnesia_activity_state), notes()} do
      {{_, tid, _}, {tid, list}} -> :erlang.put(@notes, {tid, [{tab, kind} | list]})
      {{_, tid, _}, _} -> :erlang.put(@notes, {tid, [{tab, kind}]})
      _ -> :ok
    end

    :ok
  end

  defp noted?(tab, kinds) do
    case {:erlang.get(:magnesia_activity_state), notes()} do
      {{_, tid, _}, {tid, list}} -> Enum.any?(kinds, &:lists.member({tab, &1}, list))
      _ -> false
    end
  end

  # Only lock/2 and lock/4 tell a lock that was held from one that is new, so only they ask.
  defp held?(tab, key), do: noted?(tab, [:write]) or writes?(tab, key)

  defp stuck?(tab), do: writes?(tab, @stick)

  defp writes?(tab, key) do
    pid = self()

    Enum.any?(Engine.held_locks(), fn
      {{^tab, held}, :write, _number, ^pid} -> held === key
      _ -> false
    end)
  end

  # The schema has no table in the engine; its lock is a term of its own. Mnesia asks again for a
  # term that is held, but not for a table.
  defp take(ctx, {:table, :schema}, kind), do: take_schema(ctx, kind)
  defp take(ctx, {:record, :schema, _key}, kind), do: take_schema(ctx, kind)

  defp take(ctx, item, kind) do
    case Engine.tx_lock(ctx, item, kind) do
      taken when taken in [:ok, :granted] ->
        taken

      {:wait, token} ->
        await(token, oid(item), kind)
        take(ctx, item, kind)

      {:die, blocker} ->
        give_way(blocker, oid(item), kind, kind)

      {:"$magnesia_error", reason} ->
        abort(reason, elem(item, 1), missing(item, kind))
    end
  end

  defp take_schema(ctx, kind) do
    if kind == :read and noted?(@schema, [:read, :write]) do
      :ok
    else
      taken = take(ctx, {:global, @schema}, kind)
      note(@schema, if(kind == :read, do: :read, else: :write))
      taken
    end
  end

  defp oid({:table, tab}), do: {tab, @whole}
  defp oid({:record, tab, key}), do: {tab, key}
  defp oid({:global, key}), do: {:global, key}

  defp missing(item, :sticky_write), do: {:not_local, elem(item, 1)}
  defp missing(item, _kind), do: {:no_exists, elem(item, 1)}
end
