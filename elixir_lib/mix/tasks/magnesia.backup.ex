defmodule Mix.Tasks.Magnesia.Backup do
  @shortdoc "Writes a backup of a database directory"

  @moduledoc """
  Writes a backup of the database in a directory that no VM has open, in Mnesia's own format.

      mix magnesia.backup data --to /mnt/backup/monday.bup
      mix magnesia.backup data --to users.bup --table user
      mix magnesia.backup --help

  The exit status is 0 when done, 1 when no backup was made, 2 for arguments that can't be used.
  In a running application, and in a release, `Magnesia.Backup.save/2` does the same.
  """

  use Mix.Task

  @impl Mix.Task
  def run(arguments) do
    Mix.Task.run("compile")

    case Magnesia.Backup.Command.backup(arguments) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
