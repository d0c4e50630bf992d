defmodule Magnesia.Parity.Normal do
  @moduledoc """
  Takes out of an answer what cannot be the same twice: processes, references, funs, stacks, the
  name of the module under test. It must never touch numbers, order or shape: 1 and 1.0, and 0.0
  and -0.0, stay apart.
  """

  @internal [:function_clause, :if_clause]
  @internal_tagged [:badmatch, :case_clause, :try_clause]

  @doc "A list in an order of its own, whatever order it came in; 1 and 1.0 keep apart."
  @spec sorted(list, (term -> term)) :: list
  def sorted(list, part \\ & &1), do: Enum.sort_by(list, &:erlang.term_to_binary(part.(&1)))

  @doc "The comparable form of a term answered by `subject`."
  @spec term(term, module) :: term
  def term(term, subject), do: walk(term, subject)

  defp walk(subject, subject), do: :"$subject"
  defp walk(:mnesia, _subject), do: :"$subject"
  defp walk(<<_::bitstring>> = bits, _subject), do: bits

  defp walk(float, _subject) when is_float(float), do: zero(float, <<float::float>>)
  # OTP leaves what `round` answers in a match spec in the form of a larger one than it is.
  defp walk(large, _subject) when is_integer(large) and abs(large) > 0x7FFFFFFF do
    large |> :erlang.term_to_binary() |> :erlang.binary_to_term()
  end

  defp walk(pid, _subject) when is_pid(pid), do: :"$pid"
  defp walk(reference, _subject) when is_reference(reference), do: :"$ref"
  defp walk(port, _subject) when is_port(port), do: :"$port"

  defp walk(fun, _subject) when is_function(fun) do
    {:arity, arity} = Function.info(fun, :arity)
    {:"$fun", arity}
  end

  # The number of a transaction grows with every one before it.
  defp walk({:tid, counter, pid}, _subject) when is_integer(counter) and is_pid(pid), do: :"$tid"

  defp walk({reason, [{_, _, _, _} | _] = list} = pair, subject) do
    if stack?(list),
      do: {crash(reason, subject), :"$stack"},
      else: tuple(pair, subject)
  end

  defp walk(tuple, subject) when is_tuple(tuple), do: tuple(tuple, subject)
  defp walk([head | tail], subject), do: [walk(head, subject) | walk(tail, subject)]

  defp walk(map, subject) when is_map(map) do
    map
    |> :maps.to_list()
    |> Map.new(fn {key, value} -> {walk(key, subject), walk(value, subject)} end)
  end

  defp walk(other, _subject), do: other

  defp tuple(tuple, subject) do
    tuple |> Tuple.to_list() |> Enum.map(&walk(&1, subject)) |> List.to_tuple()
  end

  defp zero(_float, <<1::1, 0::63>>), do: :"$minus_zero"
  defp zero(float, _bits), do: float

  defp crash(reason, _subject) when reason in @internal, do: :"$crash"

  defp crash({tag, _}, _subject) when tag in @internal_tagged, do: :"$crash"
  defp crash(reason, subject), do: walk(reason, subject)

  defp stack?(list) do
    is_list(list) and List.improper?(list) == false and Enum.all?(list, &frame?/1)
  end

  defp frame?({module, function, arity, place}) do
    is_atom(module) and is_atom(function) and is_list(place) and
      (is_integer(arity) or is_list(arity))
  end

  defp frame?(_other), do: false
end
