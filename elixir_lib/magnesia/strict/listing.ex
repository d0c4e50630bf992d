defmodule Magnesia.Strict.Listing do
  @moduledoc """
  A table's definition as Mnesia lists it in a backup, and back.

  Every backup begins with such lists, `{:schema, Table, List}`. Whether a definition is legal is
  not asked here, and nothing is changed.
  """

  alias Magnesia.Engine
  alias Magnesia.Strict.Definition

  # In Mnesia's order.
  @fields [
    :name,
    :type,
    :ram_copies,
    :disc_copies,
    :disc_only_copies,
    :load_order,
    :access_mode,
    :majority,
    :index,
    :snmp,
    :local_content,
    :record_name,
    :attributes,
    :user_properties,
    :frag_properties,
    :storage_properties,
    :cookie,
    :version
  ]

  # Tables of a stock Mnesia that were stored by this engine.
  @aliases %{
    magnesia_ram_copies: :ram_copies,
    magnesia_disc_copies: :disc_copies,
    magnesia_disc_only_copies: :disc_only_copies
  }

  @typedoc "A definition's fields with Mnesia's names."
  @type list_form :: [{atom(), term()}]

  @doc "A definition as Mnesia lists it."
  @spec list(Definition.t()) :: list_form()
  def list(definition) do
    for field <- @fields, do: {field, Map.fetch!(definition, key(field))}
  end

  defp key(:index), do: :index_info
  defp key(field), do: field

  @doc "The item of a backup that describes a table."
  @spec item(Definition.t()) :: {:schema, atom(), list_form()}
  def item(definition), do: {:schema, definition.name, list(definition)}

  @doc "The definition of a list; what it does not say is as for a new table."
  @spec definition(list_form()) :: Definition.t()
  def definition(list) do
    fields = for {field, value} <- list, field in @fields, do: {key(field), value}
    definition = struct(Definition, fields)
    copies = for {name, storage} <- @aliases, nodes = list[name] || [], do: {storage, nodes}

    Enum.reduce(copies, definition, fn {storage, nodes}, definition ->
      Map.update!(definition, storage, &(&1 ++ nodes))
    end)
  end

  @doc "What the engine is told to make a table."
  @spec blueprint(Definition.t()) :: Engine.blueprint()
  def blueprint(definition) do
    {definition.name, definition.type, definition.storage, definition.record_name,
     definition.arity, Enum.uniq(definition.index), definition.access_mode,
     Definition.properties(definition)}
  end
end
