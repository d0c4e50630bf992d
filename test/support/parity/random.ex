defmodule Magnesia.Parity.Random do
  @moduledoc """
  Seeded choices for the generators: every script has a seed of its own, so that any one can be
  made again alone. It must never draw from a generator that was not seeded here.
  """

  @doc "Runs a fun whose choices depend on the seed alone."
  @spec seeded(integer, (() -> result)) :: result when result: term
  def seeded(seed, fun) do
    before = Process.get(:rand_seed)
    :rand.seed(:exsss, {seed, seed * 7 + 1, 20_011})

    try do
      fun.()
    after
      if before, do: Process.put(:rand_seed, before), else: Process.delete(:rand_seed)
    end
  end

  @doc "An integer between two bounds, both included."
  @spec between(integer, integer) :: integer
  def between(low, high), do: low + :rand.uniform(high - low + 1) - 1

  @doc "True in `hits` of `total` cases."
  @spec chance?(pos_integer, pos_integer) :: boolean
  def chance?(hits, total), do: :rand.uniform(total) <= hits

  @doc "One element of a list."
  @spec pick([element, ...]) :: element when element: term
  def pick(list), do: Enum.at(list, :rand.uniform(length(list)) - 1)

  @doc "A list of between `low` and `high` results of a fun."
  @spec list(non_neg_integer, non_neg_integer, (() -> element)) :: [element] when element: term
  def list(low, high, fun) do
    case between(low, high) do
      0 -> []
      count -> Enum.map(1..count, fn _ -> fun.() end)
    end
  end

  @doc "Calls one fun of a list of `{weight, fun}`, the more often the greater its weight."
  @spec weighted([{pos_integer, (() -> result)}, ...]) :: result when result: term
  def weighted(choices) do
    total = choices |> Enum.map(&elem(&1, 0)) |> Enum.sum()
    draw(choices, :rand.uniform(total))
  end

  defp draw([{weight, fun} | _], point) when point <= weight, do: fun.()
  defp draw([{weight, _} | rest], point), do: draw(rest, point - weight)
end
