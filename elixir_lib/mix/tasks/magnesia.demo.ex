defmodule Mix.Tasks.Magnesia.Demo do
  @shortdoc "Moves a real Mnesia database into Magnesia and compares the answers"

  @moduledoc """
  Moves a real Mnesia database into Magnesia, compares answers and times, and ends with a
  `kill -9` of a writing VM whose rows are then shown to be there.

      mix magnesia.demo
      mix magnesia.demo --quick
      mix magnesia.demo --dir /tmp/demo --keep
      mix magnesia.demo --help

  The exit status is 1 when an answer differs or a row is lost.
  """

  use Mix.Task

  @impl Mix.Task
  def run(arguments) do
    Mix.Task.run("compile")

    if function_exported?(Mix, :ensure_application!, 1),
      do: apply(Mix, :ensure_application!, [:mnesia])

    case Magnesia.Demo.main(arguments) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
