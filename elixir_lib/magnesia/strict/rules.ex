defmodule Magnesia.Strict.Rules do
  @moduledoc """
  What makes a definition legal, whichever operation made it.

  Every breach aborts with the term that Mnesia gives, and the rules are asked in Mnesia's order.
  Other tables and the state of the database are not looked at.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Settings

  @doc "The definition with its index in full and all that follows from it; aborts if illegal."
  @spec check(Definition.t()) :: Definition.t()
  def check(definition) do
    assert(definition)
    expanded = expand_index(definition)
    assert(expanded)
    Definition.settle(expanded)
  end

  @doc "Gives every index its position and kind."
  @spec expand_index(Definition.t()) :: Definition.t()
  def expand_index(%{index_info: index} = definition) do
    full =
      for entry <- index do
        case entry do
          pos when is_integer(pos) or is_atom(pos) -> {position(pos, definition), :ordered}
          {plugin} when is_atom(plugin) -> {entry, :ordered}
          {pos, kind} -> {position(pos, definition), kind}
          _ -> abort({:bad_type, definition.name, {:index, index}})
        end
      end

    %{definition | index_info: full}
  end

  @doc "An attribute's position in the record; aborts when there is no such attribute."
  @spec position(term(), Definition.t()) :: pos_integer() | tuple()
  def position({_} = plugin, _definition), do: plugin
  def position(pos, _definition) when is_integer(pos), do: pos

  def position(attribute, definition) when is_atom(attribute) do
    case is_list(definition.attributes) &&
           Enum.find_index(definition.attributes, &(&1 === attribute)) do
      place when is_integer(place) -> place + 2
      _ -> abort({:bad_type, attribute})
    end
  end

  def position(attribute, _definition), do: abort({:bad_type, attribute})

  @doc "Tells whether an element stands in a list twice."
  @spec duplicates?(list()) :: boolean()
  def duplicates?(list), do: Enum.uniq(list) != list

  defp assert(definition) do
    nodes(definition)
    identity(definition)
    attributes(definition, [], definition.attributes)
    Enum.each(definition.index_info, &index(definition, &1))
    choices(definition)
    properties(definition)
    numbers(definition)
  end

  defp verify(true, _reason), do: :ok
  defp verify(_not_true, reason), do: abort(reason)

  defp nodes(%{name: name} = definition) do
    verify(
      is_list(definition.ram_copies),
      {:bad_type, name, {:ram_copies, definition.ram_copies}}
    )

    verify(
      is_list(definition.disc_copies),
      {:bad_type, name, {:disc_copies, definition.disc_copies}}
    )

    disc_only = definition.disc_only_copies
    fits = if name == :schema, do: disc_only == [], else: is_list(disc_only)
    verify(fits, {:bad_type, name, {:disc_only_copies, disc_only}})
    order = definition.load_order
    verify(is_integer(order), {:bad_type, name, {:load_order, order}})

    nodes = Definition.nodes(definition)
    verify(nodes != [], {:combine_error, name, no_copies()})
    verify(not duplicates?(nodes), {:combine_error, name, nodes})
    Enum.each(nodes, &verify(is_atom(&1), {:bad_type, name, &1}))
  end

  defp no_copies do
    [ram_copies: [], disc_copies: [], disc_only_copies: [], external_copies: []]
  end

  defp identity(%{name: name, type: type} = definition) do
    verify(is_atom(name), {:bad_type, name})
    verify(type in [:set, :bag, :ordered_set], {:bad_type, name, {:type, type}})

    # Only a step to this storage is refused: a table that has it was made where it is allowed.
    stays = definition.storage == :disc_only_copies

    verify(
      type != :ordered_set or definition.disc_only_copies == [] or stays,
      {:bad_type, name, {:not_supported, type, :disc_only_copies}}
    )

    record_name = definition.record_name
    verify(is_atom(record_name), {:bad_type, name, {:record_name, record_name}})
    attributes = definition.attributes

    verify(
      is_list(attributes) and length(attributes) > 1,
      {:bad_type, name, {:attributes, attributes}}
    )
  end

  defp attributes(definition, before, [attribute | rest]) do
    name = definition.name

    verify(
      is_atom(attribute) and attribute != :snmp,
      {:bad_type, name, {:attributes, [attribute]}}
    )

    verify(
      attribute not in before,
      {:combine_error, name, {:attributes, [attribute | before]}}
    )

    attributes(definition, [attribute | before], rest)
  end

  defp attributes(_definition, _before, []), do: :ok

  defp index(definition, entry) do
    arity = length(definition.attributes) + 1

    good =
      case entry do
        {pos, kind} -> kind in [:bag, :ordered] and index_position?(pos, arity)
        pos -> index_position?(pos, arity)
      end

    verify(good, {:bad_type, definition.name, {:index, [entry]}})
  end

  defp index_position?(pos, arity) when is_integer(pos) do
    least = if Settings.get(:allow_index_on_key) == true, do: 2, else: 3
    pos >= least and pos <= arity
  end

  defp index_position?(_pos, _arity), do: false

  defp choices(%{name: name} = definition) do
    for {field, values} <- [
          local_content: [true, false],
          access_mode: [:read_write, :read_only],
          majority: [true, false]
        ] do
      value = Map.fetch!(definition, field)
      verify(value in values, {:bad_type, name, {field, value}})
    end

    verify(
      not (definition.majority and definition.local_content),
      {:combine_error, name, [local_content: true, majority: true]}
    )

    verify(definition.snmp == [], {:badarg, name, {:snmp, definition.snmp}})
  end

  defp properties(definition) do
    Enum.each(definition.user_properties, fn property ->
      verify(
        is_tuple(property) and tuple_size(property) >= 1,
        {:bad_type, definition.name, {:user_properties, [property]}}
      )
    end)
  end

  defp numbers(%{name: name, cookie: cookie, version: version}) do
    verify(
      match?({{a, b, c}, _} when is_integer(a) and is_integer(b) and is_integer(c), cookie),
      {:bad_type, name, {:cookie, cookie}}
    )

    verify(
      match?({{a, b}, _} when is_integer(a) and is_integer(b), version),
      {:bad_type, name, {:version, version}}
    )
  end
end
