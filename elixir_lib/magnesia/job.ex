defmodule Magnesia.Job do
  @moduledoc """
  One schema operation in a process of its own, which a stop of the database can end.

  The process is inside the engine, where it takes the time that the work takes, or outside: it
  waits for a lock or calls a user's fun, which may never end. Only outside can it be ended, so
  that no call of the engine is under way when the database is closed. What the operation does
  is not known here.
  """

  @typedoc "A job under way: its process, the monitor of it, and where it is."
  @type t :: {pid(), reference(), :atomics.atomics_ref()}

  @key :magnesia_job
  @outside 0
  @inside 1
  @ended 2
  @told 3

  @doc "Starts a job; its monitor's reason is `{:done, value}` or what the fun failed with."
  @spec start((() -> term())) :: t()
  def start(fun) do
    place = :atomics.new(1, signed: false)
    :atomics.put(place, 1, @inside)

    {pid, monitor} =
      spawn_monitor(fn ->
        :erlang.put(@key, place)
        exit({:done, fun.()})
      end)

    {pid, monitor, place}
  end

  @doc "Ends a job: at once when it is outside the engine, else when it next goes there."
  @spec stop(t()) :: :ok
  def stop({pid, _monitor, place} = job) do
    case :atomics.compare_exchange(place, 1, @outside, @ended) do
      :ok -> _ = Process.exit(pid, :kill)
      @inside -> if :atomics.compare_exchange(place, 1, @inside, @told) != :ok, do: stop(job)
      _ended_or_told -> :ok
    end

    :ok
  end

  @doc "Runs what may take for ever and calls no function of the engine that changes a schema."
  @spec outside((() -> value)) :: value when value: term()
  def outside(fun) do
    case :erlang.get(@key) do
      :undefined -> fun.()
      place -> leave(:atomics.compare_exchange(place, 1, @inside, @outside), place, fun)
    end
  end

  defp leave(:ok, place, fun) do
    fun.()
  after
    _ = if :atomics.compare_exchange(place, 1, @outside, @inside) != :ok, do: await_end()
  end

  defp leave(@outside, _place, fun), do: fun.()
  defp leave(_ended_or_told, _place, _fun), do: exit(:stopped)

  @doc "Tells whether this process is a job that a stop of the database has ended."
  @spec stopped?() :: boolean()
  def stopped? do
    case :erlang.get(@key) do
      :undefined -> false
      place -> :atomics.get(place, 1) in [@ended, @told]
    end
  end

  @spec await_end() :: no_return()
  defp await_end do
    receive do
      {@key, :never} -> exit(:stopped)
    end
  end

  @doc "What a job's caller hears, of the reason that the job ended with."
  @spec outcome(t(), term()) :: term()
  def outcome(_job, {:done, {:aborted, :stopped}}), do: not_running()
  def outcome(_job, {:done, value}), do: value

  def outcome({_pid, _monitor, place}, reason) do
    if :atomics.get(place, 1) in [@ended, @told],
      do: not_running(),
      else: {:aborted, {:transaction_crashed, reason}}
  end

  @doc "What an operation answers that the stop of the database did not let happen."
  @spec not_running() :: {:aborted, {:node_not_running, node()}}
  def not_running, do: {:aborted, {:node_not_running, node()}}
end
