defmodule Magnesia.Demo.Comparison do
  @moduledoc """
  Runs each pattern on stock Mnesia and on Magnesia and puts answers and times side by side.

  A pattern that is repeated is timed by its fastest run, on both sides alike. An answer is equal
  when it is the same term (`===`); exits are answers too.
  """

  @typedoc "One compared pattern; times in nanoseconds."
  @type row :: %{
          name: String.t(),
          same?: boolean,
          stock: {term, pos_integer},
          ours: {term, pos_integer}
        }

  @doc "Runs `patterns` in order on both databases; `report` gets each row as it is done."
  @spec run([Magnesia.Demo.Patterns.t()], (row -> term)) :: [row]
  def run(patterns, report) do
    for pattern <- patterns do
      stock = timed(pattern, :mnesia)
      ours = timed(pattern, :magnesia)

      row = %{
        name: pattern.name,
        same?: elem(stock, 0) === elem(ours, 0),
        stock: stock,
        ours: ours
      }

      report.(row)
      row
    end
  end

  @doc "The headings of the table."
  @spec heading() :: String.t()
  def heading do
    line("pattern", "same answer", "stock", "Magnesia", "ratio") <>
      "\n" <> "  " <> String.duplicate("-", 86)
  end

  @doc "One row of the table; a differing answer is shown underneath."
  @spec text(row) :: String.t()
  def text(%{stock: {stock, stock_ns}, ours: {ours, ours_ns}} = row) do
    ratio = :erlang.float_to_binary(stock_ns / ours_ns, decimals: 1) <> "x"
    same = if row.same?, do: "yes", else: "NO"
    line = line(row.name, same, time(stock_ns), time(ours_ns), ratio)
    if row.same?, do: line, else: line <> difference(stock, ours)
  end

  defp difference(stock, ours) do
    [a, b] = for answer <- [stock, ours], do: inspect(answer, limit: 8, printable_limit: 200)
    "\n      stock:    #{a}\n      Magnesia: #{b}"
  end

  defp line(name, same, stock, ours, ratio) do
    "  " <>
      String.pad_trailing(name, 40) <>
      String.pad_trailing(same, 13) <>
      String.pad_leading(stock, 11) <>
      String.pad_leading(ours, 12) <> String.pad_leading(ratio, 10)
  end

  defp timed(%{fun: fun, times: times}, db) do
    runs = for _ <- 1..times, do: once(fun, db)
    {answer, _ns} = hd(runs)
    {answer, runs |> Enum.map(&elem(&1, 1)) |> Enum.min() |> max(1)}
  end

  # In a fresh process, so that neither side pays for garbage that the other one made.
  defp once(fun, db) do
    task =
      Task.async(fn ->
        began = System.monotonic_time(:nanosecond)
        answer = answer(fun, db)
        {answer, System.monotonic_time(:nanosecond) - began}
      end)

    Task.await(task, :infinity)
  end

  defp answer(fun, db) do
    fun.(db)
  catch
    kind, reason -> {kind, reason}
  end

  defp time(ns) when ns < 1_000_000, do: "#{div(ns, 1_000)} us"
  defp time(ns), do: :erlang.float_to_binary(ns / 1_000_000, decimals: 1) <> " ms"
end
