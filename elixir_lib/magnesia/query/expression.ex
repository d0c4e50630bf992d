defmodule Magnesia.Query.Expression do
  @moduledoc """
  Elixir expressions on a row as code that makes the terms of a match specification.

  What is known when the query is compiled becomes a literal; a pinned value is put in as a
  constant when it runs. Only what a match specification can do is translated, anything else is
  an `ArgumentError` that says so, which `Magnesia.Query.Compiler` raises as a `CompileError`.
  Heads and clauses are not made here.
  """

  alias Magnesia.Options
  alias Magnesia.Query.Source
  alias Magnesia.Query.Spec

  @comparisons %{
    :== => :==,
    :!= => :"/=",
    :=== => :"=:=",
    :!== => :"=/=",
    :< => :<,
    :<= => :"=<",
    :> => :>,
    :>= => :>=
  }
  @exact %{:== => :"=:=", :"/=" => :"=/="}
  @flipped %{:< => :>, :"=<" => :>=, :> => :<, :>= => :"=<"}
  @orders [:<, :"=<", :>, :>=]
  @calls [
    abs: 1,
    bit_size: 1,
    byte_size: 1,
    div: 2,
    floor: 1,
    ceil: 1,
    hd: 1,
    is_atom: 1,
    is_binary: 1,
    is_bitstring: 1,
    is_boolean: 1,
    is_float: 1,
    is_function: 1,
    is_integer: 1,
    is_list: 1,
    is_map: 1,
    is_number: 1,
    is_pid: 1,
    is_port: 1,
    is_reference: 1,
    is_tuple: 1,
    length: 1,
    map_size: 1,
    max: 2,
    min: 2,
    rem: 2,
    round: 1,
    tl: 1,
    trunc: 1,
    tuple_size: 1,
    +: 1,
    -: 1,
    +: 2,
    -: 2,
    *: 2,
    /: 2
  ]

  @doc "The parts of a condition that must all hold."
  @spec conjuncts(Macro.t()) :: [Macro.t()]
  def conjuncts({:and, _, [a, b]}), do: conjuncts(a) ++ conjuncts(b)
  def conjuncts(condition), do: [condition]

  @doc "The attribute and the value of a condition that an attribute has a value, or `:error`."
  @spec equality(Macro.t(), Source.t()) :: {:ok, atom(), Macro.t()} | :error
  def equality({operator, _, [a, b]}, source) when operator in [:==, :===] do
    case {Source.attribute(a, source), Source.attribute(b, source)} do
      {{:ok, name}, :error} -> if value?(b), do: {:ok, name, value(b, source)}, else: :error
      {:error, {:ok, name}} -> if value?(a), do: {:ok, name, value(a, source)}, else: :error
      _ -> :error
    end
  end

  def equality(_condition, _source), do: :error

  @doc "The attribute and the values of a condition that it is one of them, or `:error`."
  @spec membership(Macro.t(), Source.t()) :: {:ok, atom(), Macro.t()} | :error
  def membership({:in, _, [left, right]}, source) do
    with {:ok, name} <- Source.attribute(left, source),
         false <- match?({:.., _, _}, right) do
      {:ok, name, value(right, source)}
    else
      _ -> :error
    end
  end

  def membership(_condition, _source), do: :error

  @doc "The attribute, the comparison and the value of a comparison of the two, or `:error`."
  @spec comparison(Macro.t(), Source.t()) :: {:ok, atom(), atom(), Macro.t()} | :error
  def comparison({operator, _, [a, b]}, source) when operator in [:<, :<=, :>, :>=] do
    operator = @comparisons[operator]

    case {Source.attribute(a, source), Source.attribute(b, source)} do
      {{:ok, name}, :error} ->
        if value?(b), do: {:ok, name, operator, value(b, source)}, else: :error

      {:error, {:ok, name}} ->
        if value?(a), do: {:ok, name, @flipped[operator], value(a, source)}, else: :error

      _ ->
        :error
    end
  end

  def comparison(_condition, _source), do: :error

  @doc "Code that makes the guard of a condition."
  @spec guard(Macro.t(), Source.t()) :: Macro.t()
  def guard(condition, source)

  def guard({connective, _, [a, b]}, source) when connective in [:and, :or] do
    name = if connective == :and, do: :andalso, else: :orelse
    tuple([name, guard(a, source), guard(b, source)])
  end

  def guard({:not, _, [{:in, _, [_, _]} = inner]}, source),
    do: tuple([:not, guard(inner, source)])

  def guard({:not, _, [inner]}, source), do: tuple([:not, guard(inner, source)])

  def guard({:starts_with?, _, [text, prefix]}, source) do
    call(:starts_with, [term(text, source), value(prefix, source)])
  end

  def guard({:in, _, [left, {:.., _, [first, last]}]}, source) do
    left = term(left, source)

    tuple([
      :andalso,
      tuple([:is_integer, left]),
      tuple([:>=, left, term(first, source)]),
      tuple([:"=<", left, term(last, source)])
    ])
  end

  def guard({:in, _, [left, right]}, source) do
    case Source.sortable(left, source) do
      {:ok, _name} -> call(:time_among, [term(left, source), value(right, source)])
      :error -> call(:among, [term(left, source), value(right, source)])
    end
  end

  def guard({:is_nil, _, [inner]}, source), do: tuple([:"=:=", term(inner, source), nil])

  def guard({operator, _, [a, b]}, source) when is_map_key(@comparisons, operator) do
    compare(@comparisons[operator], a, b, source)
  end

  def guard(value, _source) when is_boolean(value), do: value
  def guard(other, source), do: term(other, source)

  defp compare(operator, a, b, source) do
    case {Source.sortable(a, source), Source.sortable(b, source)} do
      {{:ok, _}, {:ok, _}} ->
        tuple([operator, term(a, source), term(b, source)])

      {{:ok, _}, :error} ->
        call(:time, [exact(operator), term(a, source), value(b, source)])

      {:error, {:ok, _}} ->
        operator = Map.get(@flipped, operator, operator)
        call(:time, [exact(operator), term(b, source), value(a, source)])

      _plain ->
        values = Enum.count([a, b], &value?/1)
        attributes = Enum.count([a, b], &match?({:ok, _}, Source.attribute(&1, source)))
        # Of an attribute and a value: that very value, as everywhere else in Magnesia.
        operator = if values == 1 and attributes == 1, do: exact(operator), else: operator
        tuple([operator, side(operator, a, source), side(operator, b, source)])
    end
  end

  defp exact(operator), do: Map.get(@exact, operator, operator)

  defp side(operator, {:^, _, [_]} = pin, source) when operator in @orders do
    tuple([:const, call(:ordered!, [value(pin, source)])])
  end

  defp side(operator, other, source) when operator in @orders do
    with {:ok, name} <- Source.attribute(other, source), do: Source.orderable!(name, source)
    term(other, source)
  end

  defp side(_operator, other, source), do: term(other, source)

  @doc "Code that makes the term of an expression."
  @spec term(Macro.t(), Source.t()) :: Macro.t()
  def term(expression, source) do
    case Source.attribute(expression, source) do
      {:ok, name} -> Source.reference(name, source)
      :error -> other_term(expression, source)
    end
  end

  defp other_term({:^, _, [_]} = pin, source), do: tuple([:const, value(pin, source)])
  defp other_term(literal, _source) when is_number(literal) or is_binary(literal), do: literal
  defp other_term(atom, _source) when atom in [true, false, nil], do: atom
  defp other_term(atom, _source) when is_atom(atom), do: tuple([:const, atom])

  defp other_term({:elem, _, [tuple, index]}, source) do
    index = if is_integer(index), do: index + 1, else: tuple([:+, term(index, source), 1])
    tuple([:element, index, term(tuple, source)])
  end

  defp other_term({:is_map_key, _, [map, key]}, source) do
    tuple([:is_map_key, term(key, source), term(map, source)])
  end

  defp other_term({{:., _, [Access, :get]}, _, [map, key]}, source) do
    tuple([:map_get, term(key, source), term(map, source)])
  end

  defp other_term({{:., _, [map, key]}, _, []}, source) when is_atom(key) and is_tuple(map) do
    if Source.of_row?(map, source) do
      tuple([:map_get, tuple([:const, key]), term(map, source)])
    else
      refuse({{:., [], [map, key]}, [], []}, source)
    end
  end

  defp other_term({a, b}, source), do: construct([a, b], source)
  defp other_term({:{}, _, parts}, source), do: construct(parts, source)
  defp other_term(list, source) when is_list(list), do: Enum.map(list, &term(&1, source))

  defp other_term({:%{}, _, pairs}, source) when is_list(pairs) do
    {:%{}, [], for({key, value} <- pairs, do: {term(key, source), term(value, source)})}
  end

  defp other_term({name, _, arguments} = expression, source)
       when is_atom(name) and is_list(arguments) do
    cond do
      {name, length(arguments)} in @calls ->
        tuple([name | Enum.map(arguments, &term(&1, source))])

      is_map_key(@comparisons, name) or name in [:and, :or, :not, :in, :is_nil, :starts_with?] ->
        guard(expression, source)

      value?(expression) ->
        tuple([:const, value(expression, source)])

      true ->
        refuse(expression, source)
    end
  end

  defp other_term(other, source), do: refuse(other, source)

  defp construct(parts, source), do: tuple([tuple(Enum.map(parts, &term(&1, source)))])

  # A value: literals all the way down, a sigil, or a pin.
  defp value?({:^, _, [_]}), do: true
  defp value?({sigil, _, [_, _]}) when is_atom(sigil), do: sigil?(sigil)
  defp value?({:-, _, [number]}) when is_number(number), do: true
  defp value?({:{}, _, parts}), do: Enum.all?(parts, &value?/1)
  defp value?({:%{}, _, pairs}), do: Enum.all?(pairs, &value?/1)
  defp value?({:__aliases__, _, _}), do: true
  defp value?({:<<>>, _, parts}), do: Enum.all?(parts, &is_binary/1)
  defp value?({a, b}), do: value?(a) and value?(b)
  defp value?(list) when is_list(list), do: Enum.all?(list, &value?/1)
  defp value?(literal), do: not is_tuple(literal)

  defp sigil?(name), do: match?("sigil_" <> _, Atom.to_string(name))

  @doc "Code that gives the value of a pin or of a literal."
  @spec value(Macro.t(), Source.t()) :: Macro.t()
  def value({:^, _, [expression]}, _source), do: expression
  def value(other, source), do: if(value?(other), do: other, else: refuse(other, source))

  @doc "A tuple of the parts as code."
  @spec tuple([Macro.t()]) :: Macro.t()
  def tuple(parts), do: {:{}, [], parts}

  defp call(function, arguments) do
    quote(do: unquote(Spec).unquote(function)(unquote_splicing(arguments)))
  end

  @spec refuse(Macro.t(), Source.t()) :: no_return()
  defp refuse({name, _, context}, %{binding: name}) when is_atom(context) do
    raise ArgumentError, "#{name} is the whole row here: name an attribute, as in #{name}.id"
  end

  defp refuse({name, _, context}, _source) when is_atom(name) and is_atom(context) do
    raise ArgumentError, "#{name} is a variable of yours: pin it, ^#{name}"
  end

  defp refuse({name, _, arguments}, _source) when is_atom(name) and is_list(arguments) do
    known = Keyword.keys(@calls) ++ [:elem, :is_map_key, :is_nil, :starts_with?, :in, :and, :or]
    words = "a query runs in the engine, which has no function"
    Options.unknown!(words, name, Enum.uniq(known))
  end

  defp refuse(other, _source) do
    raise ArgumentError,
          "a query runs in the engine, which cannot do #{Macro.to_string(other)}: work it out " <>
            "before and pin the value, ^value"
  end
end
