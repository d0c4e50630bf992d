defmodule Magnesia.Backend.Registrar do
  @moduledoc """
  Waits for Mnesia's start and registers the aliases then: for `hot_tables: true` in the
  configuration, where Mnesia starts after this application and its schema on disk has no
  aliases yet. It ends when that is done, and does nothing else.
  """

  use GenServer, restart: :transient

  alias Magnesia.Backend.Registration

  require Logger

  @every_ms 500

  @doc "Starts it."
  @spec start_link(term()) :: GenServer.on_start()
  def start_link(_argument), do: GenServer.start_link(__MODULE__, [], name: __MODULE__)

  @impl true
  def init(_argument) do
    send(self(), :look)
    {:ok, nil}
  end

  @impl true
  def handle_info(:look, state) do
    if :mnesia.system_info(:is_running) == :yes do
      case Registration.register() do
        {:atomic, :ok} ->
          :ok

        {:aborted, reason} ->
          Logger.error("Magnesia's aliases could not be registered: #{inspect(reason)}")
      end

      {:stop, :normal, state}
    else
      _ = Process.send_after(self(), :look, @every_ms)
      {:noreply, state}
    end
  end

  def handle_info(_message, state), do: {:noreply, state}
end
