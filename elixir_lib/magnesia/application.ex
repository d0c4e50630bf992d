defmodule Magnesia.Application do
  @moduledoc """
  The OTP application: `Magnesia.Database`, before it the processes that events go through, and
  after it the one that looks whether all is well.

  Starting the application opens no database; `:magnesia.start/0` or `Magnesia.Supervisor` does.
  Stopping it closes the database in order. With `config :magnesia, hot_tables: true` a stock
  Mnesia gets to know `Magnesia.Backend` besides. Nothing is decided here.
  """

  use Application

  alias Magnesia.Backend.Registration
  alias Magnesia.Events
  alias Magnesia.Telemetry.Handlers
  alias Magnesia.Telemetry.Watch

  @impl true
  def start(_type, _args) do
    with :ok <- Registration.configured() do
      registrar = if Registration.configured?(), do: [Magnesia.Backend.Registrar], else: []
      events = [Handlers, Magnesia.Notices, Magnesia.Subscribers, Events.groups(), Events]
      children = events ++ [Magnesia.Database, Watch | registrar]
      Supervisor.start_link(children, strategy: :one_for_one, name: Magnesia.Root)
    end
  end
end
