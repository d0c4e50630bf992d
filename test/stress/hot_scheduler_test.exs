defmodule Magnesia.Stress.HotSchedulerTest do
  # No callback of a hot table holds a scheduler, whatever the size of the table: the VM's own
  # monitor sees none in the processes of the users and in those of Mnesia that do its work,
  # while others read and write. What Mnesia does by itself for a stock table is not looked at:
  # its processes for schemas and logs count for the time that they are in our functions.
  use Magnesia.HotCase

  alias Magnesia.Backend
  alias Magnesia.Engine
  alias Magnesia.Stress.LongSchedule

  @moduletag :stress
  @moduletag capture_log: true
  @moduletag timeout: 600_000

  @limit_ms String.to_integer(System.get_env("MAGNESIA_LONG_SCHEDULE_MS", "5"))
  @rows String.to_integer(System.get_env("MAGNESIA_ROWS", "1000000"))
  @churners 16
  @large 100_000
  @of_mnesia [:mnesia_monitor, :mnesia_tm, :mnesia_controller, :mnesia_locker, Backend.Owner]
  @ours for module <- Application.spec(:magnesia, :modules),
            "#{module}" =~ ~r/^Elixir\.Magnesia\.(Backend|Engine)/,
            do: module
  # Room for a list of a million numbers, so that no heap is copied while it grows.
  @heap_words 4_000_000

  setup do
    create(:magnesia_ram, :churn)
    :ok
  end

  for type <- [:set, :ordered_set] do
    @tag type: type
    test "scans of a large #{type}, whole, in slices and in a transaction", %{type: type} do
      filled(:magnesia_ram, :rows, type: type)

      quietly(fn ->
        in_process(fn ->
          assert :mnesia.dirty_select(:rows, [{{:rows, :_, :_, -1}, [], [:"$_"]}]) == []
          keys = :mnesia.dirty_select(:rows, [{{:rows, :"$1", :_, :_}, [], [:"$1"]}])
          assert length(keys) == @rows
        end)

        in_process(fn ->
          assert {:atomic, @rows} = :mnesia.transaction(fn -> sliced(:rows, 1000) end)
        end)

        in_process(fn ->
          count = fn _row, count -> count + 1 end
          assert {:atomic, @rows} = :mnesia.transaction(fn -> :mnesia.foldl(count, 0, :rows) end)
        end)
      end)
    end
  end

  for alias_name <- [:magnesia_ram, :magnesia_disc, :magnesia_disc_only] do
    @tag alias_name: alias_name
    test "a clear of #{alias_name}", %{alias_name: alias_name} do
      filled(alias_name, :rows)
      quietly(fn -> assert :mnesia.clear_table(:rows) == {:atomic, :ok} end)
      assert :mnesia.table_info(:rows, :size) == 0
    end
  end

  test "a dump, and a load after a restart" do
    filled(:magnesia_disc, :rows)
    quietly(fn -> assert Engine.dump_log(:hot) == :ok end)

    {_, events} =
      LongSchedule.watch(
        @limit_ms,
        fn ->
          :stopped = :mnesia.stop()
          :ok = :mnesia.start()
          assert :mnesia.wait_for_tables([:rows], 120_000) == :ok
        end,
        @of_mnesia,
        @ours
      )

    assert events == []
    assert :mnesia.table_info(:rows, :size) == @rows
  end

  test "conversions from stock tables and back" do
    filled(:ram_copies, :rows)

    for to <- [:magnesia_ram, :magnesia_disc, :ram_copies] do
      quietly(fn -> assert Backend.convert(:rows, to) == {:atomic, :ok} end)
      assert :mnesia.table_info(:rows, :size) == @rows
    end
  end

  test "an index is built and used" do
    filled(:magnesia_ram, :rows)

    quietly(fn ->
      assert :mnesia.add_table_index(:rows, :w) == {:atomic, :ok}
      in_process(fn -> assert [_] = :mnesia.dirty_index_read(:rows, 7, :w) end)
    end)
  end

  test "large transactions" do
    create(:magnesia_disc, :disc)
    create(:magnesia_disc_only, :paged)

    quietly(fn ->
      in_process(fn ->
        both = fn ->
          each(@large, &:mnesia.write({:disc, &1, "new", &1}))
          each(@large, &:mnesia.write({:paged, &1, "new", &1}))
        end

        assert {:atomic, :ok} = :mnesia.transaction(both)
      end)
    end)

    assert :mnesia.table_info(:paged, :size) == @large
  end

  defp filled(storage, tab, options \\ []) do
    create(storage, tab, options)
    for n <- 1..@rows, do: :ok = :mnesia.dirty_write({tab, n, "text of row number #{n}", n})
    assert :mnesia.table_info(tab, :size) == @rows
  end

  defp sliced(tab, limit),
    do: sliced(:mnesia.select(tab, [{:_, [], [:"$_"]}], limit, :read), 0, 0)

  defp sliced(:"$end_of_table", count, _slices), do: count

  defp sliced({rows, continuation}, count, slices) do
    sliced(:mnesia.select(continuation), count + length(rows), slices + 1)
  end

  # Runs a fun while others churn; no report may come.
  defp quietly(fun) do
    watched = fn ->
      churners = for _ <- 1..@churners, do: spawn_link(&churn/0)
      fun.()
      for pid <- churners, do: finish(pid)
    end

    {_, events} = LongSchedule.watch(@limit_ms, watched, @of_mnesia, @ours)
    assert events == [], "held a scheduler:\n" <> Enum.map_join(events, "\n", &inspect/1)
  end

  defp churn do
    key = :rand.uniform(10_000)
    :mnesia.dirty_write({:churn, key, self(), "text"})
    _rows = :mnesia.dirty_read(:churn, key)

    {:atomic, :ok} =
      :mnesia.transaction(fn ->
        :mnesia.read(:churn, key)
        :mnesia.write({:churn, key + 1, :v, "text"})
      end)

    receive do
      :finish -> :ok
    after
      1 -> churn()
    end
  end

  defp finish(pid) do
    ref = Process.monitor(pid)
    send(pid, :finish)
    assert_receive {:DOWN, ^ref, :process, ^pid, :normal}, 60_000
  end

  # Who makes a thousand short calls in one go holds a scheduler by himself.
  defp each(count, fun) do
    Enum.each(1..count, fn n ->
      if rem(n, 100) == 0, do: :erlang.yield()
      fun.(n)
    end)
  end

  # In a process of its own, whose heap has its size from the start.
  defp in_process(fun) do
    {pid, ref} = :erlang.spawn_opt(fun, [:monitor, min_heap_size: @heap_words])
    assert_receive {:DOWN, ^ref, :process, ^pid, reason}, 300_000
    assert reason == :normal
  end
end
