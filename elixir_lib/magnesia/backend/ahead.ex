defmodule Magnesia.Backend.Ahead do
  @moduledoc """
  Transactions on disk tables, whole or not at all after a crash.

  Mnesia does a commit's operations one by one, and its own log is on disk too late to say after
  a crash what the rest would have been. So the first operation of a commit has all of them
  logged by the engine as one record, which owes the rest to the log until the process has done
  them: a dump in between logs what is owed again, and the operations themselves are not logged a
  second time. Mnesia doesn't say where a commit begins: its transaction
  store, in the process that commits, does. Where that is not as known here, operations stand
  alone. On other nodes than the one that commits there is no store; these load the table from
  another node after a crash. Nothing here may raise.
  """

  alias Magnesia.Engine

  @operations [:write, :delete, :delete_object]

  @doc "Logs the commit that an operation is the first of."
  @spec log(Magnesia.Backend.table(), term(), tuple(), atom()) :: :ok
  def log(tab, key, record, operation) do
    case :erlang.get(:mnesia_activity_state) do
      {_mod, {:tid, _, _} = tid, {:tidstore, store, _upper, _level}} ->
        if :erlang.get(__MODULE__) == tid,
          do: :ok,
          else: first(tid, store, tab, key, record, operation)

      _no_transaction ->
        :ok
    end
  end

  # A dirty operation inside a transaction is none of the store's.
  defp first(tid, store, tab, key, record, operation) do
    _ =
      if {{tab, key}, record, operation} in :ets.lookup(store, {tab, key}) do
        _ = :erlang.put(__MODULE__, tid)
        Engine.log_ahead(operations(:ets.tab2list(store)))
      end

    :ok
  catch
    :error, _no_store -> :ok
  end

  defp operations(store) do
    for {{tab, key}, record, operation} when operation in @operations <- store do
      {[tab], operation, if(operation == :delete, do: key, else: record)}
    end
  end
end
