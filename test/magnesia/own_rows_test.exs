defmodule Magnesia.OwnRowsTest do
  @moduledoc """
  A transaction's own rows in queries and folds: the same as operation by operation, in work
  that grows with them and not with their square.

  `MAGNESIA_SEED` sets the seed of the random part.
  """

  use Magnesia.DatabaseCase, async: false

  alias Magnesia.Strict.Own

  @games 4_000
  @measures 5

  describe "merging" do
    test "gives what each operation in turn gives" do
      seed = String.to_integer(System.get_env("MAGNESIA_SEED", "1"))
      :rand.seed(:exsss, seed)

      for game <- 1..@games do
        kind = Enum.random([:set, :bag])
        {rows, ops} = {rows(kind), ops(kind)}
        again = "game #{game}: MAGNESIA_SEED=#{seed} mix test test/magnesia/own_rows_test.exs"
        assert Own.merge(ops, rows, kind) == in_turn(ops, rows, kind), again

        chunks = Enum.chunk_every(rows, Enum.random(1..4))
        {merged, pending} = chunked(chunks, Own.pending(ops, kind), kind)
        {wanted, left} = chunked_in_turn(chunks, ops, kind)
        assert merged == wanted, again
        assert Own.merge_rest(pending, kind) == in_turn(left, [], kind), again
        if kind == :set and left == [], do: assert(pending == [], again)
      end
    end
  end

  describe "work" do
    for kind <- [:set, :bag, :ordered_set], query <- [:foldl, :foldr, :select, :chunks, :match] do
      test "#{query} over a #{kind} is linear in the writes" do
        assert_linear(unquote(kind), &(__MODULE__.unquote(query) / 1), & &1)
      end
    end

    for query <- [:select, :match] do
      test "#{query} over one key of a bag is linear in the writes" do
        assert_linear(:bag, &(__MODULE__.unquote(query) / 1), fn _ -> 0 end)
      end
    end
  end

  def foldl(table),
    do: :magnesia.foldl(fn row, count -> count + elem(row, 2) * 0 + 1 end, 0, table)

  def foldr(table),
    do: :magnesia.foldr(fn row, count -> count + elem(row, 2) * 0 + 1 end, 0, table)

  def select(table), do: length(:magnesia.select(table, [{:_, [], [:"$_"]}]))
  def match(table), do: length(:magnesia.match_object({table, :_, :_}))

  def chunks(table), do: chunks(:magnesia.select(table, [{:_, [], [:"$_"]}], 50, :read), 0)

  defp chunks(:"$end_of_table", count), do: count
  defp chunks({rows, next}, count), do: chunks(:magnesia.select(next), count + length(rows))

  # Half of the rows are stored before, half of those are written again. The engine charges the
  # time of its slices, the VM that of its collections: what is measured may be more than the
  # work whenever the machine is busy, never less, so the least of some measures counts.
  defp assert_linear(kind, query, key) do
    [small, large] =
      for size <- [1_000, 4_000] do
        table = :"own_#{kind}_#{size}"
        {:atomic, :ok} = :magnesia.create_table(table, type: kind)
        for n <- 1..size, do: :ok = :magnesia.dirty_write({table, key.(n), n})

        {:atomic, {counts, work}} =
          :magnesia.transaction(fn ->
            for n <- div(size, 2)..(div(size, 2) + size) do
              :ok = :magnesia.write({table, key.(n), n})
            end

            measures = for _ <- 1..@measures, do: measure(query, table)
            {counts, works} = Enum.unzip(measures)
            {Enum.uniq(counts), Enum.min(works)}
          end)

        assert counts == [size + div(size, 2)]
        work
      end

    assert large < 6 * small, "#{small} reductions, then #{large} for four times as much"
  end

  defp measure(query, table) do
    {:reductions, before} = Process.info(self(), :reductions)
    count = query.(table)
    {:reductions, later} = Process.info(self(), :reductions)
    {count, later - before}
  end

  # Few keys, some of them equal and not the same.
  defp key, do: Enum.random([1, 1.0, 2, 3, {2}, {2.0}, :a])
  defp record, do: {:t, key(), Enum.random(1..3)}

  defp rows(:set), do: Enum.uniq_by(for(_ <- 1..6, do: record()), &{elem(&1, 1)})
  defp rows(:bag), do: Enum.uniq(for(_ <- 1..8, do: record())) |> Enum.sort_by(&{elem(&1, 1)})

  # One write or deletion of a key in a set, as a transaction keeps them, any number in a bag.
  defp ops(kind) do
    ops =
      for _ <- 1..Enum.random(1..9) do
        record = {:t, key, _} = record()

        case Enum.random([:write, :write, :delete, :delete_object]) do
          :delete -> {key, :delete, {:t, key}}
          op -> {key, op, record}
        end
      end

    groups = Enum.group_by(ops, &{elem(&1, 0)})

    Enum.flat_map(groups, fn {_key, ops} ->
      if kind == :set, do: [List.last(ops)], else: ops
    end)
  end

  # The rules as they read.

  defp in_turn(ops, rows, kind), do: Enum.reduce(ops, rows, &one(&1, &2, kind))

  defp one({key, :delete, _}, rows, _kind), do: drop(key, rows)
  defp one({_key, :delete_object, record}, rows, _kind), do: :lists.delete(record, rows)
  defp one({_key, :write, record}, rows, :bag), do: [record | :lists.delete(record, rows)]
  defp one({key, :write, record}, rows, :set), do: [record | drop(key, rows)]

  defp drop(key, rows), do: Enum.reject(rows, &(elem(&1, 1) == key))

  defp chunked(chunks, pending, kind) do
    Enum.map_reduce(chunks, pending, fn chunk, pending ->
      Own.merge_chunk(pending, chunk, kind)
    end)
  end

  defp chunked_in_turn(chunks, ops, kind) do
    Enum.map_reduce(chunks, ops, fn chunk, ops ->
      {rows, left} =
        Enum.reduce(ops, {chunk, []}, fn op, {rows, left} ->
          {rows, more} = in_chunk(op, rows, kind)
          {rows, left ++ more}
        end)

      {rows, left}
    end)
  end

  defp in_chunk({key, :write, record} = op, rows, :bag) do
    if List.keymember?(rows, key, 1) do
      {one(op, rows, :bag), [{key, :delete_object, record}]}
    else
      {rows, [op]}
    end
  end

  defp in_chunk({key, :write, _record} = op, rows, :set) do
    if List.keymember?(rows, key, 1), do: {one(op, rows, :set), []}, else: {rows, [op]}
  end

  defp in_chunk(op, rows, kind) do
    case one(op, rows, kind) do
      ^rows -> {rows, [op]}
      others when kind == :set -> {others, []}
      others -> {others, [op]}
    end
  end
end
