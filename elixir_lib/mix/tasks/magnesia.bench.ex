defmodule Mix.Tasks.Magnesia.Bench do
  @shortdoc "Measures Magnesia against ETS, stock Mnesia and the bare disk"

  @moduledoc """
  Measures Magnesia against ETS, stock Mnesia and the bare disk.

      mix magnesia.bench
      mix magnesia.bench --only read.set
      mix magnesia.bench --smoke
      mix magnesia.bench --help

  The suite itself lives in the project's `bench` folder and is no part of the library: this task
  compiles the project, loads that folder and hands the arguments over.
  """

  use Mix.Task

  @entry "bench/run.exs"

  @impl Mix.Task
  def run(arguments) do
    unless File.regular?(@entry) do
      Mix.raise("#{@entry} is not here: run this task in a clone of the Magnesia project")
    end

    Mix.Task.run("compile")

    if function_exported?(Mix, :ensure_application!, 1),
      do: apply(Mix, :ensure_application!, [:mnesia])

    System.argv(arguments)
    Code.require_file(@entry)
  end
end
