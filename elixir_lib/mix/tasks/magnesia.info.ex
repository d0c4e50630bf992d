defmodule Mix.Tasks.Magnesia.Info do
  @shortdoc "Prints the state of a database"

  @moduledoc """
  Prints the state of a database: tables with rows, bytes, storage and indexes, the log, and the
  locks that are held and waited for. Of a running node, or of a directory that nobody has open.

      mix magnesia.info data
      mix magnesia.info --node shop@db1 --cookie-file ~/.erlang.cookie
      mix magnesia.info --help

  The exit status is 0 when done, 1 when there is no such database, 2 for arguments that can't be
  used. In a release, where there is no `mix`, `Magnesia.Overview.take/0` has the same.
  """

  use Mix.Task

  @impl Mix.Task
  def run(arguments) do
    Mix.Task.run("compile")
    {:ok, _started} = Application.ensure_all_started(:magnesia)

    case Magnesia.Overview.Command.info(arguments) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
