defmodule Magnesia.Strict.Fallback do
  @moduledoc """
  Fallbacks: a backup that the next start takes the whole database from.

  A fallback is a complete copy of the backup in the database's directory, `FALLBACK.BUP` as
  Mnesia calls it. The start that finds it makes all of its tables anew in one step and then
  removes it, so a crash at any point leaves it to the next start. A database that is too damaged
  to be opened is given up for it.
  """

  alias Magnesia.Database
  alias Magnesia.Engine
  alias Magnesia.Strict.BackupFile
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Failure
  alias Magnesia.Strict.Listing
  alias Magnesia.Strict.Restoration
  alias Magnesia.Strict.Rules
  alias Magnesia.Strict.Settings
  alias Magnesia.Strict.Traversal

  require Logger

  @file_name "FALLBACK.BUP"
  @tmp_name "FALLBACK.TMP"
  @refused ~c"Cannot install fallback"

  @typep answer :: :ok | {:error, term()}

  # Arming

  @doc "Has the next start take the database from a backup."
  @spec install_fallback(term()) :: answer()
  def install_fallback(opaque), do: install_fallback(opaque, [])

  @doc "The same with a module, or with options."
  @spec install_fallback(term(), term()) :: answer()
  def install_fallback(opaque, module) when is_atom(module) and module != [] do
    install_fallback(opaque, module: module)
  end

  def install_fallback(opaque, options) when is_list(options) do
    with {:ok, asked} <- asked(options) do
      case install(opaque, asked) do
        :ok -> :ok
        {:error, reason} -> {:error, {@refused, reason}}
      end
    end
  end

  def install_fallback(_opaque, options), do: {:error, {:badarg, options}}

  defp asked(options) do
    begin = %{module: Settings.get(:backup_module), scope: :global, dir: nil}

    Enum.reduce_while(options, {:ok, begin}, fn option, {:ok, asked} ->
      case option(option, asked) do
        :error -> {:halt, {:error, {:badarg, option}}}
        asked -> {:cont, {:ok, asked}}
      end
    end)
  end

  defp option({:scope, scope}, asked) when scope in [:global, :local], do: %{asked | scope: scope}
  defp option({:module, module}, asked) when is_atom(module), do: %{asked | module: module}
  defp option({:mnesia_dir, dir}, asked), do: %{asked | dir: dir}
  defp option({:default_op, op}, asked) when op in [:keep_tables, :skip_tables], do: asked

  defp option({op, tables}, asked) when op in [:keep_tables, :skip_tables] and is_list(tables) do
    if Enum.all?(tables, &is_atom/1), do: asked, else: :error
  end

  defp option(_other, _asked), do: :error

  defp install(opaque, asked) do
    with {:ok, schema} <- schema(asked.module, opaque),
         :ok <- resident(schema),
         {:ok, dir} <- directory(asked),
         :ok <- unarmed(dir) do
      copy(opaque, asked.module, dir)
    end
  end

  defp schema(module, opaque) do
    with items when is_list(items) <- Traversal.read_schema(module, opaque) do
      case List.keyfind(items, :schema, 1) do
        {:schema, :schema, list} -> {:ok, list}
        nil -> {:error, {~c"Cannot lookup", :schema}}
      end
    end
  end

  defp resident(schema) do
    nodes = Keyword.get(schema, :disc_copies, [])

    if node() in nodes do
      :ok
    else
      {:error, {~c"No disc resident schema on local node", nodes}}
    end
  end

  defp directory(asked) do
    cond do
      Settings.get(:schema_location) == :ram -> {:error, {:has_no_disc, node()}}
      asked.dir == nil -> {:ok, here()}
      asked.scope == :global -> {:error, {:combine_error, :global, :dir, node()}}
      true -> {:ok, IO.chardata_to_string(asked.dir)}
    end
  end

  defp here, do: IO.chardata_to_string(Database.directory())

  defp unarmed(dir) do
    if File.exists?(file(dir)), do: {:error, {:already_exists, node()}}, else: :ok
  end

  defp copy(opaque, module, dir) do
    tmp = Path.join(dir, @tmp_name)

    with :ok <- File.mkdir_p(dir),
         _ = File.rm(tmp),
         {:ok, out} <- BackupFile.open_write(tmp),
         {:ok, out} <- copied(out, module, opaque),
         {:ok, _tmp} <- BackupFile.commit_write(out) do
      File.rename(tmp, file(dir))
    end
  end

  # What is damaged is found here and not by the start.
  defp copied(out, module, opaque) do
    copy = fn
      items, header, schema, {:start, out} -> added(added(out, [header | schema]), items)
      items, _header, _schema, out -> added(out, items)
    end

    case Traversal.iterate(module, copy, opaque, {:start, out}) do
      {:ok, out} ->
        {:ok, out}

      {:error, reason} ->
        _ = BackupFile.abort_write(out)
        {:error, reason}
    end
  end

  defp added(out, []), do: out

  defp added(out, items) do
    case BackupFile.write(out, items) do
      {:ok, out} -> out
      {:error, reason} -> throw({:error, reason})
    end
  end

  @doc "Has the next start go on with the database there is."
  @spec uninstall_fallback() :: answer()
  def uninstall_fallback, do: uninstall_fallback(scope: :global)

  @doc "The same with options."
  @spec uninstall_fallback([{atom(), term()}]) :: answer()
  def uninstall_fallback(options) do
    with {:ok, asked} <- asked(options),
         {:ok, dir} <- directory(asked) do
      _ = File.rm(Path.join(dir, @tmp_name))
      File.rm(file(dir))
    end
  end

  @doc "Tells whether the next start would use a fallback."
  @spec armed?() :: boolean()
  def armed?, do: File.exists?(file(here()))

  @doc "Removes what there may be of a fallback in a directory."
  @spec forget(binary()) :: :ok
  def forget(dir) do
    Enum.each([file(dir), Path.join(dir, @tmp_name)], &File.rm/1)
  end

  defp file(dir), do: Path.join(dir, @file_name)

  # Starting

  @doc "Where a start finds the database, given where it is without a fallback."
  @spec location(:memory | {:disc | :create, binary()} | Engine.failure()) ::
          :memory | {:disc | :create | :fallback, binary()} | Engine.failure()
  def location(location) do
    used? =
      Settings.get(:schema_location) != :ram and
        Settings.get(:ignore_fallback_at_startup) != true and File.exists?(file(Settings.path()))

    if used?, do: {:fallback, Settings.path()}, else: location
  end

  @doc "Opens a directory's database with what its fallback has, and nothing else."
  @spec open(binary()) :: answer()
  def open(dir) do
    with {:ok, _schema} <- schema(:mnesia_backup, file(dir)),
         :ok <- open_some(dir),
         {:error, reason} <- take(file(dir)) do
      _ = Engine.close()
      {:error, {~c"Cannot start from fallback", reason}}
    end
  end

  @doc "Removes the fallback that a start has used."
  @spec used(binary()) :: :ok
  def used(dir), do: forget(dir)

  defp open_some(dir) do
    case has(dir) && Engine.open(dir, %{create: false}) do
      :ok -> :ok
      {:"$magnesia_error", {:damaged, text}} -> given_up(dir, text)
      {:"$magnesia_error", reason} -> {:error, reason}
      false -> made(dir)
    end
  end

  defp has(dir), do: Engine.has_database(dir) != false

  defp given_up(dir, text) do
    Logger.warning("The database in #{dir} is replaced by its fallback: #{text}")

    # The directory stays, since the fallback is in it.
    with :ok <- answer(Engine.destroy(dir)), do: made(dir)
  end

  defp made(dir) do
    with :ok <- answer(Engine.create(dir)), do: answer(Engine.open(dir, %{create: false}))
  end

  defp answer(:ok), do: :ok
  defp answer({:"$magnesia_error", reason}), do: {:error, reason}

  defp take(file) do
    items = Traversal.read_schema(:mnesia_backup, file)
    {local, remote} = items |> definitions() |> Enum.split_with(&(&1.storage != :unknown))
    {[schema], tables} = Enum.split_with(local, &(&1.name == :schema))

    kept = %{
      schema: Definition.properties(schema),
      remote: Map.new(remote, &{&1.name, Definition.properties(&1)})
    }

    handle = Engine.rebuild_start()

    try do
      names = for definition <- tables, do: definition.name
      Enum.each(Engine.tables() -- names, &done(Engine.rebuild_drop(handle, &1)))
      Enum.each(tables, &done(Engine.rebuild_table(handle, Listing.blueprint(&1), false)))

      with :ok <- Restoration.fill(handle, :mnesia_backup, file, fn _rows -> :ok end) do
        answer(Engine.rebuild_commit(handle, kept))
      end
    after
      Engine.rebuild_abort(handle)
    end
  catch
    :exit, {:aborted, reason} -> {:error, reason}
  end

  defp definitions(items) do
    for {:schema, _name, list} <- items do
      list |> Listing.definition() |> Rules.check() |> Definition.built()
    end
  end

  defp done(:ok), do: :ok
  defp done({:"$magnesia_error", reason}), do: Failure.abort(reason)
end
