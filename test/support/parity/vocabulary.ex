defmodule Magnesia.Parity.Vocabulary do
  @moduledoc """
  The small pools of terms that scripts are made of: small, so that patterns hit, and full of
  pairs that are easily confused. It must never hold a term that differs from run to run.
  """

  import Magnesia.Parity.Random

  @common [1, 2, 3, 4, :a, :b, :c]
  @awkward [
    1.0,
    2.0,
    0,
    0.0,
    -1,
    2.5,
    1.0e300,
    576_460_752_303_423_487,
    576_460_752_303_423_488,
    -576_460_752_303_423_489,
    18_446_744_073_709_551_616,
    -18_446_744_073_709_551_617,
    nil,
    true,
    false,
    :"",
    :ключ,
    :キー,
    "",
    "k",
    "key",
    <<255, 0, 1>>,
    <<5::size(3)>>,
    <<1, 1::size(1)>>,
    [],
    [1],
    [1.0],
    [1 | 2],
    [:a, :b | :c],
    ~c"abc",
    {},
    {1},
    {1, :a},
    {1.0, :a},
    {1, {2, "x"}},
    %{},
    %{a: 1},
    %{a: 1.0},
    %{1 => %{b: [1]}}
  ]
  # As keys the variables are wildcards inside stock Mnesia's own store. Of the two zeros keys
  # have one and values the other: which of two in one place counts is an accident of OTP 25.
  @in_values [:_, :"$1", -0.0 | List.delete(@awkward, 0.0)]
  @long [
    String.duplicate("x", 65),
    String.duplicate("long value ", 40),
    Enum.to_list(1..40),
    List.to_tuple(Enum.to_list(1..30)),
    Map.new(1..40, &{&1, &1 * &1})
  ]

  @doc "A key; small integers and atoms most of the time."
  @spec key() :: term
  def key, do: weighted([{6, fn -> pick(@common) end}, {2, fn -> pick(@awkward) end}])

  @doc "A value of a row."
  @spec value() :: term
  def value do
    weighted([
      {6, fn -> pick(@common) end},
      {3, fn -> pick(@in_values) end},
      {1, fn -> pick(@long) end}
    ])
  end

  @doc """
  A value of an indexed row. No map, which a bag's index of stock Mnesia takes for a pattern; one
  spelling of equal numbers and of zero, since there one entry pushes out an equal one.
  """
  @spec indexed(:integer | :float) :: term
  def indexed(style) do
    value = spelt(value(), style)

    cond do
      is_map(value) -> indexed(style)
      value == 0 -> spelt(0, style)
      true -> value
    end
  end

  @doc "A key whose spelling among equal numbers is the given one."
  @spec spelt(term, :integer | :float) :: term
  def spelt(key, style) do
    cond do
      style == :float and is_integer(key) and abs(key) < 100 -> key * 1.0
      style == :integer and is_float(key) and key == trunc(key) and abs(key) < 100 -> trunc(key)
      is_tuple(key) or is_list(key) or is_map(key) -> inner(key, style)
      true -> key
    end
  end

  defp inner({1, :a}, :float), do: {1.0, :a}
  defp inner({1.0, :a}, :integer), do: {1, :a}
  defp inner(%{a: 1}, :float), do: %{a: 1.0}
  defp inner(%{a: 1.0}, :integer), do: %{a: 1}
  defp inner([1], :float), do: [1.0]
  defp inner([1.0], :integer), do: [1]
  defp inner(other, _style), do: other

  @doc "A wrong argument: wrong kinds, wrong shapes, names of tables that are not there."
  @spec junk() :: term
  def junk do
    pick([
      :nosuch,
      :s,
      :_,
      [],
      [:bad],
      {},
      {:s},
      {:s, 1},
      {:nosuch, 1},
      {:nosuch, 1, 2},
      {:wrong, 1, 2},
      {:s, 1, 2, 3},
      {1, 2, 3},
      0,
      -1,
      1.5,
      "s",
      nil,
      [{:_, [], [:"$_"]}],
      [{:bad}],
      [1 | 2],
      %{},
      :read,
      :write,
      :infinity,
      {:table, :s},
      {:record, :s, 1}
    ])
  end
end
