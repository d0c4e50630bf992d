defmodule Magnesia.Strict.Activity do
  @moduledoc """
  Activities: transactions with their restarts and nesting, and the dirty contexts.

  The calling process carries its activity in the process dictionary as `{module, id, store}`,
  where the id is `{:tid, number, pid}` and the store the engine's context, or the id is
  `{kind, pid}` and the store `:non_transaction`. A transaction runs in its caller: there is no
  server to ask and no message unless a lock has to be waited for. Rows are no business of this
  room.
  """

  alias Magnesia.Engine
  alias Magnesia.Strict.Failure
  alias Magnesia.Strict.Locks
  alias Magnesia.Telemetry.Switch
  alias Magnesia.Telemetry.Transaction

  @state :magnesia_activity_state
  @context :magnesia_context

  @typedoc "What a process carries while it is in an activity."
  @type state :: {module(), tuple(), Engine.context() | :non_transaction} | :undefined
  @typedoc "A transaction's outcome."
  @type outcome :: {:atomic, term()} | {:aborted, term()}
  @typedoc "How often a transaction may be run."
  @type retries :: non_neg_integer() | :infinity

  @doc "The calling process's activity."
  @spec state() :: state()
  def state, do: :erlang.get(@state)

  @doc "Gives the calling process an activity, or takes it away."
  @spec put_state(state()) :: term()
  def put_state(:undefined), do: :erlang.erase(@state)
  def put_state(state), do: :erlang.put(@state, state)

  @doc "Runs a fun as a transaction, or as a level of the one that the process is in."
  @spec transaction(state(), fun(), list(), retries(), module(), boolean()) :: outcome()
  def transaction(state, fun, args, retries, mod, sync)
      when is_function(fun) and is_list(args) and is_atom(mod) and
             (retries == :infinity or (is_integer(retries) and retries >= 0)) do
    case state do
      :undefined ->
        outer(fun, args, retries, mod, sync)

      {_, _, :non_transaction} ->
        outcome = outer(fun, args, retries, mod, sync)
        :erlang.put(@state, state)
        outcome

      {_, {:tid, _, _}, _} ->
        inner(state, fun, args, retries, mod)

      _ ->
        {:aborted, :nested_transaction}
    end
  end

  def transaction(_state, fun, args, retries, mod, _sync) do
    {:aborted, {:badarg, fun, args, retries, mod}}
  end

  @doc "Runs a fun in a dirty context; inside a transaction it is a level of that transaction."
  @spec dirty(state(), fun(), list(), atom(), module()) :: term()
  def dirty(state, fun, args, kind, mod)
      when is_function(fun) and is_list(args) and is_atom(mod) do
    case state do
      {_, _, store} when store != :non_transaction ->
        case transaction(state, fun, args, :infinity, mod, kind == :sync_dirty) do
          {:atomic, value} -> value
          {:aborted, reason} -> exit(reason)
        end

      _ ->
        :erlang.put(@state, {mod, {kind, self()}, :non_transaction})
        run_dirty(state, fun, args)
    end
  end

  def dirty(_state, fun, args, _kind, _mod), do: {:aborted, {:badarg, fun, args}}

  @doc "Runs a fun in any kind of activity and answers its value, or exits."
  @spec activity(term(), fun(), list(), module()) :: term()
  def activity(kind, fun, args, mod) do
    state = state()
    mod = access_module(mod)

    case kind do
      :transaction -> unwrap(transaction(state, fun, args, :infinity, mod, false))
      {:transaction, retries} -> unwrap(transaction(state, fun, args, retries, mod, false))
      :sync_transaction -> unwrap(transaction(state, fun, args, :infinity, mod, true))
      {:sync_transaction, retries} -> unwrap(transaction(state, fun, args, retries, mod, true))
      kind when kind in [:async_dirty, :sync_dirty, :ets] -> dirty(state, fun, args, kind, mod)
      _ -> {:aborted, {:bad_type, kind}}
    end
  end

  # Mnesia's own access modules stand for ours, so that a call need not be changed.
  defp access_module(:mnesia), do: :magnesia
  defp access_module(:mnesia_frag), do: :magnesia_frag
  defp access_module(mod), do: mod

  defp unwrap({:atomic, value}), do: value
  defp unwrap(aborted), do: exit(aborted)

  defp run_dirty(old, fun, args) do
    try do
      call(fun, args)
    catch
      :error, reason -> exit({reason, __STACKTRACE__})
    else
      {:EXIT, reason} -> exit(reason)
      {:aborted, reason} -> Failure.abort(reason)
      value -> value
    after
      put_state(old)
    end
  end

  # The outermost level

  defp outer(fun, args, retries, mod, sync) do
    ctx = context()

    case Engine.tx_begin(ctx) do
      number when is_integer(number) ->
        :erlang.put(@state, {mod, {:tid, number, self()}, ctx})

        if Switch.on?(),
          do: Transaction.run(sync, mod, fn -> attempt(ctx, fun, args, retries, sync) end),
          else: attempt(ctx, fun, args, retries, sync)

      # The process has put its transaction aside; this is another one beside it.
      {:"$magnesia_error", :nested} ->
        begin_beside(fun, args, retries, mod, sync)

      {:"$magnesia_error", reason} ->
        {:aborted, Failure.translate(reason)}
    end
  end

  defp begin_beside(fun, args, retries, mod, sync) do
    :erlang.erase(@context)
    outer(fun, args, retries, mod, sync)
  end

  # To those who listen it is the same transaction.
  defp anew(fun, args, retries, mod, sync) do
    ctx = context()

    case Engine.tx_begin(ctx) do
      number when is_integer(number) ->
        :erlang.put(@state, {mod, {:tid, number, self()}, ctx})
        attempt(ctx, fun, args, retries, sync)

      {:"$magnesia_error", reason} ->
        {:aborted, Failure.translate(reason)}
    end
  end

  defp context do
    case :erlang.get(@context) do
      :undefined ->
        ctx = Engine.tx_new()
        :erlang.put(@context, ctx)
        ctx

      ctx ->
        ctx
    end
  end

  defp attempt(ctx, fun, args, retries, sync) do
    try do
      call(fun, args)
    catch
      :throw, value -> fail(ctx, {:throw, value})
      :exit, reason -> recover(reason, ctx, fun, args, retries, sync)
      :error, reason -> recover({reason, __STACKTRACE__}, ctx, fun, args, retries, sync)
    else
      value -> commit(Engine.tx_commit(ctx, sync), ctx, sync, value)
    end
  end

  defp commit(:ok, _ctx, _sync, value) do
    :erlang.erase(@state)
    {:atomic, value}
  end

  defp commit({:wait, token}, ctx, sync, value) do
    outcome =
      if Switch.on?(),
        do: Transaction.sync(:commit, fn -> Locks.await(token) end),
        else: Locks.await(token)

    commit(outcome, ctx, sync, value)
  end

  defp commit(:large, ctx, sync, value) do
    commit(Engine.tx_commit_large(ctx, sync), ctx, sync, value)
  end

  defp commit({:"$magnesia_error", reason}, _ctx, _sync, _value) do
    _ = Engine.count_failure()
    :erlang.erase(@state)
    {:aborted, Failure.translate(reason)}
  end

  defp recover({:aborted, {:cyclic, _, oid, _, kind, blocker}}, ctx, fun, args, retries, sync) do
    if again?(retries) do
      _ = Engine.count_restart()
      Locks.put_notes(:undefined)
      restart(give_way(ctx, blocker, oid, kind), ctx, fun, args, decrement(retries), sync)
    else
      fail(ctx, {:aborted, :nomore})
    end
  end

  defp recover({:aborted, {tag, _}} = reason, ctx, fun, args, retries, sync)
       when tag in [:node_not_running, :bad_commit] do
    {mod, _, _} = state()

    if again?(retries) do
      _ = Engine.count_restart()
      _ = fail(ctx, reason)
      pause()
      anew(fun, args, decrement(retries), mod, sync)
    else
      fail(ctx, {:aborted, :nomore})
    end
  end

  defp recover(reason, ctx, _fun, _args, _retries, _sync), do: fail(ctx, reason)

  defp give_way(ctx, blocker, oid, kind) do
    if Switch.on?(),
      do: Transaction.restart(oid, kind, fn -> give_way(ctx, blocker) end),
      else: give_way(ctx, blocker)
  end

  defp give_way(ctx, blocker) do
    with {:wait, token} <- Engine.tx_restart(ctx, blocker) do
      Locks.await(token)
      :ok
    end
  end

  defp restart(:ok, ctx, fun, args, retries, sync), do: attempt(ctx, fun, args, retries, sync)

  defp restart({:"$magnesia_error", reason}, ctx, _fun, _args, _retries, _sync) do
    fail(ctx, Failure.translate(reason))
  end

  defp fail(ctx, reason) do
    _ = Engine.tx_abort(ctx)
    _ = Engine.count_failure()
    :erlang.erase(@state)
    {:aborted, bare(reason)}
  end

  # Inner levels

  defp inner({_, tid, ctx} = up, fun, args, retries, mod) do
    case Engine.tx_nest(ctx) do
      :ok ->
        :erlang.put(@state, {mod, tid, ctx})
        attempt_inner({up, Locks.notes()}, ctx, fun, args, retries)

      {:"$magnesia_error", reason} ->
        {:aborted, Failure.translate(reason)}
    end
  end

  defp attempt_inner(up, ctx, fun, args, retries) do
    try do
      call(fun, args)
    catch
      :throw, value -> undo(up, ctx, {:throw, value})
      :exit, reason -> recover_inner(reason, up, ctx, retries)
      :error, reason -> recover_inner({reason, __STACKTRACE__}, up, ctx, retries)
    else
      value ->
        _ = Engine.tx_merge(ctx)
        :erlang.put(@state, elem(up, 0))
        {:atomic, value}
    end
  end

  # Only the outermost level can run again, so the reason goes up level by level.
  defp recover_inner({:aborted, why} = reason, up, ctx, retries)
       when elem(why, 0) == :cyclic or elem(why, 0) == :node_not_running or
              elem(why, 0) == :bad_commit do
    if again?(retries) do
      _ = undo(up, ctx, reason)
      exit(reason)
    else
      undo(up, ctx, {:aborted, :nomore})
    end
  end

  defp recover_inner(reason, up, ctx, _retries), do: undo(up, ctx, reason)

  defp undo({state, notes}, ctx, reason) do
    _ = Engine.tx_undo(ctx)
    _ = Engine.count_failure()
    :erlang.put(@state, state)
    Locks.put_notes(notes)
    {:aborted, bare(reason)}
  end

  defp call(fun, []), do: fun.()
  defp call(fun, args), do: apply(fun, args)

  defp again?(:infinity), do: true
  defp again?(retries), do: retries > 1

  defp decrement(:infinity), do: :infinity
  defp decrement(retries), do: retries - 1

  defp bare({:aborted, reason}), do: reason
  defp bare({:abort, reason}), do: reason
  defp bare(reason), do: reason

  # A stopped database may be on its way up again.
  defp pause do
    receive do
    after
      :rand.uniform(10) -> :ok
    end
  end
end
