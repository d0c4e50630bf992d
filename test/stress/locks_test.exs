defmodule Magnesia.Stress.LocksTest do
  # A process may be killed in any state of a transaction: nothing that it held stays behind, and
  # those who waited go on.
  use Magnesia.DatabaseCase, async: false

  import Magnesia.Parity.Random

  @moduletag :stress
  @moduletag :disc
  @moduletag capture_log: true
  @moduletag timeout: 120_000

  @deadline_ms 20_000
  @churn 10_000

  setup do
    {:atomic, :ok} = :magnesia.create_table(:ram, [])
    {:atomic, :ok} = :magnesia.create_table(:disc, disc_copies: [node()])
    for n <- 1..100, table <- [:ram, :disc], do: :magnesia.dirty_write({table, n, 0})
    :ok
  end

  test "whoever dies while it holds locks leaves none" do
    holds = [
      fn -> :magnesia.read(:ram, 1) end,
      fn -> :magnesia.write({:ram, 1, 1}) end,
      fn -> :magnesia.read_lock_table(:ram) end,
      fn -> :magnesia.write_lock_table(:ram) end,
      fn -> :magnesia.s_write({:ram, 1, 1}) end,
      fn -> :magnesia.lock({:global, :name, [node()]}, :write) end,
      fn -> :magnesia.transaction(fn -> :magnesia.write({:ram, 2, 2}) end) end,
      fn -> for n <- 1..5000, do: :magnesia.write({:ram, n, n}) end
    ]

    for hold <- holds do
      {holder, ref} = parked(hold)
      assert :magnesia.system_info(:held_locks) != []
      kill(holder, ref)
      nothing_left()
    end

    assert :magnesia.table_info(:ram, :size) == 100
    assert {:atomic, [{:ram, 1, 0}]} = :magnesia.transaction(fn -> :magnesia.read(:ram, 1) end)
  end

  test "whoever dies in a queue is not waited for" do
    {oldest, of_oldest} = parked(fn -> :ok end)
    {holder, of_holder} = parked(fn -> :magnesia.write({:ram, 1, 1}) end)
    # An older transaction waits for a younger one.
    send(oldest, {:do, fn -> :magnesia.write({:ram, 1, 2}) end})
    wait_until(fn -> :magnesia.system_info(:lock_queue) != [] end)
    kill(oldest, of_oldest)
    wait_until(fn -> :magnesia.system_info(:lock_queue) == [] end)
    send(holder, :go)
    assert_receive {:DOWN, ^of_holder, :process, _, {:outcome, {:atomic, _}}}, @deadline_ms
    nothing_left()
    assert :magnesia.dirty_read(:ram, 1) == [{:ram, 1, 1}]
  end

  test "whoever waits behind the dead goes on" do
    {waiter, of_waiter} = parked(fn -> :ok end)
    {holder, of_holder} = parked(fn -> :magnesia.write_lock_table(:ram) end)
    send(waiter, {:do, fn -> :magnesia.write({:ram, 1, 7}) end})
    wait_until(fn -> :magnesia.system_info(:lock_queue) != [] end)
    kill(holder, of_holder)
    assert_receive {:parked, ^waiter}, @deadline_ms
    send(waiter, :go)
    assert_receive {:DOWN, ^of_waiter, :process, _, {:outcome, {:atomic, _}}}, @deadline_ms
    nothing_left()
    assert :magnesia.dirty_read(:ram, 1) == [{:ram, 1, 7}]
  end

  test "whoever dies while it awaits its restart is not waited for" do
    {holder, of_holder} = parked(fn -> :magnesia.write({:ram, 1, 1}) end)
    # A younger transaction gives way and waits for the older one's end.
    restarts = :magnesia.system_info(:transaction_restarts)
    {younger, of_younger} = begun(fn -> :magnesia.write({:ram, 1, 2}) end)
    wait_until(fn -> :magnesia.system_info(:transaction_restarts) > restarts end)
    kill(younger, of_younger)
    send(holder, :go)
    assert_receive {:DOWN, ^of_holder, :process, _, {:outcome, {:atomic, _}}}, @deadline_ms
    nothing_left()
    assert :magnesia.dirty_read(:ram, 1) == [{:ram, 1, 1}]
  end

  test "whoever dies while it commits leaves all or nothing" do
    seed = seed()

    seeded(seed, fn ->
      for round <- 1..150 do
        count = pick([1, 20, 2000])

        {writer, ref} =
          begun(pick([:transaction, :sync_transaction]), fn ->
            for n <- 1..count, do: :magnesia.write({:disc, {round, n}, round})
            :magnesia.write({:ram, rem(round, 9), round})
          end)

        for _ <- 1..between(0, 3000), do: :erlang.yield()
        kill(writer, ref)
        nothing_left()
        written = length(:magnesia.dirty_match_object({:disc, {round, :_}, :_}))
        assert written in [0, count], "MAGNESIA_SEED=#{seed}, round #{round}: half of a commit"
      end
    end)
  end

  test "processes that die at random leave no locks and no slots" do
    seed = seed()
    churn(500, seed)
    before = memory()

    for part <- 1..10, do: churn(div(@churn, 10), seed + part)

    nothing_left()
    :erlang.garbage_collect()
    grown = memory() - before
    assert grown < 32 * 1024 * 1024, "the VM grew by #{grown} bytes"
    # Slots are numbered in the order of their need: they were used again.
    {slot, _guard} = Magnesia.Native.tx_new()
    assert slot < 5000
    total = for {:ram, n, value} <- rows(:ram), n in 1..100, do: value
    assert length(total) == 100
    # Every transfer was whole or absent.
    assert Enum.sum(total) == 0
  end

  defp seed do
    seed = String.to_integer(System.get_env("MAGNESIA_SEED", "#{:rand.uniform(1_000_000_000)}"))
    IO.puts("locks: MAGNESIA_SEED=#{seed} mix test test/stress/locks_test.exs")
    seed
  end

  defp rows(table), do: :magnesia.dirty_match_object({table, :_, :_})

  # Short transactions on few keys, a third of them killed at a random moment.
  defp churn(count, seed) do
    seeded(seed, fn ->
      1..count
      |> Enum.chunk_every(100)
      |> Enum.each(fn chunk ->
        started = for n <- chunk, do: begun(fn -> transfer(rem(n, 7) + 1, rem(n, 5) + 1) end)
        for {pid, _ref} <- started, chance?(1, 3), do: Process.exit(pid, :kill)

        for {pid, ref} <- started do
          assert_receive {:DOWN, ^ref, :process, ^pid, _reason}, @deadline_ms
        end
      end)
    end)
  end

  defp transfer(from, to) do
    [{:ram, ^from, left}] = :magnesia.wread({:ram, from})
    :magnesia.write({:ram, from, left - 1})
    [{:ram, ^to, right}] = :magnesia.read(:ram, to)
    :magnesia.write({:ram, to, right + 1})
  end

  # A process in a transaction that has not ended.
  defp begun(kind \\ :transaction, fun) do
    spawn_monitor(fn -> exit({:outcome, apply(:magnesia, kind, [fun])}) end)
  end

  # The same, which has done `fun` and does what it is told until it may go.
  defp parked(fun) do
    me = self()
    {pid, ref} = begun(fn -> park(me, fun) end)
    assert_receive {:parked, ^pid}, @deadline_ms
    {pid, ref}
  end

  defp park(test, fun) do
    fun.()
    send(test, {:parked, self()})

    receive do
      {:do, fun} -> park(test, fun)
      :go -> :ok
    end
  end

  defp kill(pid, ref) do
    Process.exit(pid, :kill)
    assert_receive {:DOWN, ^ref, :process, ^pid, _reason}, @deadline_ms
  end

  defp nothing_left do
    wait_until(fn -> :magnesia.system_info(:held_locks) |> Enum.reject(&stick?/1) == [] end)
    assert :magnesia.system_info(:lock_queue) == []
  end

  # That a table sticks to this node outlives the transaction by design.
  defp stick?({{_table, :______STICK_____}, _kind, _tid}), do: true
  defp stick?(_lock), do: false

  defp wait_until(fun, deadline \\ System.monotonic_time(:millisecond) + @deadline_ms) do
    unless fun.() do
      assert System.monotonic_time(:millisecond) < deadline, "it did not come to be"
      :erlang.yield()
      wait_until(fun, deadline)
    end
  end

  defp memory do
    [kilobytes] =
      Regex.run(~r/VmRSS:\s+(\d+) kB/, File.read!("/proc/self/status"), capture: :all_but_first)

    String.to_integer(kilobytes) * 1024
  end
end
