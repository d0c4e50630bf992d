defmodule Magnesia.Hot.Watch do
  @moduledoc """
  What is written to a table of a stock Mnesia while it is looked at: a process that subscribes
  to the table's detailed events, which every write of Mnesia sends, in a transaction or not.

  Rows are divided by their hash into parts. For each part it keeps how many writes there were
  and by how much they changed the part's sum, in counters that others read. It holds no rows
  and never writes.
  """

  use GenServer

  @parts 65_536
  @settle_ms 10_000

  @enforce_keys [:pid, :writes, :changes]
  defstruct [:pid, :writes, :changes]

  @type t :: %__MODULE__{
          pid: pid(),
          writes: :counters.counters_ref(),
          changes: :counters.counters_ref()
        }

  @doc "Begins to watch a table that has a copy on this node."
  @spec start(atom()) :: {:ok, t()} | {:error, term()}
  def start(tab) do
    watch = %{writes: new(), changes: new(), bag?: :mnesia.table_info(tab, :type) == :bag}

    case GenServer.start(__MODULE__, {tab, watch, self()}) do
      {:ok, pid} -> {:ok, %__MODULE__{pid: pid, writes: watch.writes, changes: watch.changes}}
      {:error, reason} -> {:error, reason}
    end
  end

  @doc "Ends watching."
  @spec stop(t()) :: :ok
  def stop(watch) do
    _ = Process.exit(watch.pid, :kill)
    :ok
  end

  @doc """
  Returns once every write that was reported before is counted; exits where that takes ten
  seconds, as writers are faster than the watch.
  """
  @spec settle(t()) :: :ok
  def settle(watch), do: GenServer.call(watch.pid, :settle, @settle_ms)

  @doc "How many parts there are."
  @spec parts() :: pos_integer()
  def parts, do: @parts

  @doc "A counter for each part."
  @spec new() :: :counters.counters_ref()
  def new, do: :counters.new(@parts, [])

  @doc "Adds a row to the sum of its part, or takes it away."
  @spec add(:counters.counters_ref(), tuple(), :add | :sub) :: :ok
  def add(sums, row, direction \\ :add) do
    {part, mark} = mark(row)

    if direction == :add,
      do: :counters.add(sums, part, mark),
      else: :counters.sub(sums, part, mark)
  end

  # Equal rows have equal marks of 60 bits whatever table they come from.
  defp mark(row) do
    <<part::16, mark::60, _::bits>> = :erlang.md5(:erlang.term_to_binary(row, [:deterministic]))
    {part + 1, mark}
  end

  @impl true
  def init({tab, watch, owner}) do
    _ = Process.monitor(owner)

    case :mnesia.subscribe({:table, tab, :detailed}) do
      {:ok, _node} -> {:ok, watch}
      {:error, reason} -> {:stop, reason}
    end
  end

  @impl true
  def handle_call(:settle, _from, watch), do: {:reply, :ok, watch}

  @impl true
  def handle_info({:mnesia_table_event, {:write, _tab, new, old, _tid}}, watch)
      when is_tuple(new) and is_list(old) do
    cond do
      not watch.bag? -> change(watch, [new], old)
      new in old -> change(watch, [], [])
      true -> change(watch, [new], [])
    end

    {:noreply, watch}
  end

  def handle_info({:mnesia_table_event, {:delete, _tab, _what, old, _tid}}, watch)
      when is_list(old) do
    change(watch, [], old)
    {:noreply, watch}
  end

  def handle_info({:DOWN, _ref, :process, _owner, _reason}, watch), do: {:stop, :normal, watch}
  def handle_info(_other, watch), do: {:noreply, watch}

  defp change(watch, new, old) do
    Enum.each(new, &count(watch, &1, :add))
    Enum.each(old, &count(watch, &1, :sub))
  end

  defp count(watch, row, direction) do
    {part, _mark} = mark(row)
    :counters.add(watch.writes, part, 1)
    add(watch.changes, row, direction)
  end
end
