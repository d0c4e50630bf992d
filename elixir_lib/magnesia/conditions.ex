defmodule Magnesia.Conditions do
  @moduledoc """
  Questions by attribute names, turned into match specifications.

  A condition is `{attribute, value}` (equal, exactly), `{operator, left, right}` with one of
  `:==`, `:!=`, `:===`, `:!==`, `:<`, `:<=`, `:>`, `:>=`, `{:in, attribute, values}`,
  `{:and, a, b}`, `{:or, a, b}` or `{:not, a}`. An operand that is the name of an attribute
  stands for it, any other for itself; `{:const, value}` is always the value. Dates and times are
  maps to the engine and would be ordered wrongly, so an order asked of them is refused. Nothing
  is read here.
  """

  alias Magnesia.Options
  alias Magnesia.Shape
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Failure
  alias Magnesia.Table.Sortable

  @operators %{
    :== => :==,
    :!= => :"/=",
    :"/=" => :"/=",
    :=== => :"=:=",
    :"=:=" => :"=:=",
    :!== => :"=/=",
    :"=/=" => :"=/=",
    :< => :<,
    :<= => :"=<",
    :"=<" => :"=<",
    :> => :>,
    :>= => :>=
  }
  @flipped %{
    :< => :>,
    :<= => :>=,
    :"=<" => :>=,
    :> => :<,
    :>= => :"=<"
  }
  @orders [:<, :"=<", :>, :>=]
  @calendar [Date, Time, DateTime, NaiveDateTime]

  @typedoc "A condition on a row."
  @type condition ::
          {atom(), term()} | {atom(), term(), term()}

  @doc "A table's definition; aborts when there is no such table."
  @spec definition(term()) :: Definition.t()
  def definition(table) do
    case Definition.fetch(table) do
      {:ok, definition} when table != :schema -> definition
      _ -> Failure.abort({:no_exists, table})
    end
  end

  @doc """
  The match specification of conditions that all must hold, with the results it gives.

      iex> Magnesia.Conditions.spec(:city, [country: :no], :"$_")
      [{{:city, :_, :no, :_}, [], [:"$_"]}]
      iex> Magnesia.Conditions.spec(:city, [{:>, :people, 500}], :"$_")
      [{{:city, :"$1", :"$2", :"$3"}, [{:>, :"$3", {:const, 500}}], [:"$_"]}]
  """
  @spec spec(atom(), [condition()], term()) :: [tuple()]
  def spec(table, conditions, result) when is_list(conditions) do
    {name, shape} = Shape.of(table)
    definition = definition(name)
    conditions = Enum.map(conditions, &stored(&1, shape))
    {equal, guards} = Enum.split_with(conditions, &equality?(&1, definition))
    [{head(definition, equal, guards == []), Enum.map(guards, &guard(&1, definition)), [result]}]
  end

  def spec(_table, conditions, _result) do
    raise ArgumentError, "conditions are a list, not #{inspect(conditions)}"
  end

  @doc "As `spec/3`, for conditions that name attributes and their values only."
  @spec match_spec(atom(), keyword()) :: [tuple()]
  def match_spec(table, attributes) do
    if not Keyword.keyword?(attributes) do
      raise ArgumentError, "a match is a keyword list of attributes, not #{inspect(attributes)}"
    end

    definition = definition(Shape.name(table))
    Enum.each(attributes, fn {name, _value} -> position!(name, definition) end)
    spec(table, attributes, :"$_")
  end

  @doc "The match specification of the rows with a key in a range; a missing bound is open."
  @spec range(Definition.t(), keyword()) :: [tuple()]
  def range(definition, bounds) do
    guards =
      for {bound, operator} <- [from: :>=, to: :"=<"], Keyword.has_key?(bounds, bound) do
        {operator, :"$1", {:const, bounds[bound]}}
      end

    [{head(definition, [], guards == []), guards, [:"$_"]}]
  end

  @doc "Raises unless an index or the key answers one of the attributes."
  @spec require_index!(atom(), keyword()) :: :ok
  def require_index!(table, attributes) do
    definition = definition(table)
    indexed = [2 | definition.index]

    if not Enum.any?(attributes, fn {name, _} -> position!(name, definition) in indexed end) do
      names = Keyword.keys(attributes)

      raise ArgumentError,
            "no index of table #{inspect(table)} answers #{inspect(names)}: " <>
              "Magnesia.add_index(#{inspect(table)}, ...) makes one"
    end

    :ok
  end

  @doc "An attribute's position in the row; raises when there is no such attribute."
  @spec position!(atom(), Definition.t()) :: pos_integer()
  def position!(name, %{attributes: attributes} = definition) do
    case Enum.find_index(attributes, &(&1 == name)) do
      nil ->
        words = "table #{inspect(definition.name)} has no attribute"
        Options.unknown!(words, name, attributes)

      place ->
        place + 2
    end
  end

  # Of an attribute whose times are stored as integers, a condition speaks of those.
  defp stored(condition, nil), do: condition
  defp stored({:not, condition}, shape), do: {:not, stored(condition, shape)}

  defp stored({connective, a, b}, shape) when connective in [:and, :or] do
    {connective, stored(a, shape), stored(b, shape)}
  end

  defp stored(condition, shape) do
    order = shape.__table__(:order)

    case condition do
      {:in, name, values} ->
        if name in order, do: any(Enum.map(values, &meant(:===, name, &1))), else: condition

      {operator, name, value} when is_map_key(@operators, operator) ->
        cond do
          name in order -> meant(operator, name, value)
          value in order -> meant(Map.get(@flipped, operator, operator), value, name)
          true -> condition
        end

      {name, value} ->
        if name in order, do: meant(:===, name, value), else: condition

      other ->
        other
    end
  end

  defp meant(operator, name, value) do
    operator = @operators[operator]
    parts = for {op, term} <- Sortable.compare(operator, value), do: {op, name, term}
    if operator in [:"/=", :"=/="], do: any(parts), else: all(parts)
  end

  defp any([]), do: {:==, {:const, true}, false}
  defp any(parts), do: Enum.reduce(parts, &{:or, &2, &1})
  defp all(parts), do: Enum.reduce(parts, &{:and, &2, &1})

  # What the head can say is said there, where keys and indexes are looked for first.
  defp equality?({:not, _}, _definition), do: false

  defp equality?({name, value}, definition) do
    _position = position!(name, definition)
    literal?(value)
  end

  defp equality?(_condition, _definition), do: false

  # A term that a pattern takes for itself: maps match by parts, and some atoms match anything.
  defp literal?(term) when is_map(term), do: false
  defp literal?(:_), do: false
  defp literal?(atom) when is_atom(atom), do: not match?("$" <> _, Atom.to_string(atom))
  defp literal?(tuple) when is_tuple(tuple), do: literal?(Tuple.to_list(tuple))
  defp literal?([head | tail]), do: literal?(head) and literal?(tail)
  defp literal?(_term), do: true

  defp head(definition, equal, bare?) do
    empty =
      for n <- 1..length(definition.attributes), do: if(bare?, do: :_, else: variable(n + 1))

    row = List.to_tuple([definition.record_name | empty])

    Enum.reduce(equal, row, fn {name, value}, row ->
      put_elem(row, position!(name, definition) - 1, value)
    end)
  end

  defp variable(position), do: :"$#{position - 1}"

  defp guard({:not, condition}, definition), do: {:not, guard(condition, definition)}

  defp guard({connective, a, b}, definition) when connective in [:and, :or] do
    {connective, guard(a, definition), guard(b, definition)}
  end

  defp guard({:in, name, values}, definition) when is_list(values) do
    field = variable(position!(name, definition))
    Enum.reduce(values, false, &{:or, {:"=:=", field, {:const, &1}}, &2})
  end

  defp guard({operator, left, right}, definition) do
    case @operators do
      %{^operator => name} ->
        refuse_calendar(name, [left, right])
        {name, operand(left, definition), operand(right, definition)}

      _ ->
        Options.unknown!("a condition has no operator", operator, [
          :in,
          :and,
          :or,
          :not | Map.keys(@operators)
        ])
    end
  end

  defp guard({name, value}, definition) do
    {:"=:=", variable(position!(name, definition)), {:const, value}}
  end

  defp guard(other, _definition) do
    raise ArgumentError,
          "a condition is {attribute, value} or {operator, left, right}, " <>
            "not #{inspect(other)}; Magnesia.select_spec/2 takes any match specification"
  end

  defp operand({:const, value}, _definition), do: {:const, value}

  defp operand(name, %{attributes: attributes} = definition) when is_atom(name) do
    if name in attributes, do: variable(position!(name, definition)), else: {:const, name}
  end

  defp operand(value, _definition), do: {:const, value}

  defp refuse_calendar(operator, operands) do
    value = operator in @orders && Enum.find(operands, &match?(%m{} when m in @calendar, &1))

    if value do
      raise ArgumentError,
            "#{inspect(value)} has no order that the engine knows: keep times as integers " <>
              "(DateTime.to_unix/2) or ISO 8601 strings, or compare in Elixir with " <>
              "Magnesia.stream/2"
    end
  end
end
