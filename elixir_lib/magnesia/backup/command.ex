defmodule Magnesia.Backup.Command do
  @moduledoc """
  The command lines of `mix magnesia.backup`, `.restore` and `.check`: reads arguments, opens the
  directory, prints. On a terminal a bar shows how far it is; elsewhere lines are plain.
  """

  alias Magnesia.Backup
  alias Magnesia.Demo.Progress
  alias Magnesia.Engine

  @backup """
  Usage: mix magnesia.backup DIR --to FILE [--table TABLE ...]

  Writes a backup of the database in DIR, in Mnesia's own format. No VM may have DIR open: in a
  running application call Magnesia.Backup.save/2, which disturbs nobody.

  Options
    --to FILE       where the backup goes; a file there is replaced when the new one is complete
    --table TABLE   only this table; may be given more than once
    --help          this text

  Examples
    mix magnesia.backup data --to /mnt/backup/monday.bup
    mix magnesia.backup data --to users.bup --table user --table session

  The exit status is 0 when done, 1 when no backup was made, 2 for arguments that can't be used.
  """

  @restore """
  Usage: mix magnesia.restore FILE --into DIR [options]

  Gives the database in DIR the tables of a backup that Magnesia or Mnesia has made: all of them
  or, when anything is wrong, none. Tables and DIR are made where they are missing. No VM may
  have DIR open.

  Options
    --into DIR      the database's directory
    --table TABLE   only this table; may be given more than once
    --keep          leave the rows whose key the backup does not have
    --help          this text

  Examples
    mix magnesia.restore monday.bup --into data
    mix magnesia.restore monday.bup --into data --table user --keep

  The exit status is 0 when done, 1 when nothing was restored, 2 for arguments that can't be used.
  """

  @check """
  Usage: mix magnesia.check FILE

  Reads a backup to its end and says what is in it, or where it is damaged and what is whole
  before that place. FILE is only read; no database is opened.

  Options
    --help          this text

  Examples
    mix magnesia.check monday.bup

  The exit status is 0 when it is whole, 1 when it is not, 2 for arguments that can't be used.
  """

  @doc "Writes a backup; returns the exit status."
  @spec backup([String.t()]) :: 0 | 1 | 2
  def backup(arguments) do
    switches = [to: :string, table: [:string, :keep], help: :boolean]

    parsed(arguments, switches, "backup", @backup, fn
      [dir], %{to: file} = options -> there(dir, fn -> save(file, options) end)
      _words, _options -> {:refused, "give a directory and --to FILE"}
    end)
  end

  # A backup of a directory that was misspelt is no backup.
  defp there(dir, fun) do
    if Engine.has_database(Path.expand(dir)) == false,
      do: {:failed, "#{dir} holds no database"},
      else: opened(dir, fun)
  end

  defp save(file, options) do
    tables = options[:table] || Magnesia.tables()
    rows = tables |> Enum.map(&Magnesia.count/1) |> Enum.sum()
    bar = Progress.start("saving #{counted(length(tables), "table")}", rows)

    told(bar, fn tell ->
      Backup.save(file, tables: tables, progress: fn _table, rows -> tell.(rows) end)
    end)
    |> said(fn saved ->
      "Saved #{counted(saved.rows, "row")} to #{file}, #{saved.bytes} bytes."
    end)
  end

  @doc "Restores a backup; returns the exit status."
  @spec restore([String.t()]) :: 0 | 1 | 2
  def restore(arguments) do
    switches = [into: :string, table: [:string, :keep], keep: :boolean, help: :boolean]

    parsed(arguments, switches, "restore", @restore, fn
      [file], %{into: dir} = options -> opened(dir, fn -> put(file, dir, options) end)
      _words, _options -> {:refused, "give a file and --into DIR"}
    end)
  end

  defp put(file, dir, options) do
    wanted = options[:table] || :all
    keep? = options[:keep] || false

    with {:ok, found} <- Backup.verify(file) do
      rows = for {name, rows} <- found.tables, wanted == :all or name in wanted, do: rows
      bar = Progress.start("restoring #{counted(length(rows), "table")}", Enum.sum(rows))
      told(bar, &Backup.restore(file, tables: wanted, keep: keep?, progress: &1))
    end
    |> said(fn tables -> "Restored #{counted(length(tables), "table")} into #{dir}." end)
  end

  @doc "Reads a backup through; returns the exit status."
  @spec check([String.t()]) :: 0 | 1 | 2
  def check(arguments) do
    parsed(arguments, [help: :boolean], "check", @check, fn
      [file], _options -> file |> Backup.verify() |> said(&shown(&1, file))
      _words, _options -> {:refused, "give one file"}
    end)
  end

  defp shown(found, file) do
    lines =
      for {name, rows} <- found.tables do
        String.pad_trailing("  #{name}", 40) <> String.pad_leading("#{rows}", 12)
      end

    what = "#{counted(found.rows, "row")} of #{counted(length(lines), "table")}"

    Enum.join(
      ["#{file} is whole: #{what}, made on #{found.node} at #{found.made}."] ++ lines,
      "\n"
    )
  end

  # Runs `fun` with a fun that moves the bar, wherever it is called.
  defp told(bar, fun) do
    me = self()
    task = Task.async(fn -> fun.(&send(me, {:rows, &1})) end)
    follow(task, bar)
  end

  defp follow(%{ref: ref} = task, bar) do
    receive do
      {:rows, rows} ->
        follow(task, Progress.advance(bar, rows))

      {^ref, result} ->
        Process.demonitor(ref, [:flush])
        bar = drained(bar)
        if match?({:ok, _}, result), do: Progress.finish(bar), else: IO.puts("")
        result
    end
  end

  defp drained(bar) do
    receive do
      {:rows, rows} -> drained(Progress.advance(bar, rows))
    after
      0 -> bar
    end
  end

  defp said({:ok, value}, text), do: {:done, text.(value)}
  defp said({:error, error}, _text), do: {:failed, Exception.message(error)}

  @doc "Parses arguments, does what they say and prints what came of it."
  @spec parsed([String.t()], keyword(), String.t(), String.t(), fun()) :: 0 | 1 | 2
  def parsed(arguments, switches, name, usage, fun) do
    case OptionParser.parse(arguments, strict: switches) do
      {options, words, []} ->
        if options[:help],
          do: ended({:done, usage}, name, usage),
          else: ended(fun.(words, gathered(options)), name, usage)

      {_options, _words, invalid} ->
        unknown = Enum.map_join(invalid, " ", &elem(&1, 0))
        ended({:refused, "cannot use #{unknown}"}, name, usage)
    end
  end

  defp gathered(options) do
    tables = for {:table, name} <- options, do: String.to_atom(name)
    options = options |> Keyword.delete(:table) |> Map.new()
    if tables == [], do: options, else: Map.put(options, :table, tables)
  end

  defp ended({:done, text}, _name, _usage) do
    IO.puts(text)
    0
  end

  defp ended({:failed, text}, name, _usage) do
    IO.puts(:stderr, "magnesia.#{name}: #{text}")
    1
  end

  defp ended({:refused, text}, name, usage) do
    IO.puts(:stderr, "magnesia.#{name}: #{text}\n\n#{usage}")
    2
  end

  @doc "Runs a fun with the database of a directory open, and closes it."
  @spec opened(Path.t(), (() -> {:done | :failed, String.t()})) :: {:done | :failed, String.t()}
  def opened(dir, fun) do
    case Magnesia.start(dir: dir) do
      :ok ->
        try do
          fun.()
        after
          Magnesia.stop()
        end

      {:error, error} ->
        {:failed, Exception.message(error)}
    end
  end

  @doc "A number and its noun."
  @spec counted(non_neg_integer(), String.t()) :: String.t()
  def counted(1, noun), do: "1 #{noun}"
  def counted(count, noun), do: "#{count} #{noun}s"
end
