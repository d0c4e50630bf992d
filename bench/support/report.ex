defmodule Magnesia.Bench.Report do
  @moduledoc """
  What the benchmark prints: one line a figure for machines, one table at the end for people.

  A line is `bench <name> magnesia=<figure> <peer>=<figure> ratio=<x>` and then CPU times and the
  unit. Figures are nanoseconds an operation (a row for scans and folds, a start for `start.1m`)
  or bytes a row; on a line of a limit, ours is `noop`. The ratio is the
  peer's divided by ours, so above 1 we are better.
  """

  @doc "The line of one figure."
  @spec line(map, map) :: String.t()
  def line(line, result) do
    ours = if limit?(line), do: "noop", else: "magnesia"

    "bench #{line.name} #{ours}=#{figure(result.ours)} #{line.peer}=#{figure(result.peer)} " <>
      "ratio=#{ratio_text(result)} cpu_#{ours}=#{figure(result.cpu_ours)} " <>
      "cpu_#{line.peer}=#{figure(result.cpu_peer)} unit=#{line.unit}"
  end

  defp limit?(line), do: String.ends_with?(line.name, ".limit")

  @doc "The closing table: each measured figure beside the ratio to reach."
  @spec table([{map, map | :error}]) :: String.t()
  def table(measured) do
    header = ["name", "figure", "ours", "peer", "", "ratio", "goal", "reached"]
    rows = [header | Enum.map(measured, &table_row/1)]
    widths = rows |> Enum.zip_with(& &1) |> Enum.map(&widest/1)
    Enum.map_join(rows, "\n", &aligned(&1, widths))
  end

  @doc "Peer's figure divided by ours."
  @spec ratio(map) :: float
  def ratio(%{ours: ours}) when ours == 0, do: 0.0
  def ratio(%{ours: ours, peer: peer}), do: peer / ours

  defp table_row({line, :error}),
    do: [line.name, line.figure, "failed", "", line.peer, "", goal(line.goal), "no"]

  defp table_row({line, result}) do
    {goal, reached} =
      cond do
        limit?(line) -> {"", "limit"}
        ratio(result) >= line.goal -> {goal(line.goal), "yes"}
        true -> {goal(line.goal), "no"}
      end

    {ours, peer} = {human(result.ours, line.unit), human(result.peer, line.unit)}
    [line.name, line.figure, ours, peer, line.peer, ratio_text(result), goal, reached]
  end

  defp aligned(cells, widths) do
    cells
    |> Enum.zip(widths)
    |> Enum.with_index()
    |> Enum.map_join("  ", fn {{cell, width}, column} ->
      if column in [2, 3, 5, 6],
        do: String.pad_leading(cell, width),
        else: String.pad_trailing(cell, width)
    end)
    |> String.trim_trailing()
  end

  defp widest(cells), do: cells |> Enum.map(&String.length/1) |> Enum.max()

  defp goal(goal), do: :erlang.float_to_binary(goal, decimals: 2)
  defp ratio_text(result), do: :erlang.float_to_binary(ratio(result), decimals: 2)
  defp figure(value), do: :erlang.float_to_binary(value * 1.0, decimals: 1)

  defp human(value, "bytes"), do: "#{round(value)} B"
  defp human(ns, "ns") when ns < 10_000, do: "#{round(ns)} ns"
  defp human(ns, "ns") when ns < 10_000_000, do: "#{round(ns / 1_000)} us"
  defp human(ns, "ns"), do: "#{round(ns / 1_000_000)} ms"
end
