defmodule Magnesia.RefTest do
  # A table as a value: what Enum and Stream make of it.
  use Magnesia.DatabaseCase

  alias Magnesia.Ref
  alias Magnesia.TestTables.City
  alias Magnesia.TestTables.User

  test "rows are collected and gone over, whatever their number" do
    :ok = Magnesia.create_table(:town, type: :ordered_set)
    towns = Ref.new(:town)

    for count <- [0, 1, 499, 500, 501, 1700] do
      :ok = Magnesia.clear_table(:town)
      rows = for n <- 1..count//1, do: {:town, n, n * n}
      assert Enum.into(rows, towns) == towns
      assert Enum.to_list(towns) == rows
      assert Enum.count(towns) == count

      assert towns |> Stream.map(&elem(&1, 1)) |> Stream.reject(&(&1 > 3)) |> Enum.sum() ==
               Enum.sum(1..min(3, count)//1)
    end

    assert {:town, 7, 49} in towns
    refute {:town, 7, 50} in towns
    refute :town in towns

    assert towns |> Ref.part(from: 10, to: 12, order: :desc) |> Enum.map(&elem(&1, 1)) == [
             12,
             11,
             10
           ]

    part = Ref.part(towns, from: 1690)
    assert Enum.count(part) == 11
    refute {:town, 7, 49} in part
    assert Enum.zip(towns, 1..2) == [{{:town, 1, 1}, 1}, {{:town, 2, 4}, 2}]
  end

  test "rows of a table module are structs" do
    :ok = City.create()
    cities = for name <- ~w(Bergen Oslo), do: City.of(name)
    assert Enum.into(cities, City.ref()) == City.ref()
    assert Enum.to_list(City.ref()) == cities
    assert hd(cities) in City.ref()
    refute %User{id: 1} in City.ref()
  end

  test "what is collected in a transaction is a part of it" do
    :ok = Magnesia.create_table(:town)

    {:error, _} =
      Magnesia.transaction(fn ->
        Enum.into(for(n <- 1..700, do: {:town, n, n}), Ref.new(:town))
        assert Enum.count(Ref.new(:town)) == 700
        Magnesia.rollback(:enough)
      end)

    assert Enum.count(Ref.new(:town)) == 0
    assert_raise ArgumentError, fn -> Enum.into([1, 2], City.ref()) end
    assert Enum.into([], Ref.new(:town)) == Ref.new(:town)
    ball = Stream.map(1..3, fn _ -> throw(:ball) end)
    assert catch_throw(Enum.into(ball, Ref.new(:town))) == :ball
    assert Magnesia.count(:town) == 0
  end

  test "a table shows itself in one line, there or not" do
    :ok = User.create()
    {:ok, _} = User.put(%User{id: 1})

    assert inspect(User.ref()) ==
             "#Magnesia.Ref<Magnesia.TestTables.User, set in ram, 1 row, " <>
               "indexes: [:\"country+age\", :age, :name]>"

    assert inspect(Ref.part(Ref.new(:town), from: 1)) == "#Magnesia.Ref<:town, not there>"
    :ok = Magnesia.stop()
    assert inspect(User.ref()) == "#Magnesia.Ref<Magnesia.TestTables.User, not there>"
  end
end
