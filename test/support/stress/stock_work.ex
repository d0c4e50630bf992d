defmodule Magnesia.Stress.StockWork do
  @moduledoc """
  Tells how much of a time slice Mnesia's own processes spent in functions of ours: those that
  carry out schema operations and those that dump its log, which work on stock tables too. They
  are traced, with each call of the given modules, as long as they make few: one that works
  through a table calls us for each row, and nothing is said of it from then on, as of any other
  process.
  """

  # The processes, by the functions that they begin with.
  @begins [{:mnesia_schema, :schema_coordinator}, {:mnesia_controller, :dump_and_reply}]
  @flags [:procs, :call, :arity, :set_on_spawn, :monotonic_timestamp]

  # Above this a trace would be the most of the work.
  @calls_max 1000

  @typedoc "For each process: how deep it is in ours, since when, and the times it was before."
  @type t :: %{pid => {non_neg_integer, integer, [{integer, integer}]}}

  @doc "Begins to trace what these processes and Mnesia's controller spawn; the tracer is self()."
  @spec begin([pid], [module]) :: t
  def begin(spawners, modules) do
    for module <- modules do
      {:module, ^module} = Code.ensure_loaded(module)
      :erlang.trace_pattern({module, :_, :_}, [{:_, [], [{:exception_trace}]}], [])
    end

    controller = Process.whereis(:mnesia_controller)
    for pid <- [controller | spawners], is_pid(pid), do: :erlang.trace(pid, true, @flags)
    %{}
  end

  @doc "Ends it."
  @spec stop([module]) :: :ok
  def stop(modules) do
    :erlang.trace(:all, false, [:all])
    for module <- modules, do: :erlang.trace_pattern({module, :_, :_}, false, [])
    :ok
  end

  @doc "Takes one trace message."
  @spec heard(t, tuple) :: t
  def heard(known, {:trace_ts, pid, :spawned, _parent, {module, function, _}, _at}) do
    if {module, function} in @begins do
      Map.put(known, pid, {0, 0, []})
    else
      untraced(pid)
      known
    end
  end

  def heard(known, {:trace_ts, pid, :call, _function, at}), do: moved(known, pid, 1, at)

  def heard(known, {:trace_ts, pid, left, _function, _value, at})
      when left in [:return_from, :exception_from],
      do: moved(known, pid, -1, at)

  def heard(known, _other), do: known

  defp moved(known, pid, by, at) do
    case known do
      %{^pid => {0, _since, times}} -> %{known | pid => {1, at, times}}
      %{^pid => {1, since, times}} when by < 0 -> ended(known, pid, [{since, at} | times])
      %{^pid => {depth, since, times}} -> %{known | pid => {depth + by, since, times}}
      %{} -> known
    end
  end

  defp ended(known, pid, times) when length(times) <= @calls_max,
    do: %{known | pid => {0, 0, times}}

  defp ended(known, pid, _times) do
    untraced(pid)
    Map.delete(known, pid)
  end

  # It may be gone.
  defp untraced(pid) do
    :erlang.trace(pid, false, [:all])
  rescue
    ArgumentError -> 0
  end

  @doc """
  How many milliseconds of those from `since` to now, by the VM's monotonic time, one of Mnesia's
  own processes was in functions of ours, with what it has told until now; nil of all others, of
  one that has called us often, and where nothing is traced.
  """
  @spec ours(t | nil, pid, integer) :: {t | nil, float | nil}
  def ours(nil, _pid, _since), do: {nil, nil}

  def ours(known, pid, since) do
    now = :erlang.monotonic_time()
    known = delivered(known, pid, :erlang.trace_delivered(pid))
    since = System.convert_time_unit(since, :millisecond, :native)
    {known, known |> Map.get(pid) |> within(since, now)}
  end

  defp delivered(known, pid, ref) do
    receive do
      {:trace_delivered, ^pid, ^ref} -> known
      message when elem(message, 0) == :trace_ts -> delivered(heard(known, message), pid, ref)
    end
  end

  defp within(nil, _since, _now), do: nil

  defp within({depth, began, times}, since, now) do
    times = if depth > 0, do: [{began, now} | times], else: times
    spent = for {from, to} <- times, do: max(min(to, now) - max(from, since), 0)
    System.convert_time_unit(Enum.sum(spent), :native, :microsecond) / 1000
  end
end
