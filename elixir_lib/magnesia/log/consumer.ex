defmodule Magnesia.Log.Consumer do
  @moduledoc """
  A process that follows a log from its bookmark and hands each entry to a fun.

  The fun gets a list of entries and runs in the transaction that moves the bookmark, so its
  writes into the database happen exactly once for each entry, whatever dies when. What it does
  outside of the database may happen again after a crash. A fun that fails ends the process; its
  supervisor starts it again at the bookmark.

      children = [
        {Magnesia.Log.Consumer, log: :orders_log, name: :invoices, handler: &Invoices.add/1}
      ]

  Options: `:log`, `:name` (the consumer's, any term), `:handler`, `:batch` (entries a
  transaction, 100). The process keeps nothing but the place where it is.
  """

  use GenServer

  alias Magnesia.Engine
  alias Magnesia.Log
  alias Magnesia.Options
  alias Magnesia.Telemetry

  @batch 100

  @doc false
  @spec child_spec(keyword()) :: Supervisor.child_spec()
  def child_spec(options) do
    %{
      id: {__MODULE__, options[:log], options[:name]},
      start: {__MODULE__, :start_link, [options]}
    }
  end

  @doc """
  Starts the process.

      iex> me = self()
      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> tell = fn entries -> send(me, {:changed, for(entry <- entries, do: entry.data)}) end
      iex> options = [log: :city_log, name: :map, handler: tell]
      iex> {:ok, consumer} = Magnesia.Log.Consumer.start_link(options)
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> receive do: ({:changed, records} -> records)
      [{:city, "Rome", :it, 2800}]
      iex> GenServer.stop(consumer)
      :ok
  """
  @spec start_link(keyword()) :: GenServer.on_start()
  def start_link(options) do
    rules = [
      log: {&is_atom/1, "a log"},
      name: {fn _ -> true end, "the consumer's name"},
      handler: {&is_function(&1, 1), "a fun of a list of entries"},
      batch: {&(is_integer(&1) and &1 > 0), "entries a transaction"}
    ]

    Options.validate!(options, rules, "Magnesia.Log.Consumer.start_link/1")
    GenServer.start_link(__MODULE__, options)
  end

  @impl true
  def init(options) do
    state = %{
      log: Keyword.fetch!(options, :log),
      name: Keyword.fetch!(options, :name),
      handler: Keyword.fetch!(options, :handler),
      batch: options[:batch] || @batch
    }

    {:ok, state, {:continue, :follow}}
  end

  @impl true
  def handle_continue(:follow, state), do: follow(state)

  @impl true
  def handle_info({:"$magnesia_log", log}, %{log: log} = state), do: follow(state)
  def handle_info(:follow, state), do: follow(state)
  def handle_info(_message, state), do: {:noreply, state}

  # One batch a turn, so that messages to the process, its end among them, are not kept waiting.
  defp follow(state) do
    position = Log.bookmark(state.log, state.name)

    case Log.read(state.log, position, state.batch) do
      [] ->
        _ = if Engine.log_wait(state.log, position) != :wait, do: send(self(), :follow)
        {:noreply, state}

      entries ->
        :ok = told(entries, position, state)
        {:noreply, state, {:continue, :follow}}
    end
  end

  defp told(entries, position, %{log: log, name: name} = state) do
    Telemetry.span([:magnesia, :change_log, :batch], %{log: log, consumer: name}, fn ->
      :ok = work(entries, position, state)
      {:ok, %{entries: length(entries), position: List.last(entries).number}, %{}}
    end)
  end

  # Another process of the same name may have been here meanwhile.
  defp work(entries, position, state) do
    :magnesia.activity(:transaction, fn ->
      if Log.bookmark(state.log, state.name) == position do
        _ = state.handler.(entries)
        Log.acknowledge(state.log, state.name, List.last(entries).number)
      else
        :ok
      end
    end)
  end
end
