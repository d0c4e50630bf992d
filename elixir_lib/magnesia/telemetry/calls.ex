defmodule Magnesia.Telemetry.Calls do
  @moduledoc """
  How often tables are used, by a sample of the calls at the gate to the engine.

  The VM's call tracing is switched on for those functions, and off again after a time or a number
  of calls, whichever comes first, so that nothing is paid by whoever is not looked at. A traced
  call takes some microseconds more: of a process that does nothing else fewer are counted. Where
  somebody else traces one of them, or another sample is being taken, nothing is known. No row and
  no key is looked at.
  """

  alias Magnesia.Engine

  @functions %{
    {:read, 2} => :read,
    {:index_read, 3} => :read,
    {:tx_read, 4} => :read,
    {:write, 2} => :write,
    {:write_bare, 2} => :write,
    {:tx_write, 4} => :write,
    {:update_counter, 3} => :counter,
    {:delete, 2} => :delete,
    {:delete_bare, 2} => :delete,
    {:delete_object, 2} => :delete,
    {:delete_object_bare, 2} => :delete,
    {:tx_delete, 4} => :delete,
    {:tx_delete_object, 4} => :delete,
    {:tx_lock, 3} => :lock,
    {:first, 1} => :step,
    {:last, 1} => :step,
    {:next, 2} => :step,
    {:prev, 2} => :step,
    {:slot, 2} => :step,
    {:select_all, 2} => :select,
    {:select_chunk, 3} => :select,
    {:select_ordered, 4} => :select
  }

  # One pattern for all of the module's functions, as the VM stops for each that is set: the table
  # is the first argument, or the one behind a transaction's context, or in what is to be locked.
  @all {Engine, :_, :_}
  @name [{:orelse, {:is_atom, :"$1"}, {:is_list, :"$1"}}]
  @in_transaction [{:is_reference, :"$2"} | @name]
  @tell [{:message, :"$1"}]
  @spec_of_all [
    {[:"$1"], @name, @tell},
    {[:"$1", :_], @name, @tell},
    {[:"$1", :_, :_], @name, @tell},
    {[:"$1", :_, :_, :_], @name, @tell},
    {[:"$2", :"$1", :_, :_], @in_transaction, @tell},
    {[:_, {:table, :"$1"}, :_], @name, @tell},
    {[:_, {:record, :"$1", :_}, :_], @name, @tell},
    {:_, [], [{:message, false}]}
  ]

  @typedoc "What a call does with a table; `:select` is a whole query or its first part."
  @type operation :: :read | :write | :delete | :counter | :select | :step | :lock
  @typedoc "Calls by table (of a stock Mnesia's the list of its name) and operation."
  @type counts :: %{{atom() | [atom()], operation()} => pos_integer()}

  @doc "Counts for so many milliseconds or calls; answers with the microseconds that it took."
  @spec take(pos_integer(), pos_integer()) :: {:ok, counts(), pos_integer()} | :unknown
  def take(milliseconds, calls_max) do
    if free?(),
      do: Task.await(Task.async(fn -> alone(milliseconds, calls_max) end), :infinity),
      else: :unknown
  end

  # The name is taken while another sample is.
  defp alone(milliseconds, calls_max) do
    Process.register(self(), __MODULE__)
  rescue
    ArgumentError -> :unknown
  else
    true -> traced(milliseconds, calls_max)
  end

  defp free? do
    Enum.all?(@functions, fn {{name, arity}, _class} ->
      :erlang.trace_info({Engine, name, arity}, :traced) in [{:traced, false}, :undefined]
    end)
  end

  # The flags on processes go with the process that is told, so it ends before the pattern goes,
  # which takes longer, and takes nobody else's flags off.
  defp traced(milliseconds, calls_max) do
    _ = :erlang.trace_pattern(@all, @spec_of_all, [:local])
    Task.await(Task.async(fn -> told(milliseconds, calls_max) end), :infinity)
  after
    _ = :erlang.trace_pattern(@all, false, [:local])
  end

  # It comes before others, so that few more calls are told than are counted.
  defp told(milliseconds, calls_max) do
    _ = Process.flag(:priority, :high)
    _ = Process.flag(:message_queue_data, :off_heap)
    began = :erlang.monotonic_time(:microsecond)
    _ = :erlang.trace(:all, true, [:call, :arity])
    counts = collect(%{}, calls_max, began + milliseconds * 1_000)
    {:ok, counts, max(:erlang.monotonic_time(:microsecond) - began, 1)}
  end

  defp collect(counts, 0, _until), do: counts

  defp collect(counts, left, until) do
    wait = max(div(until - :erlang.monotonic_time(:microsecond) + 999, 1_000), 0)

    receive do
      {:trace, _pid, :call, {Engine, name, arity}, table} ->
        collect(counted(counts, @functions[{name, arity}], table), left - 1, until)
    after
      wait -> counts
    end
  end

  # The gate has other functions whose first argument is an atom.
  defp counted(counts, nil, _table), do: counts
  defp counted(counts, class, table), do: Map.update(counts, {table, class}, 1, &(&1 + 1))
end
