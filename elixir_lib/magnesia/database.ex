defmodule Magnesia.Database do
  @moduledoc """
  The owner of the open database: opens and closes it and runs schema operations one at a time.

  An operation runs in a process of its own, as it may wait for locks and may call a user's fun;
  the next one starts when that process is gone. The operation goes on when its caller dies, and
  is ended, as those behind it are, when the database is closed: no stop waits for a transaction.
  Processes that wait for tables are answered from here. What an operation does, and to which
  table, is not known here.
  """

  use GenServer

  alias Magnesia.Engine
  alias Magnesia.Events
  alias Magnesia.Job
  alias Magnesia.Logs
  alias Magnesia.Notices
  alias Magnesia.Strict.Checkpoints
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Fallback
  alias Magnesia.Strict.Refragmentation
  alias Magnesia.Strict.Settings
  alias Magnesia.Subscribers
  alias Magnesia.Telemetry.Opening

  @typep asked :: {:open | :close | :operation, GenServer.from(), (() -> term())}

  # What a timer of the VM takes; seven weeks.
  @longest_wait_ms 0xFFFFFFFF

  defstruct job: nil, queue: :queue.new(), waiters: %{}

  @doc false
  @spec child_spec(term()) :: Supervisor.child_spec()
  def child_spec(_argument) do
    %{id: __MODULE__, start: {__MODULE__, :start_link, []}, shutdown: :infinity}
  end

  @doc "Starts the owner; the database stays closed."
  @spec start_link() :: GenServer.on_start()
  def start_link, do: GenServer.start_link(__MODULE__, [], name: __MODULE__)

  @doc "Opens the database; nothing happens when it is open."
  @spec open() :: :ok | {:error, term()}
  def open, do: GenServer.call(__MODULE__, {:run, :open, &do_open/0}, :infinity)

  @doc """
  Closes the database. Operations that wait, for their turn, a lock or a user's fun, are aborted
  with `{:node_not_running, node()}`; one that changes something is awaited.
  """
  @spec close() :: :ok | {:error, term()}
  def close do
    GenServer.call(__MODULE__, {:run, :close, &do_close/0}, :infinity)
  catch
    :exit, _ -> :ok
  end

  @doc "Tells whether the database is open."
  @spec running?() :: boolean()
  def running?, do: match?({:ok, _}, Definition.fetch(:schema))

  @doc "The open database's directory, or the one that a start would take."
  @spec directory() :: charlist() | binary()
  def directory, do: :persistent_term.get(Magnesia.Directory, nil) || Settings.directory()

  @doc "Runs a schema operation: alone, in a process of its own."
  @spec run((() -> term())) :: term()
  def run(fun) do
    if running?() do
      GenServer.call(__MODULE__, {:run, :operation, fun}, :infinity)
    else
      Job.not_running()
    end
  catch
    :exit, _ -> Job.not_running()
  end

  @doc "Waits until tables can be used, and answers those that cannot when the time is over."
  @spec wait([term()], timeout()) :: :ok | {:timeout, [term()]} | {:error, term()}
  def wait(tables, timeout) do
    if running?() do
      GenServer.call(__MODULE__, {:wait, tables, timeout}, :infinity)
    else
      {:error, {:node_not_running, node()}}
    end
  catch
    :exit, _ -> {:error, {:node_not_running, node()}}
  end

  @impl true
  def init(_options) do
    Process.flag(:trap_exit, true)
    # After a crash of this process the database is still open; its rows are not to be lost.
    Definition.erase_all()
    _ = if is_list(Engine.tables()), do: Definition.publish_all(:ram_copies)
    Logs.refresh()
    {:ok, %__MODULE__{}}
  end

  @impl true
  def handle_call({:run, kind, fun}, from, state) do
    state = if kind == :close, do: end_operations(state), else: state
    {:noreply, next(%{state | queue: :queue.in({kind, from, fun}, state.queue)})}
  end

  def handle_call({:wait, tables, timeout}, from, state) do
    case tables -- Definition.usable() do
      [] ->
        {:reply, :ok, state}

      missing when timeout == 0 ->
        {:reply, {:timeout, missing}, state}

      _missing ->
        ref = make_ref()
        _ = if timeout != :infinity, do: late(ref, min(timeout, @longest_wait_ms))
        {:noreply, put_in(state.waiters[ref], {from, tables})}
    end
  end

  @impl true
  def handle_info({:late, ref}, state) do
    {waiter, waiters} = Map.pop(state.waiters, ref)

    with {from, tables} <- waiter do
      case tables -- Definition.usable() do
        [] -> GenServer.reply(from, :ok)
        missing -> GenServer.reply(from, {:timeout, missing})
      end
    end

    {:noreply, %{state | waiters: waiters}}
  end

  def handle_info({:DOWN, ref, _, pid, reason}, %{job: {_, from, {pid, ref, _} = job}} = state) do
    GenServer.reply(from, Job.outcome(job, reason))
    {:noreply, next(%{state | job: nil, waiters: answer(state.waiters)})}
  end

  def handle_info(_message, state), do: {:noreply, state}

  @impl true
  def terminate(reason, state) do
    if reason in [:normal, :shutdown] or match?({:shutdown, _}, reason) do
      _ = end_operations(state)
      await_operation(state.job)
      do_close()
    end
  end

  defp await_operation({:operation, from, {pid, ref, _} = job}) do
    receive do
      {:DOWN, ^ref, :process, ^pid, reason} -> GenServer.reply(from, Job.outcome(job, reason))
    end
  end

  defp await_operation(_open_or_close), do: :ok

  defp late(ref, timeout), do: Process.send_after(self(), {:late, ref}, timeout)

  defp next(%{job: nil} = state) do
    case :queue.out(state.queue) do
      {{:value, job}, queue} -> %{state | job: begin(job), queue: queue}
      {:empty, _} -> state
    end
  end

  defp next(state), do: state

  @spec begin(asked()) :: {atom(), GenServer.from(), Job.t()}
  defp begin({kind, from, fun}), do: {kind, from, Job.start(fun)}

  # What opens or closes the database takes no lock and calls nobody's fun.
  defp end_operations(state) do
    with {:operation, _from, job} <- state.job, do: Job.stop(job)
    waiting = :queue.to_list(state.queue)
    for {:operation, from, _fun} <- waiting, do: GenServer.reply(from, Job.not_running())
    left = Enum.reject(waiting, &match?({:operation, _, _}, &1))
    %{state | queue: :queue.from_list(left)}
  end

  defp answer(waiters) when map_size(waiters) == 0, do: waiters

  defp answer(waiters) do
    usable = Definition.usable()
    running = running?()

    Map.filter(waiters, fn {_ref, {from, tables}} ->
      cond do
        not running -> GenServer.reply(from, {:error, {:node_not_running, node()}})
        tables -- usable == [] -> GenServer.reply(from, :ok)
        true -> nil
      end
      |> is_nil()
    end)
  end

  defp do_open do
    if running?(),
      do: :ok,
      else: Opening.open(fn -> open_at(Fallback.location(Settings.location())) end)
  end

  defp open_at(:memory), do: opened(Engine.open(nil, %{create: false}), :ram_copies)
  defp open_at({:disc, dir}), do: opened(Engine.open(dir, %{create: false}), :disc_copies)

  defp open_at({:fallback, dir}) do
    case Fallback.open(dir) do
      :ok -> with :ok <- opened(:ok, :disc_copies), do: Fallback.used(dir)
      {:error, reason} -> {:error, reason}
    end
  end

  defp open_at({:create, dir}) do
    case Engine.create(dir) do
      :ok -> open_at({:disc, dir})
      failure -> open_at(failure)
    end
  end

  defp open_at({:"$magnesia_error", reason}), do: {:error, refusal(reason)}

  # The setting may change while the database is open.
  defp opened(:ok, storage) do
    :persistent_term.put(Magnesia.Directory, Settings.directory())

    case Definition.publish_all(storage) do
      :ok ->
        :ok = Refragmentation.repair()
        Logs.refresh()
        Notices.install()
        Events.refresh()

      {:"$magnesia_error", reason} ->
        _ = do_close()
        {:error, reason}
    end
  end

  defp opened({:"$magnesia_error", reason}, _storage), do: {:error, refusal(reason)}

  defp refusal({:damaged, text}) do
    {:damaged, "#{text} (mix magnesia.export #{Settings.path()} --to FILE)"}
  end

  defp refusal(reason), do: reason

  # Definitions go first, so that who asks meanwhile sees a database that is not running.
  defp do_close do
    if running?(), do: Opening.close(&shut/0), else: shut()
  end

  defp shut do
    if running?(), do: Subscribers.tell_system({:mnesia_down, node()})
    Checkpoints.finish_all()
    Definition.erase_all()
    Subscribers.forget_all()
    Logs.forget()
    Notices.remove()
    :persistent_term.erase(Magnesia.Directory)

    case Engine.close() do
      {:"$magnesia_error", reason} when reason != :closed -> {:error, reason}
      _ -> :ok
    end
  end
end
