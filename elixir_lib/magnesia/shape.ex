defmodule Magnesia.Shape do
  @moduledoc """
  What rows of a table look like to the caller: structs when the table was named by its module
  (`Magnesia.Table`), else tuples.

  `of/1` splits what a caller calls a table into the name that the engine knows and the shape;
  the other functions convert by it. Nothing is read or written here but in `update/3`, which is
  `Magnesia.update/3` with values in the place of a fun.
  """

  alias Magnesia.Options
  alias Magnesia.Table.Type

  @typedoc "A table module, or nil for tuples."
  @type t :: module() | nil

  @doc """
  A table's name and shape.

      iex> Magnesia.Shape.of(:city)
      {:city, nil}
  """
  @spec of(term()) :: {term(), t()}
  def of(table) when is_atom(table) do
    if :erlang.function_exported(table, :__table__, 1) or declared?(table) do
      {table.__table__(:name), table}
    else
      {table, nil}
    end
  end

  def of(table), do: {table, nil}

  # A module that nobody has called yet may wait on the disk to be loaded.
  defp declared?(table) do
    not :erlang.module_loaded(table) and match?("Elixir." <> _, Atom.to_string(table)) and
      Code.ensure_loaded?(table) and function_exported?(table, :__table__, 1)
  end

  @doc "The name that the engine knows."
  @spec name(term()) :: term()
  def name(table), do: elem(of(table), 0)

  @doc "The record of a row that a caller gives."
  @spec record(t(), term()) :: term()
  def record(nil, row), do: row
  def record(module, %{__struct__: _} = row), do: module.to_record(row)
  def record(_module, record) when is_tuple(record), do: record
  def record(module, other), do: refuse!(module, other)

  @doc "A row that is about to be written, with the values that its module generates."
  @spec filled(t(), term()) :: term()
  def filled(nil, row), do: row
  def filled(module, %module{} = row), do: module.__generate__(row)
  def filled(_module, row), do: row

  @doc "The row of a stored record."
  @spec row(t(), tuple()) :: tuple() | struct()
  def row(nil, record), do: record
  def row(module, record), do: module.from_record(record)

  @doc "The rows of stored records."
  @spec rows(t(), [tuple()]) :: [tuple() | struct()]
  def rows(nil, records), do: records
  def rows(module, records), do: Enum.map(records, &module.from_record/1)

  @doc "The stored form of a key."
  @spec key(t(), term()) :: term()
  def key(nil, key), do: key
  def key(module, key), do: module.__encode__(module.__table__(:key), key)

  @doc "The key of a stored form."
  @spec read_key(t(), term()) :: term()
  def read_key(nil, key), do: key
  def read_key(module, key), do: module.__decode__(module.__table__(:key), key)

  @doc "What a caller calls the table of a row."
  @spec table_of!(term()) :: atom()
  def table_of!(row) when is_tuple(row) and tuple_size(row) > 2 and is_atom(elem(row, 0)) do
    elem(row, 0)
  end

  def table_of!(%module{} = row) do
    case of(module) do
      {_name, nil} -> raise ArgumentError, "#{inspect(row)} is a row of no Magnesia.Table"
      _shape -> module
    end
  end

  def table_of!(row) do
    raise ArgumentError, "a row is a tuple {table, key, ...}, not #{inspect(row)}"
  end

  @doc "Updates a row by a fun, or by a keyword list of values."
  @spec update(module(), term(), (struct() -> struct()) | keyword()) ::
          {:ok, struct()} | {:error, :not_found}
  def update(module, key, fun) when is_function(fun, 1), do: Magnesia.update(module, key, fun)

  def update(module, key, values) do
    names = module.__table__(:attributes)

    for {name, _value} <- values, name not in names do
      Options.unknown!("table #{inspect(module)} has no attribute", name, names)
    end

    Magnesia.update(module, key, &struct!(&1, values))
  end

  @doc "Raises with what is wrong with a row that a table module does not take."
  @spec refuse!(module(), term()) :: no_return()
  def refuse!(module, %module{} = row) do
    [{key, type} | others] = module.__table__(:types)

    {name, type} =
      if Type.fits?(type, Map.get(row, key)) do
        Enum.find(others, {key, type}, fn {name, type} ->
          value = Map.get(row, name)
          value != nil and not Type.fits?(type, value)
        end)
      else
        {key, type}
      end

    raise ArgumentError,
          "#{inspect(module)}: #{name} must be #{inspect(type)}, " <>
            "not #{inspect(Map.get(row, name))}"
  end

  def refuse!(module, row) do
    raise ArgumentError,
          "table #{inspect(module)} has rows %#{inspect(module)}{}, not #{inspect(row)}"
  end

  @doc "Raises for a stored record that is no row of a table module."
  @spec refuse_record!(module(), term()) :: no_return()
  def refuse_record!(module, record) do
    raise ArgumentError,
          "the record #{inspect(record)} of table #{inspect(module.__table__(:name))} does " <>
            "not fit #{inspect(module)}: #{inspect(module.__table__(:attributes))}"
  end
end
