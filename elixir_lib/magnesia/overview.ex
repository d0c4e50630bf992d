defmodule Magnesia.Overview do
  @moduledoc """
  The state of the running database as one map: for dashboards, and for `mix magnesia.info` and
  `mix magnesia.top`, which print it.

      iex> overview = Magnesia.Overview.take()
      iex> [city] = for table <- overview.tables, table.name == :city, do: table
      iex> {city.type, city.storage, city.rows, city.index, overview.waiting}
      {:ordered_set, :ram_copies, 3, [:country], []}

  Taking one asks for all locks, which keeps others from them for a moment: once a second is no
  burden, a thousand times is. No row is read.
  """

  alias Magnesia.Database
  alias Magnesia.Engine
  alias Magnesia.Strict.Copies
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.SystemItems
  alias Magnesia.Telemetry.Calls

  @sample_calls 20_000

  @typedoc "A table: `bytes` in memory, or on the disk of a `:disc_only_copies` table."
  @type table :: %{
          name: atom(),
          type: atom(),
          storage: atom(),
          rows: non_neg_integer(),
          bytes: non_neg_integer(),
          index: [atom()]
        }
  @typedoc "Who has a lock, or waits for one that `held_by` has, `:none` when it is just gone."
  @type lock :: %{
          required(:item) => {term(), term()},
          required(:kind) => :read | :write,
          required(:transaction) => pos_integer(),
          required(:process) => pid(),
          optional(:held_by) => pid() | :none
        }
  @typedoc """
  The whole. `directory` is nil in memory; `log` is what was written since the last dump, in
  bytes, and the number of writes since the opening; `last_dump` when a table's file was written
  last, nil for never; the counts of transactions are since the opening.
  """
  @type t :: %{
          node: node(),
          directory: String.t() | nil,
          log: %{bytes: non_neg_integer(), writes: non_neg_integer()},
          last_dump: DateTime.t() | nil,
          commits: non_neg_integer(),
          failures: non_neg_integer(),
          restarts: non_neg_integer(),
          tables: [table()],
          held: [lock()],
          waiting: [lock()]
        }

  @doc """
  Takes an overview, or tells that no database runs.

      iex> Magnesia.Overview.take().directory
      nil
  """
  @spec take() :: t() | {:error, :not_running}
  def take do
    with true <- Database.running?(),
         {commits, failures, restarts, _log_writes} <- Engine.counters(),
         %{bytes: _, writes: _} = log <- Engine.log_info() do
      directory = Copies.directory()

      %{
        node: node(),
        directory: directory,
        log: log,
        last_dump: last_dump(directory),
        commits: commits,
        failures: failures,
        restarts: restarts,
        tables: tables(),
        held: held(),
        waiting: waiting()
      }
    else
      _closed -> {:error, :not_running}
    end
  end

  @doc """
  Takes an overview with how often each table is used, by a sample of so many milliseconds.

  `rates` has calls a second by table and what they do, `:unknown` where somebody else traces the
  calls; see `Magnesia.Telemetry.Calls`.

      iex> overview = Magnesia.Overview.sample(10)
      iex> is_map(overview.rates) and is_list(overview.tables)
      true
  """
  @spec sample(pos_integer()) :: map() | {:error, :not_running}
  def sample(milliseconds) do
    rates =
      case Calls.take(milliseconds, @sample_calls) do
        {:ok, counts, spent_us} -> Map.new(counts, fn {k, n} -> {k, n * 1.0e6 / spent_us} end)
        :unknown -> :unknown
      end

    with %{} = overview <- take(), do: Map.put(overview, :rates, rates)
  end

  defp last_dump(nil), do: nil

  defp last_dump(directory) do
    files = Path.wildcard(Path.join(directory, "snap-*.msnap"))
    times = for file <- files, {:ok, stat} <- [File.stat(file, time: :posix)], do: stat.mtime
    if times == [], do: nil, else: DateTime.from_unix!(Enum.max(times))
  end

  defp tables do
    for %{name: name, storage: storage} = table <- Definition.all(),
        name != :schema and storage != :unknown do
      %{
        name: name,
        type: table.type,
        storage: storage,
        rows: count(Engine.size(name)),
        bytes: count(Engine.memory(name)),
        index: for(position <- table.index, do: Enum.at(table.attributes, position - 2))
      }
    end
    |> Enum.sort_by(& &1.name)
  end

  defp count(count) when is_integer(count), do: count
  defp count({:"$magnesia_error", _gone}), do: 0

  defp held do
    for {item, kind, {:tid, number, pid}} <- SystemItems.system_info(:held_locks) do
      %{item: item, kind: kind, transaction: number, process: pid}
    end
  end

  defp waiting do
    for {item, kind, pid, {:tid, number, _}, owner} <- SystemItems.system_info(:lock_queue) do
      %{item: item, kind: kind, transaction: number, process: pid, held_by: holder(owner)}
    end
  end

  defp holder({:tid, _number, pid}), do: pid
  defp holder(:none), do: :none
end
