defmodule Magnesia.Stress.IterationTest do
  # Rows that stay in place during a whole iteration are seen exactly once, whatever others
  # insert and delete meanwhile; a continuation that is kept or lost costs nothing but itself.
  use Magnesia.DatabaseCase, async: false

  @moduletag :stress
  @moduletag timeout: 120_000

  @stays 1000
  @walks 6
  @end_of_table :"$end_of_table"

  setup context do
    kinds = [set: :set, ordered: :ordered_set, bag: :bag]

    for {table, type} <- kinds do
      {:atomic, :ok} = :magnesia.create_table(table, type: type)
      for n <- 1..@stays, do: :magnesia.dirty_write({table, {n * 10, "stays"}, :stays})
    end

    writers =
      for number <- 1..2, {table, _type} <- kinds do
        spawn_link(fn -> disturb(table, number, 0) end)
      end

    on_exit(fn -> for writer <- writers, do: Process.exit(writer, :kill) end)
    {:ok, Map.put(context, :writers, writers)}
  end

  for table <- [:set, :ordered, :bag] do
    test "select in chunks of #{table} sees what stays exactly once" do
      for walk <- 1..@walks do
        limit = Enum.at([1, 7, 100, 1500], rem(walk, 4))
        spec = [{{unquote(table), :"$1", :"$2"}, [], [{{:"$1", :"$2"}}]}]
        chunks = fn -> chunks(:magnesia.select(unquote(table), spec, limit, :read), []) end
        once(:magnesia.async_dirty(chunks))
      end
    end

    test "a plain select of #{table} sees what stays exactly once" do
      spec = [{{unquote(table), :"$1", :"$2"}, [], [{{:"$1", :"$2"}}]}]
      for _ <- 1..@walks, do: once(:magnesia.dirty_select(unquote(table), spec))
    end

    test "a fold over #{table} sees what stays exactly once" do
      fold = fn ->
        :magnesia.foldl(fn {_, k, v}, acc -> [{k, v} | acc] end, [], unquote(table))
      end

      for _ <- 1..@walks, do: once(:magnesia.async_dirty(fold))
    end
  end

  test "first and next see what stays of an ordered set exactly once, in order" do
    for _ <- 1..@walks do
      keys = step(:magnesia.dirty_first(:ordered), &:magnesia.dirty_next(:ordered, &1), [])
      assert keys == Enum.sort(keys)
      once(for {_, "stays"} = key <- keys, do: {key, :stays})
      keys = step(:magnesia.dirty_last(:ordered), &:magnesia.dirty_prev(:ordered, &1), [])
      once(for {_, "stays"} = key <- keys, do: {key, :stays})
    end
  end

  test "first and next see what stays of a set exactly once", %{writers: writers} do
    # A key that is deleted while a walk stands on it ends the walk, as in Mnesia: here others
    # only insert.
    for writer <- writers, do: send(writer, :insert_only)

    for _ <- 1..3 do
      keys = step(:magnesia.dirty_first(:set), &:magnesia.dirty_next(:set, &1), [])
      once(for {_, "stays"} = key <- keys, do: {key, :stays})
    end
  end

  test "a continuation can be kept, and gone on from twice" do
    spec = [{{:ordered, :"$1", :stays}, [], [{{:"$1", :stays}}]}]
    walk = fn -> :magnesia.select(:ordered, spec, 100, :read) end
    {rows, kept} = :magnesia.async_dirty(walk)

    for _ <- 1..3 do
      once(rows ++ :magnesia.async_dirty(fn -> chunks(:magnesia.select(kept), []) end))
    end
  end

  test "whoever dies with a continuation leaves nothing behind" do
    # What is held keeps a cleared table's rows alive; once its holder is dead they are free.
    spec = [{{:big, :"$1", :_}, [], [:"$1"]}]
    {:atomic, :ok} = :magnesia.create_table(:big, [])

    hold = fn ->
      for n <- 1..20_000, do: :magnesia.dirty_write({:big, n, String.duplicate("x", 100)})
      holders = for _ <- 1..50, do: spawn_monitor(fn -> park(spec) end)
      for {pid, _ref} <- holders, do: send(pid, {:hold, self()})
      for {pid, _ref} <- holders, do: assert_receive({:holds, ^pid}, 10_000)
      {:atomic, :ok} = :magnesia.clear_table(:big)

      for {pid, ref} <- holders do
        Process.exit(pid, :kill)
        assert_receive {:DOWN, ^ref, :process, ^pid, :killed}, 10_000
      end
    end

    for _ <- 1..3, do: hold.()
    before = resident()
    for _ <- 1..15, do: hold.()
    grown = resident() - before
    # Fifteen times 20,000 rows of 150 bytes are 45 MB.
    assert grown < 20 * 1024 * 1024, "the VM grew by #{grown} bytes"
    assert :magnesia.system_info(:held_locks) == []
  end

  defp park(spec) do
    receive do
      {:hold, test} ->
        walk = fn -> :magnesia.select(:big, spec, 10, :read) end
        {[_ | _], continuation} = :magnesia.async_dirty(walk)
        send(test, {:holds, self()})

        receive do
          :never -> continuation
        end
    end
  end

  defp chunks(@end_of_table, seen), do: seen
  defp chunks({rows, cont}, seen), do: chunks(:magnesia.select(cont), rows ++ seen)

  defp step(@end_of_table, _next, keys), do: Enum.reverse(keys)
  defp step(key, next, keys), do: step(step_over(next, key), next, [key | keys])

  # The key may have been deleted under the walk of an ordered set, whose next is still known.
  defp step_over(next, key), do: next.(key)

  defp once(rows) do
    stays = for {{n, "stays"}, :stays} <- rows, do: n
    assert length(stays) == @stays
    assert Enum.sort(stays) == for(n <- 1..@stays, do: n * 10)
  end

  # Inserts and deletes rows around those that stay, many of them so that tables grow and shrink.
  defp disturb(table, number, round) do
    keys = for n <- 1..300, do: {rem(n * 37 + round * 13, @stays * 10), {number, n}}
    for key <- keys, do: :magnesia.dirty_write({table, key, round})
    for key <- keys, deletes?(), do: :magnesia.dirty_delete(table, key)
    disturb(table, number, round + 1)
  end

  defp deletes? do
    if Process.get(:insert_only) do
      false
    else
      receive do
        :insert_only -> is_nil(Process.put(:insert_only, true)) and false
      after
        0 -> true
      end
    end
  end

  defp resident do
    for pid <- Process.list(), do: :erlang.garbage_collect(pid)
    [kb] = Regex.run(~r/VmRSS:\s+(\d+)/, File.read!("/proc/self/status"), capture: :all_but_first)
    String.to_integer(kb) * 1024
  end
end
