defmodule Magnesia.Export do
  @moduledoc """
  Saves what is intact of a database directory, damaged or not, as a file of Erlang terms, and
  loads such a file into the running database.

      $ mix magnesia.export data --to data.terms
      table                           storage         rows
      ----------------------------------------------------
      city                            disc           11871

      Damaged, and left out:
        snap-5f0c8d3e21b7a946.msnap: damaged at byte 262216: payload checksum mismatch

      Saved 11871 rows of 1 table to data.terms.

  Then, with the database started in a new directory: `Magnesia.Export.load("data.terms")`. In a
  release, where there is no `mix`: `bin/my_app eval 'Magnesia.Export.run("data", "data.terms")'`.

  The file is UTF-8 text that `:file.consult/1` reads: `{table, Name, Options}.` for each table,
  with the options of `Magnesia.create_table/2`, followed by `{row, Name, Record}.` for each of
  its rows. A line with a process, port, reference or fun in it is `{external, Binary}.`, for
  `:erlang.binary_to_term/1`.

  Everything whose checksum is right is saved. A record of the log that lies after a damaged one
  is applied all the same, so the rows may be such as were never there at one time: look at what
  was damaged. A log that a killed VM cut off in the middle of its last record is named too.

  The directory is only read, and nobody may have it open. Tables on disc only are read from a
  copy of their files, made beside the export and removed at the end.
  """

  alias Magnesia.Engine
  alias Magnesia.Export.Terms
  alias Magnesia.Tables

  @usage """
  Usage: mix magnesia.export DIR --to FILE

  Saves what is intact of a database directory, damaged or not, as Erlang terms in FILE, and
  prints what was saved and what was damaged. DIR is only read; no VM may have it open.

  Options
    --to FILE    where the terms go; must not exist yet
    --help       this text

  Example
    mix magnesia.export data --to data.terms

  Load the file into a new database with Magnesia.Export.load("data.terms").
  The exit status is 0 when nothing was damaged, 1 when something was, 2 when nothing was saved.
  """

  @head "%% coding: utf-8\n%% Tables of Magnesia: {table, Name, Options}. {row, Name, Record}.\n"
  @batch_rows 1_000
  @storages %{ram_copies: :ram, disc_copies: :disc, disc_only_copies: :disc_only}
  @kept [:load_order, :majority, :local_content, :user_properties, :storage_properties]

  @typedoc "What was saved, and every place where something intact should have been."
  @type report :: %{
          tables: [{atom(), storage :: atom(), rows :: non_neg_integer()}],
          damage: [String.t()]
        }

  @doc "Runs an export with command-line arguments; returns the exit status."
  @spec main([String.t()]) :: 0 | 1 | 2
  def main(arguments) do
    case OptionParser.parse(arguments, strict: [to: :string, help: :boolean]) do
      {[help: true], _dirs, []} ->
        IO.puts(@usage)
        0

      {[to: file], [dir], []} ->
        status(run(dir, file))

      _other ->
        IO.puts(:stderr, "magnesia.export: give a directory and --to FILE\n\n#{@usage}")
        2
    end
  end

  defp status({:ok, %{damage: []}}), do: 0
  defp status({:ok, _report}), do: 1

  defp status({:error, text}) do
    IO.puts(:stderr, "magnesia.export: #{text}")
    2
  end

  @doc "Saves what is intact of the directory in a new file, and prints what that was."
  @spec run(Path.t(), Path.t()) :: {:ok, report()} | {:error, String.t()}
  def run(dir, file) do
    with :ok <- absent(file),
         {:ok, handle} <- opened(Engine.salvage_open(Path.expand(dir), scratch(file))) do
      try do
        with {:ok, report} <- save(handle, file) do
          IO.puts(text(report, file))
          {:ok, report}
        end
      after
        Engine.salvage_close(handle)
      end
    end
  end

  defp absent(file) do
    if File.exists?(file), do: {:error, "#{file} exists already"}, else: :ok
  end

  defp scratch(file), do: Path.expand(file) <> ".rows"

  defp opened({:"$magnesia_error", reason}), do: {:error, words(reason)}
  defp opened(handle), do: {:ok, handle}

  defp words({_kind, text}) when is_binary(text), do: text
  defp words(:no_table), do: "the directory holds no database"
  defp words(reason), do: inspect(reason)

  defp save(handle, file) do
    case File.open(file, [:write, :exclusive, :raw, :delayed_write]) do
      {:ok, io} ->
        saved = save_tables(io, handle)
        with :ok <- closed(File.close(io), file), do: saved

      {:error, reason} ->
        refused(reason, file)
    end
  catch
    {:unwritten, reason} ->
      _partial = File.rm(file)
      refused(reason, file)
  end

  defp closed(:ok, _file), do: :ok
  defp closed({:error, reason}, file), do: refused(reason, file)

  defp refused(reason, file), do: {:error, "#{file}: #{:file.format_error(reason)}"}

  defp save_tables(io, handle) do
    write(io, @head)

    {tables, ends} =
      for {name, definition, _rows} <- Engine.salvage_tables(handle) do
        options = options(definition)
        write(io, Terms.line({:table, name, options}))
        {rows, early} = save_rows(io, handle, name, nil, 0)
        {{name, options[:storage], rows}, early}
      end
      |> Enum.unzip()

    {:ok, %{tables: tables, damage: Engine.salvage_damage(handle) ++ Enum.concat(ends)}}
  end

  defp save_rows(io, handle, name, place, count) do
    case Engine.salvage_rows(handle, name, place) do
      {:"$magnesia_error", reason} ->
        {count, ["table #{inspect(name)}: its rows end early: #{words(reason)}"]}

      {rows, next} ->
        write(io, for(row <- rows, do: Terms.line({:row, name, row})))
        count = count + length(rows)
        if next, do: save_rows(io, handle, name, next, count), else: {count, []}
    end
  end

  defp write(io, data) do
    with {:error, reason} <- :file.write(io, data), do: throw({:unwritten, reason})
  end

  # The options with which the table is made again.
  defp options({kind, storage, record_name, arity, indexes, access_mode, properties}) do
    properties = if is_map(properties), do: properties, else: %{}
    attributes = attributes(properties[:attributes], arity)

    [
      type: kind,
      storage: @storages[storage],
      record_name: record_name,
      attributes: attributes,
      index: for(position <- indexes, do: Enum.at(attributes, position - 2)),
      access_mode: access_mode
    ] ++ for key <- @kept, value = properties[key], value not in [0, []], do: {key, value}
  end

  defp attributes(names, arity) when is_list(names) and length(names) == arity - 1, do: names
  defp attributes(_lost, arity), do: [:key | for(n <- 2..max(arity - 1, 2), do: :"value#{n}")]

  defp text(report, file) do
    rows = report.tables |> Enum.map(&elem(&1, 2)) |> Enum.sum()
    tables = length(report.tables)
    line = &Enum.join([String.pad_trailing(&1, 31), String.pad_trailing(&2, 9), &3], " ")

    saved =
      for {name, storage, rows} <- report.tables, do: line.("#{name}", "#{storage}", right(rows))

    Enum.join(
      [line.("table", "storage", right("rows")), String.duplicate("-", 52)] ++
        saved ++
        damage(report.damage) ++
        ["", "Saved #{counted(rows, "row")} of #{counted(tables, "table")} to #{file}."],
      "\n"
    )
  end

  defp right(value), do: String.pad_leading("#{value}", 10)
  defp counted(1, noun), do: "1 #{noun}"
  defp counted(count, noun), do: "#{count} #{noun}s"
  defp damage([]), do: []
  defp damage(texts), do: ["", "Damaged, and left out:" | Enum.map(texts, &("  " <> &1))]

  @doc """
  Creates the tables of an exported file in the running database and writes their rows.

  Returns the number of rows by table. A table that exists already is an error, and so is a row
  that does not fit; what was loaded before stays.
  """
  @spec load(Path.t()) :: {:ok, %{atom() => non_neg_integer()}} | {:error, String.t()}
  def load(file) do
    state = %{counts: %{}, read_only: []}

    state =
      file
      |> Terms.stream!()
      |> Stream.chunk_while({0, []}, &batch/2, &{:cont, Enum.reverse(elem(&1, 1)), &1})
      |> Enum.reduce(state, &load_batch/2)

    for name <- state.read_only do
      done!(:magnesia.change_table_access_mode(name, :read_only), name)
    end

    {:ok, state.counts}
  rescue
    error in [ArgumentError, File.Error] -> {:error, Exception.message(error)}
  catch
    {:refused, text} -> {:error, text}
  end

  # A table's line ends a batch.
  defp batch({:table, _, _} = table, {_count, rows}) do
    {:cont, Enum.reverse([table | rows]), {0, []}}
  end

  defp batch(row, {@batch_rows, rows}), do: {:cont, Enum.reverse(rows), {1, [row]}}
  defp batch(row, {count, rows}), do: {:cont, {count + 1, [row | rows]}}

  defp load_batch(lines, state) do
    {rows, tables} = Enum.split_while(lines, &(elem(&1, 0) == :row))
    write_rows(rows)

    counts =
      for {:row, name, _} <- rows, reduce: state.counts do
        counts -> Map.update!(counts, name, &(&1 + 1))
      end

    Enum.reduce(tables, %{state | counts: counts}, &create/2)
  end

  defp write_rows(rows) do
    write = fn {:row, name, row} -> :magnesia.write(name, row, :write) end

    done!(
      :magnesia.transaction(fn -> Enum.each(rows, write) end),
      rows != [] && elem(hd(rows), 1)
    )
  end

  defp create({:table, name, options}, state) do
    case Tables.create(name, Keyword.delete(options, :access_mode)) do
      :ok ->
        frozen = if options[:access_mode] == :read_only, do: [name], else: []

        %{
          state
          | counts: Map.put(state.counts, name, 0),
            read_only: frozen ++ state.read_only
        }

      {:error, error} ->
        throw({:refused, Exception.message(error)})
    end
  end

  defp done!({:atomic, :ok}, _table), do: :ok

  defp done!({:aborted, reason}, table) do
    error = Magnesia.Error.new(Magnesia.TransactionError, reason, table)
    throw({:refused, Exception.message(error)})
  end
end
