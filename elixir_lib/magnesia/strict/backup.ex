defmodule Magnesia.Strict.Backup do
  @moduledoc """
  `backup` and `backup_checkpoint`: the tables of a checkpoint written with a backup module.

  The definitions come first, then each table's rows as they were at the checkpoint's moment. For
  files in Mnesia's own format the engine makes the bytes; any other module gets terms. Reading a
  backup is not done here.
  """

  alias Magnesia.Engine
  alias Magnesia.Strict.BackupFile
  alias Magnesia.Strict.Checkpoints
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Listing
  alias Magnesia.Strict.Settings
  alias Magnesia.Strict.Traversal
  alias Magnesia.Telemetry.Writing

  require Logger

  @chunk_rows 500
  @chunk_bytes 1_048_576

  @typep answer :: :ok | {:error, term()}
  @typep progress :: (atom(), non_neg_integer() -> term())

  @doc "Writes all tables: those in memory as they were saved last."
  @spec backup(term()) :: answer()
  def backup(opaque), do: backup(opaque, [])

  @doc "The same with a module, or with options."
  @spec backup(term(), module() | [{atom(), term()}]) :: answer()
  def backup(opaque, module) when is_atom(module) and module != [] do
    backup(opaque, module: module)
  end

  def backup(opaque, options) when is_list(options) do
    if Definition.fetch(:schema) == :error, do: exit({:aborted, {:node_not_running, node()}})
    all = Definition.names()

    with {:ok, name, _nodes} <- Checkpoints.activate(ram_overrides_dump: false, max: all) do
      result = backup_once(name, opaque, options, fn _table, _rows -> :ok end)
      _ = Checkpoints.deactivate(name)
      result
    end
  end

  @doc "Writes a checkpoint's tables."
  @spec backup_checkpoint(term(), term()) :: answer()
  def backup_checkpoint(name, opaque), do: backup_checkpoint(name, opaque, [])

  @doc "The same with a module, or with options."
  @spec backup_checkpoint(term(), term(), module() | [{atom(), term()}]) :: answer()
  def backup_checkpoint(name, opaque, module) when is_atom(module) and module != [] do
    backup_checkpoint(name, opaque, module: module)
  end

  def backup_checkpoint(name, opaque, options) when is_list(options) do
    backup_checkpoint(name, opaque, options, fn _table, _rows -> :ok end)
  end

  @doc "The same; `progress` is called with a table and some rows of it, in another process."
  @spec backup_checkpoint(term(), term(), [{atom(), term()}], progress()) :: answer()
  def backup_checkpoint(name, opaque, options, progress) do
    backup_checkpoint(name, opaque, options, progress, false)
  end

  @doc "The same for a checkpoint that nobody else reads, ever: writers keep less for it."
  @spec backup_once(term(), term(), [{atom(), term()}], progress()) :: answer()
  def backup_once(name, opaque, options, progress) do
    backup_checkpoint(name, opaque, options, progress, true)
  end

  defp backup_checkpoint(name, opaque, options, progress, once?) do
    begin = %{
      module: Settings.get(:backup_module),
      tables: :all,
      since: name,
      once?: once?,
      rows: progress
    }

    with {:ok, asked} <- asked(options, begin) do
      Writing.backup(opaque, asked.rows, &served(name, opaque, %{asked | rows: &1}))
    end
  end

  defp served(name, opaque, asked) do
    client = self()
    pid = spawn_link(fn -> serve(client, name, opaque, asked) end)

    receive do
      {^pid, ^client, result} -> result
    end
  end

  defp asked([option | rest], asked) do
    case option(option, asked) do
      {:ok, asked} -> asked(rest, asked)
      :error -> {:error, {:badarg, option}}
    end
  end

  defp asked([], asked), do: {:ok, asked}

  defp option({:scope, scope}, asked) when scope in [:global, :local], do: {:ok, asked}
  defp option({:module, module}, asked) when is_atom(module), do: {:ok, %{asked | module: module}}
  defp option({:incremental, name}, asked), do: {:ok, %{asked | since: name}}
  defp option({:tables, tables}, asked) when is_list(tables), do: {:ok, %{asked | tables: tables}}
  defp option(_other, _asked), do: :error

  defp serve(client, name, opaque, asked) do
    Process.flag(:trap_exit, true)

    result =
      try do
        write(name, opaque, asked)
      catch
        _kind, reason -> {:error, {:EXIT, reason}}
      end

    send(client, {self(), client, result})
    Process.unlink(client)
  end

  defp write(name, opaque, asked) do
    out = {Traversal.served_by(asked.module), opaque}
    out = call(out, :open_write, [])
    out = call(out, :write, [[Traversal.header()]])
    checkpoint = checkpoint(out, name)
    tables = if asked.tables == :all, do: checkpoint.tables, else: asked.tables
    out = schema(out, checkpoint, tables)
    # A table that is named twice is written twice.
    asked = %{asked | once?: asked.once? and Enum.uniq(tables) == tables}

    out =
      Enum.reduce(tables -- [:schema], out, fn table, out ->
        table(out, checkpoint, table, asked)
      end)

    _ = call(out, :commit_write, [])
    :ok
  end

  defp checkpoint(out, name) do
    case Checkpoints.fetch(name) do
      {:ok, checkpoint} -> checkpoint
      {:error, reason} -> abandon(out, {:error, reason})
    end
  end

  defp schema(out, checkpoint, tables) do
    items =
      if :schema in tables do
        Enum.map(checkpoint.definitions, &fresh(&1, checkpoint.cookie))
      else
        for table <- tables, do: described(checkpoint, table)
      end

    added(out, items)
  end

  # Each backup is of a schema of its own, so that nobody takes it for the one that runs.
  defp fresh(%{name: :schema} = definition, cookie),
    do: Listing.item(%{definition | cookie: cookie})

  defp fresh(definition, _cookie), do: Listing.item(definition)

  defp described(checkpoint, table) do
    case Enum.find(checkpoint.definitions, &(&1.name == table)) do
      nil -> current(table)
      definition -> Listing.item(definition)
    end
  end

  defp current(table) do
    case Definition.fetch(table) do
      {:ok, definition} -> Listing.item(definition)
      :error -> exit(:badarg)
    end
  end

  defp table(out, checkpoint, table, asked) do
    if table not in checkpoint.tables do
      abandon(out, {:error, {~c"No retainer attached to table", [table, checkpoint.name]}})
    end

    case reading(checkpoint, table, Checkpoints.fetch(asked.since), asked.once?) do
      {:"$magnesia_error", reason} -> broken(out, reason)
      reading -> rows(out, reading, table, asked.rows)
    end
  end

  # A table that the earlier checkpoint does not have is written whole.
  defp reading(checkpoint, table, {:ok, earlier}, once?) when earlier.name != checkpoint.name do
    if table in earlier.tables do
      Engine.checkpoint_changes(checkpoint.handle, earlier.handle, table)
    else
      Engine.checkpoint_rows(checkpoint.handle, table, once?)
    end
  end

  defp reading(checkpoint, table, _same_or_none, once?) do
    Engine.checkpoint_rows(checkpoint.handle, table, once?)
  end

  @spec rows({module(), term()}, reference(), atom(), progress()) :: {module(), term()}
  defp rows({BackupFile, _state} = out, reading, table, progress) do
    case Engine.rows_log(reading, @chunk_bytes) do
      {:"$magnesia_error", reason} ->
        broken(out, reason)

      {bytes, count, more} ->
        out = call(out, :write_log, [bytes])
        _ = progress.(table, count)
        if more == :more, do: rows(out, reading, table, progress), else: out
    end
  end

  defp rows(out, reading, table, progress) do
    case Engine.rows_next(reading, @chunk_rows) do
      {:"$magnesia_error", reason} ->
        broken(out, reason)

      {items, more} ->
        out = added(out, items)
        _ = progress.(table, length(items))
        if more == :more, do: rows(out, reading, table, progress), else: out
    end
  end

  @spec broken({module(), term()}, term()) :: no_return()
  defp broken(out, reason), do: abandon(out, {:error, {~c"Tab copier iteration failed", reason}})

  defp added(out, []), do: out
  defp added(out, items), do: call(out, :write, [items])

  defp call({module, state} = out, function, arguments) do
    receive do
      {:EXIT, pid, reason} -> abandon(out, {:EXIT, pid, reason})
    after
      0 -> result(called(module, function, [state | arguments]), out)
    end
  end

  defp result({:ok, state}, {module, _old}), do: {module, state}
  defp result({:error, reason}, out), do: abandon(out, reason)
  defp result(other, out), do: abandon(out, {:case_clause, other})

  defp called(module, function, arguments) do
    apply(module, function, arguments)
  catch
    _kind, reason -> {:error, reason}
  end

  @spec abandon({module(), term()}, term()) :: no_return()
  defp abandon({module, state}, reason) do
    with {:error, cause} <- called(module, :abort_write, [state]) do
      Logger.debug("No backup to remove after #{inspect(reason)}: #{inspect(cause)}")
    end

    throw({:error, reason})
  end
end
