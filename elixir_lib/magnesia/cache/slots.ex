defmodule Magnesia.Cache.Slots do
  @moduledoc """
  The places of a cache: as many as it may have rows, each with at most one key.

  A place is idle, read since it was last looked at, or claimed by the one process that changes
  what is in it; that is one atomic word, and another counts the place's bytes. A writer takes a
  free place or goes around by turns, passing those that were read once, and empties the place
  that it claims before it fills it. Bytes are reserved before a row is written. A row names its
  place, so a place whose row has moved elsewhere empties nothing. No process is asked.
  """

  alias Magnesia.Engine

  @idle 0
  @read 1
  @claimed 2

  # Looks at places that others have claimed, beside those at places that were read.
  @patience 10_000

  @typedoc "A cache's places, in the state of `Magnesia.Cache`."
  @type t :: %{
          :name => atom(),
          :slots => :atomics.atomics_ref(),
          :sizes => :atomics.atomics_ref(),
          :marks => :atomics.atomics_ref(),
          :keys => :ets.table(),
          :free => :ets.table(),
          :owners => :ets.table(),
          :rows => pos_integer(),
          :bytes => pos_integer() | :infinity,
          optional(atom()) => term()
        }

  # Words of `marks`.
  @hand 1
  @fresh 2
  @total 3

  @doc "Places for so many rows and bytes; the tables belong to the caller."
  @spec new(pos_integer(), pos_integer() | :infinity | nil) :: map()
  def new(rows, bytes) do
    %{
      slots: :atomics.new(rows, []),
      sizes: :atomics.new(rows, []),
      marks: :atomics.new(3, []),
      keys: :ets.new(__MODULE__, [:public, write_concurrency: true]),
      free: :ets.new(__MODULE__, [:public, write_concurrency: true]),
      owners: :ets.new(__MODULE__, [:public, write_concurrency: true]),
      rows: rows,
      bytes: bytes || :infinity
    }
  end

  @doc "Bytes that are reserved."
  @spec bytes(t()) :: non_neg_integer()
  def bytes(state), do: :atomics.get(state.marks, @total)

  @doc "Notes that the row of a place was read."
  @spec touch(t(), pos_integer()) :: :ok
  def touch(%{slots: slots}, slot) do
    if :atomics.get(slots, slot) == @idle do
      _now = :atomics.compare_exchange(slots, slot, @idle, @read)
      :ok
    else
      :ok
    end
  end

  @doc "Writes a row and answers how many others had to go."
  @spec write(t(), term(), term(), integer() | :infinity) :: non_neg_integer()
  def write(state, key, value, expires) do
    size = :erlang.external_size(key) + :erlang.external_size(value)

    with true <- size <= state.bytes,
         {slot, evicted} <- place(state, key) do
      case reserve(state, size, evicted) do
        {:ok, evicted} ->
          :atomics.put(state.sizes, slot, size)
          :ets.insert(state.keys, {slot, key})
          :ok = :magnesia.dirty_write(state.name, {state.name, key, value, expires, slot})
          :atomics.put(state.slots, slot, @idle)
          evicted

        {:full, evicted} ->
          more = empty(state, slot)
          release(state, slot)
          delete(state, key)
          evicted + more
      end
    else
      # What finds no room is not kept, and what the key had before is not true any more.
      _no_room ->
        delete(state, key)
        0
    end
  end

  # The place that the key has, or another.
  defp place(state, key) do
    with [{_name, _key, _value, _expires, slot}] <- Engine.read(state.name, key),
         true <- claim?(state, slot),
         true <- still?(state, key, slot) do
      give_back(state, slot)
      {slot, 0}
    else
      _ -> new_place(state)
    end
  end

  # A place that was claimed for a row that is no longer in it goes back as it was.
  defp still?(state, key, slot) do
    if match?([{_name, _key, _value, _expires, ^slot}], Engine.read(state.name, key)) do
      true
    else
      :atomics.put(state.slots, slot, @idle)
      false
    end
  end

  defp new_place(state) do
    with :none <- freed(state), :none <- fresh(state) do
      case turn(state) do
        :full -> :full
        slot -> {slot, empty(state, slot)}
      end
    else
      slot -> {slot, 0}
    end
  end

  defp freed(state) do
    case :ets.first(state.free) do
      :"$end_of_table" ->
        :none

      slot ->
        if :ets.take(state.free, slot) != [] and claim?(state, slot),
          do: tap(slot, &empty(state, &1)),
          else: freed(state)
    end
  end

  defp fresh(%{marks: marks, rows: rows} = state) do
    if :atomics.get(marks, @fresh) < rows do
      slot = :atomics.add_get(marks, @fresh, 1)
      if slot <= rows and claim?(state, slot), do: tap(slot, &empty(state, &1)), else: :none
    else
      :none
    end
  end

  # Around by turns: a place that was read is passed, once. Where all places are claimed by others
  # there is none.
  defp turn(state), do: turn(state, 3 * state.rows + @patience)
  defp turn(_state, 0), do: :full

  defp turn(%{slots: slots, marks: marks, rows: rows} = state, left) do
    slot = rem(:atomics.add_get(marks, @hand, 1), rows) + 1

    cond do
      :atomics.compare_exchange(slots, slot, @read, @idle) == :ok -> turn(state, left - 1)
      claimed?(state, slot, @idle) -> slot
      true -> turn(state, left - 1)
    end
  end

  defp claim?(state, slot), do: claimed?(state, slot, @idle) or claimed?(state, slot, @read)

  defp claimed?(state, slot, from) do
    if :atomics.compare_exchange(state.slots, slot, from, @claimed) == :ok,
      do: :ets.insert(state.owners, {slot, self()}),
      else: false
  end

  # Empties a claimed place; answers how many rows went.
  defp empty(state, slot) do
    give_back(state, slot)

    case :ets.lookup(state.keys, slot) do
      [{_slot, key}] ->
        gone = drop(state, slot, Engine.read(state.name, key))
        :ets.delete(state.keys, slot)
        gone

      [] ->
        0
    end
  end

  defp drop(state, slot, [{_name, _key, _value, _expires, slot} = row]) do
    :ok = :magnesia.dirty_delete_object(state.name, row)
    1
  end

  defp drop(_state, _slot, _other), do: 0

  defp give_back(state, slot) do
    size = :atomics.exchange(state.sizes, slot, 0)
    :atomics.sub(state.marks, @total, size)
  end

  # Reserves bytes, and lets rows go until they fit.
  defp reserve(%{bytes: :infinity, marks: marks}, size, evicted) do
    :atomics.add(marks, @total, size)
    {:ok, evicted}
  end

  defp reserve(%{marks: marks, bytes: bytes} = state, size, evicted) do
    used = :atomics.get(marks, @total)

    if used + size <= bytes do
      if :atomics.compare_exchange(marks, @total, used, used + size) == :ok,
        do: {:ok, evicted},
        else: reserve(state, size, evicted)
    else
      case turn(state) do
        :full ->
          {:full, evicted}

        slot ->
          gone = empty(state, slot)
          release(state, slot)
          reserve(state, size, evicted + gone)
      end
    end
  end

  defp release(state, slot) do
    :ets.insert(state.free, {slot})
    :atomics.put(state.slots, slot, @idle)
  end

  @doc "Removes a key."
  @spec delete(t(), term()) :: :ok
  def delete(state, key) do
    case Engine.read(state.name, key) do
      [{_name, _key, _value, _expires, slot} = row] ->
        if claim?(state, slot) do
          _rows = empty(state, slot)
          release(state, slot)
        end

        # The place may have been another's by then.
        :magnesia.dirty_delete_object(state.name, row)

      _none ->
        :ok
    end
  end

  @doc "Removes the rows whose time is over; answers how many."
  @spec sweep(t(), integer()) :: non_neg_integer()
  def sweep(state, now) do
    spec = [{{state.name, :"$1", :_, :"$2", :_}, [{:"=<", :"$2", now}], [{{:"$1", :"$2"}}]}]
    dead = :magnesia.dirty_select(state.name, spec)
    Enum.count(dead, fn {key, expires} -> expired?(state, key, expires) end)
  end

  defp expired?(state, key, expires) do
    with [{_name, _key, _value, ^expires, slot}] <- Engine.read(state.name, key),
         true <- claim?(state, slot) do
      gone = empty(state, slot)
      release(state, slot)
      gone == 1
    else
      _ -> false
    end
  end

  @doc "The places that processes have claimed that are no more, with them."
  @spec abandoned(t()) :: [{pos_integer(), pid()}]
  def abandoned(state) do
    for {slot, pid} <- :ets.tab2list(state.owners),
        :atomics.get(state.slots, slot) == @claimed,
        not Process.alive?(pid),
        do: {slot, pid}
  end

  @doc "Empties places that were abandoned."
  @spec reclaim(t(), [{pos_integer(), pid()}]) :: :ok
  def reclaim(state, places) do
    for {slot, _pid} <- places do
      _rows = empty(state, slot)
      release(state, slot)
    end

    :ok
  end
end
