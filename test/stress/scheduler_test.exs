defmodule Magnesia.Stress.SchedulerTest do
  # No call holds a scheduler, whatever the size of a table: the VM's own monitor sees none while
  # 32 processes read, write and hold queries on the same tables.
  use ExUnit.Case, async: false

  import Bitwise
  alias Magnesia.Native
  alias Magnesia.Strict.Activity
  alias Magnesia.Stress.LongSchedule

  @moduletag :stress
  @moduletag capture_log: true
  @moduletag timeout: 300_000

  @limit_ms String.to_integer(System.get_env("MAGNESIA_LONG_SCHEDULE_MS", "5"))
  @rows String.to_integer(System.get_env("MAGNESIA_ROWS", "1000000"))
  @disc_rows div(@rows, 4)
  @cleared 100_000
  @one_key 20_000
  @churners 32
  # Room for a list of a million numbers, so that no heap is copied while it grows.
  @heap_words 4_000_000

  setup_all do
    :stopped = :magnesia.stop()
    dir = Path.join(System.tmp_dir!(), "magnesia-stress-#{System.pid()}")
    Application.put_env(:magnesia, :dir, String.to_charlist(dir))
    :ok = :magnesia.create_schema([node()])
    :ok = :magnesia.start()
    {:atomic, :ok} = :magnesia.create_table(:rows, attributes: [:key, :text, :number])
    {:atomic, :ok} = :magnesia.create_table(:ordered, type: :ordered_set)
    {:atomic, :ok} = :magnesia.create_table(:churn, [])
    disc = [disc_copies: [node()], attributes: [:key, :text, :number]]
    {:atomic, :ok} = :magnesia.create_table(:disc, disc)
    fill(:rows, @rows)
    fill(:disc, @disc_rows)
    for n <- 1..@cleared, do: :magnesia.dirty_write({:ordered, n, n})

    on_exit(fn ->
      :magnesia.stop()
      File.rm_rf!(dir)
      Application.delete_env(:magnesia, :dir)
    end)
  end

  test "the monitor notices a call that holds a scheduler, and lets short work pass" do
    # A product of large integers is one step for the scheduler, whatever a release takes for
    # it. No compiler can make it first, and no collection of garbage lets others in.
    large = (1 <<< (500_000 + byte_size(System.pid()))) - 1
    until = fn -> System.monotonic_time(:millisecond) + 10 * @limit_ms end
    roomy = [min_heap_size: 4_000_000]
    hold = fn -> in_process(fn -> multiply(large, until.()) end, roomy) end
    assert {_, [_ | _]} = LongSchedule.watch(@limit_ms, hold)
    short = fn -> in_process(fn -> Enum.sum(1..1_000_000) end) end
    assert {_, []} = LongSchedule.watch(@limit_ms, short)
  end

  test "scans of a large table" do
    quietly(fn ->
      in_process(
        fn ->
          assert :magnesia.dirty_select(:rows, [{{:rows, :_, :_, -1}, [], [:"$_"]}]) == []
          keys = :magnesia.dirty_select(:rows, [{{:rows, :"$1", :_, :_}, [], [:"$1"]}])
          assert length(keys) == @rows
        end,
        min_heap_size: @heap_words
      )

      in_process(fn ->
        ordered = :magnesia.dirty_select(:ordered, [{{:ordered, :"$1", :_}, [], [:"$1"]}])
        assert length(ordered) == @cleared
      end)
    end)
  end

  test "a fold in a transaction" do
    quietly(fn ->
      in_process(fn ->
        fold = fn -> :magnesia.foldl(fn _row, count -> count + 1 end, 0, :rows) end
        assert :magnesia.transaction(fold) == {:atomic, @rows}
      end)
    end)
  end

  test "a clear, and the death of the last one who still saw the rows" do
    {:atomic, :ok} = :magnesia.create_table(:cleared, [])

    quietly(fn ->
      for _ <- 1..3 do
        in_process(fn -> each(@cleared, &:magnesia.dirty_write({:cleared, &1, &1})) end)
        readers = for _ <- 1..4, do: spawn_link(fn -> read_forever(:cleared) end)
        holder = hold_continuation(:cleared)
        assert :magnesia.clear_table(:cleared) == {:atomic, :ok}
        assert :magnesia.table_info(:cleared, :size) == 0
        for pid <- readers, do: finish(pid)
        finish(holder)
      end
    end)
  end

  test "large transactions: committed, given up, killed" do
    quietly(fn ->
      for _ <- 1..3 do
        in_process(fn ->
          assert {:atomic, _} = :magnesia.transaction(fn -> write(:disc, 10_000) end)
          assert {:atomic, _} = :magnesia.sync_transaction(fn -> write(:disc, 10_000) end)
          assert {:atomic, _} = :magnesia.transaction(fn -> write(:churn, 10_000) end)
          give_up = fn -> write(:disc, 100_000) == :ok && :magnesia.abort(:enough) end
          inner = fn -> :magnesia.write({:churn, 1, 1}) end

          levels = fn ->
            write(:disc, 100_000)
            assert :magnesia.transaction(inner) == {:atomic, :ok}
            assert :magnesia.transaction(fn -> :magnesia.abort(:inner) end) == {:aborted, :inner}
            :magnesia.abort(:enough)
          end

          assert {:aborted, :enough} = :magnesia.transaction(give_up)
          assert {:aborted, :enough} = :magnesia.transaction(levels)
        end)

        in_process(fn ->
          read = fn -> each(100_000, &:magnesia.read(:rows, &1)) end
          assert {:atomic, _} = :magnesia.transaction(read)
        end)

        die = fn -> write(:disc, 100_000) == :ok && Process.exit(self(), :kill) end
        {pid, ref} = spawn_monitor(fn -> :magnesia.transaction(die) end)
        assert_receive {:DOWN, ^ref, :process, ^pid, :killed}, 60_000
      end
    end)
  end

  test "queries in a transaction that has written much" do
    quietly(fn ->
      in_process(fn ->
        query = fn ->
          write(:churn, 10_000)
          :magnesia.select(:churn, [{{:churn, :"$1", -1}, [], [:"$1"]}])
          :magnesia.foldl(fn _row, count -> count + 1 end, 0, :churn)
        end

        assert {:atomic, _} = :magnesia.transaction(query)
      end)
    end)
  end

  test "a bag's key with many rows, read and written" do
    {:atomic, :ok} = :magnesia.create_table(:bag, type: :bag)
    in_process(fn -> each(@one_key, &:magnesia.dirty_write({:bag, 1, &1})) end)

    # What a normal scheduler is asked first it hands on, with and without own rows.
    asked = fn write ->
      {_module, _tid, ctx} = Activity.state()
      if write, do: :magnesia.write({:bag, 1, :own})
      Native.tx_read(ctx, :bag, 1, :read)
    end

    assert :magnesia.transaction(asked, [false]) == {:atomic, :large}
    own = fn -> :magnesia.abort(asked.(true)) end
    assert :magnesia.transaction(own) == {:aborted, :large}

    quietly(fn ->
      in_process(
        fn ->
          read = fn -> length(:magnesia.read(:bag, 1)) end
          assert :magnesia.async_dirty(read) == @one_key
          assert :magnesia.transaction(read) == {:atomic, @one_key}

          amid = fn ->
            :magnesia.write({:bag, 1, :own})
            read.()
          end

          assert :magnesia.transaction(amid) == {:atomic, @one_key + 1}
        end,
        min_heap_size: @heap_words
      )
    end)
  end

  test "an index is built and used" do
    quietly(fn ->
      assert :magnesia.add_table_index(:rows, :number) == {:atomic, :ok}
      in_process(fn -> :magnesia.dirty_index_read(:rows, 7, :number) end)
      assert :magnesia.del_table_index(:rows, :number) == {:atomic, :ok}
    end)
  end

  test "a dump" do
    quietly(fn -> assert :magnesia.dump_log() == :dumped end)
  end

  test "a stop and a start" do
    {:atomic, :ok} = :magnesia.create_table(:gone, [])

    {_, events} =
      LongSchedule.watch(@limit_ms, fn ->
        :stopped = :magnesia.stop()
        :ok = :magnesia.start()
        assert :magnesia.wait_for_tables([:disc], 60_000) == :ok
      end)

    assert events == []
    assert :magnesia.table_info(:disc, :size) >= @disc_rows
    # What was in memory only is made again for the other tests.
    fill(:rows, @rows)
    for n <- 1..@cleared, do: :magnesia.dirty_write({:ordered, n, n})
  end

  test "memory goes back to what it was" do
    churn = fn ->
      churners = for _ <- 1..@churners, do: spawn_link(&churn/0)
      in_process(fn -> for _ <- 1..100_000, do: :magnesia.dirty_read(:rows, 1) end)
      for pid <- churners, do: finish(pid)
      :magnesia.clear_table(:churn)
    end

    for _ <- 1..3, do: churn.()
    {of_vm, of_process} = memory()
    for _ <- 1..5, do: churn.()
    # The VM frees what other schedulers allocated a little later, and the allocators keep what
    # they had at the worst moment, which differs from run to run.
    until(fn -> elem(memory(), 0) - of_vm < of_vm * 0.02 + 1_000_000 end)
    until(fn -> elem(memory(), 1) - of_process < of_process * 0.02 + 16_000_000 end)
  end

  # Runs a fun while others churn; no report may come.
  defp quietly(fun) do
    {_, events} =
      LongSchedule.watch(@limit_ms, fn ->
        churners = for _ <- 1..@churners, do: spawn_link(&churn/0)
        fun.()
        for pid <- churners, do: finish(pid)
      end)

    assert events == [], "held a scheduler:\n" <> Enum.map_join(events, "\n", &inspect/1)
  end

  defp churn do
    key = :rand.uniform(100_000)
    :magnesia.dirty_read(:rows, key)
    :magnesia.dirty_write({:churn, key, self()})

    :magnesia.transaction(fn ->
      :magnesia.read(:churn, key)
      :magnesia.write({:churn, key + 1, "text"})
    end)

    spec = [{{:rows, :"$1", :_, :_}, [{:>, :"$1", 0}], [:"$1"]}]
    :magnesia.async_dirty(fn -> :magnesia.select(:rows, spec, 10, :read) end)
    :magnesia.dirty_delete(:churn, key)

    receive do
      :finish -> :ok
    after
      1 -> churn()
    end
  end

  defp finish(pid) do
    ref = Process.monitor(pid)
    send(pid, :finish)
    assert_receive {:DOWN, ^ref, :process, ^pid, _reason}, 60_000
  end

  defp read_forever(table) do
    each(1000, &:magnesia.dirty_read(table, &1))

    receive do
      :finish -> :ok
    after
      0 -> read_forever(table)
    end
  end

  defp hold_continuation(table) do
    test = self()

    pid =
      spawn_link(fn ->
        walk = fn -> :magnesia.select(table, [{:_, [], [:"$_"]}], 10, :read) end
        {_rows, continuation} = :magnesia.async_dirty(walk)
        send(test, {:holds, self()})

        receive do
          :finish -> continuation
        end
      end)

    assert_receive {:holds, ^pid}, 60_000
    pid
  end

  defp write(:disc, count), do: each(count, &:magnesia.write({:disc, &1, "new", &1}))
  defp write(:churn, count), do: each(count, &:magnesia.write({:churn, &1, &1}))

  # Short calls cost few reductions: who makes a thousand in one go holds a scheduler by
  # himself, and it is single calls that are looked at.
  defp each(count, fun) do
    Enum.each(1..count, fn n ->
      if rem(n, 100) == 0, do: :erlang.yield()
      fun.(n)
    end)
  end

  defp fill(table, count) do
    for n <- 1..count, do: :magnesia.dirty_write({table, n, "text of row number #{n}", n})
  end

  # In a process of its own, whose heap may have its size from the start.
  defp in_process(fun, options \\ []) do
    {pid, ref} = :erlang.spawn_opt(fun, [:monitor | options])
    assert_receive {:DOWN, ^ref, :process, ^pid, reason}, 120_000
    assert reason == :normal
  end

  defp multiply(number, until) do
    assert number * number > number
    if System.monotonic_time(:millisecond) < until, do: multiply(number, until)
  end

  defp until(fun, deadline \\ System.monotonic_time(:millisecond) + 20_000) do
    unless fun.() do
      assert System.monotonic_time(:millisecond) < deadline, "grew: #{inspect(memory())}"
      until(fun, deadline)
    end
  end

  defp memory do
    for pid <- Process.list(), do: :erlang.garbage_collect(pid)
    [kb] = Regex.run(~r/VmRSS:\s+(\d+)/, File.read!("/proc/self/status"), capture: :all_but_first)
    {:erlang.memory(:total), String.to_integer(kb) * 1024}
  end
end
