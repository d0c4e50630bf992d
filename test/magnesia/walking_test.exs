defmodule Magnesia.WalkingTest do
  @moduledoc """
  Folds, walks by key and chunked queries against stock Mnesia, on tables longer than a slice
  and with a transaction's own operations in every place.
  """

  use ExUnit.Case, async: false

  import Magnesia.Pair

  @rows 1_300

  setup_all do
    fresh()
    on_exit(&stop/0)
  end

  setup do
    for subject <- [:mnesia, :magnesia], table <- [:s, :o, :b, :i, :io] do
      {:atomic, :ok} = subject.clear_table(table)
    end

    :ok
  end

  defp fill(m, table, keys), do: Enum.each(keys, &m.dirty_write({table, &1, :old}))

  defp fill_bag(m, keys, width) do
    for key <- keys, value <- 1..width, do: m.dirty_write({:b, key, value})
  end

  defp sorted({kind, value}, table), do: {kind, sorted(value, table)}
  defp sorted(list, :o), do: list
  defp sorted(list, _table) when is_list(list), do: Enum.sort(list)
  defp sorted(other, _table), do: other

  defp collect(m, name, table), do: apply(m, name, [fn row, acc -> [row | acc] end, [], table])

  # What a transaction does to a table before it looks.
  defp changes(m, table) do
    [
      fn -> :nothing end,
      fn -> m.write({table, 5, :new}) end,
      fn -> m.write({table, -1, :new}) end,
      fn -> m.write({table, 99_999, :new}) end,
      fn -> m.delete({table, 1}) end,
      fn -> m.delete({table, @rows}) end,
      fn -> m.delete_object({table, 7, :old}) end,
      fn ->
        m.write({table, 600.5, :new})
        m.write({table, 600.5, :newer})
        m.delete({table, 601})
        m.write({table, 603, :new})
        m.delete_object({table, 603, :new})
      end,
      fn ->
        m.delete({table, 9})
        m.write({table, 9, :again})
      end
    ]
  end

  test "folds see own operations in the places that stock Mnesia gives them" do
    for table <- [:s, :o, :b], name <- [:foldl, :foldr], change <- 0..8 do
      same(fn m ->
        fill(m, table, 1..@rows)

        m.transaction(fn ->
          Enum.at(changes(m, table), change).()
          collect(m, name, table)
        end)
        |> sorted(table)
      end)
    end
  end

  test "a fold in a dirty context is a plain one" do
    for table <- [:s, :o, :b], name <- [:foldl, :foldr], kind <- [:async_dirty, :ets] do
      same(fn m ->
        fill(m, table, 1..@rows)
        m.activity(kind, fn -> collect(m, name, table) end) |> sorted(table)
      end)
    end
  end

  test "rows that the fun writes are seen by the rows that follow, new keys are not visited" do
    for name <- [:foldl, :foldr], at <- [1, 2, 511, 512, 513, 1_000, @rows] do
      same(fn m ->
        fill(m, :o, 1..@rows)

        m.transaction(fn ->
          apply(m, name, [
            fn
              {:o, ^at, _} = row, acc ->
                m.write({:o, at + 10_000, :added})
                m.write({:o, at + 1, :changed})
                m.write({:o, at - 1, :changed})
                m.delete({:o, at + 2})
                m.delete({:o, at - 2})
                m.write({:o, at, :self})
                [row | acc]

              row, acc ->
                [row | acc]
            end,
            [],
            :o
          ])
        end)
      end)
    end
  end

  test "writes to another table while folding change nothing" do
    for table <- [:s, :o] do
      same(fn m ->
        fill(m, table, 1..600)

        m.transaction(fn ->
          m.foldl(fn {_, k, v}, acc -> [{m.write({:i, k, v, k}), k, v} | acc] end, [], table)
        end)
        |> sorted(table)
      end)
    end
  end

  test "a bag's key is visited with all the rows it had when it came" do
    for {keys, width} <- [{1..3, 4}, {1..2, 700}, {1..300, 4}] do
      same(fn m ->
        fill_bag(m, keys, width)

        m.transaction(fn ->
          m.foldl(
            fn {:b, key, value} = row, acc ->
              if value == 2 do
                m.write({:b, key, :more})
                m.delete_object({:b, key, 3})
              end

              [row | acc]
            end,
            [],
            :b
          )
        end)
        |> sorted(:b)
      end)

      same(fn m ->
        m.clear_table(:b)
        fill_bag(m, keys, width)

        m.transaction(fn ->
          m.write({:b, 1, :own})
          m.write({:b, 1, :own_too})
          m.write({:b, 0, :own})
          collect(m, :foldl, :b)
        end)
        |> sorted(:b)
      end)
    end
  end

  test "however the fun leaves a fold, the fold aborts with the reason" do
    for leave <- [
          fn _ -> throw(:x) end,
          fn _ -> exit(:x) end,
          fn _ -> :erlang.error(:x) end,
          fn m -> m.abort(:x) end,
          fn m -> m.abort({:aborted, :x}) end,
          fn _ -> {:EXIT, :x} end,
          fn _ -> {:EXIT, {:aborted, :x}} end
        ],
        kind <- [{:transaction, 1}, :async_dirty],
        name <- [:foldl, :foldr] do
      same(fn m ->
        fill(m, :o, 1..2)

        outcome(fn ->
          m.activity(kind, fn -> apply(m, name, [fn _, _ -> leave.(m) end, 0, :o]) end)
        end)
      end)
    end
  end

  test "walks by key with own operations" do
    for table <- [:s, :o, :b], change <- 0..8, {start, step} <- [first: :next, last: :prev] do
      same(fn m ->
        fill(m, table, 1..12)

        m.transaction(fn ->
          Enum.at(changes(m, table), change).()

          apply(m, start, [table])
          |> Stream.iterate(&apply(m, step, [table, &1]))
          |> Enum.take_while(&(&1 != :"$end_of_table"))
        end)
        |> sorted(table)
      end)
    end
  end

  test "chunks hold as many stored rows as the limit says" do
    for table <- [:s, :o, :b], change <- 0..8, limit <- [1, 7, 600, @rows, @rows + 1] do
      {spec, body} = {[{{table, :"$1", :"$2"}, [], [:"$_"]}], :rows}

      same(fn m ->
        fill(m, table, 1..@rows)

        m.transaction(fn ->
          Enum.at(changes(m, table), change).()
          chunks = chunks(m, m.select(table, spec, limit, :read))
          {body, Enum.map(chunks, &length/1) |> shape(table), sorted(Enum.concat(chunks), table)}
        end)
      end)
    end
  end

  # Which chunk of a set an own row falls into is a matter of hash order.
  defp shape(lengths, :o), do: lengths
  defp shape(lengths, _table), do: Enum.sum(lengths)

  defp chunks(_m, :"$end_of_table"), do: []
  defp chunks(m, {rows, cont}), do: [rows | chunks(m, m.select(cont))]

  test "a continuation may be kept, stepped twice, and carried into a dirty activity" do
    same(fn m ->
      fill(m, :o, 1..10)
      spec = [{{:o, :"$1", :_}, [], [:"$1"]}]

      {:atomic, cont} =
        m.transaction(fn ->
          {[1, 2, 3], cont} = m.select(:o, spec, 3, :read)
          {[4, 5, 6], _} = m.select(cont)
          cont
        end)

      {twice, _} = m.async_dirty(fn -> m.select(cont) end)
      {twice, m.transaction(fn -> m.select(cont) end), outcome(fn -> m.select(cont) end)}
    end)
  end

  test "index reads merge own operations" do
    for table <- [:i, :io] do
      same(fn m ->
        for key <- 1..20, do: m.dirty_write({table, key, rem(key, 3), :old})

        m.transaction(fn ->
          m.write({table, 3, 1, :moved_away})
          m.write({table, 4, 0, :moved_here})
          m.write({table, 0, 0, :new})
          m.delete({table, 6})
          m.delete_object({table, 9, 0, :old})
          m.delete_object({table, 12, 0, :other})

          {sorted(m.index_read(table, 0, :v), table),
           sorted(m.index_match_object({table, :_, 0, :_}, :v), table),
           sorted(m.match_object({table, :_, 0, :_}), table),
           sorted(m.select(table, [{{table, :"$1", 0, :_}, [], [:"$1"]}]), table)}
        end)
      end)
    end
  end
end
