defmodule Magnesia.Query.Spec do
  @moduledoc """
  The parts of a query's match specification that are known only when it runs: values that were
  pinned, and positions of attributes of a table that has no module.

  `Magnesia.Query.Compiler` writes the calls of these functions. A value that a head would take
  for a pattern becomes a guard, so that it always stands for itself. Nothing is read here.
  """

  alias Magnesia.Conditions
  alias Magnesia.Context
  alias Magnesia.Shape
  alias Magnesia.Strict.Definition
  alias Magnesia.Table.Sortable

  @typedoc "A clause's head and guards."
  @type clause :: {tuple(), [term()]}

  # Every row that is looked at is tried with every clause.
  @clauses_max 200
  @calendar [Date, Time, DateTime, NaiveDateTime]

  @doc "The positions of attributes in the records of a table that is named by its name."
  @spec positions(term(), [atom()]) :: {Definition.t(), [pos_integer()]}
  def positions(table, attributes) do
    if match?({_name, module} when module != nil, Shape.of(table)) do
      raise ArgumentError,
            "#{inspect(table)} is a table module: a query names it, from u in " <>
              "#{inspect(table)}, and pins only the names of other tables"
    end

    definition = Context.run_here(table, fn -> Conditions.definition(table) end)
    {definition, Enum.map(attributes, &Conditions.position!(&1, definition))}
  end

  @doc "The head of a table's records with terms at some positions."
  @spec head(Definition.t(), [{pos_integer(), term()}]) :: tuple()
  def head(definition, terms) do
    empty = :erlang.make_tuple(definition.arity, :_, [{1, definition.record_name}])
    Enum.reduce(terms, empty, fn {position, term}, head -> put_elem(head, position - 1, term) end)
  end

  @doc """
  Puts values into a head, each at its position in the place of its variable.

      iex> Magnesia.Query.Spec.bind({{:city, :"$1", :"$2"}, []}, [{2, :"$1", "Oslo"}])
      {{:city, "Oslo", :"$2"}, []}
      iex> Magnesia.Query.Spec.bind({{:city, :"$1", :"$2"}, []}, [{3, :"$2", %{a: 1}}])
      {{:city, :"$1", :"$2"}, [{:"=:=", :"$2", {:const, %{a: 1}}}]}
  """
  @spec bind(clause(), [{pos_integer(), atom(), term()}]) :: clause()
  def bind(clause, []), do: clause

  def bind({head, guards}, [{position, variable, value} | rest]) do
    if literal?(value) do
      bind({put_elem(head, position - 1, value), guards}, rest)
    else
      bind({head, [{:"=:=", variable, {:const, value}} | guards]}, rest)
    end
  end

  @doc """
  The clauses of which one must hold for a position to have one of these values.

      iex> Magnesia.Query.Spec.any_of({{:city, :"$1"}, []}, {2, :"$1", ["Oslo", "Rome", "Oslo"]})
      [{{:city, "Oslo"}, []}, {{:city, "Rome"}, []}]
  """
  @spec any_of(clause(), {pos_integer(), atom(), Enumerable.t()}) :: [clause()]
  def any_of({head, guards} = clause, {position, variable, values}) do
    values = values |> Enum.to_list() |> Enum.uniq()

    if length(values) > @clauses_max do
      [{head, [among(variable, values) | guards]}]
    else
      for value <- values, do: bind(clause, [{position, variable, value}])
    end
  end

  @doc "The guard that a term is one of some values."
  @spec among(term(), Enumerable.t()) :: term()
  def among(term, values) do
    Enum.reduce(values, false, &{:orelse, {:"=:=", term, {:const, &1}}, &2})
  end

  @doc """
  What an index over several attributes can say beside the rest: its first attributes have these
  values, and the next, if it is the last, is compared as told.
  """
  @spec compound(clause(), pos_integer(), pos_integer(), [term()], [{atom(), term()}]) ::
          clause()
  def compound({head, guards} = clause, position, size, values, comparisons) do
    if literal?(values) do
      tuple = List.to_tuple(values ++ List.duplicate(:_, size - length(values)))
      whole = {:element, position, :"$_"}

      more =
        for {operator, value} <- comparisons do
          {operator, whole, {:const, List.to_tuple(values ++ [value])}}
        end

      {put_elem(head, position - 1, tuple), guards ++ more}
    else
      clause
    end
  end

  @doc """
  The guard that a stored time stands in some relation to a value.

      iex> Magnesia.Query.Spec.time(:>, :"$1", ~D[2024-02-29])
      {:>, :"$1", 739310}
  """
  @spec time(atom(), term(), Sortable.value()) :: term()
  def time(operator, term, value) do
    connective = if operator in [:"/=", :"=/="], do: :orelse, else: :andalso

    operator
    |> Sortable.compare(value)
    |> Enum.map(fn {operator, stored} -> {operator, term, stored} end)
    |> Enum.reduce(&{connective, &2, &1})
  end

  @doc "The guard that a stored time is one of some values."
  @spec time_among(term(), Enumerable.t()) :: term()
  def time_among(term, values) do
    Enum.reduce(values, false, &{:orelse, time(:"=:=", term, &1), &2})
  end

  @doc "A value that an attribute is ordered against; dates and times are refused."
  @spec ordered!(term()) :: term()
  def ordered!(%kind{} = value) when kind in @calendar do
    raise ArgumentError,
          "#{inspect(value)} has no order that the engine knows: declare the attribute with " <>
            "order: true in a Magnesia.Table, or keep times as integers"
  end

  def ordered!(value), do: value

  @doc """
  The guard that a string begins with another.

      iex> Magnesia.Query.Spec.starts_with(:"$1", "Os")
      {:andalso, {:>=, :"$1", "Os"}, {:<, :"$1", "Ot"}}
  """
  @spec starts_with(term(), binary()) :: term()
  def starts_with(term, prefix) when is_binary(prefix) do
    case after_all(prefix) do
      "" -> {:andalso, {:is_binary, term}, {:>=, term, prefix}}
      next -> {:andalso, {:>=, term, prefix}, {:<, term, next}}
    end
  end

  # The least string that comes after all that begin with the prefix.
  defp after_all(prefix) do
    size = byte_size(prefix) - 1

    case prefix do
      "" -> ""
      <<rest::binary-size(size), 255>> -> after_all(rest)
      <<rest::binary-size(size), byte>> -> <<rest::binary, byte + 1>>
    end
  end

  @doc "A limit that was pinned."
  @spec limit!(term()) :: non_neg_integer()
  def limit!(limit) when is_integer(limit) and limit >= 0, do: limit

  def limit!(other) do
    raise ArgumentError, "limit: must be a number that is not negative, not #{inspect(other)}"
  end

  # A term that a head takes for itself: maps match by parts, and some atoms match anything.
  defp literal?(term) when is_number(term) or is_binary(term), do: true
  defp literal?(term) when is_map(term), do: false
  defp literal?(:_), do: false
  defp literal?(atom) when is_atom(atom), do: not match?("$" <> _, Atom.to_string(atom))
  defp literal?(tuple) when is_tuple(tuple), do: literal?(Tuple.to_list(tuple))
  defp literal?([head | tail]), do: literal?(head) and literal?(tail)
  defp literal?(_term), do: true
end
