defmodule Magnesia.Parity.MatchSource do
  @moduledoc """
  Makes match specifications and patterns for a table: variables bound twice, keys fully, partly
  and not bound, every guard function, guards that raise, and now and then an invalid one. It must
  never make a guard whose cost is not bounded by its text.
  """

  import Magnesia.Parity.Random
  alias Magnesia.Parity.Vocabulary

  @tests [
    :is_atom,
    :is_float,
    :is_integer,
    :is_list,
    :is_number,
    :is_pid,
    :is_port,
    :is_reference,
    :is_tuple,
    :is_map,
    :is_binary,
    :is_function
  ]
  @unary [
    :abs,
    :hd,
    :tl,
    :length,
    :round,
    :trunc,
    :float,
    :size,
    :map_size,
    :tuple_size,
    :bit_size,
    :byte_size,
    :node,
    :ceil,
    :floor,
    :-,
    :+,
    :bnot,
    :not
  ]
  @arithmetic [:+, :-, :*, :/, :div, :rem, :band, :bor, :bxor]
  @comparisons [:>, :>=, :<, :"=<", :==, :"=:=", :"/=", :"=/="]
  @part_bound [
    {:"$1", :a},
    {1, :"$1"},
    {1, :_},
    [:"$1" | :_],
    [1 | :"$1"],
    %{a: :"$1"}
  ]
  @logic [:and, :or, :xor, :andalso, :orelse]

  @doc "Every guard and body function that the generator knows by name."
  @spec functions() :: [atom]
  def functions do
    rest = [:element, :is_record, :is_map_key, :map_get, :bsl, :bsr, :self, :const]
    @tests ++ Enum.uniq(@unary ++ @arithmetic) ++ @comparisons ++ @logic ++ rest
  end

  @doc "A match specification for rows of the given tag and size."
  @spec spec(atom, pos_integer) :: term
  def spec(tag, arity) do
    weighted([
      {40, fn -> list(1, 1, fn -> clause(tag, arity) end) end},
      {8, fn -> list(2, 3, fn -> clause(tag, arity) end) end},
      {1, fn -> [] end},
      {2, fn -> invalid(tag, arity) end}
    ])
  end

  @doc "A specification whose result is whole rows."
  @spec whole_rows(atom, pos_integer) :: term
  def whole_rows(tag, arity) do
    {head, guards, _body} = clause(tag, arity)
    [{head, guards, [:"$_"]}]
  end

  @doc "A pattern as match_object takes it."
  @spec pattern(atom, pos_integer) :: tuple
  def pattern(tag, arity) do
    [key | parts] = Enum.map(2..arity, fn _ -> part() end)
    # Keys have the other zero, see `Vocabulary`.
    key = if key == 0, do: 0.0, else: key
    List.to_tuple([tag, key | parts])
  end

  defp clause(tag, arity) do
    head = head(tag, arity)
    variables = variables(head)

    guards =
      weighted([
        {4, fn -> [] end},
        {4, fn -> likely(variables) end},
        {3, fn -> wild(variables) end}
      ])

    {head, guards, body(variables)}
  end

  defp head(tag, arity) do
    weighted([
      {10, fn -> List.to_tuple([tag | [key_part() | other_parts(arity)]]) end},
      {2, fn -> :_ end},
      {1, fn -> :"$1" end},
      {1, fn -> List.to_tuple([:_ | [key_part() | other_parts(arity)]]) end}
    ])
  end

  defp other_parts(arity), do: Enum.map(3..arity, fn _ -> part() end)

  defp key_part do
    weighted([
      {3, fn -> Vocabulary.key() end},
      {3, fn -> pick(@part_bound) end},
      {6, fn -> pick([:"$1", :_, :"$2"]) end}
    ])
  end

  defp part do
    weighted([
      {9, fn -> pick([:"$1", :"$2", :"$3", :"$3", :_, :_]) end},
      {2, fn -> Vocabulary.value() end},
      {1, fn -> pick([{:"$2", :_}, [:"$2" | :"$1"], %{a: :_}, {:"$1", :"$1"}]) end}
    ])
  end

  defp variables(head) do
    head
    |> inspect(limit: :infinity)
    |> then(&Regex.scan(~r/:"\$(\d)"/, &1))
    |> Enum.map(fn [_, digit] -> :"$#{digit}" end)
    |> Enum.uniq()
  end

  # A guard that some rows pass and some do not.
  defp likely([]), do: []

  defp likely(variables) do
    variable = pick(variables)

    list(1, 2, fn ->
      weighted([
        {4, fn -> {pick(@comparisons), variable, pick([1, 2, 3, 2.0, :a, :b])} end},
        {1, fn -> {pick(@comparisons), pick([1, 2, 3, 2.0, :b]), variable} end},
        {2, fn -> {pick(@tests), variable} end},
        {1, fn -> {:not, {pick(@tests), variable}} end},
        {1, fn -> {pick([:or, :orelse]), {:==, variable, pick([1, :a])}, {:>, variable, 2}} end},
        {1, fn -> {:>, {pick([:+, :-, :*]), variable, 1}, pick([1, 2])} end}
      ])
    end)
  end

  defp wild(variables), do: list(1, 2, fn -> condition(variables, 2) end)

  defp condition(variables, depth) do
    expression = fn -> expression(variables, depth - 1) end

    weighted([
      {5, fn -> {pick(@comparisons), expression.(), expression.()} end},
      {3, fn -> {pick(@tests), expression.()} end},
      {1, fn -> {:is_record, expression.(), pick([:s, :a]), between(1, 3)} end},
      {1, fn -> {:is_map_key, pick([:a, 1]), expression.()} end},
      {1, fn -> pick([true, false, :a]) end},
      {if(depth > 0, do: 3, else: 1), fn -> logic(variables, depth) end}
    ])
  end

  defp logic(_variables, depth) when depth <= 0, do: true

  defp logic(variables, depth) do
    inner = fn -> condition(variables, depth - 1) end

    weighted([
      {3, fn -> List.to_tuple([pick(@logic) | list(2, 2, inner)]) end},
      {1, fn -> List.to_tuple([pick([:and, :or, :andalso, :orelse]) | list(1, 4, inner)]) end},
      {1, fn -> {:not, inner.()} end}
    ])
  end

  defp expression(variables, depth) when depth <= 0, do: leaf(variables)

  defp expression(variables, depth) do
    inner = fn -> expression(variables, depth - 1) end

    weighted([
      {6, fn -> leaf(variables) end},
      {3, fn -> {pick(@arithmetic), inner.(), inner.()} end},
      {3, fn -> {pick(@unary), inner.()} end},
      {1, fn -> {pick([:bsl, :bsr]), inner.(), between(0, 70)} end},
      {1, fn -> {:element, between(0, 4), inner.()} end},
      {1, fn -> {:map_get, pick([:a, 1]), inner.()} end},
      {1, fn -> {{inner.(), inner.()}} end},
      {1, fn -> [inner.(), inner.()] end},
      {1, fn -> %{a: inner.()} end},
      {1, fn -> condition(variables, depth - 1) end}
    ])
  end

  defp leaf(variables) do
    bound = if variables == [], do: [1], else: variables

    weighted([
      {8, fn -> pick(bound) end},
      {3, fn -> {:const, Vocabulary.value()} end},
      {4, fn -> pick([0, 1, 2, 3, 1.0, -1, :a, "k", 18_446_744_073_709_551_616]) end},
      {1, fn -> pick([:"$_", :"$$"]) end},
      {1, fn -> pick([{:self}, {:node}, :_]) end}
    ])
  end

  defp body(variables) do
    weighted([
      {6, fn -> [:"$_"] end},
      {2, fn -> [:"$$"] end},
      {4, fn -> [expression(variables, 2)] end},
      {1, fn -> [expression(variables, 1), expression(variables, 2)] end}
    ])
  end

  defp invalid(tag, arity) do
    head = head(tag, arity)

    pick([
      [{head, [], []}],
      [{head, [{:nosuch, 1}], [:"$_"]}],
      [{head, [{:is_atom}], [:"$_"]}],
      [{head, [], [{:"$9", 1}]}],
      [{head, [{:==, :"$9", 1}], [:"$_"]}],
      [{head, [], [{{1, 2}, 3}]}],
      [{head, [{:is_seq_trace}], [:"$_"]}],
      [{head, [], [{:return_trace}]}],
      [{head, [], [{:message, :a}]}],
      [{head, [{:is_bitstring, :"$1"}], [:"$_"]}],
      [{head, [{:min, 1, 2}], [:"$_"]}],
      [{1, [], [:"$_"]}],
      [{head, [], :"$_"}],
      [{head, :x, [:"$_"]}],
      [:bad],
      [{head, []}],
      :bad,
      [{head, [], [:"$_"]} | :bad],
      [{head, [], [{:const}]}],
      [{head, [], [{:get_tcw}]}]
    ])
  end
end
