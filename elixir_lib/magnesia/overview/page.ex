defmodule Magnesia.Overview.Page do
  @moduledoc """
  An overview of the database as text: the page of `mix magnesia.info` and the frames of
  `mix magnesia.top`. Nothing is asked and nothing is printed here.
  """

  alias Magnesia.Backup.Command
  alias Magnesia.Overview

  @locks_max 20
  @reads [:read, :select, :step]
  @writes [:write, :delete, :counter]

  @doc "All there is to say."
  @spec info(Overview.t()) :: String.t()
  def info(overview) do
    [
      place(overview),
      counts(overview),
      "",
      table(~w(table type storage rows bytes indexes), info_rows(overview.tables), [3, 4]),
      "",
      locks(overview.held, "held", ~w(item kind transaction process)),
      locks(overview.waiting, "waited for", ~w(item kind transaction process held\ by))
    ]
    |> List.flatten()
    |> Enum.join("\n")
  end

  defp place(overview) do
    where = if overview.directory, do: "in #{overview.directory}", else: "in memory"
    "#{overview.node}: database #{where}"
  end

  defp counts(overview) do
    log = "  log #{bytes(overview.log.bytes)}, #{overview.log.writes} writes since the opening"
    dump = overview.last_dump || "never"
    log = if overview.directory, do: [log <> ", last dump #{dump}"], else: []

    log ++
      [
        "  #{overview.commits} transactions committed, #{overview.failures} failed, " <>
          "#{overview.restarts} restarted since the opening"
      ]
  end

  defp info_rows(tables) do
    for table <- tables do
      index = if table.index == [], do: "-", else: Enum.join(table.index, " ")

      ["#{table.name}", "#{table.type}", "#{table.storage}", "#{table.rows}"] ++
        [bytes(table.bytes), index]
    end
  end

  defp locks([], word, _head), do: "no lock #{word}"

  defp locks(locks, word, head) do
    rows = for lock <- Enum.take(locks, @locks_max), do: lock_row(lock)
    more = length(locks) - length(rows)

    ["#{Command.counted(length(locks), "lock")} #{word}"] ++
      [table(head, rows, [2])] ++ if(more > 0, do: ["  and #{more} more"], else: [])
  end

  defp lock_row(lock) do
    ["#{item(lock.item)}", "#{lock.kind}", "#{lock.transaction}", inspect(lock.process)] ++
      case lock do
        %{held_by: :none} -> ["-"]
        %{held_by: pid} -> [inspect(pid)]
        _held -> []
      end
  end

  defp item({table, :______WHOLETABLE_____}), do: "#{table}, all of it"
  defp item({:______GLOBAL_____, name}), do: "the name #{short(name)}"
  defp item({table, key}), do: "#{table}, #{short(key)}"

  defp short(term), do: term |> inspect(limit: 5, printable_limit: 30) |> String.slice(0, 40)

  @doc "A frame: what has happened since the one before, the busiest table first."
  @spec top(map(), map() | nil, pos_integer()) :: String.t()
  def top(overview, before, milliseconds) do
    [
      place(overview),
      "  #{Enum.join(rates(overview, before, milliseconds), ", ")}",
      "",
      table(
        ~w(table storage reads/s writes/s waiting rows bytes),
        top_rows(overview),
        [2, 3, 4, 5, 6]
      )
    ]
    |> Enum.join("\n")
  end

  defp rates(overview, before, milliseconds) do
    counted =
      for {field, word} <- [commits: "commits", failures: "failures", restarts: "restarts"] do
        if before,
          do: "#{rate(max(overview[field] - before[field], 0) * 1000 / milliseconds)} #{word}/s",
          else: "? #{word}/s"
      end

    log = if overview.directory, do: ["log #{bytes(overview.log.bytes)}"], else: []
    held = Command.counted(length(overview.held), "lock")
    counted ++ ["#{held} held", "#{length(overview.waiting)} waited for"] ++ log
  end

  defp top_rows(overview) do
    waiting = Enum.frequencies_by(overview.waiting, fn %{item: {table, _key}} -> table end)

    overview.tables
    |> Enum.map(fn table ->
      {sum(overview.rates, table.name, @reads), sum(overview.rates, table.name, @writes), table}
    end)
    |> Enum.sort_by(fn {reads, writes, table} -> {-busy(reads, writes), table.name} end)
    |> Enum.map(fn {reads, writes, table} ->
      ["#{table.name}", "#{table.storage}", rate(reads), rate(writes)] ++
        ["#{waiting[table.name] || 0}", "#{table.rows}", bytes(table.bytes)]
    end)
  end

  defp busy(:unknown, :unknown), do: 0
  defp busy(reads, writes), do: reads + writes

  defp sum(:unknown, _table, _operations), do: :unknown

  defp sum(rates, table, operations) do
    operations |> Enum.map(&Map.get(rates, {table, &1}, 0)) |> Enum.sum()
  end

  defp rate(:unknown), do: "?"
  defp rate(rate), do: "#{round(rate)}"

  defp bytes(bytes) when bytes < 10_240, do: "#{bytes} B"
  defp bytes(bytes) when bytes < 10_485_760, do: "#{div(bytes, 1024)} KiB"
  defp bytes(bytes), do: "#{div(bytes, 1_048_576)} MiB"

  # Columns as wide as what is in them; those of numbers are set to the right.
  defp table(_head, [], _right), do: "  (none)"

  defp table(head, rows, right) do
    widths =
      for column <- Enum.zip_with([head | rows], & &1) do
        column |> Enum.map(&String.length/1) |> Enum.max()
      end

    rule = String.duplicate("-", Enum.sum(widths) + 2 * (length(widths) - 1))
    [first | rest] = for row <- [head | rows], do: line(row, widths, right)
    Enum.join([first, "  " <> rule | rest], "\n")
  end

  defp line(row, widths, right) do
    row
    |> Enum.zip(widths)
    |> Enum.with_index()
    |> Enum.map_join("  ", fn {{text, width}, column} ->
      if column in right,
        do: String.pad_leading(text, width),
        else: String.pad_trailing(text, width)
    end)
    |> String.trim_trailing()
    |> then(&("  " <> &1))
  end
end
