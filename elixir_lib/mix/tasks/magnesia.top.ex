defmodule Mix.Tasks.Magnesia.Top do
  @shortdoc "Shows how busy the tables of a running database are"

  @moduledoc """
  Shows how busy the tables of a running database are, again and again: reads and writes a second,
  transactions that wait for locks, rows and bytes of each.

      mix magnesia.top --node shop@db1 --cookie-file ~/.erlang.cookie
      mix magnesia.top --node shop@db1 --once
      mix magnesia.top --help

  On a terminal each frame is drawn over the one before; elsewhere they follow each other as
  lines. The exit status is 0 when done, 1 when no database runs there, 2 for arguments that can't
  be used. In a release, where there is no `mix`, `Magnesia.Overview.sample/1` has the same.
  """

  use Mix.Task

  @impl Mix.Task
  def run(arguments) do
    Mix.Task.run("compile")
    {:ok, _started} = Application.ensure_all_started(:magnesia)

    case Magnesia.Overview.Command.top(arguments) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end
end
