defmodule Magnesia.CrashTest do
  @moduledoc """
  `kill -9` in the middle of commits, and the checker that judges what is left.

  `MAGNESIA_CRASH_RUNS` sets the rounds, `MAGNESIA_SEED` the loads. The forged histories are
  planted bugs: a checker that passes them does not count.
  """

  use ExUnit.Case, async: false

  alias Magnesia.Crash.{Check, Load, Rounds}

  @worker {1, 2}

  @tag timeout: 1_800_000
  test "acknowledged transactions survive the death of the VM, whole" do
    :stopped = :magnesia.stop()
    runs = String.to_integer(System.get_env("MAGNESIA_CRASH_RUNS", "12"))
    seed = String.to_integer(System.get_env("MAGNESIA_SEED", "#{:rand.uniform(1_000_000)}"))
    report = Rounds.run(Path.join(System.tmp_dir!(), "magnesia-kill-#{System.pid()}"), runs, seed)
    again = "repeat: MAGNESIA_SEED=#{seed} MAGNESIA_CRASH_RUNS=#{runs} mix test #{__ENV__.file}"
    assert report.complaints == [], Enum.join(report.complaints ++ [again], "\n")
    assert report.rounds == runs
    assert report.acknowledged > 0, "nothing was acknowledged, so nothing was tested"
  end

  # A sound history of transfers 1 to `last`.
  defp bank(last) do
    transfers = for n <- 1..last, do: transfer(n)
    opened = Map.new(1..Load.keys(), &{&1, Load.opening()})

    balances =
      Enum.reduce(transfers, opened, fn {:transfer, _id, from, to, amount}, balances ->
        balances |> Map.update!(from, &(&1 - amount)) |> Map.update!(to, &(&1 + amount))
      end)

    sized(
      account: for({key, balance} <- balances, do: {:account, key, balance}),
      transfer: transfers
    )
  end

  defp transfer(n) do
    {from, to, amount} = Load.transfer(@worker, n)
    {:transfer, {@worker, n}, from, to, amount}
  end

  # A sound history of elements 1 to `last`.
  defp append(last) do
    entries = for n <- 1..last, do: {:entry, Load.key(@worker, n), @worker, n}

    lists =
      for {key, entries} <- Enum.group_by(entries, &elem(&1, 1)) do
        {:list, key, entries |> Enum.map(&{elem(&1, 2), elem(&1, 3)}) |> Enum.reverse()}
      end

    sized(list: lists, entry: entries)
  end

  defp sized(rows), do: Map.new(rows, fn {table, rows} -> {table, {rows, length(rows)}} end)

  defp alter(rows, table, fun) do
    Map.update!(rows, table, fn {list, _size} -> {fun.(list), length(fun.(list))} end)
  end

  defp complaints(kind, last, rows) do
    {complaints, _found} = Check.run(kind, %{@worker => last}, rows)
    Enum.join(complaints, "\n")
  end

  test "a sound history has no complaint, whether or not its end was heard of" do
    assert Check.run(:bank, %{@worker => 30}, bank(30)) == {[], %{@worker => 30}}
    assert Check.run(:bank, %{@worker => 28}, bank(30)) == {[], %{@worker => 30}}
    assert Check.run(:append, %{@worker => 30}, append(30)) == {[], %{@worker => 30}}
    assert Check.run(:append, %{}, append(30)) == {[], %{@worker => 30}}
  end

  test "the checker finds an acknowledged transaction that is lost, last or amid" do
    assert complaints(:bank, 31, bank(30)) =~ "31} is lost"
    assert complaints(:append, 31, append(30)) =~ "31} is lost"
    holed = alter(bank(30), :transfer, &List.delete_at(&1, 11))
    assert complaints(:bank, 30, holed) =~ "12} is lost"
  end

  test "the checker finds half a transaction" do
    half = alter(bank(30), :transfer, &(&1 ++ [transfer(31)]))
    assert complaints(:bank, 30, half) =~ "its transfers make"
    unnoted = alter(append(30), :entry, &Enum.drop(&1, -1))
    assert complaints(:append, 30, unnoted) =~ "only listed"
    key = Load.key(@worker, 31)
    unlisted = alter(append(30), :entry, &(&1 ++ [{:entry, key, @worker, 31}]))
    assert complaints(:append, 30, unlisted) =~ "only noted"
  end

  test "the checker finds money from nowhere" do
    richer = fn [{:account, key, balance} | rest] -> [{:account, key, balance + 1} | rest] end
    assert complaints(:bank, 30, alter(bank(30), :account, richer)) =~ "the sum is"
  end

  test "the checker finds what no transaction wrote, and what is there twice" do
    forge = fn [{:transfer, id, from, to, amount} | rest] ->
      [{:transfer, id, from, to, amount + 1} | rest]
    end

    assert complaints(:bank, 30, alter(bank(30), :transfer, forge)) =~ "none that was made"

    double = fn [{:list, key, [one | more]} | rest] ->
      [{:list, key, [one, one | more]} | rest]
    end

    assert complaints(:append, 30, alter(append(30), :list, double)) =~ "twice"
  end

  test "the checker finds a size that does not fit the rows" do
    {rows, size} = bank(30).transfer
    assert complaints(:bank, 30, %{bank(30) | transfer: {rows, size + 1}}) =~ "size 31"
  end
end
