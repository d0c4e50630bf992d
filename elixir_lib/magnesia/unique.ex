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
  whose index is dropped may be shared. Bags cannot have such attributes. A change of the schema
  or a restore after which rows would share a value aborts with the same reason. Where a backup
  makes the table anew with its own definition and its rows share a value, the table is as the
  backup has it and the operator is told.
  """

  alias Magnesia.Engine
  alias Magnesia.Notices

  @property :magnesia_unique
  @exempt [nil, :undefined]
  @not_kept ~c"table ~p: its unique attributes are not enforced: ~ts"

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

  @doc """
  Tells the engine of the unique attributes of a definition that is in force, whatever its rows
  are. That rows share a value is then an error for the operator: a system event and a line of
  the log.
  """
  @spec keep(map(), map() | nil) :: :ok
  def keep(definition, before) do
    with {:"$magnesia_error", reason} <- enforce(definition, before) do
      Notices.report({:mnesia_error, @not_kept, [definition.name, told(reason, definition)]})
    end
  end

  defp told({:not_unique, _table, position}, definition) do
    name = Enum.at(definition.attributes, position - 2)
    "rows share a value of #{inspect(name)}; make their values differ, then declare it again"
  end

  defp told(reason, _definition), do: inspect(reason)

  @doc """
  Tells the engine of a definition's unique attributes; refused where rows share a value, and the
  attributes that were unique before are so still.
  """
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
