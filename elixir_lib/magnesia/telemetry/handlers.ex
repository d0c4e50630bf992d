defmodule Magnesia.Telemetry.Handlers do
  @moduledoc """
  The handlers that are attached with `Magnesia.Telemetry`, and the calling of them.

  They are in a table that whoever emits reads for itself; this process alone changes it, and
  turns the switch of the frequent events with it. What an event says is not known here.
  """

  use GenServer

  alias Magnesia.Telemetry.Catalogue
  alias Magnesia.Telemetry.Constant

  require Logger

  @typep name :: [atom(), ...]

  @doc false
  @spec child_spec(term()) :: Supervisor.child_spec()
  def child_spec(_argument), do: %{id: __MODULE__, start: {__MODULE__, :start_link, []}}

  @doc "Starts the process; no handler is attached."
  @spec start_link() :: GenServer.on_start()
  def start_link, do: GenServer.start_link(__MODULE__, [], name: __MODULE__)

  @doc "Attaches a handler to events."
  @spec attach(term(), [name()], fun(), term()) :: :ok | {:error, :already_exists}
  def attach(id, events, fun, config) do
    GenServer.call(__MODULE__, {:attach, id, events, fun, config})
  end

  @doc "Detaches a handler from all its events."
  @spec detach(term()) :: :ok | {:error, :not_found}
  def detach(id), do: GenServer.call(__MODULE__, {:detach, id})

  @doc "The handlers of events whose names begin so."
  @spec list([atom()]) :: [map()]
  def list(prefix) do
    for {event, id, fun, config} <- entries(), List.starts_with?(event, prefix) do
      %{id: id, event_name: event, function: fun, config: config}
    end
  end

  @doc "Turns the switch of the frequent events to what it should be."
  @spec refresh() :: :ok
  def refresh, do: GenServer.call(__MODULE__, :refresh)

  @doc "Tells whether anybody listens to an event, here or with `:telemetry`."
  @spec attached?(name()) :: boolean()
  def attached?(event), do: of(event) != [] or event in elsewhere()

  @doc "Calls the handlers of an event. One that fails is detached, and that is logged."
  @spec call(name(), map(), map()) :: :ok
  def call(event, measurements, metadata) do
    Enum.each(of(event), fn {_event, id, fun, config} ->
      try do
        fun.(event, measurements, metadata, config)
      catch
        kind, reason -> failed(id, Exception.format(kind, reason, __STACKTRACE__))
      end
    end)
  end

  defp failed(id, text) do
    _ = detach(id)
    Logger.error("Magnesia: telemetry handler #{inspect(id)} has failed and is detached. #{text}")
  end

  # Where the application is stopped nobody is attached.
  defp of(event) do
    :ets.lookup(__MODULE__, event)
  rescue
    ArgumentError -> []
  end

  defp entries do
    :ets.tab2list(__MODULE__)
  rescue
    ArgumentError -> []
  end

  defp elsewhere do
    if :erlang.function_exported(:telemetry, :list_handlers, 1),
      do:
        for(%{event_name: event} <- apply(:telemetry, :list_handlers, [[:magnesia]]), do: event),
      else: []
  catch
    # The application :telemetry is loaded and not started.
    _kind, _reason -> []
  end

  @impl true
  def init(_options) do
    _ = :ets.new(__MODULE__, [:named_table, :protected, :bag, read_concurrency: true])
    {:ok, nil, {:continue, :turn}}
  end

  @impl true
  def handle_continue(:turn, state), do: {:noreply, turned(state)}

  @impl true
  def handle_call({:attach, id, events, fun, config}, _from, state) do
    if known?(id) do
      {:reply, {:error, :already_exists}, state}
    else
      :ets.insert(__MODULE__, for(event <- Enum.uniq(events), do: {event, id, fun, config}))
      {:reply, :ok, turned(state)}
    end
  end

  def handle_call({:detach, id}, _from, state) do
    if known?(id) do
      :ets.match_delete(__MODULE__, {:_, id, :_, :_})
      {:reply, :ok, turned(state)}
    else
      {:reply, {:error, :not_found}, state}
    end
  end

  def handle_call(:refresh, _from, state), do: {:reply, :ok, turned(state)}

  defp known?(id), do: Enum.any?(entries(), &(elem(&1, 1) === id))

  defp turned(state) do
    listened = for({event, _, _, _} <- entries(), do: event) ++ elsewhere()
    :ok = Constant.turn(Enum.any?(listened, &(&1 in Catalogue.frequent())))
    state
  end
end
