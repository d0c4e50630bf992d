defmodule Magnesia.Strict.Textfile do
  @moduledoc """
  Tables as text that people can edit: `load_textfile` and `dump_to_textfile`.

  The file is Mnesia's: `{tables, [{Name, Options}]}.` and then a term for each row, which begins
  with its table's name. What is done is printed, as Mnesia prints it. Nothing here is a backup:
  indexes, storage and types are not in the file.
  """

  alias Magnesia.Database
  alias Magnesia.Engine
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Settings

  @doc "Writes all tables of this node, as text."
  @spec dump_to_textfile(term()) :: :ok | :error | {:error, term()}
  def dump_to_textfile(file) do
    case {Database.running?(), :file.open(file, [:write])} do
      {true, {:ok, io}} ->
        :ok = dump(io, Definition.usable() -- [:schema])
        :file.close(io)

      {false, {:ok, io}} ->
        _ = :file.close(io)
        :error

      {_running, _refused} ->
        :error
    end
  end

  defp dump(io, tables) do
    described =
      for name <- tables, {:ok, definition} <- [Definition.fetch(name)] do
        {name, [record_name: definition.record_name, attributes: definition.attributes]}
      end

    :io.format(io, ~c"~p.~n", [{:tables, described}])

    for name <- tables, row <- rows(name) do
      :io.format(io, ~c"~p.~n", [put_elem(row, 0, name)])
    end

    :ok
  end

  defp rows(name) do
    pattern = :magnesia.table_info(name, :wild_pattern)
    read = fn -> :magnesia.match_object(name, pattern, :read) end
    {:atomic, rows} = :magnesia.transaction(read)
    rows
  end

  @doc "Makes the tables of a text that are not there, and writes its rows."
  @spec load_textfile(term()) :: {:atomic, :ok} | {:aborted, term()} | {:error, term()}
  def load_textfile(file) do
    _ = start()

    with {:ok, terms} <- terms(file),
         {:ok, tables, rows} <- collected(terms) do
      refused = make(tables)
      write(Enum.reject(rows, &(elem(&1, 0) in refused)))
    end
  end

  defp start do
    if not Database.running?() do
      missing? = Engine.has_database(Settings.path()) == false
      _ = if missing?, do: :magnesia.create_schema([node()])
      :magnesia.start()
    end
  end

  defp terms(file) do
    case :file.open(file, [:read]) do
      {:ok, io} ->
        read = read(io, file, 1, [])
        _ = :file.close(io)
        read

      {:error, _reason} ->
        {:error, :open}
    end
  end

  defp read(io, file, line, terms) do
    case :io.request(io, {:get_until, :latin1, ~c"", :erl_scan, :tokens, [line]}) do
      {:ok, tokens, next} -> parsed(:erl_parse.parse_term(tokens), io, file, {line, next}, terms)
      {:eof, _line} -> {:ok, :lists.reverse(terms)}
      other -> unreadable(~c"Error1 **~p~n", [other])
    end
  end

  defp parsed({:ok, term}, io, file, {line, next}, terms) do
    read(io, file, next, [{line, term} | terms])
  end

  defp parsed({:error, {line, module, what}}, _io, file, _lines, _terms) do
    unreadable(~c"Error in line:~p of:~tp ~ts\n", [line, file, module.format_error(what)])
  end

  defp unreadable(format, arguments) do
    :io.format(format, arguments)
    {:error, :read}
  end

  defp collected([{_line, {:tables, tables}} | rest]), do: rows(rest, tables, [])

  defp collected(_terms) do
    :io.format(~c"No tables found\n", [])
    {:error, :bad_header}
  end

  defp rows([{line, term} | rest], tables, before) do
    cond do
      is_tuple(term) and List.keymember?(tables, elem(term, 0), 0) ->
        rows(rest, tables, [term | before])

      is_tuple(term) ->
        unknown(~c"Object:~tp at line ~w unknown\n", [term, line])

      true ->
        unknown(~c"Object:~tp unknown\n", [{line, term}])
    end
  end

  defp rows([], tables, before) do
    if Enum.all?(tables, &(is_tuple(&1) and tuple_size(&1) in 2..3)) do
      {:ok, tables, :lists.reverse(before)}
    else
      {:error, :badtab}
    end
  end

  defp unknown(format, arguments) do
    :io.format(format, arguments)
    {:error, :undefined_object}
  end

  # Answers the tables that could not be made.
  defp make(tables), do: Enum.flat_map(tables, &make_one(elem(&1, 0), elem(&1, 1)))

  defp make_one(name, options) do
    if match?({:ok, _}, Definition.fetch(name)) do
      :io.format(~c"** Table ~tw already exists on ~p, just entering data~n", [name, node()])
      []
    else
      created(:magnesia.create_table(name, options), name, options)
    end
  end

  defp created({:aborted, reason}, name, options) do
    :io.format(
      ~c"** Failed to create table ~tw ~n** Reason = ~tw, Args = ~tp~n",
      [name, reason, options]
    )

    [name]
  end

  defp created({:atomic, :ok}, name, _options) do
    :io.format(~c"New table ~tw~n", [name])
    []
  end

  defp write(rows) do
    :magnesia.transaction(fn ->
      for row <- rows do
        name = elem(row, 0)
        record_name = :magnesia.table_info(name, :record_name)
        :magnesia.write(name, put_elem(row, 0, record_name), :write)
      end

      :ok
    end)
  end
end
