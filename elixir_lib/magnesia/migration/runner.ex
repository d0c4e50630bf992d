defmodule Magnesia.Migration.Runner do
  @moduledoc """
  Runs migrations one after another: backup, note, steps, note; on failure what was touched is put
  back from the backup. One runs at a time in a VM. Which modules there are, and whether their
  versions differ, was checked before.
  """

  alias Magnesia.Backup
  alias Magnesia.Migration
  alias Magnesia.Migration.History
  alias Magnesia.Migration.Steps
  alias Magnesia.MigrationError
  alias Magnesia.Telemetry

  @doc "Runs those that the database has not had, up to a version."
  @spec up([Migration.migration()], Migration.version() | :all, keyword()) :: Migration.answer()
  def up(migrations, to, options) do
    alone(fn had ->
      wanted =
        for module <- migrations,
            version = module.__migration__(),
            to == :all or version <= to,
            not is_map_key(had, version),
            do: module

      each(wanted, :up, options)
    end)
  end

  @doc "Takes back those above a version, or the last one; the modules come highest first."
  @spec down([Migration.migration()], Migration.version() | :last, keyword()) ::
          Migration.answer()
  def down(migrations, to, options) do
    alone(fn had ->
      done = Enum.filter(migrations, &is_map_key(had, &1.__migration__()))
      wanted = if to == :last, do: Enum.take(done, 1), else: Enum.filter(done, &above?(&1, to))
      each(wanted, :down, options)
    end)
  end

  defp above?(module, to), do: module.__migration__() > to

  defp alone(fun) do
    :global.trans({Migration, self()}, fn -> begin(fun) end, [node()])
  end

  # What a crash has left is put back first.
  defp begin(fun) do
    with :ok <- opened() do
      unfinished = for {version, %{state: {:running, _}} = e} <- History.all(), do: {version, e}

      case Enum.find_value(unfinished, &undo/1) do
        nil -> fun.(History.all())
        error -> {:error, error}
      end
    end
  end

  defp opened do
    with {:error, error} <- History.open() do
      {:error, %MigrationError{version: 0, module: Migration, direction: :up, reason: error}}
    end
  end

  defp undo({version, %{state: {:running, direction}} = entry}) do
    with {:error, reason} <- put_back(version, entry) do
      failure(version, entry.module, direction, nil, reason, entry.backup, false)
    else
      :ok -> nil
    end
  end

  defp each(migrations, direction, options) do
    done =
      Enum.reduce_while(migrations, {:ok, []}, fn module, {:ok, versions} ->
        case one(module, direction, options) do
          :ok -> {:cont, {:ok, [module.__migration__() | versions]}}
          {:error, error} -> {:halt, {:error, error}}
        end
      end)

    with {:ok, versions} <- done, do: {:ok, Enum.reverse(versions)}
  end

  defp one(module, direction, options) do
    version = module.__migration__()
    metadata = %{version: version, module: module, direction: direction}

    Telemetry.span([:magnesia, :migration], metadata, fn ->
      answer = one(version, module, direction, options)
      {answer, %{}, Telemetry.result(answer)}
    end)
  end

  defp one(version, module, direction, options) do
    with :ok <- reversible(module, direction),
         {:ok, backup} <- back_up(version, direction, options) do
      entry = %{
        module: module,
        state: {:running, direction},
        at: DateTime.utc_now(),
        backup: backup,
        tables: Magnesia.tables(),
        touched: []
      }

      :ok = History.enter(version, entry)
      settle(Steps.run(module, direction, &History.touch(version, &1)), version, entry)
    else
      {:error, reason} -> {:error, failure(version, module, direction, nil, reason, nil, true)}
    end
  end

  defp reversible(module, :down) do
    if function_exported?(module, :down, 0),
      do: :ok,
      else: {:error, "it has no down/0 and cannot be taken back"}
  end

  defp reversible(_module, :up), do: :ok

  defp settle(:ok, version, %{state: {:running, :up}} = entry) do
    History.enter(version, %{entry | state: :up, at: DateTime.utc_now(), touched: []})
  end

  defp settle(:ok, version, %{state: {:running, :down}}), do: History.strike(version)

  defp settle({:error, step, reason}, version, %{state: {:running, direction}}) do
    {:ok, entry} = Map.fetch(History.all(), version)
    restored? = put_back(version, entry) == :ok
    {:error, failure(version, entry.module, direction, step, reason, entry.backup, restored?)}
  end

  defp failure(version, module, direction, step, reason, backup, restored?) do
    %MigrationError{
      version: version,
      module: module,
      direction: direction,
      step: step,
      reason: reason,
      backup: backup,
      restored?: restored?
    }
  end

  # Backups

  defp back_up(version, direction, options) do
    dir = options[:backups] || beside(Magnesia.info().dir)
    stamp = DateTime.utc_now() |> DateTime.to_iso8601(:basic) |> String.replace(~r/[^0-9TZ]/, "")
    file = Path.join(dir, "#{version}-#{direction}-#{stamp}.bup")

    with :ok <- made(dir) do
      case Backup.save(file) do
        {:ok, _saved} -> {:ok, file}
        {:error, error} -> {:error, "its backup failed: #{Exception.message(error)}"}
      end
    end
  end

  defp beside(nil), do: Path.join(System.tmp_dir!(), "magnesia-#{System.pid()}.migrations")
  defp beside(dir), do: String.trim_trailing(dir, "/") <> ".migrations"

  defp made(dir) do
    with {:error, reason} <- File.mkdir_p(dir) do
      {:error, "no directory for its backup at #{dir}: #{:file.format_error(reason)}"}
    end
  end

  # What was touched goes, and comes back from the backup if it was there; then the note goes. A
  # crash in between leaves the note, and all of it is done again.
  defp put_back(version, entry) do
    with :ok <- all(entry.touched, &dropped/1),
         :ok <- restored(Enum.filter(entry.touched, &(&1 in entry.tables)), entry.backup) do
      case entry.state do
        {:running, :up} -> History.strike(version)
        {:running, :down} -> History.enter(version, %{entry | state: :up, touched: []})
      end
    end
  end

  defp all(list, fun) do
    Enum.find_value(list, :ok, fn item -> with :ok <- fun.(item), do: nil end)
  end

  defp dropped(table) do
    if table in Magnesia.tables(), do: Magnesia.delete_table(table), else: :ok
  end

  defp restored([], _backup), do: :ok

  defp restored(tables, backup) do
    with {:ok, _tables} <- Backup.restore(backup, tables: tables), do: :ok
  end
end
