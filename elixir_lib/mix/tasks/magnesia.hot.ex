defmodule Mix.Tasks.Magnesia.Hot do
  @shortdoc "Lists a stock Mnesia's tables and moves them to Magnesia and back"

  @moduledoc """
  Lists the tables of a running stock Mnesia, with what they would cost on Magnesia, and moves
  one there or back: with a check of every row, undone when one differs.

      mix magnesia.hot --node shop@db1 --cookie secret
      mix magnesia.hot session --to magnesia_ram --dry-run --node shop@db1 --cookie secret
      mix magnesia.hot session --to magnesia_ram --node shop@db1 --cookie secret
      mix magnesia.hot --dir Mnesia.shop@db1 --node shop@db1
      mix magnesia.hot --help

  The exit status is 0 when done, 1 when nothing was moved, 2 for arguments that can't be used.
  In a release, where there is no `mix`, `Magnesia.Hot` does the same.
  """

  use Mix.Task

  @impl Mix.Task
  def run(arguments) do
    Mix.Task.run("compile")

    if function_exported?(Mix, :ensure_application!, 1),
      do: apply(Mix, :ensure_application!, [:mnesia])

    {:ok, _started} = Application.ensure_all_started(:magnesia)

    case Magnesia.Hot.Command.main(arguments) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
