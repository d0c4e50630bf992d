defmodule Mix.Tasks.Magnesia.Restore do
  @shortdoc "Restores a backup into a database directory"

  @moduledoc """
  Gives the database in a directory that no VM has open the tables of a backup, whether Magnesia
  or Mnesia made it: all of them or none.

      mix magnesia.restore monday.bup --into data
      mix magnesia.restore monday.bup --into data --table user --keep
      mix magnesia.restore --help

  The exit status is 0 when done, 1 when nothing was restored, 2 for arguments that can't be used.
  In a running application, and in a release, `Magnesia.Backup.restore/2` does the same.
  """

  use Mix.Task

  @impl Mix.Task
  def run(arguments) do
    Mix.Task.run("compile")

    case Magnesia.Backup.Command.restore(arguments) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
