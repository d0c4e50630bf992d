defmodule Magnesia.Events do
  @moduledoc """
  Events for any process on any node, and topics of one's own.

  A subscriber gets `{:magnesia, table, %Magnesia.Event{}}` for each change of a table: of this
  node's database with the scope `:local`, of every connected node's with `:cluster`. Which
  processes want what is kept by OTP's `pg`, so a node needs no database to hear of the others'
  and a process that dies is forgotten. The process behind this module is one subscriber of the
  tables; a writer pays for that one, however many there are here. Events of one node come in the
  order of its commits. Nothing is kept: who was not there has not heard, see `Magnesia.Log`.

      iex> {:atomic, :ok} = :magnesia.create_table(:news, attributes: [:id, :text])
      iex> Magnesia.Events.subscribe(:news)
      :ok
      iex> :magnesia.dirty_write({:news, 1, "hello"})
      iex> receive do: ({:magnesia, :news, event} -> {event.verb, event.data, event.old})
      {:write, {:news, 1, "hello"}, []}
      iex> Magnesia.Events.unsubscribe(:news)
      :ok
      iex> {:atomic, :ok} = :magnesia.delete_table(:news)
  """

  use GenServer

  alias Magnesia.Error
  alias Magnesia.Event
  alias Magnesia.Options
  alias Magnesia.SchemaError
  alias Magnesia.Shape
  alias Magnesia.Strict.Definition
  alias Magnesia.Subscribers

  @typedoc "Whose events or messages: this node's, or those of all connected nodes."
  @type scope :: :local | :cluster

  @scope_of_groups Magnesia.Events.Groups

  @doc false
  @spec child_spec(term()) :: Supervisor.child_spec()
  def child_spec(_argument), do: %{id: __MODULE__, start: {__MODULE__, :start_link, []}}

  @doc "The process groups that subscribers are in, as a child of a supervisor."
  @spec groups() :: Supervisor.child_spec()
  def groups, do: %{id: :pg, start: {:pg, :start_link, [@scope_of_groups]}}

  @doc "Starts the process that hands events on."
  @spec start_link() :: GenServer.on_start()
  def start_link, do: GenServer.start_link(__MODULE__, [], name: __MODULE__)

  @doc """
  Subscribes the caller to a table's changes. Option `:scope`: `:local` (the default) or
  `:cluster`. A second subscription is the first. With `:local` the table must be there. Of
  a table module the events have the table's name and its records.

      iex> Magnesia.Events.subscribe(:city)
      :ok
      iex> {:ok, _row} = Magnesia.put({:city, "Oslo", :no, 711})
      iex> receive do: ({:magnesia, :city, event} -> {event.verb, event.data, event.old})
      {:write, {:city, "Oslo", :no, 711}, [{:city, "Oslo", :no, 710}]}
      iex> {:error, error} = Magnesia.Events.subscribe(:town)
      iex> error.reason
      {:no_exists, :town}
  """
  @spec subscribe(atom(), keyword()) :: :ok | {:error, SchemaError.t()}
  def subscribe(table, options \\ []) do
    scope = scope(options, "Magnesia.Events.subscribe/2")
    table = Shape.name(table)

    if scope == :local and Definition.fetch(table) == :error do
      {:error, Error.new(SchemaError, {:no_exists, table}, table)}
    else
      join({:table, table, scope})
      GenServer.call(__MODULE__, {:watch, table})
    end
  end

  @doc """
  Ends the caller's subscription to a table, of either scope.

      iex> Magnesia.Events.subscribe(:city)
      iex> Magnesia.Events.unsubscribe(:city)
      :ok
  """
  @spec unsubscribe(atom()) :: :ok
  def unsubscribe(table) do
    table = Shape.name(table)
    leave({:table, table, :local})
    leave({:table, table, :cluster})
  end

  @doc """
  Subscribes the caller to a topic, any term: it gets `{:magnesia, topic, message}`.

      iex> Magnesia.Events.listen({:room, 7})
      iex> Magnesia.Events.publish({:room, 7}, :hello)
      iex> receive do: (message -> message)
      {:magnesia, {:room, 7}, :hello}
  """
  @spec listen(term()) :: :ok
  def listen(topic), do: join({:topic, topic})

  @doc """
  Ends the caller's subscription to a topic.

      iex> Magnesia.Events.listen(:news)
      iex> Magnesia.Events.ignore(:news)
      :ok
  """
  @spec ignore(term()) :: :ok
  def ignore(topic), do: leave({:topic, topic})

  @doc """
  Sends a message to the topic's subscribers here, or with `scope: :cluster` everywhere.

      iex> Magnesia.Events.publish(:news, "nobody hears it", scope: :cluster)
      :ok
      iex> Magnesia.Events.publish(:news, "", scope: :world)
      ** (ArgumentError) Magnesia.Events.publish/3: scope must be :local or :cluster, not :world
  """
  @spec publish(term(), term(), keyword()) :: :ok
  def publish(topic, message, options \\ []) do
    pids = members({:topic, topic}, scope(options, "Magnesia.Events.publish/3"))
    Enum.each(pids, &send(&1, {:magnesia, topic, message}))
  end

  @doc """
  All processes of this node that are subscribed or listen to anything.

      iex> Magnesia.Events.listen(:news)
      iex> self() in Magnesia.Events.subscribers()
      true
  """
  @spec subscribers() :: [pid()]
  def subscribers do
    groups = :pg.which_groups(@scope_of_groups)
    Enum.uniq(for group <- groups, pid <- members(group, :local), do: pid)
  end

  defp scope(options, call) do
    rules = [scope: {&(&1 in [:local, :cluster]), ":local or :cluster"}]
    Options.validate!(options, rules, call)
    Keyword.get(options, :scope, :local)
  end

  defp members(group, :local), do: :pg.get_local_members(@scope_of_groups, group)
  defp members(group, :cluster), do: :pg.get_members(@scope_of_groups, group)

  # A process is in a group as often as it joined.
  defp join(group) do
    if self() not in members(group, :local), do: :pg.join(@scope_of_groups, group, self())
    :ok
  end

  defp leave(group) do
    _ = :pg.leave(@scope_of_groups, group, self())
    :ok
  end

  @doc "Watches what is wanted and was not there before: a table is new, or the database open."
  @spec refresh() :: :ok
  def refresh do
    GenServer.call(__MODULE__, :refresh, :infinity)
  catch
    :exit, _not_running -> :ok
  end

  @impl true
  def init(_options) do
    {ref, groups} = :pg.monitor_scope(@scope_of_groups)
    for {:table, table, _scope} <- Map.keys(groups), do: watch(table)
    {:ok, ref}
  end

  @impl true
  def handle_call({:watch, table}, _from, ref) do
    watch(table)
    {:reply, :ok, ref}
  end

  def handle_call(:refresh, _from, ref) do
    for {:table, table, _scope} <- :pg.which_groups(@scope_of_groups), do: watch(table)
    {:reply, :ok, ref}
  end

  @impl true
  def handle_info({:mnesia_table_event, event}, ref) do
    with %Event{table: table} = event <- Event.of(event) do
      message = {:magnesia, table, event}
      for pid <- members({:table, table, :local}, :local), do: send(pid, message)
      for pid <- members({:table, table, :cluster}, :cluster), do: send(pid, message)
    end

    {:noreply, ref}
  end

  def handle_info({ref, :join, {:table, table, _scope}, _pids}, ref) do
    watch(table)
    {:noreply, ref}
  end

  def handle_info({ref, :leave, {:table, table, _scope}, _pids}, ref) do
    wanted = for scope <- [:local, :cluster], do: members({:table, table, scope}, :cluster)
    _ = if wanted == [[], []], do: Subscribers.unsubscribe(self(), {:table, table, :detailed})
    {:noreply, ref}
  end

  def handle_info(_message, ref), do: {:noreply, ref}

  # Nothing to watch where the table is not, and nothing to do where it is watched.
  defp watch(table) do
    _ = Subscribers.subscribe(self(), {:table, table, :detailed})
    :ok
  end
end
