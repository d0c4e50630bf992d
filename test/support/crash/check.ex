defmodule Magnesia.Crash.Check do
  @moduledoc """
  Holds what was acknowledged against what is there after the kill.

  Every acknowledged transaction is there, each is whole or absent, a worker's transactions
  have no hole, sums hold, nothing is there that no transaction wrote. Pure: rows in,
  complaints out.
  """

  alias Magnesia.Crash.Load

  @typedoc "The last number of each worker that must be there."
  @type acknowledged :: %{Load.worker() => non_neg_integer}
  @typedoc "The rows of each table, and the size that the table says it has."
  @type rows :: %{atom => {[tuple], non_neg_integer}}

  @doc "What is wrong, and the last number of each worker that is there."
  @spec run(Load.kind(), acknowledged, rows) :: {[String.t()], acknowledged}
  def run(kind, acknowledged, rows) do
    sizes = for {table, {list, size}} <- rows, length(list) != size, do: "#{table}: size #{size}"
    lists = Map.new(rows, fn {table, {list, _size}} -> {table, list} end)
    {found, complaints} = whole(kind, lists)
    {sizes ++ complaints ++ missing(acknowledged, found), last(found)}
  end

  # What the transactions that are there should have made of the rest, against the rest.
  defp whole(:bank, %{account: accounts, transfer: transfers}) do
    found = for {:transfer, {worker, n}, _, _, _} <- transfers, do: {worker, n}

    invented =
      for {:transfer, {worker, n}, from, to, amount} <- transfers,
          Load.transfer(worker, n) != {from, to, amount},
          do: "transfer #{inspect({worker, n})} is none that was made"

    opened = Map.new(1..Load.keys(), &{&1, Load.opening()})
    moved = Enum.reduce(transfers, opened, &move/2)
    there = Map.new(accounts, fn {:account, key, balance} -> {key, balance} end)
    total = there |> Map.values() |> Enum.sum()
    wanted = Load.keys() * Load.opening()
    sum = for _ <- [:sum], total != wanted, do: "the sum is #{total}, not #{wanted}"

    halves =
      for {key, balance} <- moved, there[key] != balance do
        "account #{key} has #{inspect(there[key])}, its transfers make #{balance}"
      end

    {found, invented ++ sum ++ halves}
  end

  defp whole(:append, %{list: lists, entry: entries}) do
    noted = Enum.group_by(entries, &elem(&1, 1), fn {:entry, _, worker, n} -> {worker, n} end)
    listed = Map.new(lists, fn {:list, key, elements} -> {key, Enum.reverse(elements)} end)
    keys = Enum.uniq(Map.keys(noted) ++ Map.keys(listed))

    halves =
      for key <- keys, noted[key] != listed[key] do
        {here, there} = {noted[key] || [], listed[key] || []}
        "list #{key}: only noted #{inspect(here -- there)}, only listed #{inspect(there -- here)}"
      end

    found = listed |> Map.values() |> List.flatten()

    invented =
      for {key, elements} <- listed, {worker, n} <- elements, Load.key(worker, n) != key do
        "list #{key} has #{inspect({worker, n})}, which is another list's"
      end

    {found, halves ++ invented ++ twice(found)}
  end

  defp move({:transfer, _, from, to, amount}, balances) do
    balances |> Map.update(from, 0, &(&1 - amount)) |> Map.update(to, 0, &(&1 + amount))
  end

  defp twice(found) do
    for element <- Enum.uniq(found -- Enum.uniq(found)), do: "#{inspect(element)} is there twice"
  end

  defp missing(acknowledged, found) do
    numbers = Enum.group_by(found, &elem(&1, 0), &elem(&1, 1))
    workers = Enum.uniq(Map.keys(acknowledged) ++ Map.keys(numbers))

    for worker <- workers,
        there = MapSet.new(Map.get(numbers, worker, [])),
        last = max(Map.get(acknowledged, worker, 0), Enum.max(there, fn -> 0 end)),
        last > 0,
        n <- 1..last,
        not MapSet.member?(there, n) do
      "#{inspect({worker, n})} is lost"
    end
  end

  defp last(found) do
    Enum.reduce(found, %{}, fn {worker, n}, last -> Map.update(last, worker, n, &max(&1, n)) end)
  end
end
