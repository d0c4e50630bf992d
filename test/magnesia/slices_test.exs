defmodule Magnesia.SlicesTest do
  @moduledoc """
  Calls that take longer than a reduction stands for are charged for it, so that a loop of them
  does not hold its scheduler over its slice.
  """

  use Magnesia.DatabaseCase, async: false

  @calls 10_000

  @tag :disc
  test "logged writes, rows and steps of queries cost reductions" do
    {:atomic, :ok} = :magnesia.create_table(:disc, disc_copies: [node()])
    {:atomic, :ok} = :magnesia.create_table(:ram, [])
    {:atomic, :ok} = :magnesia.create_table(:bag, type: :bag)
    for n <- 1..100, do: :magnesia.dirty_write({:bag, 1, n})
    for n <- 1..@calls, do: :magnesia.dirty_write({:ram, n, n})

    # 3 us of a slice of 4,000 reductions a call, and the loop's own few.
    plain = reductions(fn -> loop(fn n -> :magnesia.dirty_write({:ram, n, n}) end) end)
    logged = reductions(fn -> loop(fn n -> :magnesia.dirty_write({:disc, n, n}) end) end)
    assert logged - plain > 8 * @calls

    one = reductions(fn -> loop(fn n -> :magnesia.dirty_read(:ram, n) end) end)
    many = reductions(fn -> loop(fn _ -> :magnesia.dirty_read(:bag, 1) end) end)
    assert many - one > 20 * @calls

    # One step that looks at all rows and finds none.
    none = [{{:ram, :_, -1}, [], [:"$_"]}]
    first = fn -> :magnesia.async_dirty(fn -> :magnesia.select(:ram, none, 10, :read) end) end
    for n <- 1..@calls, do: :magnesia.dirty_write({:ram, -n, n})
    assert reductions(first) > 1_500
  end

  defp loop(fun), do: for(n <- 1..@calls, do: fun.(n))

  defp reductions(fun) do
    {:reductions, before} = Process.info(self(), :reductions)
    fun.()
    {:reductions, later} = Process.info(self(), :reductions)
    later - before
  end
end
