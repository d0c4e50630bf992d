defmodule Magnesia.Query.Compiler do
  @moduledoc """
  A `from` as the code that makes its `Magnesia.Query`.

  What the caller has written becomes the head, the guards and the body of a match specification:
  an attribute that must have a value is said in the head, where keys and indexes are looked for
  first, all else in guards. With a table module the specification is a literal but for what is
  pinned. Mistakes are `CompileError`s at the line of the query.
  """

  alias Magnesia.Options
  alias Magnesia.Query.Expression
  alias Magnesia.Query.Source
  alias Magnesia.Query.Spec

  @clauses [:where, :order_by, :limit, :select]

  @doc "The code of a query."
  @spec query(Macro.t(), Macro.t(), Macro.Env.t()) :: Macro.t()
  def query(source, clauses, env) do
    {clauses, pins} = clauses |> checked!() |> Macro.prewalk([], &hoist/2)
    source = source |> Source.new(env) |> Source.number(clauses)
    conditions = for {:where, where} <- clauses, part <- Expression.conjuncts(where), do: part
    empty = %{equal: [], member: nil, compared: [], others: []}
    parts = conditions |> Enum.reverse() |> Enum.reduce(empty, &part(&1, &2, source))

    taken = Keyword.keys(parts.equal ++ List.wrap(parts.member))
    source = %{source | bound: MapSet.new(taken)}
    {result, decode} = select(Keyword.get(clauses, :select, row(source)), source)

    quote do
      unquote_splicing(Enum.reverse(pins))
      unquote_splicing(lookup(source))

      %Magnesia.Query{
        table: unquote(if(source.facts, do: source.table, else: name(source))),
        name: unquote(name(source)),
        clauses: unquote(specification(parts, source)),
        result: unquote(result),
        decode: unquote(decode),
        order: unquote(order(Keyword.get(clauses, :order_by, []), source)),
        limit: unquote(limit(clauses[:limit], source)),
        narrowing: unquote(Enum.uniq(for {name, _, _} <- parts.compared, do: name) ++ taken)
      }
    end
  rescue
    error in ArgumentError ->
      raise CompileError, file: env.file, line: env.line, description: error.message
  end

  defp checked!(clauses) do
    if not Keyword.keyword?(clauses) do
      raise ArgumentError, "a query has clauses like where: and select:, written in the query"
    end

    for {name, _code} <- clauses, name not in @clauses do
      Options.unknown!("a query has no clause", name, @clauses)
    end

    for name <- @clauses -- [:where], length(Keyword.take(clauses, [name])) > 1 do
      raise ArgumentError, "#{name}: is given twice"
    end

    clauses
  end

  # A pinned expression runs once, however often its value is used.
  defp hoist({:^, meta, [expression]}, pins) do
    pin = Macro.var(:"pin_#{length(pins)}", __MODULE__)
    {{:^, meta, [pin]}, [quote(do: unquote(pin) = unquote(expression)) | pins]}
  end

  # What parentheses leave around some expressions.
  defp hoist({:__block__, _, [expression]}, pins), do: hoist(expression, pins)
  defp hoist(code, pins), do: {code, pins}

  defp row(source), do: {source.binding, [], nil}

  # What a head can say is taken out of the conditions.
  defp part(condition, parts, source) do
    with {:equality, :error} <- {:equality, Expression.equality(condition, source)},
         {:member, :error} <- {:member, Expression.membership(condition, source)} do
      other(condition, parts, source)
    else
      {:equality, {:ok, name, value}} ->
        if free?(name, parts, source),
          do: %{parts | equal: [{name, value} | parts.equal]},
          else: other(condition, parts, source)

      {:member, {:ok, name, values}} ->
        if parts.member == nil and free?(name, parts, source) and Source.indexed?(name, source),
          do: %{parts | member: {name, values}},
          else: other(condition, parts, source)
    end
  end

  defp free?(name, parts, source) do
    not Source.time?(name, source) and
      name not in Keyword.keys(parts.equal ++ List.wrap(parts.member))
  end

  defp other(condition, parts, source) do
    compared =
      case Expression.comparison(condition, source) do
        {:ok, name, operator, value} -> [{name, operator, value}]
        :error -> []
      end

    %{parts | others: [condition | parts.others], compared: compared ++ parts.compared}
  end

  # The table

  defp lookup(%{facts: nil, numbers: numbers, table: table} = source) do
    names = numbers |> Enum.sort_by(&elem(&1, 1)) |> Enum.map(&elem(&1, 0))
    positions = Enum.map(names, &Source.position(&1, source))

    [
      quote do
        {unquote(definition()), unquote(positions)} =
          unquote(Spec).positions(unquote(table), unquote(names))
      end
    ]
  end

  defp lookup(_source), do: []

  defp definition, do: Macro.var(:definition, __MODULE__)

  defp name(%{facts: nil}), do: quote(do: unquote(definition()).name)
  defp name(%{facts: facts}), do: facts.name

  # The clauses

  defp specification(parts, source) do
    {fixed, late} = Enum.split_with(parts.equal, fn {_name, value} -> fixed?(value) end)
    guards = Enum.map(parts.others, &Expression.guard(&1, source))
    clause = {head(fixed, source), guards}
    late = for {name, value} <- late, do: at(name, value, source)
    clause = if late == [], do: clause, else: call(:bind, [clause, late])
    clause = Enum.reduce(compounds(source), clause, &compound(&1, &2, parts, source))

    case parts.member do
      nil -> [clause]
      {name, values} -> call(:any_of, [clause, at(name, values, source)])
    end
  end

  # Literals that a head takes for themselves.
  defp fixed?(value) when is_number(value) or is_binary(value), do: true
  defp fixed?(value) when is_atom(value), do: Atom.to_string(value) =~ ~r/^[a-zA-Z]/
  defp fixed?(_value), do: false

  defp at(name, value, source) do
    {:{}, [], [Source.position(name, source), Source.variable(name, source), value]}
  end

  defp head(fixed, %{facts: nil} = source) do
    terms =
      for {name, _number} <- source.numbers do
        term = Keyword.get(fixed, name, Source.variable(name, source))
        {Source.position(name, source), term}
      end

    call(:head, [definition(), terms])
  end

  defp head(fixed, %{facts: facts, numbers: numbers} = source) do
    terms =
      for name <- facts.attributes do
        cond do
          Keyword.has_key?(fixed, name) -> fixed[name]
          is_map_key(numbers, name) -> Source.variable(name, source)
          true -> :_
        end
      end

    unused = List.duplicate(:_, length(facts.compound))
    {:{}, [], [facts.record_name] ++ terms ++ unused}
  end

  defp compounds(%{facts: nil}), do: []
  defp compounds(%{facts: facts}), do: facts.compound

  # Values for the first attributes of an index over several, and what the next is compared with.
  defp compound({_name, names} = compound, clause, parts, source) do
    {known, rest} = Enum.split_while(names, &Keyword.has_key?(parts.equal, &1))

    compared =
      for {name, operator, value} <- parts.compared,
          [name] == rest and not Source.time?(name, source),
          do: {operator, value}

    cond do
      known == [] ->
        clause

      length(known) == 1 and compared == [] and Source.indexed?(hd(known), source) ->
        clause

      true ->
        values = for name <- known, do: parts.equal[name]
        position = Source.compound_position(compound, source)
        call(:compound, [clause, position, length(names), values, compared])
    end
  end

  defp call(function, arguments) do
    quote(do: unquote(Spec).unquote(function)(unquote_splicing(arguments)))
  end

  # Results

  defp select({binding, _, context}, %{binding: binding} = source) when is_atom(context) do
    {:"$_", decode_row(source)}
  end

  defp select(expression, source) do
    {pattern, value, decoded?} = decode(expression, source)

    decode =
      if decoded? do
        quote do
          fn unquote(pattern) -> unquote(value) end
        end
      end

    {result(expression, source), decode}
  end

  defp result({binding, _, context}, %{binding: binding}) when is_atom(context), do: :"$_"

  defp result({a, b}, source), do: result({:{}, [], [a, b]}, source)

  defp result({:{}, _, parts}, source) do
    {:{}, [], [{:{}, [], Enum.map(parts, &result(&1, source))}]}
  end

  defp result({:%{}, _, pairs}, source) do
    {:%{}, [], for({key, part} <- pairs, do: {key, result(part, source)})}
  end

  defp result(list, source) when is_list(list), do: Enum.map(list, &result(&1, source))
  defp result(expression, source), do: Expression.term(expression, source)

  defp decode_row(%{facts: nil}), do: nil
  defp decode_row(%{table: module}), do: quote(do: &unquote(module).from_record/1)

  # A pattern for a result, the value that it stands for, and whether the two differ.
  defp decode(expression, source) do
    part = Macro.var(:"part_#{:erlang.unique_integer([:positive])}", __MODULE__)

    case expression do
      {binding, _, context} when is_atom(context) and binding == source.binding ->
        case source do
          %{facts: nil} -> {part, part, false}
          _ -> {part, quote(do: unquote(source.table).from_record(unquote(part))), true}
        end

      {a, b} ->
        decode_all([a, b], source, fn parts -> {:{}, [], parts} end)

      {:{}, _, parts} ->
        decode_all(parts, source, fn parts -> {:{}, [], parts} end)

      {:%{}, _, pairs} ->
        {keys, parts} = Enum.unzip(pairs)
        decode_all(parts, source, fn parts -> {:%{}, [], Enum.zip(keys, parts)} end)

      list when is_list(list) ->
        decode_all(list, source, & &1)

      leaf ->
        decode_leaf(Source.sortable(leaf, source), part, source)
    end
  end

  defp decode_leaf({:ok, name}, part, source) do
    decoded =
      quote do
        Magnesia.Table.Sortable.decode(unquote(part), unquote(source.facts.types[name]))
      end

    {part, decoded, true}
  end

  defp decode_leaf(:error, part, _source), do: {part, part, false}

  defp decode_all(parts, source, build) do
    parts = Enum.map(parts, &decode(&1, source))
    {patterns, values} = parts |> Enum.map(fn {p, v, _} -> {p, v} end) |> Enum.unzip()
    {build.(patterns), build.(values), Enum.any?(parts, &elem(&1, 2))}
  end

  # Order and limit

  defp order(terms, source) when is_list(terms), do: Enum.map(terms, &ordering(&1, source))
  defp order({:{}, _, terms}, source), do: order(terms, source)
  defp order({a, b}, source), do: order([a, b], source)
  defp order(term, source), do: order([term], source)

  defp ordering({direction, term}, source) when direction in [:asc, :desc] do
    case Source.attribute(term, source) do
      {:ok, name} ->
        :ok = Source.orderable!(name, source)
        position = Source.position(name, source)
        {:{}, [], [direction, position, Source.reference(name, source)]}

      :error ->
        raise ArgumentError, "order_by: takes attributes, not #{Macro.to_string(term)}"
    end
  end

  defp ordering({direction, term}, source) when is_atom(direction) do
    if Source.attribute(term, source) != :error do
      Options.unknown!("order_by: there is no direction", direction, [:asc, :desc])
    end
  end

  defp ordering(term, source), do: ordering({:asc, term}, source)

  defp limit(nil, _source), do: nil
  defp limit(limit, _source) when is_integer(limit) and limit >= 0, do: limit
  defp limit({:^, _, [_]} = pin, source), do: call(:limit!, [Expression.value(pin, source)])

  defp limit(other, _source) do
    raise ArgumentError, "limit: is a number or ^number, not #{Macro.to_string(other)}"
  end
end
