defmodule Magnesia.Rows do
  @moduledoc """
  The work on single rows behind `Magnesia`: reading, writing and changing under a key.

  Each function runs in the caller's context (`Magnesia.Context`); what reads in order to write
  takes the write lock at once. Outcomes that a caller expects are values, anything else leaves
  as the context says.
  """

  import Magnesia.Context, only: [run: 2]

  alias Magnesia.Query

  @type table :: atom()
  @type row :: tuple()

  @doc "The one row under a key, or a default; refuses a bag."
  @spec get(table(), term(), term()) :: row() | term()
  def get(table, key, default) do
    run(table, fn -> one(table, :magnesia.read(table, key), default) end)
  end

  @doc "The one row of a key's rows; a bag is refused whatever it holds."
  @spec one(table(), [row()], term()) :: row() | term()
  def one(table, rows, default) do
    refuse_bag(table)

    case rows do
      [row] -> row
      [] -> default
    end
  end

  @doc "All rows under a key."
  @spec get_all(table(), term()) :: [row()]
  def get_all(table, key), do: run(table, fn -> :magnesia.read(table, key) end)

  @doc "Writes a row."
  @spec put(table(), row()) :: {:ok, row()}
  def put(table, row) do
    run(table, fn ->
      :magnesia.write(table, row, :write)
      {:ok, row}
    end)
  end

  @doc "Writes a row unless its key is taken."
  @spec insert(table(), row()) :: {:ok, row()} | {:error, :already_exists}
  def insert(table, row) do
    run(table, fn ->
      case :magnesia.read(table, key!(table, row), :write) do
        [] -> write(table, row)
        _taken -> {:error, :already_exists}
      end
    end)
  end

  @doc "Writes a row if its key is taken."
  @spec replace(table(), row()) :: {:ok, row()} | {:error, :not_found}
  def replace(table, row) do
    run(table, fn ->
      case :magnesia.read(table, key!(table, row), :write) do
        [] -> {:error, :not_found}
        _taken -> write(table, row)
      end
    end)
  end

  @doc "Puts what a fun makes of a row in its place."
  @spec update(table(), term(), (row() -> row())) :: {:ok, row()} | {:error, :not_found}
  def update(table, key, fun) do
    run(table, fn ->
      case one(table, :magnesia.read(table, key, :write), nil) do
        nil -> {:error, :not_found}
        row -> write(table, same_key!(key, fun.(row)))
      end
    end)
  end

  @doc "As `update/3`, with a value of the fun's own as the result."
  @spec get_and_update(table(), term(), (row() | nil -> {value, row() | nil} | :pop)) ::
          value | row() | nil
        when value: term()
  def get_and_update(table, key, fun) do
    run(table, fn ->
      row = one(table, :magnesia.read(table, key, :write), nil)

      case fun.(row) do
        {value, nil} ->
          :magnesia.delete(table, key, :write)
          value

        {value, new} ->
          {:ok, _row} = write(table, same_key!(key, new))
          value

        :pop ->
          :magnesia.delete(table, key, :write)
          row

        other ->
          raise ArgumentError,
                "the fun must give {value, row}, {value, nil} or :pop, not #{inspect(other)}"
      end
    end)
  end

  @doc "Replaces a row if it still is what the caller believes; nil stands for no row."
  @spec compare_and_swap(table(), row() | nil, row()) :: :ok | {:error, :stale}
  def compare_and_swap(table, old, new) do
    run(table, fn ->
      key = key!(table, new)
      _same = old && same_key!(key, old)

      if one(table, :magnesia.read(table, key, :write), nil) === old do
        :magnesia.write(table, new, :write)
      else
        {:error, :stale}
      end
    end)
  end

  @doc "Deletes what is under a key."
  @spec delete(table(), term()) :: :ok
  def delete(table, key), do: run(table, fn -> :magnesia.delete(table, key, :write) end)

  @doc "Deletes exactly this row."
  @spec delete_object(table(), row()) :: :ok
  def delete_object(table, row) do
    run(table, fn -> :magnesia.delete_object(table, row, :write) end)
  end

  @doc "Adds to a counter, which begins at zero; with a least value it stops there."
  @spec increment(table(), term(), integer(), integer() | nil) :: integer()
  def increment(table, key, by, least) do
    run(table, fn ->
      value = at_least(counter(table, :magnesia.read(table, key, :write)) + by, least)
      :magnesia.write(table, {Query.definition(table).record_name, key, value}, :write)
      value
    end)
  end

  defp counter(table, rows) do
    definition = Query.definition(table)

    case rows do
      [] when definition.arity == 3 and definition.type != :bag -> 0
      [{_name, _key, value}] when is_integer(value) and definition.type != :bag -> value
      _ -> :magnesia.abort({:combine_error, table, :update_counter})
    end
  end

  defp at_least(value, nil), do: value
  defp at_least(value, least), do: max(value, least)

  defp write(table, row) do
    :magnesia.write(table, row, :write)
    {:ok, row}
  end

  defp key!(_table, row) when is_tuple(row) and tuple_size(row) > 2, do: elem(row, 1)
  defp key!(table, row), do: :magnesia.abort({:bad_type, table, row})

  defp same_key!(key, row) when is_tuple(row) and tuple_size(row) > 2 do
    if elem(row, 1) == key do
      row
    else
      raise ArgumentError, "the new row has the key #{inspect(elem(row, 1))}, not #{inspect(key)}"
    end
  end

  defp same_key!(_key, other) do
    raise ArgumentError, "a row is a tuple {table, key, ...}, not #{inspect(other)}"
  end

  defp refuse_bag(table) do
    if Query.definition(table).type == :bag do
      raise ArgumentError,
            "table #{inspect(table)} is a bag, with any number of rows under a key: " <>
              "use Magnesia.get_all/2"
    end
  end
end
