defmodule Magnesia.Crash.LogLoad do
  @moduledoc """
  The program that is killed while a change log is written and consumed.

  Workers write a table that is logged, in every way there is, and say which of their numbers are
  done; a consumer notes the number of each entry it has seen in a table of its own. What is left
  is judged here too, in the VM that opens the directory.
  """

  alias Magnesia.Log
  alias Magnesia.Log.Consumer

  @workers 3
  @tables [:logged, :seen, :log, :log_bookmarks]

  @doc "Opens the directory, or makes it, and works until killed; arguments of `erl -run`."
  @spec main([charlist]) :: no_return
  def main([dir, round]) do
    {:ok, _} = Application.ensure_all_started(:elixir)
    open(dir)
    IO.puts("ready #{System.pid()}")
    {:ok, _} = Consumer.start_link(log: :log, name: :reader, handler: &see/1, batch: 5)
    round = List.to_integer(round)
    for worker <- 1..@workers, do: spawn_link(fn -> work({round, worker}, 1) end)

    receive do
      :never -> exit(:normal)
    end
  end

  @doc "Opens the directory with its tables and its log."
  @spec open(charlist) :: :ok
  def open(dir) do
    Application.put_env(:magnesia, :dir, dir)
    _made_or_there = :magnesia.create_schema([node()])
    :ok = :magnesia.start()

    for table <- [:logged, :seen] do
      _made_or_there = :magnesia.create_table(table, disc_copies: [node()])
    end

    :ok = Log.create(:log, tables: [:logged])
    :ok = :magnesia.wait_for_tables(@tables, 60_000)
  end

  defp see(entries) do
    for entry <- entries do
      [] = :magnesia.read(:seen, entry.number, :write)
      :ok = :magnesia.write({:seen, entry.number, entry.data})
    end
  end

  defp work({round, worker} = who, n) do
    :ok = step(who, n)
    IO.puts("ack #{round} #{worker} #{n}")
    work(who, n + 1)
  end

  defp step(who, n) do
    row = {:logged, {who, n}, rem(n, 7)}

    case rem(n, 3) do
      0 ->
        :magnesia.dirty_write(row)

      1 ->
        {:atomic, :ok} = :magnesia.transaction(fn -> :magnesia.write(row) end)
        :ok

      2 ->
        {:atomic, :ok} =
          :magnesia.sync_transaction(fn ->
            :ok = :magnesia.delete({:logged, {who, n - 2}})
            :magnesia.write(row)
          end)

        :ok
    end
  end

  @doc "What is wrong with the open database, given the last number that each worker said."
  @spec complaints(%{{pos_integer, pos_integer} => pos_integer}) :: [String.t()]
  def complaints(told) do
    entries = Enum.to_list(Log.stream(:log))
    numbers = for entry <- entries, do: entry.number
    bookmark = Log.bookmark(:log, :reader)
    seen = Enum.sort(rows(:seen))
    written = for %{verb: :write, data: {:logged, id, _}} <- entries, into: MapSet.new(), do: id

    [
      {numbers == Enum.to_list(1..length(numbers)//1), "the numbers have a gap or a repeat"},
      {Enum.sort(rows(:logged)) == Enum.sort(replayed(entries)), "the log makes another table"},
      {seen == for(e <- Enum.take(entries, bookmark), do: {:seen, e.number, e.data}),
       "bookmark #{bookmark}, but #{length(seen)} entries had their effect"}
    ]
    |> Enum.reject(&elem(&1, 0))
    |> Enum.map(&elem(&1, 1))
    |> Enum.concat(
      for {who, last} <- told, n <- 1..last, {who, n} not in written do
        "the write of #{inspect({who, n})} is not in the log"
      end
    )
  end

  defp replayed(entries) do
    Enum.reduce(entries, %{}, fn
      %{verb: :write, data: row}, rows -> Map.put(rows, elem(row, 1), row)
      %{verb: :delete, data: key}, rows -> Map.delete(rows, key)
    end)
    |> Map.values()
  end

  defp rows(table), do: :magnesia.dirty_select(table, [{:_, [], [:"$_"]}])
end
