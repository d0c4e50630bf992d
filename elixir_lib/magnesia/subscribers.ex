defmodule Magnesia.Subscribers do
  @moduledoc """
  The processes that are told of events, and the process that tells them.

  Writers know one process to tell: the only subscriber of tables and activities, or, once there
  are two, this process, which hands each event on to all that asked for it. So a subscriber
  costs a writer one message however many there are, and one that is slow or dead costs it
  nothing more. When more than 32,768 events wait to be handed on, who writes what is watched
  waits until those before are: so many subscribers cannot be told as fast as that. Every
  subscriber gets the events in the order of the commits. A subscriber is linked to this process:
  it is forgotten when it dies, and hears of it when this process does.

  Who subscribes to what can be read by every process. What an event says is not known here.
  """

  use GenServer

  alias Magnesia.Engine
  alias Magnesia.Strict.Definition

  @typedoc "What can be subscribed to."
  @type stream :: :system | :activity | {:table, atom(), :simple | :detailed}
  @typedoc "An answer as Mnesia gives it."
  @type answer :: {:ok, node()} | {:error, term()}

  defstruct hears: %{}, streams: %{}, fans_out?: false

  @doc false
  @spec child_spec(term()) :: Supervisor.child_spec()
  def child_spec(_argument), do: %{id: __MODULE__, start: {__MODULE__, :start_link, []}}

  @doc "Starts the process; nobody is subscribed."
  @spec start_link() :: GenServer.on_start()
  def start_link, do: GenServer.start_link(__MODULE__, [], name: __MODULE__)

  @doc "Subscribes a process."
  @spec subscribe(pid(), stream()) :: answer()
  def subscribe(pid, stream), do: call({:subscribe, pid, stream})

  @doc "Ends a process's subscription, of whichever kind it is where the stream is a table's."
  @spec unsubscribe(pid(), stream()) :: answer()
  def unsubscribe(pid, stream), do: call({:unsubscribe, pid, stream})

  @doc "Forgets the subscriptions to a table that is deleted."
  @spec forget_table(atom()) :: :ok
  def forget_table(tab) do
    if of_table(tab) != [], do: call({:forget, tab})
    :ok
  end

  @doc "Forgets everybody: the database is closed."
  @spec forget_all() :: :ok
  def forget_all do
    _ = call(:forget_all)
    :ok
  end

  @doc "Waits until every event that was sent before is on its way to its subscribers."
  @spec settle() :: :ok
  def settle do
    _ = call(:settle)
    :ok
  end

  @doc "The processes subscribed to system events or to activities, the last one first."
  @spec of(:system | :activity) :: [pid()]
  def of(stream), do: lookup(stream)

  @doc "All subscribers."
  @spec all() :: [pid()]
  def all do
    Enum.uniq(
      for {_stream, entries} <- :ets.tab2list(__MODULE__), entry <- entries, do: pid(entry)
    )
  rescue
    ArgumentError -> []
  end

  defp pid({pid, _kind}), do: pid
  defp pid(pid), do: pid

  @doc "The subscribers of a table, each with the kind of events it gets, the last one first."
  @spec of_table(term()) :: [{pid(), :simple | :detailed}]
  def of_table(tab), do: lookup({:table, tab})

  @doc "Sends a system event to those who subscribed to them."
  @spec tell_system(term()) :: :ok
  def tell_system(event) do
    Enum.each(of(:system), &send(&1, {:mnesia_system_event, event}))
  end

  defp lookup(stream) do
    case :ets.lookup(__MODULE__, stream) do
      [{_, pids}] -> pids
      [] -> []
    end
  rescue
    ArgumentError -> []
  end

  defp call(request) do
    GenServer.call(__MODULE__, request, :infinity)
  catch
    :exit, _ -> {:error, {:node_not_running, node()}}
  end

  @impl true
  def init(_options) do
    Process.flag(:trap_exit, true)
    _ = :ets.new(__MODULE__, [:named_table, :protected, read_concurrency: true])
    {:ok, heard(%__MODULE__{})}
  end

  @impl true
  def handle_call({:subscribe, pid, stream}, _from, state) do
    case refusal(stream) do
      nil -> add(pid, stream, state)
      reason -> {:reply, {:error, reason}, state}
    end
  end

  def handle_call({:unsubscribe, pid, stream}, _from, state) do
    cond do
      not running?() -> {:reply, {:error, {:node_not_running, node()}}, state}
      match?({:no_exists, _}, refusal(stream)) -> {:reply, {:error, :badarg}, state}
      true -> {:reply, {:ok, node()}, heard(drop(state, place(stream), pid))}
    end
  end

  def handle_call({:forget, tab}, _from, state) do
    place = {:table, tab}
    pids = for {pid, _kind} <- Map.get(state.hears, place, []), do: pid
    {:reply, :ok, heard(Enum.reduce(pids, state, &drop(&2, place, &1)))}
  end

  def handle_call(:forget_all, _from, state) do
    Enum.each(Map.keys(state.streams), &Process.unlink/1)
    {:reply, :ok, heard(%__MODULE__{})}
  end

  def handle_call(:settle, _from, state), do: {:reply, :ok, state}

  @impl true
  def handle_info({:"$magnesia_events", events}, state) do
    Enum.each(events, fn {stream, message} -> hand_on(stream, message, state.hears) end)
    :ok = Engine.handed_on(length(events))
    {:noreply, state}
  end

  def handle_info({:EXIT, pid, _reason}, state) do
    case state.streams do
      %{^pid => places} -> {:noreply, heard(Enum.reduce(places, state, &drop(&2, &1, pid)))}
      _ -> {:noreply, state}
    end
  end

  def handle_info(_message, state), do: {:noreply, state}

  defp hand_on(:activity, message, hears) do
    for pid <- Map.get(hears, :activity, []), do: send(pid, message)
  end

  defp hand_on({tab, kind}, message, hears) do
    for {pid, ^kind} <- Map.get(hears, {:table, tab}, []), do: send(pid, message)
  end

  defp running?, do: Definition.fetch(:schema) != :error

  # Why a stream cannot be subscribed to.
  defp refusal({:table, tab, _kind}) do
    case {running?(), Definition.fetch(tab)} do
      {false, _} -> {:node_not_running, node()}
      {true, :error} -> {:no_exists, tab}
      {true, {:ok, %{storage: :unknown}}} -> {:not_active_local, tab}
      _ -> nil
    end
  end

  defp refusal(_stream), do: if(running?(), do: nil, else: {:node_not_running, node()})

  defp place({:table, tab, _kind}), do: {:table, tab}
  defp place(stream), do: stream

  defp add(pid, stream, state) do
    place = place(stream)

    if place in Map.get(state.streams, pid, []) do
      {:reply, {:error, {:already_exists, stream}}, state}
    else
      Process.link(pid)
      hears = Map.update(state.hears, place, [entry(pid, stream)], &[entry(pid, stream) | &1])
      streams = Map.update(state.streams, pid, [place], &[place | &1])
      {:reply, {:ok, node()}, heard(%{state | hears: hears, streams: streams})}
    end
  end

  defp entry(pid, {:table, _tab, kind}), do: {pid, kind}
  defp entry(pid, _stream), do: pid

  defp drop(state, place, pid) do
    hears = Map.update(state.hears, place, [], &without(&1, pid))
    hears = if hears[place] == [], do: Map.delete(hears, place), else: hears
    places = List.delete(Map.get(state.streams, pid, []), place)

    if places == [] do
      Process.unlink(pid)
      %{state | hears: hears, streams: Map.delete(state.streams, pid)}
    else
      %{state | hears: hears, streams: Map.put(state.streams, pid, places)}
    end
  end

  defp without(entries, pid), do: Enum.reject(entries, &(&1 == pid or match?({^pid, _}, &1)))

  # Tells everybody who has to know who hears what: readers, and the writers.
  defp heard(state) do
    :ets.match_delete(__MODULE__, :_)
    :ets.insert(__MODULE__, Map.to_list(state.hears))
    listeners = for {pid, places} <- state.streams, places != [:system], do: pid
    # Two ways to a subscriber could overtake each other, so the one way stays until nobody is
    # left who could see that.
    fans_out? = listeners != [] and (state.fans_out? or length(listeners) > 1)
    to = if fans_out? or listeners == [], do: self(), else: hd(listeners)
    :ok = Engine.audience(to, not fans_out?, watches(state.hears), activities?(state.hears))
    %{state | fans_out?: fans_out?}
  end

  defp watches(hears) do
    for {{:table, tab}, entries} <- hears do
      {tab, List.keymember?(entries, :simple, 1), List.keymember?(entries, :detailed, 1)}
    end
  end

  defp activities?(hears), do: is_map_key(hears, :activity)
end
