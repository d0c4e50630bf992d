defmodule Mix.Tasks.Magnesia.Migrate do
  @shortdoc "Runs the project's migrations on a database, takes them back or lists them"

  @moduledoc """
  Runs the migrations of this project on the database in a directory that nobody has open.

      mix magnesia.migrate data                  those that it has not had
      mix magnesia.migrate data --to 3           up to version 3
      mix magnesia.migrate data --rollback       the last one taken back
      mix magnesia.migrate data --rollback --to 3
      mix magnesia.migrate data --status         which it has had
      mix magnesia.migrate --help

  The migrations are the modules of the project that use `Magnesia.Migration`. The exit status is
  0 when all went well, 1 when a migration failed, 2 for arguments that can't be used. In a
  release, where there is no `mix`, `Magnesia.Migration.run/2` does the same.
  """

  use Mix.Task

  alias Magnesia.Migration

  @switches [to: :integer, rollback: :boolean, status: :boolean, help: :boolean]

  @impl Mix.Task
  def run(arguments) do
    Mix.Task.run("compile")
    {:ok, _started} = Application.ensure_all_started(:magnesia)
    migrations = if app = Mix.Project.config()[:app], do: of(app), else: []

    case main(arguments, migrations) do
      0 -> :ok
      status -> exit({:shutdown, status})
    end
  end

  defp of(application) do
    _loaded = Application.load(application)
    Migration.of(application)
  end

  @doc "Does what the arguments say with these migrations; returns the exit status."
  @spec main([String.t()], [module()]) :: 0 | 1 | 2
  def main(arguments, migrations) do
    case OptionParser.parse(arguments, strict: @switches) do
      {options, dirs, []} -> chosen(Map.new(options), dirs, migrations)
      {_options, _dirs, [{switch, _value} | _]} -> refused("cannot use #{switch}")
    end
  end

  defp chosen(%{help: true}, _dirs, _migrations) do
    Mix.shell().info(@moduledoc)
    0
  end

  defp chosen(options, [dir], migrations) do
    if File.dir?(dir), do: opened(options, dir, migrations), else: refused("#{dir} is not there")
  end

  defp chosen(_options, _dirs, _migrations), do: refused("give one directory")

  defp opened(options, dir, migrations) do
    case Magnesia.start(dir: dir) do
      :ok ->
        status = with :ok <- Magnesia.wait(Magnesia.tables()), do: act(options, migrations)
        :ok = Magnesia.stop()
        settled(status)

      failed ->
        settled(failed)
    end
  end

  defp act(%{status: true}, migrations) do
    for {version, module, state} <- Migration.status(migrations) do
      Mix.shell().info(
        "#{String.pad_leading("#{version}", 8)}  #{pad(state)}  #{inspect(module)}"
      )
    end

    0
  end

  defp act(%{rollback: true} = options, migrations) do
    told(Migration.rollback(migrations, Map.to_list(Map.take(options, [:to]))), "taken back")
  end

  defp act(options, migrations) do
    told(Migration.run(migrations, Map.to_list(Map.take(options, [:to]))), "done")
  end

  defp pad(state), do: String.pad_trailing("#{state}", 10)

  defp told({:ok, []}, word), do: told("nothing to be #{word}")
  defp told({:ok, versions}, word), do: told("#{word}: #{Enum.join(versions, ", ")}")
  defp told({:error, error}, _word), do: {:error, error}

  defp told(text) do
    Mix.shell().info(text)
    0
  end

  defp settled(status) when is_integer(status), do: status

  defp settled({:error, error}) do
    Mix.shell().error("magnesia.migrate: #{Exception.message(error)}")
    1
  end

  defp refused(text) do
    Mix.shell().error("magnesia.migrate: #{text}\n\n#{@moduledoc}")
    2
  end
end
