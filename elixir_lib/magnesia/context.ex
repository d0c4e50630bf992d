defmodule Magnesia.Context do
  @moduledoc """
  Where a call of `Magnesia` runs: in the transaction that the process is in, in its dirty block,
  or in a transaction of its own.

  Inside a transaction a failure leaves as the exit that restarts or ends it, and must never be
  caught on the way. Everywhere else it becomes an exception. Rows are no business of this room.
  """

  alias Magnesia.Error
  alias Magnesia.NoTransactionError
  alias Magnesia.Options
  alias Magnesia.Strict.Activity
  alias Magnesia.TransactionError

  @doc "Runs a call on a table where it belongs and answers its value, or raises."
  @spec run(term(), (() -> value)) :: value when value: term()
  def run(table, fun) do
    case Activity.state() do
      :undefined -> alone(table, fun)
      {_mod, _id, :non_transaction} -> dirty(table, fun)
      _transaction -> fun.()
    end
  end

  defp alone(table, fun) do
    case Activity.transaction(:undefined, fun, [], :infinity, :magnesia, false) do
      {:atomic, value} -> value
      {:aborted, reason} -> refuse(reason, table)
    end
  end

  @doc "Runs a call where the process is, without a transaction of its own, or raises."
  @spec run_here(term(), (() -> value)) :: value when value: term()
  def run_here(table, fun) do
    if :magnesia.is_transaction(), do: fun.(), else: dirty(table, fun)
  end

  @doc "Runs a dirty call on a table and answers its value, or raises."
  @spec dirty(term(), (() -> value)) :: value when value: term()
  def dirty(table, fun) do
    fun.()
  catch
    :exit, {:aborted, reason} -> refuse(reason, table)
  end

  @doc "Runs a fun in which every call is dirty; inside a transaction it is a part of that."
  @spec dirty_block((() -> value), keyword()) :: value when value: term()
  def dirty_block(fun, options) do
    Options.validate!(options, [sync: boolean()], "Magnesia.dirty/2")
    kind = if options[:sync], do: :sync_dirty, else: :async_dirty

    case Activity.state() do
      {_mod, {:tid, _, _}, _store} -> fun.()
      state -> block(state, fun, kind)
    end
  end

  defp block(state, fun, kind) do
    Activity.dirty(state, fun, [], kind, :magnesia)
  catch
    :exit, {:aborted, reason} -> refuse(reason, nil)
    :exit, reason -> raised(reason) || exit(reason)
  end

  @transaction_rules [
    retries: {&__MODULE__.retries?/1, "a number of runs that is not negative, or :infinity"},
    sync: {&is_boolean/1, "true or false"},
    rescue: {&is_boolean/1, "true or false"}
  ]

  @doc "Tells whether a value says how often a transaction may run."
  @spec retries?(term()) :: boolean()
  def retries?(value), do: value == :infinity or (is_integer(value) and value >= 0)

  defp boolean, do: {&is_boolean/1, "true or false"}

  @doc "Runs a fun as a transaction."
  @spec transaction((() -> value), keyword()) :: {:ok, value} | {:error, TransactionError.t()}
        when value: term()
  def transaction(fun, options) do
    Options.validate!(options, @transaction_rules, "Magnesia.transaction/2")
    retries = Keyword.get(options, :retries, :infinity)
    sync? = Keyword.get(options, :sync, false)

    case Activity.transaction(Activity.state(), fun, [], retries, :magnesia, sync?) do
      {:atomic, value} -> {:ok, value}
      {:aborted, reason} -> failed(reason, Keyword.get(options, :rescue, false))
    end
  end

  defp failed({error, [{_, _, _, _} | _]} = reason, true) do
    exception = Exception.normalize(:error, error, elem(reason, 1))
    failure = Error.new(TransactionError, {:raised, exception}, nil)
    {:error, %{failure | reason: reason}}
  end

  defp failed(reason, _rescue?) do
    raised(reason)
    {:error, Error.new(TransactionError, reason, nil)}
  end

  @doc "Ends the transaction with a reason."
  @spec rollback(term()) :: no_return()
  def rollback(reason) do
    if :magnesia.is_transaction() do
      :magnesia.abort(reason)
    else
      raise NoTransactionError, reason: :no_transaction
    end
  end

  @doc "Raises what a failed call on a table has to raise."
  @spec refuse(term(), term()) :: no_return()
  def refuse(reason, table) do
    raised(reason)
    raise Error.new(TransactionError, reason, table)
  end

  # An exception that ended an activity comes as itself and its stack.
  defp raised({error, [{_, _, _, _} | _] = stack}), do: :erlang.raise(:error, error, stack)
  defp raised(_reason), do: nil
end
