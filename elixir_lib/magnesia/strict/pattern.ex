defmodule Magnesia.Strict.Pattern do
  @moduledoc """
  What a match pattern is made of: variables, a bound key, a table's tag.

  It knows patterns only; whether a table is there and what is in it is not asked here, except
  for the tag and length that a pattern without its tag is completed with.
  """

  alias Magnesia.Strict.Facts

  @doc "Tells whether a term has a match variable (`:_` or `:\"$N\"`) anywhere inside."
  @spec has_var(term()) :: boolean()
  def has_var(:_), do: true
  def has_var(term) when is_atom(term), do: dollar?(Atom.to_string(term))
  def has_var(term) when is_tuple(term), do: any_var?(term, tuple_size(term))
  def has_var([head | tail]), do: has_var(head) or has_var(tail)
  def has_var(_), do: false

  @doc "Tells whether a specification is one clause whose key is bound, and answers that key."
  @spec bound_key(term()) :: {:ok, term()} | :error
  def bound_key([{head, _, _}]) when is_tuple(head) and tuple_size(head) > 2 do
    key = elem(head, 1)
    if has_var(key), do: :error, else: {:ok, key}
  end

  def bound_key(_spec), do: :error

  @doc "Tells whether a pattern is a bound key among constants and wildcards."
  @spec key_only?(tuple()) :: boolean()
  def key_only?(pattern) do
    elem(pattern, 1) != :_ and simple?(pattern, tuple_size(pattern))
  end

  @doc "Tells whether a row fits a pattern for which `key_only?/1` is true."
  @spec fits?(tuple(), tuple()) :: boolean()
  def fits?(pattern, row) do
    tuple_size(pattern) == tuple_size(row) and fits?(pattern, row, tuple_size(row))
  end

  @doc "The specification that answers the whole rows that a pattern matches."
  @spec rows(term()) :: list()
  def rows(pattern), do: [{pattern, [], [:"$_"]}]

  @doc "The same clauses, answering whole rows."
  @spec rows_of(list()) :: list()
  def rows_of([]), do: []
  def rows_of([{head, guards, _body} | rest]), do: [{head, guards, [:"$_"]} | rows_of(rest)]

  @doc "Puts the table's tag before a pattern that was written without it."
  @spec with_tag(term(), term()) :: term()
  def with_tag(tab, pattern) when is_atom(tab) and is_tuple(pattern) do
    case Facts.fetch(tab) do
      {:ok, facts} when tuple_size(pattern) == facts.arity - 1 ->
        Tuple.insert_at(pattern, 0, facts.record_name)

      _ ->
        pattern
    end
  end

  def with_tag(_tab, pattern), do: pattern

  defp simple?(_pattern, 0), do: true

  defp simple?(pattern, n) do
    element = :erlang.element(n, pattern)
    (element == :_ or constant?(element)) and simple?(pattern, n - 1)
  end

  # What variables in a map stand for is a matter of the query.
  defp constant?(term) when is_atom(term), do: not has_var(term)
  defp constant?(term) when is_tuple(term), do: all_constant?(term, tuple_size(term))
  defp constant?([head | tail]), do: constant?(head) and constant?(tail)
  defp constant?(term), do: not is_map(term)

  defp all_constant?(_tuple, 0), do: true

  defp all_constant?(tuple, n) do
    constant?(:erlang.element(n, tuple)) and all_constant?(tuple, n - 1)
  end

  defp fits?(_pattern, _row, 0), do: true

  defp fits?(pattern, row, n) do
    wanted = :erlang.element(n, pattern)
    (wanted == :_ or wanted === :erlang.element(n, row)) and fits?(pattern, row, n - 1)
  end

  defp any_var?(_tuple, 0), do: false
  defp any_var?(tuple, n), do: has_var(:erlang.element(n, tuple)) or any_var?(tuple, n - 1)

  defp dollar?("$" <> digits), do: digits?(digits)
  defp dollar?(_), do: false

  defp digits?(<<digit, rest::binary>>) when digit in ?0..?9, do: digits?(rest)
  defp digits?(""), do: true
  defp digits?(_), do: false
end
