defmodule Magnesia.Unique do
  @moduledoc """
  Attributes of which no two rows of a table may have the same value.

  They are declared with `unique:` of `Magnesia.create_table/2` or of a `Magnesia.Table`, have an
  index each, and are kept as the user property `:magnesia_unique` of the table. The engine holds
  every writer to them, transactions when they commit and dirty writes alike: what would share a
  value is refused with `{:not_unique, table, attribute}` and changes nothing. `nil` and
  `:undefined` stand for no value and may be shared. A row keeps its own value when it is written
  again, and a transaction may give a value from one row to another.

  Writers of such a table are let through one at a time. Uniqueness is the index's: an attribute
  whose index is dropped may be shared. Bags cannot have such attributes.
  """

  alias Magnesia.Engine

  @property :magnesia_unique
  @exempt [nil, :undefined]

  @doc """
  Options for a table with `unique:` turned into an index and a property each.

      iex> Magnesia.Unique.expand(attributes: [:id, :email], unique: [:email])
      [user_properties: [magnesia_unique: [:email]], index: [:email], attributes: [:id, :email]]
  """
  @spec expand(keyword()) :: keyword()
  def expand(options) do
    case Keyword.pop(options, :unique, []) do
      {[], options} ->
        options

      {names, options} ->
        if options[:type] == :bag, do: raise(ArgumentError, "unique: is not for a bag")
        index = Enum.uniq(Keyword.get(options, :index, []) ++ names)
        properties = [{@property, names} | Keyword.get(options, :user_properties, [])]
        options |> Keyword.put(:index, index) |> Keyword.put(:user_properties, properties)
    end
  end

  @doc "The unique attributes of a table's definition."
  @spec attributes(map()) :: [atom()]
  def attributes(%{user_properties: properties, attributes: attributes}) do
    case List.keyfind(properties, @property, 0) do
      {@property, names} when is_list(names) -> Enum.filter(names, &(&1 in attributes))
      _ -> []
    end
  end

  @doc "Tells the engine of a definition's unique attributes."
  @spec enforce(map(), map() | nil) :: :ok | Engine.failure()
  def enforce(definition, before) do
    names = attributes(definition)

    if (names == [] and (before == nil or attributes(before) == [])) or
         definition.storage == :unknown do
      :ok
    else
      positions = for name <- names, do: position(name, definition.attributes)
      Engine.table_unique(definition.name, positions, @exempt)
    end
  end

  defp position(name, attributes), do: Enum.find_index(attributes, &(&1 == name)) + 2

  @doc "Lets the values of an attribute be shared, as a change of the table's property."
  @spec release(map(), atom()) :: {:atomic, :ok} | {:aborted, term()}
  def release(definition, name) do
    case attributes(definition) do
      [^name] ->
        :magnesia.delete_table_property(definition.name, @property)

      names ->
        if name in names,
          do: :magnesia.write_table_property(definition.name, {@property, names -- [name]}),
          else: {:atomic, :ok}
    end
  end

  @doc "The engine's refusal, with the attribute in the place of its position."
  @spec reason(atom(), pos_integer()) :: {:not_unique, atom(), atom() | pos_integer()}
  def reason(table, position) do
    case Magnesia.Strict.Definition.fetch(table) do
      {:ok, definition} -> {:not_unique, table, Enum.at(definition.attributes, position - 2)}
      :error -> {:not_unique, table, position}
    end
  end
end
