defmodule Magnesia.Stress.Junk do
  @moduledoc """
  Terms of every kind that the VM has, huge and deeply nested ones among them, seeded: the names
  and shapes that calls take are frequent, so that junk gets past the first check. It must never
  call anything that it makes.
  """

  import Bitwise
  import Magnesia.Parity.Random

  @tables [:junk_set, :junk_ordered, :junk_bag, :junk_disc, :junk_indexed, :junk_missing]
  @words [:read, :write, :sticky_write, :table, :record, :global, :set, :ordered_set, :bag] ++
           [:ram_copies, :disc_copies, :disc_only_copies, :read_write, :read_only, :key, :val] ++
           [:_, :"$1", :"$2", :"$_", :"$$", :==, :andalso, :const, :is_integer, :self] ++
           [:attributes, :index, :type, :size, :all, :none, nil, true, false, :schema] ++
           [:transaction, :ets, :async_dirty, :ignore, :"$end_of_table", :undefined]
  @foreign [:ключ, :キー, :"", :é, :"😀", String.to_atom(String.duplicate("я", 255))]
  @depth 200_000

  @doc "The tables that calls are aimed at; the last one is never there."
  @spec tables() :: [atom]
  def tables, do: @tables

  @doc "A list of junk arguments."
  @spec arguments(non_neg_integer) :: list
  def arguments(count), do: list(count, count, fn -> argument() end)

  @doc "One argument: a name, a shape that some call takes, or anything at all."
  @spec argument() :: term
  def argument do
    weighted([
      {6, fn -> pick(@tables) end},
      {3, fn -> [pick(@tables)] end},
      {4, fn -> pick(@words) end},
      {3, &record/0},
      {2, &match_spec/0},
      {2, &item/0},
      {2, &options/0},
      {2, &function/0},
      {2, fn -> pick([0, 1, 2, 3, 4, 100]) end},
      {12, fn -> term(4) end},
      {1, &huge/0}
    ])
  end

  @doc "A term of at most so many levels."
  @spec term(non_neg_integer) :: term
  def term(0), do: leaf()

  def term(depth) do
    below = fn -> term(depth - 1) end

    weighted([
      {8, &leaf/0},
      {2, fn -> list(0, 4, below) end},
      {1, fn -> list(1, 3, below) ++ leaf() end},
      {2, fn -> List.to_tuple(list(0, 4, below)) end},
      {1, fn -> Map.new(list(0, 3, fn -> {below.(), below.()} end)) end},
      {1, fn -> Map.new(1..between(33, 40), &{&1, leaf()}) end}
    ])
  end

  defp leaf do
    weighted([
      {3, fn -> between(-5, 5) end},
      {2, fn -> pick([1, -1]) * ((1 <<< between(28, 70)) + between(-1, 1)) end},
      {1, fn -> -(1 <<< between(100, 5000)) end},
      {2, fn -> pick([0.0, -0.0, 1.0, -1.5, 1.0e300, 5.0e-324, 576_460_752_303_423_488.0]) end},
      {2, fn -> pick(@words) end},
      {2, fn -> pick(@foreign) end},
      {1, fn -> pick(@tables) end},
      {2, fn -> :binary.copy(<<between(0, 255)>>, pick([0, 1, 3, 63, 64, 65, 300])) end},
      {1, fn -> <<between(0, 255), between(0, 7)::size(3)>> end},
      {1, fn -> binary_part(:binary.copy("part", 500), 3, between(0, 900)) end},
      {1, fn -> pick([[], {}, %{}]) end},
      {1, fn -> pick([self(), make_ref(), hd(Port.list())]) end},
      {1, &function/0}
    ])
  end

  defp function do
    bound = leaf_of_fun()

    pick([
      fn -> bound end,
      fn x -> {bound, x} end,
      fn a, b -> {a, b} end,
      fn -> throw(bound) end,
      fn -> exit(bound) end,
      fn -> :erlang.error(bound) end,
      &:erlang.abs/1
    ])
  end

  defp leaf_of_fun, do: pick([1, :a, "bound", {:t, 1, 2}])

  defp record do
    tag = pick(@tables)
    List.to_tuple([tag | list(1, 4, fn -> term(2) end)])
  end

  defp match_spec do
    list(0, 2, fn ->
      head = pick([record(), {pick(@tables), :"$1", :"$2"}, :_, term(2)])
      guards = list(0, 2, &guard/0)
      pick([{head, guards, list(0, 2, &guard/0)}, {head, term(1), [:"$_"]}])
    end)
  end

  defp guard do
    test = pick([:==, :>, :is_integer, :andalso, :element, :map_get, :binary_part, :abs, :hd])
    pick([:"$1", :"$_", :"$$", {{term(1)}}, List.to_tuple([test | list(0, 3, &operand/0)])])
  end

  defp operand, do: pick([:"$1", :"$2", {:const, term(1)}, term(1)])

  defp item do
    pick([
      {:table, pick(@tables)},
      {:record, pick(@tables), term(2)},
      {:global, term(2), [node()]},
      {:global, term(2)},
      {pick(@tables), term(2)}
    ])
  end

  defp options do
    list(0, 3, fn ->
      pick([
        {pick(@words), term(2)},
        {:attributes, pick([[:key, :val], term(1)])},
        {pick([:ram_copies, :disc_copies]), pick([[node()], term(1)])},
        term(1)
      ])
    end)
  end

  # Too big or too deep for anyone who recurses or trusts a length.
  defp huge do
    pick([
      fn -> Enum.reduce(1..@depth, leaf(), fn _, inner -> [inner] end) end,
      fn -> Enum.reduce(1..@depth, leaf(), fn n, inner -> {n, inner} end) end,
      fn -> Enum.reduce(1..div(@depth, 10), leaf(), fn n, inner -> %{n => inner} end) end,
      fn -> Enum.reduce(1..@depth, leaf(), fn n, tail -> [n | tail] end) end,
      fn -> Enum.to_list(1..@depth) end,
      fn -> Tuple.duplicate(leaf(), @depth) end,
      fn -> Map.new(1..div(@depth, 10), &{&1, &1}) end,
      fn -> :binary.copy("binary", @depth) end,
      fn -> 1 <<< (@depth * 4) end,
      fn -> [{{:junk_set, :"$1", :"$2"}, [deep_guard()], [:"$_"]}] end
    ]).()
  end

  defp deep_guard, do: Enum.reduce(1..@depth, true, fn _, inner -> {:not, inner} end)
end
