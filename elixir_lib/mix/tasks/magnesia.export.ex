defmodule Mix.Tasks.Magnesia.Export do
  @shortdoc "Saves what is intact of a database directory, damaged or not"

  @moduledoc """
  Saves what is intact of a database directory, damaged or not, as a file of Erlang terms, and
  prints what was saved and what was damaged. The directory is only read.

      mix magnesia.export data --to data.terms
      mix magnesia.export --help

  `Magnesia.Export.load/1` loads the file into a running database. The exit status is 0 when
  nothing was damaged, 1 when something was, 2 when nothing was saved. See `Magnesia.Export`.
  """

  use Mix.Task

  @impl Mix.Task
  def run(arguments) do
    Mix.Task.run("compile")

    case Magnesia.Export.main(arguments) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
