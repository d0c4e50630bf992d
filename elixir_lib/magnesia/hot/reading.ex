defmodule Magnesia.Hot.Reading do
  @moduledoc """
  The number of a table's rows and a checksum of them that does not depend on their order, exact
  while others write.

  A pass reads all rows, a thousand at a time, holding the table's read lock: transactions that
  write wait for its end. Writes outside of transactions don't wait. Where one came between, the
  sum of its part says nothing, and the part is read in another pass. From each sum what was
  written since the beginning of the watch is taken away, so two readings of a table under one
  watch are equal when nothing but those writes changed it. Nothing is written here.
  """

  alias Magnesia.Hot.Watch

  @chunk 1_000
  @passes_max 8

  @enforce_keys [:sums, :rows, :doubtful]
  defstruct [:sums, :rows, :doubtful]

  @type t :: %__MODULE__{
          sums: :counters.counters_ref(),
          rows: non_neg_integer(),
          doubtful: non_neg_integer()
        }

  @doc """
  Reads a table; `progress` is called with the rows that were read so far. `{:error, :behind}`
  says that the watch can't keep up with the writers.
  """
  @spec take(atom(), Watch.t(), (non_neg_integer() -> term())) :: {:ok, t()} | {:error, term()}
  def take(tab, watch, progress) do
    pass(tab, watch, progress, Watch.new(), all(), 1)
  end

  defp all, do: Enum.to_list(1..Watch.parts())

  defp pass(tab, watch, progress, sums, parts, number) do
    with {:atomic, {rows, doubtful}} <-
           :mnesia.transaction(fn -> locked(tab, watch, progress, sums, parts) end) do
      if doubtful == [] or number == @passes_max do
        {:ok, %__MODULE__{sums: sums, rows: rows, doubtful: length(doubtful)}}
      else
        pass(tab, watch, progress, sums, doubtful, number + 1)
      end
    else
      {:aborted, reason} -> {:error, reason}
    end
  end

  # All of it under the lock: a transaction that comes after it changes the sums of the watch.
  defp locked(tab, watch, progress, sums, parts) do
    :mnesia.read_lock_table(tab)
    :ok = settled(watch)
    before = Enum.map(parts, &{&1, :counters.get(watch.writes, &1)})
    fresh = Watch.new()
    rows = read(:mnesia.select(tab, [{:_, [], [:"$_"]}], @chunk, :read), fresh, 0, progress)
    :ok = settled(watch)
    {rows, for({part, count} <- before, not kept?(sums, fresh, watch, part, count), do: part)}
  end

  defp settled(watch) do
    with {:error, :behind} <- Watch.settle(watch), do: :mnesia.abort(:behind)
  end

  # A write is counted before the sum has it, so a sum that is ahead of the count shows.
  defp kept?(sums, fresh, watch, part, count) do
    :counters.put(sums, part, difference(fresh, watch.changes, part))
    :counters.get(watch.writes, part) == count
  end

  # The counters go round at 64 bits, and so must their difference.
  defp difference(sums, changes, part) do
    <<number::signed-64>> = <<:counters.get(sums, part) - :counters.get(changes, part)::64>>
    number
  end

  defp read(:"$end_of_table", _sums, count, _progress), do: count

  defp read({rows, continuation}, sums, count, progress) do
    Enum.each(rows, &Watch.add(sums, &1))
    count = count + length(rows)
    _ = progress.(count)
    read(:mnesia.select(continuation), sums, count, progress)
  end

  @doc "How many parts of two readings differ."
  @spec differing(t(), t()) :: non_neg_integer()
  def differing(one, other) do
    Enum.count(all(), &(:counters.get(one.sums, &1) != :counters.get(other.sums, &1)))
  end

  @doc "One number for all rows; equal for equal rows, whatever their order."
  @spec checksum(t()) :: non_neg_integer()
  def checksum(reading) do
    sum = Enum.reduce(all(), 0, &(&2 + :counters.get(reading.sums, &1)))
    <<number::64>> = <<sum::64>>
    number
  end
end
