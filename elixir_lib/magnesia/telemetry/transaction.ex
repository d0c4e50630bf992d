defmodule Magnesia.Telemetry.Transaction do
  @moduledoc """
  The events of transactions, of their restarts and waits. Called only while somebody listens.

  What an outermost transaction has waited and how often it was restarted is summed in the process
  dictionary while it runs. A transaction's outcome is never changed here.
  """

  alias Magnesia.Telemetry

  @sums :magnesia_telemetry
  @none %{restarts: 0, lock_waits: 0, lock_wait_time: 0}

  @doc "Runs a fun that is a whole transaction between its events."
  @spec run(boolean(), module(), (() -> outcome)) :: outcome when outcome: term()
  def run(sync?, access, fun) do
    began = :erlang.monotonic_time()
    activity = if sync?, do: :sync_transaction, else: :transaction
    metadata = %{activity: activity, access: access, telemetry_span_context: make_ref()}
    started = %{monotonic_time: began, system_time: :erlang.system_time()}
    Telemetry.execute([:magnesia, :transaction, :start], started, metadata)
    outer = :erlang.put(@sums, @none)
    outcome = fun.()
    sums = sums(:erlang.erase(@sums))
    _ = if outer != :undefined, do: :erlang.put(@sums, outer)
    {event, facts} = facts(outcome)
    measurements = Map.merge(sums, Telemetry.since(began))
    Telemetry.execute([:magnesia, :transaction, event], measurements, Map.merge(metadata, facts))
    outcome
  end

  defp facts({:atomic, _value}), do: {:stop, %{result: :commit, reason: nil}}

  defp facts({:aborted, {reason, [frame | _] = stack}})
       when is_tuple(frame) and tuple_size(frame) == 4 and is_list(elem(frame, 3)) do
    {:exception, %{kind: :error, reason: reason, stacktrace: stack}}
  end

  defp facts({:aborted, reason}), do: {:stop, %{result: :abort, reason: reason}}

  @doc "Waits, and tells that it was for a lock."
  @spec wait(tuple(), atom(), (() -> value)) :: value when value: term()
  def wait(oid, lock, fun) do
    began = :erlang.monotonic_time()
    value = fun.()
    duration = :erlang.monotonic_time() - began
    add(:lock_waits, 1)
    add(:lock_wait_time, duration)
    Telemetry.execute([:magnesia, :lock, :wait], %{duration: duration}, of(oid, lock))
    value
  end

  @doc "Waits until the transaction may run again, and tells of the restart."
  @spec restart(tuple(), atom(), (() -> value)) :: value when value: term()
  def restart(oid, lock, fun) do
    began = :erlang.monotonic_time()
    value = fun.()
    duration = :erlang.monotonic_time() - began
    add(:restarts, 1)
    execute_restart(%{duration: duration}, of(oid, lock))
    value
  end

  defp execute_restart(measurements, metadata) do
    Telemetry.execute([:magnesia, :transaction, :restart], measurements, metadata)
  end

  @doc "Waits for the disk, and tells how long."
  @spec sync(:commit | :asked, (() -> value)) :: value when value: term()
  def sync(cause, fun) do
    began = :erlang.monotonic_time()
    value = fun.()
    duration = :erlang.monotonic_time() - began
    Telemetry.execute([:magnesia, :log, :sync], %{duration: duration}, %{cause: cause})
    value
  end

  defp of({:global, _key}, lock), do: %{table: :global, item: :global, lock: lock}
  defp of({tab, :______WHOLETABLE_____}, lock), do: %{table: tab, item: :table, lock: lock}
  defp of({tab, _key}, lock), do: %{table: tab, item: :record, lock: lock}

  # Who has begun to listen in the middle of a transaction hears of it from there on.
  defp sums(:undefined), do: @none
  defp sums(sums), do: sums

  defp add(name, count) do
    case :erlang.get(@sums) do
      :undefined -> :ok
      sums -> :erlang.put(@sums, Map.update!(sums, name, &(&1 + count)))
    end
  end
end
