defmodule Magnesia.Hot.Watch do
  @moduledoc """
  What is written to a table of a stock Mnesia while it is looked at: a process that subscribes
  to the table's detailed events, which every write of Mnesia sends, in a transaction or not.

  Rows are divided by their hash into parts. For each part it keeps how many writes there were
  and by how much they changed the part's sum, in counters that others read. It holds no rows
  and never writes. It ends where writers leave it a million events behind, so that the memory of
  the node is not filled with events.
  """

  use GenServer

  @parts 65_536
  @settle_ms 10_000
  # Events that wait, of writers that are faster than the watch: each holds up to two rows.
  @queue_max 1_000_000
  @look_every 10_000

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

    # Or every collection of garbage would copy all events that wait.
    options = [spawn_opt: [message_queue_data: :off_heap]]

    case GenServer.start(__MODULE__, {tab, watch, self()}, options) do
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
  Returns once every write that was reported before is counted; `{:error, :behind}` where that
  takes ten seconds or the watch has ended, as writers are faster than it is.
  """
  @spec settle(t()) :: :ok | {:error, :behind}
  def settle(watch) do
    GenServer.call(watch.pid, :settle, @settle_ms)
  catch
    :exit, _late_or_gone -> {:error, :behind}
  end

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
      {:ok, _node} -> {:ok, Map.put(watch, :seen, 0)}
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

    counted(watch)
  end

  def handle_info({:mnesia_table_event, {:delete, _tab, _what, old, _tid}}, watch)
      when is_list(old) do
    change(watch, [], old)
    counted(watch)
  end

  def handle_info({:DOWN, _ref, :process, _owner, _reason}, watch), do: {:stop, :normal, watch}
  def handle_info(_other, watch), do: counted(watch)

  defp counted(%{seen: @look_every} = watch) do
    {:message_queue_len, waiting} = Process.info(self(), :message_queue_len)

    if waiting > @queue_max,
      do: {:stop, {:shutdown, :behind}, watch},
      else: {:noreply, %{watch | seen: 0}}
  end

  defp counted(watch), do: {:noreply, %{watch | seen: watch.seen + 1}}

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
