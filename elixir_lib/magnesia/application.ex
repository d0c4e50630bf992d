defmodule Magnesia.Application do
  @moduledoc """
  The OTP application: one supervised process, `Magnesia.Database`.

  Starting the application opens no database; `:magnesia.start/0` or `Magnesia.Supervisor` does.
  Stopping it closes the database in order. Nothing is decided here.
  """

  use Application

  @impl true
  def start(_type, _args) do
    Supervisor.start_link([Magnesia.Database], strategy: :one_for_one, name: Magnesia.Root)
  end
end
