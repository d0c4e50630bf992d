defmodule Magnesia.QueryRandomTest do
  # Random conditions find the rows that the same condition in Elixir finds, whatever way the
  # engine takes, in a transaction with writes of its own and outside of one.
  use Magnesia.DatabaseCase

  alias Magnesia.Query
  alias Magnesia.TestTables.User

  @queries 150
  @names ["Ann", "Anton", "Bob", "Ben", nil]
  @countries [:no, :se, :dk, nil]

  setup do
    seed = String.to_integer(System.get_env("MAGNESIA_SEED", "#{System.os_time()}"))
    :rand.seed(:exsss, seed)
    {:ok, again: "MAGNESIA_SEED=#{seed} mix test test/magnesia/query_random_test.exs"}
  end

  for type <- [:set, :ordered_set] do
    test "on a #{type}", %{again: line} do
      :ok = User.create(type: unquote(type))
      for id <- 1..120, do: {:ok, _} = User.put(user(id))

      for _ <- 1..@queries do
        {where, order, limit} = {condition(3), order(), Enum.random([nil, 0, 1, 5, 500])}
        query = query(where, order, limit)
        check(query, where, order, limit, line)

        # What the transaction has written takes part, and is gone with it.
        {:error, %{reason: :done}} =
          Magnesia.transaction(fn ->
            for id <- [3, 50, 130, 131], do: User.put(user(id))
            User.delete(7)
            check(query, where, order, limit, line)
            Magnesia.rollback(:done)
          end)
      end
    end
  end

  defp user(id) do
    %User{
      id: id,
      name: Enum.random(@names),
      country: Enum.random(@countries),
      age: :rand.uniform(40),
      tags: Enum.take([:a, :b, :c], :rand.uniform(4) - 1)
    }
  end

  defp check(query, where, order, limit, line) do
    {filter, _} = Code.eval_string("fn u -> #{where} end")
    rows = Enum.filter(Magnesia.fold(User, [], &[&1 | &2]), filter)
    what = "#{where}, #{inspect(order)}, limit #{inspect(limit)}\n#{query.name}: #{line}"
    kept = min(limit || length(rows), length(rows))

    for {way, found} <- [all: Query.all(query), stream: Enum.to_list(query)] do
      assert length(found) == kept, "#{way} of #{what}"
      assert found -- rows == [], "#{way} of #{what}"
      keys = fn rows -> Enum.map(rows, fn u -> Enum.map(order, &Map.get(u, elem(&1, 1))) end) end
      assert keys.(found) == keys.(rows |> sort(order) |> Enum.take(kept)), "#{way} of #{what}"
    end

    assert Query.count(query) == kept, "count of #{what}"
  end

  # Stable from the last attribute to the first.
  defp sort(rows, order) do
    Enum.reduce(Enum.reverse(order), rows, fn {direction, name}, rows ->
      Enum.sort_by(rows, &Map.get(&1, name), direction)
    end)
  end

  defp query(where, order, limit) do
    order = Enum.map_join(order, ", ", fn {direction, name} -> "#{direction}: u.#{name}" end)

    code = """
    import Magnesia.Query
    from u in Magnesia.TestTables.User, where: #{where}, order_by: [#{order}]
    """

    {query, _binding} = Code.eval_string(code)
    %{query | limit: limit}
  end

  defp order do
    names = Enum.take_random([:id, :age, :name, :country], :rand.uniform(3) - 1)
    for name <- names, do: {Enum.random([:asc, :desc]), name}
  end

  defp condition(0), do: comparison()

  defp condition(depth) do
    case :rand.uniform(6) do
      n when n < 3 -> "(#{condition(depth - 1)}) and (#{condition(depth - 1)})"
      3 -> "(#{condition(depth - 1)}) or (#{condition(depth - 1)})"
      4 -> "not (#{condition(depth - 1)})"
      _ -> comparison()
    end
  end

  defp comparison do
    number = :rand.uniform(45)

    Enum.random([
      fn -> "u.id #{operator()} #{:rand.uniform(125)}" end,
      fn -> "#{number} #{operator()} u.age" end,
      fn -> "u.age #{operator()} #{number}" end,
      fn -> "u.age in #{number - 5}..#{number}" end,
      fn ->
        "u.id in #{inspect(for(_ <- 1..3, do: :rand.uniform(125)), charlists: :as_lists)}"
      end,
      fn -> "u.name #{operator()} #{inspect(Enum.random(@names))}" end,
      fn -> "u.name in #{inspect(Enum.take_random(@names, 2))}" end,
      fn -> "u.country == #{inspect(Enum.random(@countries))}" end,
      fn -> "u.country in #{inspect(Enum.take_random(@countries, 2))}" end,
      fn -> "rem(u.age, 3) == #{rem(number, 3)}" end,
      fn -> "u.age + u.id > #{number * 2}" end,
      fn -> "length(u.tags) == #{rem(number, 4)}" end,
      fn -> "u.tags == #{inspect(Enum.take([:a, :b], rem(number, 3)))}" end,
      fn -> "is_nil(u.name)" end
    ]).()
  end

  defp operator, do: Enum.random(~w(== != === !== < <= > >=))
end
