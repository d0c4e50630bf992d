defmodule Magnesia.Backup do
  @moduledoc """
  Backups of the running database: one file, one moment, while everybody goes on writing.

  A backup has every table with its definition and its rows as they were at one moment; a
  transaction is in it whole or not at all, and nobody waits for it. The file is Mnesia's own
  format: `:mnesia.restore/2` takes it, and `restore/2` takes what `:mnesia.backup/1` made. Keep
  it on another disk than the database.

      iex> file = Path.join(System.tmp_dir!(), "magnesia-doc-\#{System.pid()}.bup")
      iex> {:ok, %{rows: rows}} = Magnesia.Backup.save(file)
      iex> rows
      5
      iex> {:ok, _row} = Magnesia.put({:city, "Oslo", :no, 1})
      iex> {:ok, tables} = Magnesia.Backup.restore(file, tables: [:city])
      iex> {tables, Magnesia.get(:city, "Oslo")}
      {[:city], {:city, "Oslo", :no, 710}}
      iex> File.rm!(file)
      :ok

  A restore is all or nothing, also when the VM dies in the middle: either all tables have the
  rows of the backup or none was touched. What is damaged is named with its place in the file.
  The format has no mark at its end and no checksums of rows, as Mnesia has it: a file that was
  cut between two rows looks complete, so compare `verify/1`'s figures with those of `save/2`.
  """

  alias Magnesia.Backup.Reading
  alias Magnesia.BackupError
  alias Magnesia.Options
  alias Magnesia.Strict.Backup
  alias Magnesia.Strict.BackupFile
  alias Magnesia.Strict.Checkpoints
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Fallback
  alias Magnesia.Strict.Restoration

  @typedoc "A file's name."
  @type file :: Path.t()
  @typedoc "Called with a table and a number of its rows, again and again until all are done."
  @type progress :: (atom(), non_neg_integer() -> term())

  @doc """
  Writes a backup; it takes the place of a file of that name when it is complete and on disk.

  Options: `:tables`, a list of tables (all of this node by default), and `:progress`, a fun
  that is called with a table and the number of rows of each part.

      iex> file = Path.join(System.tmp_dir!(), "magnesia-doc-\#{System.pid()}.bup")
      iex> {:ok, saved} = Magnesia.Backup.save(file, tables: [:city])
      iex> {saved.rows, saved.tables, saved.bytes == File.stat!(file).size}
      {3, [:city], true}
      iex> File.rm!(file)
      :ok
      iex> {:error, error} = Magnesia.Backup.save("/nowhere/city.bup")
      iex> Exception.message(error)
      "/nowhere/city.bup.BUPTMP: no such file or directory"
  """
  @spec save(file(), keyword()) ::
          {:ok, %{tables: [atom()], rows: non_neg_integer(), bytes: non_neg_integer()}}
          | {:error, BackupError.t()}
  def save(file, options \\ []) do
    Options.validate!(options, rules(), "Magnesia.Backup.save/2")
    tables = tables(options[:tables] || :all)
    counter = :counters.new(1, [])
    progress = options[:progress] || fn _table, _rows -> :ok end

    count = fn table, rows ->
      :counters.add(counter, 1, rows)
      progress.(table, rows)
    end

    with {:ok, name, _nodes} <- activate(tables),
         :ok <- write(name, file, count) do
      {:ok, %{tables: tables, rows: :counters.get(counter, 1), bytes: File.stat!(file).size}}
    else
      {:error, reason} -> failed(file, reason)
    end
  end

  defp rules do
    [
      tables: {&(&1 == :all or is_list(&1)), "a list of tables, or :all"},
      progress: {&is_function(&1, 2), "a fun of a table and a number of rows"}
    ]
  end

  defp tables(:all), do: Enum.sort(Definition.usable() -- [:schema])
  defp tables(tables), do: tables

  # All definitions are of the moment too, so that the file is good for a fallback.
  defp activate(tables) do
    if Definition.fetch(:schema) == :error do
      {:error, {:node_not_running, node()}}
    else
      Checkpoints.activate(max: [:schema | tables], ram_overrides_dump: true)
    end
  end

  defp write(name, file, count) do
    listed = if all?(name), do: [], else: [tables: checkpoint_tables(name)]
    Backup.backup_once(name, file, [module: :mnesia_backup] ++ listed, count)
  after
    Checkpoints.deactivate(name)
  end

  # A part of the tables is a backup without the schema of all.
  defp all?(name), do: (Definition.usable() -- [:schema]) -- checkpoint_tables(name) == []

  defp checkpoint_tables(name) do
    {:ok, checkpoint} = Checkpoints.fetch(name)
    checkpoint.tables -- [:schema]
  end

  @doc """
  Gives this node's tables the rows of a backup, all of them or none.

  Tables that are not there are made, on this node, whatever node the backup is from; rows that
  are there are replaced. Options: `:tables`, a list of those to restore; `keep: true` to leave
  rows whose key the backup does not have; `:progress`, a fun that is called with the number of
  rows of each part.

      iex> file = Path.join(System.tmp_dir!(), "magnesia-doc-\#{System.pid()}.bup")
      iex> {:ok, _saved} = Magnesia.Backup.save(file)
      iex> {:atomic, :ok} = :magnesia.delete_table(:city)
      iex> {:ok, _row} = Magnesia.put({:visit, "Zoe", "Bergen"})
      iex> Magnesia.Backup.restore(file, keep: true)
      {:ok, [:city, :hits, :visit]}
      iex> {Magnesia.count(:city), Magnesia.count(:visit)}
      {3, 3}
      iex> File.rm!(file)
      :ok
  """
  @spec restore(file(), keyword()) :: {:ok, [atom()]} | {:error, BackupError.t()}
  def restore(file, options \\ []) do
    rules = [
      tables: {&(&1 == :all or is_list(&1)), "a list of tables, or :all"},
      keep: {&is_boolean/1, "true or false"},
      progress: {&is_function(&1, 1), "a fun of a number of rows"}
    ]

    Options.validate!(options, rules, "Magnesia.Backup.restore/2")
    progress = options[:progress] || fn _rows -> :ok end
    wanted = options[:tables] || :all

    case Restoration.restore_here(file, wanted, options[:keep] == true, progress) do
      {:atomic, tables} -> {:ok, Enum.sort(tables)}
      {:aborted, reason} -> failed(file, reason)
    end
  end

  @doc """
  Reads a backup to its end and says what is in it. The database need not be running.

  `:progress` is a fun that is called with the number of items of each part.

      iex> file = Path.join(System.tmp_dir!(), "magnesia-doc-\#{System.pid()}.bup")
      iex> {:ok, _saved} = Magnesia.Backup.save(file)
      iex> {:ok, found} = Magnesia.Backup.verify(file)
      iex> {found.rows, found.tables}
      {5, [city: 3, hits: 0, visit: 2]}
      iex> File.write!(file, "cut", [:append])
      iex> {:error, error} = Magnesia.Backup.verify(file)
      iex> error |> Exception.message() |> String.split(": ") |> List.last()
      "it ends inside an item; the 10 items before it are whole"
      iex> File.rm!(file)
      :ok
  """
  @spec verify(file(), keyword()) :: {:ok, Reading.t()} | {:error, BackupError.t()}
  def verify(file, options \\ []) do
    rules = [progress: {&is_function(&1, 1), "a fun of a number of items"}]
    Options.validate!(options, rules, "Magnesia.Backup.verify/2")

    with {:error, reason} <- Reading.read(file, options[:progress] || fn _items -> :ok end) do
      failed(file, reason)
    end
  end

  @doc """
  The rows of a backup, one after the other, each beginning with its table's name.

  Only a part of the file is in memory at once, and the database need not be running. A file that
  can't be read raises `Magnesia.BackupError`.

      iex> file = Path.join(System.tmp_dir!(), "magnesia-doc-\#{System.pid()}.bup")
      iex> {:ok, _saved} = Magnesia.Backup.save(file)
      iex> file |> Magnesia.Backup.stream() |> Enum.filter(&(elem(&1, 0) == :visit))
      [{:visit, "Ann", "Oslo"}, {:visit, "Ann", "Paris"}]
      iex> File.rm!(file)
      :ok
  """
  @spec stream(file()) :: Enumerable.t()
  def stream(file) do
    Stream.resource(
      fn -> done!(BackupFile.open_read(file), file) end,
      &more(&1, file),
      fn backup ->
        BackupFile.close_read(backup)
      end
    )
  end

  defp more(backup, file) do
    case BackupFile.read(backup) do
      {:ok, backup, []} -> {:halt, backup}
      {:ok, backup, items} -> {for(item <- items, row?(item), do: item), backup}
      {:error, reason} -> raise BackupError, file: file, reason: reason
    end
  end

  # The header, the definitions and the keys that a backup under writes deletes are no rows.
  defp row?(item), do: tuple_size(item) > 2 and elem(item, 0) not in [:log_header, :schema]

  defp done!({:ok, backup}, _file), do: backup
  defp done!({:error, reason}, file), do: raise(BackupError, file: file, reason: reason)

  @doc """
  Has the next start take the whole database from a backup: its tables and nothing else.

  The backup is read through and copied into the database's directory first. It must have been
  made by a node of this name, with its database on disc. `:magnesia.uninstall_fallback/0` takes
  it back.

      iex> {:error, error} = Magnesia.Backup.install_fallback("/nowhere/city.bup")
      iex> Exception.message(error)
      "/nowhere/city.bup: no such file or directory"
  """
  @spec install_fallback(file()) :: :ok | {:error, BackupError.t()}
  def install_fallback(file) do
    case Fallback.install_fallback(file, module: :mnesia_backup) do
      :ok -> :ok
      {:error, {_refused, reason}} -> failed(file, reason)
      {:error, reason} -> failed(file, reason)
    end
  end

  defp failed(file, reason) do
    {:error, BackupError.exception(file: file, reason: reason)}
  end
end
