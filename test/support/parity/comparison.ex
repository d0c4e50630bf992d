defmodule Magnesia.Parity.Comparison do
  @moduledoc """
  Finds the first place where two records of one script differ. It must never change a record.
  """

  alias Magnesia.Parity.{Interpreter, Order}

  @type difference :: %{path: [pos_integer], operation: term, left: term, right: term}

  @doc "The first difference of two records, or nil."
  @spec first_difference([Interpreter.entry()], [Interpreter.entry()]) :: difference | nil
  def first_difference([], []), do: nil

  def first_difference([left | lefts], [right | rights]) do
    if same?(left, right), do: first_difference(lefts, rights), else: difference(left, right)
  end

  def first_difference([left | _], []), do: difference(left, %{left | outcome: :missing})
  def first_difference([], [right | _]), do: difference(%{right | outcome: :missing}, right)

  defp same?(%{path: path, mode: mode} = left, %{path: path} = right) do
    Order.comparable(mode, left.outcome) === Order.comparable(mode, right.outcome)
  end

  defp same?(_left, _right), do: false

  defp difference(left, right) do
    %{
      path: left.path,
      operation: left.operation,
      left: narrowed(left.outcome, right.outcome),
      right: narrowed(right.outcome, left.outcome)
    }
  end

  # Of the contents of all tables only those that differ are worth reading.
  defp narrowed({:value, [{table, {rows, _, _}} | _] = mine}, {:value, theirs})
       when is_atom(table) and is_list(rows) and is_list(theirs) do
    {:value, mine -- theirs}
  end

  defp narrowed(outcome, _other), do: outcome
end
