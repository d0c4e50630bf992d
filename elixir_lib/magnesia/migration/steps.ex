defmodule Magnesia.Migration.Steps do
  @moduledoc """
  What a migration can do, for its `up` and `down`.

  Each step is whole or not done, raises when it cannot be done, and is noted before it touches a
  table. Rows are given to funs as maps by attribute. Outside a migration these functions raise.
  """

  alias Magnesia.Migration
  alias Magnesia.Options

  @context :magnesia_migration
  @step :magnesia_migration_step

  @typedoc "A row as a map by attribute."
  @type row :: %{atom() => term()}

  @doc false
  @spec run(Migration.migration(), :up | :down, (atom() -> :ok)) ::
          :ok | {:error, String.t() | nil, term()}
  def run(module, direction, touch) do
    Process.put(@context, touch)

    try do
      _value = apply(module, direction, [])
      :ok
    rescue
      error -> {:error, Process.get(@step), error}
    catch
      kind, reason -> {:error, Process.get(@step), {kind, reason}}
    after
      Process.delete(@context)
      Process.delete(@step)
    end
  end

  @doc "Creates a table, with the options of `Magnesia.create_table/2`."
  @spec create_table(atom(), keyword()) :: :ok
  def create_table(table, options \\ []) do
    step("create_table(#{inspect(table)}, ...)", [table], fn ->
      done!(Magnesia.create_table(table, options))
    end)
  end

  @doc "Deletes a table and its rows."
  @spec drop_table(atom()) :: :ok
  def drop_table(table) do
    step("drop_table(#{inspect(table)})", [table], fn -> done!(Magnesia.delete_table(table)) end)
  end

  @doc "Adds an index on an attribute."
  @spec add_index(atom(), atom()) :: :ok
  def add_index(table, attribute) do
    step("add_index(#{inspect(table)}, #{inspect(attribute)})", [table], fn ->
      done!(Magnesia.add_index(table, attribute))
    end)
  end

  @doc "Removes an index."
  @spec drop_index(atom(), atom()) :: :ok
  def drop_index(table, attribute) do
    step("drop_index(#{inspect(table)}, #{inspect(attribute)})", [table], fn ->
      done!(Magnesia.drop_index(table, attribute))
    end)
  end

  @doc """
  Adds an attribute: the last one, or `after:` another. Every row gets `default:`, nil without it.
  Indexes stay with their attributes.
  """
  @spec add_attribute(atom(), atom(), keyword()) :: :ok
  def add_attribute(table, attribute, options \\ []) do
    name = "add_attribute(#{inspect(table)}, #{inspect(attribute)})"
    Options.validate!(options, [default: any(), after: {&is_atom/1, "an attribute"}], name)

    step(name, [table], fn ->
      old = attributes!(table)
      place = place!(table, old, options[:after] || List.last(old)) + 1
      if attribute in old, do: raise(ArgumentError, "#{inspect(table)} has #{attribute} already")
      new = List.insert_at(old, place, attribute)
      reshape(table, new, &Map.put(&1, attribute, options[:default]), %{})
    end)
  end

  @doc "Removes an attribute, and its index. The key cannot be removed."
  @spec remove_attribute(atom(), atom()) :: :ok
  def remove_attribute(table, attribute) do
    step("remove_attribute(#{inspect(table)}, #{inspect(attribute)})", [table], fn ->
      old = attributes!(table)
      if place!(table, old, attribute) == 0, do: raise(ArgumentError, "it is the key")
      reshape(table, List.delete(old, attribute), & &1, %{})
    end)
  end

  @doc "Gives an attribute another name; its index goes with it."
  @spec rename_attribute(atom(), atom(), atom()) :: :ok
  def rename_attribute(table, from, to) do
    step("rename_attribute(#{inspect(table)}, #{inspect(from)}, #{inspect(to)})", [table], fn ->
      old = attributes!(table)
      place = place!(table, old, from)
      if to in old, do: raise(ArgumentError, "#{inspect(table)} has #{to} already")
      new = List.replace_at(old, place, to)
      reshape(table, new, &Map.put(&1, to, Map.fetch!(&1, from)), %{from => to})
    end)
  end

  @doc "Gives every row to a fun and puts what it makes of it in its place, under the same key."
  @spec change_rows(atom(), (row() -> row())) :: :ok
  def change_rows(table, fun) when is_function(fun, 1) do
    step("change_rows(#{inspect(table)}, ...)", [table], fn ->
      reshape(table, attributes!(table), fun, %{})
    end)
  end

  @doc "Stores a table elsewhere: `:ram`, `:disc` or `:disc_only`."
  @spec set_storage(atom(), :ram | :disc | :disc_only) :: :ok
  def set_storage(table, storage) do
    kinds = %{ram: :ram_copies, disc: :disc_copies, disc_only: :disc_only_copies}

    step("set_storage(#{inspect(table)}, #{inspect(storage)})", [table], fn ->
      kind = kinds[storage] || raise ArgumentError, "storage is :ram, :disc or :disc_only"
      done!(:magnesia.change_table_copy_type(table, node(), kind))
    end)
  end

  @doc "Runs a fun in one transaction; it may write to the tables that are named."
  @spec execute([atom()], (() -> term())) :: :ok
  def execute(tables, fun) when is_list(tables) and is_function(fun, 0) do
    step("execute(#{inspect(tables)}, ...)", tables, fn ->
      _value = Magnesia.transaction!(fun, sync: true)
      :ok
    end)
  end

  defp any, do: {fn _value -> true end, "any term"}

  defp step(name, tables, fun) do
    touch =
      Process.get(@context) || raise ArgumentError, "#{name} is for a migration's up or down"

    Process.put(@step, name)
    Enum.each(tables, touch)
    :ok = fun.()
    Process.delete(@step)
    :ok
  end

  defp done!(:ok), do: :ok
  defp done!({:atomic, :ok}), do: :ok
  defp done!({:error, error}), do: raise(error)
  defp done!({:aborted, reason}), do: raise(Magnesia.SchemaError, reason: reason)

  defp attributes!(table), do: Magnesia.info(table).attributes

  defp place!(table, attributes, attribute) do
    Enum.find_index(attributes, &(&1 == attribute)) ||
      Options.unknown!("table #{inspect(table)} has no attribute", attribute, attributes)
  end

  # Mnesia keeps indexes by position: those whose attribute moves are built anew.
  defp reshape(table, new, fun, renamed) do
    info = Magnesia.info(table)
    kept = for name <- info.index, name = Map.get(renamed, name, name), name in new, do: name
    moved = for name <- info.index, moved?(name, info.attributes, new, renamed), do: name
    Enum.each(moved, &done!(Magnesia.drop_index(table, &1)))
    rewrite = fn record -> rebuilt(record, info, new, fun) end
    done!(:magnesia.transform_table(table, rewrite, new))

    for name <- kept,
        name not in Magnesia.info(table).index,
        do: done!(Magnesia.add_index(table, name))

    :ok
  end

  defp moved?(name, old, new, renamed) do
    place = Enum.find_index(old, &(&1 == name))
    Enum.at(new, place) != Map.get(renamed, name, name)
  end

  defp rebuilt(record, info, new, fun) do
    [tag, key | _] = values = Tuple.to_list(record)
    row = fun.(Map.new(Enum.zip(info.attributes, tl(values))))
    names = for name <- new, do: {name, Map.fetch!(row, name)}

    if elem(hd(names), 1) !== key do
      raise ArgumentError,
            "the row under #{inspect(key)} was given the key #{inspect(elem(hd(names), 1))}"
    end

    List.to_tuple([tag | Keyword.values(names)])
  end
end
