defmodule Mix.Tasks.Magnesia.Check do
  @shortdoc "Reads a backup through and says what is in it"

  @moduledoc """
  Reads a backup of Magnesia or Mnesia to its end and says what is in it, or where it is damaged.

      mix magnesia.check monday.bup
      mix magnesia.check --help

  The exit status is 0 when it is whole, 1 when it is not, 2 for arguments that can't be used.
  In a release, where there is no `mix`, `Magnesia.Backup.verify/1` does the same.
  """

  use Mix.Task

  @impl Mix.Task
  def run(arguments) do
    Mix.Task.run("compile")

    case Magnesia.Backup.Command.check(arguments) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
