defmodule Magnesia.Cache.Flights do
  @moduledoc """
  Computations that are under way, one a key: the first process that misses a key computes it,
  those that come later wait for what comes out.

  A process that waits has said so in a table before it looks again whether there is still
  something to wait for, so none is forgotten. It watches the one that computes: when that one is
  gone without a word, the next to notice takes its place. What a value is, or where it is kept,
  is not known here.
  """

  @typedoc "The tables of a cache's computations."
  @type t :: %{running: :ets.table(), waiting: :ets.table()}

  @doc "The tables; they belong to the caller."
  @spec new() :: t()
  def new do
    %{
      running: :ets.new(__MODULE__, [:public, write_concurrency: true]),
      waiting: :ets.new(__MODULE__, [:public, :duplicate_bag, write_concurrency: true])
    }
  end

  @doc "Gives what `found` finds, or what `compute` gives, here or in another process."
  @spec fetch(map(), term(), (() -> {:ok, value} | :error), (() -> value)) :: value
        when value: term()
  def fetch(%{flights: flights} = state, key, found, compute) do
    flight = {key, self(), make_ref()}

    if :ets.insert_new(flights.running, flight) do
      run(flights, flight, found, compute)
    else
      case :ets.lookup(flights.running, key) do
        [{_key, pid, _ref}] when pid == self() -> raise ArgumentError, itself(key)
        [running] -> wait(flights, running, fn -> fetch(state, key, found, compute) end)
        [] -> fetch(state, key, found, compute)
      end
    end
  end

  defp itself(key) do
    "the fun that computes #{inspect(key)} asks for #{inspect(key)}: it would wait for itself"
  end

  # Between the miss and the take-off another one may have landed.
  defp run(flights, flight, found, compute) do
    case found.() do
      {:ok, value} -> value
      :error -> compute.()
    end
  catch
    kind, reason ->
      land(flights, flight, {:failed, kind, reason, __STACKTRACE__})
      :erlang.raise(kind, reason, __STACKTRACE__)
  else
    value ->
      land(flights, flight, {:ok, value})
      value
  end

  defp land(flights, {_key, _pid, ref} = flight, outcome) do
    true = :ets.delete_object(flights.running, flight)

    flights.waiting
    |> :ets.take(ref)
    |> Enum.each(fn {_ref, _pid, alias} -> send(alias, {alias, outcome}) end)
  end

  defp wait(flights, {_key, pid, ref} = flight, again) do
    monitor = :erlang.monitor(:process, pid, alias: :reply_demonitor)
    true = :ets.insert(flights.waiting, {ref, self(), monitor})

    if :ets.member(flights.running, elem(flight, 0)) and still?(flights, flight) do
      receive do
        {^monitor, {:ok, value}} ->
          value

        {^monitor, {:failed, kind, reason, stack}} ->
          :erlang.raise(kind, reason, stack)

        {:DOWN, ^monitor, :process, ^pid, _reason} ->
          true = :ets.delete_object(flights.running, flight)
          true = :ets.delete(flights.waiting, ref)
          again.()
      end
    else
      leave(flights, ref, monitor)
      again.()
    end
  end

  defp still?(flights, {key, _pid, _ref} = flight) do
    :ets.lookup(flights.running, key) == [flight]
  end

  # It has landed meanwhile: what it may have sent goes with the monitor.
  defp leave(flights, ref, monitor) do
    true = :ets.delete_object(flights.waiting, {ref, self(), monitor})
    _was_on = Process.demonitor(monitor, [:flush])

    receive do
      {^monitor, _outcome} -> :ok
    after
      0 -> :ok
    end
  end
end
