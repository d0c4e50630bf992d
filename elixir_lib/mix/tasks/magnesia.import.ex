defmodule Mix.Tasks.Magnesia.Import do
  @shortdoc "Takes over the tables of a stock Mnesia's directory"

  @moduledoc """
  Takes over the tables of a stopped stock Mnesia's directory, which is only read.

      mix magnesia.import Mnesia.shop@db1 --into data
      mix magnesia.import Mnesia.shop@db1 --into data --node shop@db1 --table session
      mix magnesia.import --help

  The exit status is 0 when done, 1 when nothing was imported, 2 for arguments that can't be used.
  In a release, where there is no `mix`, `Magnesia.Import.from_dir/2` does the same.
  """

  use Mix.Task

  @impl Mix.Task
  def run(arguments) do
    Mix.Task.run("compile")

    case Magnesia.Import.Command.main(arguments) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
