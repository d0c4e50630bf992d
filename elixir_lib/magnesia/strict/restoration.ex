defmodule Magnesia.Strict.Restoration do
  @moduledoc """
  `restore`: tables that run get the rows of a backup, all of them or none.

  The tables are made anew beside those there are and take their place in one step, under write
  locks; a crash leaves all as they were or all as they are to be. Making a backup is not done
  here.
  """

  import Magnesia.Strict.Alteration
  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Job
  alias Magnesia.Strict.Alteration
  alias Magnesia.Strict.BackupFile
  alias Magnesia.Strict.Copies
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Listing
  alias Magnesia.Strict.Rules
  alias Magnesia.Strict.Settings
  alias Magnesia.Strict.Traversal
  alias Magnesia.Telemetry.Writing

  @operations [:clear_tables, :recreate_tables, :keep_tables, :skip_tables]

  @typep progress :: (non_neg_integer() -> term())

  @doc "Restores tables from a backup; `{:atomic, tables}`."
  @spec restore(term(), term()) :: Alteration.outcome()
  def restore(opaque, options), do: restore(opaque, options, fn _rows -> :ok end)

  @doc "The same; `progress` is called with the number of rows of each part, in another process."
  @spec restore(term(), term(), progress()) :: Alteration.outcome()
  def restore(opaque, options, progress) when is_list(options) do
    with {:ok, asked} <- asked(options, asking(opaque, progress)) do
      restore_as(asked)
    else
      {:error, reason} -> {:aborted, reason}
    end
  end

  def restore(_opaque, options, _progress), do: {:aborted, {:badarg, options}}

  defp asking(opaque, progress) do
    %{
      opaque: opaque,
      module: Settings.get(:backup_module),
      tables: [],
      default: :clear_tables,
      here?: false,
      progress: progress
    }
  end

  @doc """
  Restores a file's tables on this node, whatever node made it: all of them, or those of a list.
  Tables that are not there are made; of those that are the rows are kept or not.
  """
  @spec restore_here(Path.t(), :all | [atom()], boolean(), progress()) :: Alteration.outcome()
  def restore_here(file, wanted, keep?, progress) do
    operation = if keep?, do: :keep_tables, else: :clear_tables
    asked = %{asking(file, progress) | module: :mnesia_backup, here?: true, default: operation}

    restore_as(
      if wanted == :all do
        asked
      else
        %{asked | default: :skip_tables, tables: for(table <- wanted, do: {table, operation})}
      end
    )
  end

  defp restore_as(%{opaque: opaque} = asked) do
    Writing.restore(opaque, fn -> restored(opaque, asked) end)
  end

  defp restored(opaque, asked) do
    with schema when is_list(schema) <- Traversal.read_schema(asked.module, opaque) do
      Alteration.valued(fn -> put(asked, schema) end)
    else
      {:error, reason} -> {:aborted, reason}
    end
  end

  defp asked(options, begin) do
    {:ok, Enum.reduce(options, begin, &option/2)}
  catch
    {:refused, reason} -> {:error, {:badarg, reason}}
  end

  defp option({:module, module}, asked) when is_atom(module), do: %{asked | module: module}

  defp option({operation, tables}, asked) when operation in @operations and is_list(tables) do
    if :schema in tables and operation in [:clear_tables, :recreate_tables] do
      throw({:refused, {operation, :schema}})
    end

    %{asked | tables: asked.tables ++ for(table <- tables, do: {table, operation})}
  end

  defp option({:default_op, operation}, asked) when operation in @operations do
    %{asked | default: operation}
  end

  defp option({:default_op, other}, _asked), do: throw({:refused, {:bad_default_op, other}})
  defp option(other, _asked), do: throw({:refused, other})

  defp put(asked, schema) do
    plan = Enum.reduce(schema, [], &plan(&1, &2, asked))
    handle = begun(Engine.rebuild_start())

    try do
      Enum.each(plan, &begin(handle, &1))
      filled(fill(handle, asked.module, asked.opaque, asked.progress))
      done(Engine.rebuild_commit(handle, nil), :schema)
    after
      Engine.rebuild_abort(handle)
    end

    Enum.each(plan, &publish/1)
    for {name, step} <- plan, step != :drop, do: name
  end

  defp plan({:schema, :schema, _list}, plan, _asked), do: plan

  defp plan({:schema, name, list}, plan, asked) do
    operation = :proplists.get_value(name, asked.tables, asked.default)

    case if(asked.here?, do: possible(operation, name), else: operation) do
      :clear_tables -> [{name, {:clear, locked!(name, :write)}} | plan]
      :keep_tables -> [{name, {:keep, locked!(name, :write)}} | plan]
      :recreate_tables -> [{name, {:recreate, recreated(name, list, asked.here?)}} | plan]
      :skip_tables -> plan
    end
  end

  defp plan({:schema, name}, plan, _asked) do
    _ = locked!(name, :write)
    [{name, :drop} | List.keydelete(plan, name, 0)]
  end

  defp possible(:skip_tables, _name), do: :skip_tables

  defp possible(operation, name) do
    if Definition.fetch(name) == :error, do: :recreate_tables, else: operation
  end

  # A copy of this node alone, on disc where there is one.
  defp moved(definition, false), do: definition

  defp moved(definition, true) do
    storages = [:disc_copies, :disc_only_copies, :ram_copies]
    here? = &(node() in Map.fetch!(definition, &1))
    some? = &(Map.fetch!(definition, &1) != [])
    storage = Enum.find(storages, here?) || Enum.find(storages, some?) || :ram_copies
    storage = if Copies.disc?(), do: storage, else: :ram_copies
    bare = Enum.reduce(storages, definition, &Map.put(&2, &1, []))
    Map.put(bare, storage, [node()])
  end

  defp recreated(name, list, here?) do
    _ = if Definition.fetch(name) != :error, do: locked!(name, :write)

    definition =
      %{Listing.definition(list) | cookie: Definition.cookie()}
      |> moved(here?)
      |> Rules.check()
      |> Definition.built()

    if definition.storage == :unknown, do: abort({:not_active, name, node()})
    Copies.needs_disc(definition, {:bad_type, name, definition.storage, node()})
    %{definition | load_reason: {:dumper, :create_table}}
  end

  defp begun({:"$magnesia_error", reason}), do: abort(translate(reason))
  defp begun(handle), do: handle

  defp begin(handle, {name, :drop}), do: done(Engine.rebuild_drop(handle, name), name)

  defp begin(handle, {name, {step, definition}}) do
    blueprint = Listing.blueprint(definition)
    done(Engine.rebuild_table(handle, blueprint, step == :keep), name)
  end

  defp publish({name, :drop}), do: Definition.erase(name)
  defp publish({_name, {:recreate, definition}}), do: Definition.publish(definition)
  defp publish(_unchanged), do: :ok

  defp filled(:ok), do: :ok
  defp filled({:error, reason}), do: abort(reason)

  # Rows

  @doc "Gives the tables that are being made the rows of a backup."
  @spec fill(reference(), module(), term(), progress()) :: :ok | {:error, term()}
  def fill(handle, module, opaque, progress) do
    case Traversal.served_by(module) do
      BackupFile -> fill_from_file(handle, opaque, progress)
      module -> fill_with(handle, module, opaque, progress)
    end
  end

  defp fill_from_file(handle, file, progress) do
    with {:ok, backup} <- BackupFile.open_read(file) do
      result = take(handle, backup, progress, :header)
      _ = BackupFile.close_read(backup)
      result
    end
  end

  defp take(handle, backup, progress, next) do
    case BackupFile.chunk(backup) do
      :eof -> ended(BackupFile.ended(backup))
      {:error, reason} -> {:error, reason}
      bytes -> take(handle, backup, progress, next, bytes)
    end
  end

  # The header was looked at when the schema was read.
  defp take(handle, backup, progress, :header, bytes) do
    case BackupFile.item_bytes(bytes) do
      {:ok, used} ->
        <<_header::binary-size(used), rest::binary>> = bytes
        take(handle, BackupFile.took(backup, bytes, used, 1), progress, :items, rest)

      :short ->
        take(handle, BackupFile.took(backup, bytes, 0, 0), progress, :header)

      {:damaged, why} ->
        BackupFile.damaged(backup, why)
    end
  end

  defp take(handle, backup, progress, :items, bytes) do
    case Engine.rebuild_log(handle, bytes) do
      {:ok, {used, items, rows}} ->
        _ = Job.outside(fn -> progress.(rows) end)
        take(handle, BackupFile.took(backup, bytes, used, items), progress, :items)

      {:damaged, why, {used, items, _rows}} ->
        BackupFile.damaged(BackupFile.took(backup, bytes, used, items), why)

      {:bad_type, why, {used, items, _rows}} ->
        {:error, {_damaged, text}} =
          BackupFile.damaged(BackupFile.took(backup, bytes, used, items), why)

        {:error, {:bad_type, text}}

      {:"$magnesia_error", reason} ->
        {:error, translate(reason)}
    end
  end

  defp ended({:ok, _backup, []}), do: :ok
  defp ended({:error, reason}), do: {:error, reason}

  defp fill_with(handle, module, opaque, progress) do
    add = fn items, _header, _schema, acc ->
      case Engine.rebuild_items(handle, items) do
        {:ok, rows} ->
          _ = Job.outside(fn -> progress.(rows) end)
          acc

        {:bad_type, item} ->
          throw({:error, {:bad_type, item}})

        {:"$magnesia_error", reason} ->
          throw({:error, translate(reason)})
      end
    end

    with {:ok, _acc} <- Traversal.iterate(module, add, opaque, nil), do: :ok
  end
end
