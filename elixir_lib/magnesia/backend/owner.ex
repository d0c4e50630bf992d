defmodule Magnesia.Backend.Owner do
  @moduledoc """
  The process under Mnesia's supervisor that opens the database at Mnesia's start and closes it
  at its stop, after everything else of Mnesia has stopped.

  Tables need no process: no call passes through here, and when this one is killed the database
  stays as it is and the next one takes it over. Every second it has what was written survive a
  power cut, and looks whether a disk that failed takes writes again; tables that were found at
  the opening and that Mnesia knows no more are deleted. It decides nothing else.
  """

  use GenServer

  alias Magnesia.Backend.Alarm
  alias Magnesia.Backend.Place
  alias Magnesia.Backend.Refusal
  alias Magnesia.Backend.Tables
  alias Magnesia.Engine

  @every_ms 1000

  @doc "Starts the owner under Mnesia's supervisor, which opens the database."
  @spec start() :: :ok | {:error, String.t()}
  def start do
    case :mnesia_ext_sup.start_proc(__MODULE__, __MODULE__, :start_link, []) do
      {:error, {:already_started, _pid}} -> :ok
      {:error, {reason, _child}} -> {:error, words(reason)}
      {:error, reason} -> {:error, words(reason)}
      _started -> :ok
    end
  catch
    # It isn't there, or it is about to stop.
    :exit, _reason -> {:error, "Mnesia is not running on #{node()}"}
  end

  defp words(text) when is_binary(text), do: text
  defp words(reason), do: inspect(reason)

  @doc "Tells whether the owner is there."
  @spec alive?() :: boolean()
  def alive?, do: Process.whereis(__MODULE__) != nil

  @doc false
  @spec start_link() :: GenServer.on_start()
  def start_link, do: GenServer.start_link(__MODULE__, [], name: __MODULE__)

  @impl true
  def init(_argument) do
    Process.flag(:trap_exit, true)

    case take_over() do
      :ok ->
        _ = tick()
        {:ok, Tables.found()}

      {:error, reason} ->
        {:stop, reason}
    end
  end

  # A database that is open has lost its owner alone when that one was killed under this Mnesia;
  # what an earlier Mnesia left is closed first, as its tables in memory are no longer.
  defp take_over do
    mnesia = Process.whereis(:mnesia_sup)

    cond do
      not Place.open?() -> opened(Place.do_open(), mnesia)
      :persistent_term.get(__MODULE__, nil) == mnesia -> :ok
      true -> with :ok <- Place.do_close(), do: opened(Place.do_open(), mnesia)
    end
  end

  defp opened(:ok, mnesia), do: :persistent_term.put(__MODULE__, mnesia)
  defp opened(error, _mnesia), do: error

  defp tick, do: Process.send_after(self(), :tick, @every_ms)

  @impl true
  def handle_info(:tick, found) do
    _ = Engine.sync_log(:hot)
    _ = Engine.forget_owed()
    _ = if Alarm.reason(), do: look_again()
    _ = tick()
    {:noreply, sort_out(found)}
  end

  def handle_info(_message, state), do: {:noreply, state}

  # When Mnesia has its schema it is known which of the tables that were found are still its own.
  defp sort_out([]), do: []

  defp sort_out(found) do
    if :mnesia.system_info(:is_running) == :yes do
      Tables.delete_strays(found)
      []
    else
      found
    end
  end

  defp look_again do
    case Place.probe() do
      :ok -> Alarm.clear()
      {:"$magnesia_error", reason} -> Refusal.words(reason)
    end
  end

  @impl true
  def terminate(_reason, _state), do: Place.do_close()
end
