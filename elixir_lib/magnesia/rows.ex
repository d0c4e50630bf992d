defmodule Magnesia.Rows do
  @moduledoc """
  The work on single rows behind `Magnesia`: reading, writing and changing under a key.

  Each function runs in the caller's context (`Magnesia.Context`); what reads in order to write
  takes the write lock at once. Outcomes that a caller expects are values, anything else leaves
  as the context says. A table may be a module, whose rows are structs (`Magnesia.Shape`): what is
  done is done to records, under the table's name.
  """

  import Magnesia.Context, only: [dirty: 2, run: 2]

  alias Magnesia.Conditions
  alias Magnesia.Engine
  alias Magnesia.Shape

  @type table :: atom()
  @type row :: tuple() | struct()

  @doc "The one row under a key, or a default; refuses a bag."
  @spec get(table(), term(), term()) :: row() | term()
  def get(table, key, default) do
    {name, shape} = Shape.of(table)
    key = Shape.key(shape, key)
    run(name, fn -> one(name, shape, :magnesia.read(name, key), default) end)
  end

  @doc "The one row of a key's records; a bag is refused whatever it holds."
  @spec one(table(), Shape.t(), [tuple()], term()) :: row() | term()
  def one(name, shape, records, default) do
    refuse_bag(name)

    case records do
      [record] -> Shape.row(shape, record)
      [] -> default
    end
  end

  @doc "All rows under a key."
  @spec get_all(table(), term()) :: [row()]
  def get_all(table, key) do
    {name, shape} = Shape.of(table)
    key = Shape.key(shape, key)
    Shape.rows(shape, run(name, fn -> :magnesia.read(name, key) end))
  end

  @doc "Tells whether exactly this row is there."
  @spec there?(table(), term()) :: boolean()
  def there?(table, row) do
    {name, shape} = Shape.of(table)

    case (shape && not is_struct(row, shape)) || Shape.record(shape, row) do
      record when is_tuple(record) and tuple_size(record) > 2 ->
        record in run(name, fn -> :magnesia.read(name, elem(record, 1)) end)

      _no_row ->
        false
    end
  end

  @doc "Writes a row."
  @spec put(table(), row()) :: {:ok, row()}
  def put(table, row) do
    {name, shape} = Shape.of(table)
    row = Shape.filled(shape, row)
    record = Shape.record(shape, row)
    run(name, fn -> write(name, record, row) end)
  end

  @doc "Writes a row unless its key is taken."
  @spec insert(table(), row()) :: {:ok, row()} | {:error, :already_exists}
  def insert(table, row) do
    {name, shape} = Shape.of(table)
    row = Shape.filled(shape, row)
    record = Shape.record(shape, row)

    run(name, fn ->
      case :magnesia.read(name, key!(name, record), :write) do
        [] -> write(name, record, row)
        _taken -> {:error, :already_exists}
      end
    end)
  end

  @doc "Writes a row if its key is taken."
  @spec replace(table(), row()) :: {:ok, row()} | {:error, :not_found}
  def replace(table, row) do
    {name, shape} = Shape.of(table)
    row = Shape.filled(shape, row)
    record = Shape.record(shape, row)

    run(name, fn ->
      case :magnesia.read(name, key!(name, record), :write) do
        [] -> {:error, :not_found}
        _taken -> write(name, record, row)
      end
    end)
  end

  @doc "Puts what a fun makes of a row in its place."
  @spec update(table(), term(), (row() -> row())) :: {:ok, row()} | {:error, :not_found}
  def update(table, key, fun) do
    {name, shape} = Shape.of(table)
    key = Shape.key(shape, key)

    run(name, fn ->
      case one(name, shape, :magnesia.read(name, key, :write), nil) do
        nil ->
          {:error, :not_found}

        row ->
          new = Shape.filled(shape, fun.(row))
          write(name, same_key!(key, Shape.record(shape, new)), new)
      end
    end)
  end

  @doc "As `update/3`, with a value of the fun's own as the result."
  @spec get_and_update(table(), term(), (row() | nil -> {value, row() | nil} | :pop)) ::
          value | row() | nil
        when value: term()
  def get_and_update(table, key, fun) do
    {name, shape} = Shape.of(table)
    key = Shape.key(shape, key)

    run(name, fn ->
      row = one(name, shape, :magnesia.read(name, key, :write), nil)

      case fun.(row) do
        {value, nil} ->
          :magnesia.delete(name, key, :write)
          value

        {value, new} ->
          record = Shape.record(shape, Shape.filled(shape, new))
          :magnesia.write(name, same_key!(key, record), :write)
          value

        :pop ->
          :magnesia.delete(name, key, :write)
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
    {name, shape} = Shape.of(table)
    old = old && Shape.record(shape, old)
    new = Shape.record(shape, Shape.filled(shape, new))

    run(name, fn ->
      key = key!(name, new)
      _same = old && same_key!(key, old)

      if one(name, nil, :magnesia.read(name, key, :write), nil) === old do
        :magnesia.write(name, new, :write)
      else
        {:error, :stale}
      end
    end)
  end

  @doc "Deletes what is under a key."
  @spec delete(table(), term()) :: :ok
  def delete(table, key) do
    {name, shape} = Shape.of(table)
    key = Shape.key(shape, key)
    run(name, fn -> :magnesia.delete(name, key, :write) end)
  end

  @doc "Deletes exactly this row."
  @spec delete_object(table(), row()) :: :ok
  def delete_object(table, row) do
    {name, shape} = Shape.of(table)
    record = Shape.record(shape, row)
    run(name, fn -> :magnesia.delete_object(name, record, :write) end)
  end

  @doc "The one row under a key without a lock, or a default; refuses a bag."
  @spec dirty_get(table(), term(), term()) :: row() | term()
  def dirty_get(table, key, default) do
    {name, shape} = Shape.of(table)
    key = Shape.key(shape, key)
    dirty(name, fn -> one(name, shape, dirty_read(name, key), default) end)
  end

  @doc "All rows under a key without a lock."
  @spec dirty_get_all(table(), term()) :: [row()]
  def dirty_get_all(table, key) do
    {name, shape} = Shape.of(table)
    key = Shape.key(shape, key)
    Shape.rows(shape, dirty(name, fn -> dirty_read(name, key) end))
  end

  defp dirty_read(name, key) do
    case Engine.read(name, key) do
      rows when is_list(rows) -> rows
      _failure -> :magnesia.dirty_read(name, key)
    end
  end

  @doc "Writes a row at once."
  @spec dirty_put(table(), row()) :: {:ok, row()}
  def dirty_put(table, row) do
    {name, shape} = Shape.of(table)
    row = Shape.filled(shape, row)
    record = Shape.record(shape, row)

    dirty(name, fn ->
      :magnesia.dirty_write(name, record)
      {:ok, row}
    end)
  end

  @doc "Deletes what is under a key at once."
  @spec dirty_delete(table(), term()) :: :ok
  def dirty_delete(table, key) do
    {name, shape} = Shape.of(table)
    key = Shape.key(shape, key)
    dirty(name, fn -> :magnesia.dirty_delete(name, key) end)
  end

  @doc "Adds to a counter, which begins at zero; with a least value it stops there."
  @spec increment(table(), term(), integer(), integer() | nil) :: integer()
  def increment(table, key, by, least) do
    table = Shape.name(table)

    run(table, fn ->
      value = at_least(counter(table, :magnesia.read(table, key, :write)) + by, least)
      :magnesia.write(table, {Conditions.definition(table).record_name, key, value}, :write)
      value
    end)
  end

  defp counter(table, rows) do
    definition = Conditions.definition(table)

    case rows do
      [] when definition.arity == 3 and definition.type != :bag -> 0
      [{_name, _key, value}] when is_integer(value) and definition.type != :bag -> value
      _ -> :magnesia.abort({:combine_error, table, :update_counter})
    end
  end

  defp at_least(value, nil), do: value
  defp at_least(value, least), do: max(value, least)

  defp write(name, record, row) do
    :magnesia.write(name, record, :write)
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
    if Conditions.definition(table).type == :bag do
      raise ArgumentError,
            "table #{inspect(table)} is a bag, with any number of rows under a key: " <>
              "use Magnesia.get_all/2"
    end
  end
end
