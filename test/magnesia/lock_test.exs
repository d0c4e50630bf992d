defmodule Magnesia.LockTest do
  # Locks by name: no two holders, no lost wake-up, whoever dies and whenever.
  use Magnesia.DatabaseCase

  alias Magnesia.HotNodes
  alias Magnesia.Lock
  alias Magnesia.Lock.Queue

  @patience 30_000

  setup do
    # What Magnesia.start/1 falls back to: the examples are in memory.
    Application.delete_env(:magnesia, :dir)
    start_supervised!(Lock)
    :ok
  end

  doctest Magnesia.Lock
  doctest Magnesia.Lock.Queue

  defp seed do
    seed = String.to_integer(System.get_env("MAGNESIA_SEED", "#{:rand.uniform(1_000_000_000)}"))
    IO.puts("lock: MAGNESIA_SEED=#{seed} mix test test/magnesia/lock_test.exs")
    _state = :rand.seed(:exsss, seed)
    seed
  end

  defp eventually(check, deadline \\ System.monotonic_time(:millisecond) + @patience) do
    cond do
      check.() ->
        true

      System.monotonic_time(:millisecond) > deadline ->
        false

      true ->
        receive(do: (:never -> :ok), after: (5 -> :ok))
        eventually(check, deadline)
    end
  end

  # A process that takes a lock and keeps it until it is told to end.
  defp keeper(key, options \\ []) do
    parent = self()

    pid =
      spawn(fn ->
        send(parent, {self(), Lock.acquire(key, options)})
        receive(do: (:end -> :ok))
      end)

    pid
  end

  defp waiting(key), do: key |> Lock.holders() |> elem(1)

  describe "a queue" do
    # The plainest thing that could be right: a list in the order of asking.
    defmodule Line do
      def held([{_, :write} = first | _]), do: [first]
      def held(line), do: Enum.take_while(line, &match?({_, :read}, &1))
    end

    test "gives the same answers as a list in the order of asking" do
      seed = seed()

      for round <- 1..300, reduce: nil do
        _ ->
          Enum.reduce(1..60, {Queue.new(), []}, fn ticket, {queue, line} ->
            {queue, line} =
              if line != [] and :rand.uniform(5) > 2 do
                {gone, _} = Enum.random(line)
                rest = List.keydelete(line, gone, 0)
                {admitted, queue} = Queue.leave(queue, gone)
                expected = for {t, _} <- Line.held(rest) -- Line.held(line), do: t
                assert admitted == expected, "MAGNESIA_SEED=#{seed}, round #{round}"
                {queue, rest}
              else
                mode = Enum.random([:read, :read, :write])
                {holds?, queue} = Queue.ask(queue, ticket, mode)
                line = line ++ [{ticket, mode}]
                assert holds? == {ticket, mode} in Line.held(line)
                {queue, line}
              end

            held = for {t, _} <- Line.held(line), do: t
            assert Queue.standing(queue) == {held, length(line) - length(held)}
            assert Queue.empty?(queue) == (line == [])
            {queue, line}
          end)
      end
    end
  end

  test "who waits is served in the order of asking" do
    {:ok, lock} = Lock.acquire(:till)

    pids =
      for n <- 1..5 do
        pid = keeper(:till, timeout: :infinity)
        assert eventually(fn -> waiting(:till) == n end)
        pid
      end

    :ok = Lock.release(lock)

    for pid <- pids do
      assert_receive {^pid, {:ok, _}}, @patience
      refute_received {_, {:ok, _}}
      send(pid, :end)
    end
  end

  test "readers share, and none overtakes a writer that came before it" do
    {:ok, reading} = Lock.acquire(:book, mode: :read)
    other = keeper(:book, mode: :read)
    assert_receive {^other, {:ok, _}}, @patience
    writer = keeper(:book)
    assert eventually(fn -> waiting(:book) == 1 end)
    late = keeper(:book, mode: :read)
    assert eventually(fn -> waiting(:book) == 2 end)

    send(other, :end)
    :ok = Lock.release(reading)
    assert_receive {^writer, {:ok, %Lock{mode: :write}}}, @patience
    refute_received {^late, _}
    send(writer, :end)
    assert_receive {^late, {:ok, %Lock{mode: :read}}}, @patience
    send(late, :end)
  end

  test "a wait that ends in time leaves no trace, and frees those behind it" do
    {:ok, _reading} = Lock.acquire(:book, mode: :read)
    writer = keeper(:book, timeout: 200)
    assert eventually(fn -> waiting(:book) == 1 end)
    reader = keeper(:book, mode: :read, timeout: :infinity)
    assert_receive {^writer, {:error, :timeout}}, @patience
    assert_receive {^reader, {:ok, _}}, @patience
    for pid <- [writer, reader], do: send(pid, :end)
  end

  test "a lease ends: the next one gets a larger token, the first one's lock is void" do
    {:ok, first} = Lock.acquire(:press, lease: 1)
    other = keeper(:press)
    assert_receive {^other, {:ok, second}}, @patience
    assert second.token > first.token
    assert Lock.release(first) == {:error, :not_held}
    assert Lock.renew(first, 1_000) == {:error, :not_held}
    send(other, :end)

    assert Lock.run(:plate, [lease: 1], fn lock ->
             assert eventually(fn -> Lock.holders(:plate) == {[], 0} end)
             lock.key
           end) == {:error, {:expired, :plate}}
  end

  test "a renewed lease is counted from then on" do
    {:ok, lock} = Lock.acquire(:press, lease: 60_000)
    :ok = Lock.renew(lock, 1)
    assert eventually(fn -> Lock.holders(:press) == {[], 0} end)

    {:ok, lock} = Lock.acquire(:press, lease: 200)
    :ok = Lock.renew(lock, :infinity)
    other = keeper(:press, timeout: 400)
    assert_receive {^other, {:error, :timeout}}, @patience
    assert :ok = Lock.release(lock)
  end

  test "what a fun raises, throws or exits with passes, and the lock is free" do
    assert_raise RuntimeError, fn -> Lock.run(:till, fn _ -> raise "no" end) end
    assert catch_throw(Lock.run(:till, fn _ -> throw(:no) end)) == :no
    assert catch_exit(Lock.run(:till, fn _ -> exit(:no) end)) == :no
    assert Lock.holders(:till) == {[], 0}
  end

  test "wrong options are named" do
    assert_raise ArgumentError, ~r/no option :time, did you mean :timeout/, fn ->
      Lock.acquire(:till, time: 5)
    end

    assert_raise ArgumentError, ~r/mode must be :read or :write, not :exclusive/, fn ->
      Lock.acquire(:till, mode: :exclusive)
    end

    assert_raise ArgumentError, ~r/lease must be milliseconds/, fn ->
      Lock.acquire(:till, lease: 0)
    end
  end

  test "a server that dies comes back with its holders; who waited is told by an exit" do
    holder = keeper(:till)
    assert_receive {^holder, {:ok, held}}, @patience
    leased = keeper(:press, lease: 2_000)
    assert_receive {^leased, {:ok, _}}, @patience

    waiter = Task.async(fn -> catch_exit(Lock.acquire(:till, timeout: :infinity)) end)
    assert eventually(fn -> waiting(:till) == 1 end)
    old = Process.whereis(Lock)
    Process.exit(old, :kill)
    assert {:killed, {GenServer, :call, _}} = Task.await(waiter, @patience)

    assert eventually(fn -> Process.whereis(Lock) not in [old, nil] end)
    assert {[%{owner: ^holder, mode: :write}], 0} = Lock.holders(:till)
    assert Lock.acquire(:till, timeout: 0) == {:error, :timeout}
    send(holder, :end)
    assert {:ok, lock} = Lock.acquire(:till, timeout: @patience)
    assert lock.token > held.token
    assert {:ok, _} = Lock.acquire(:press, timeout: @patience)
    send(leased, :end)
  end

  @tag :disc
  test "tokens grow on over a stop of the database", %{dir: dir} do
    :ok = stop_supervised(Lock)
    Magnesia.stop()
    :ok = Magnesia.start(dir: dir)
    start_supervised!(Lock)
    {:ok, before} = Lock.acquire(:till)
    :ok = stop_supervised(Lock)
    :ok = Magnesia.stop()
    :ok = Magnesia.start(dir: dir)
    start_supervised!(Lock)
    assert {:ok, lock} = Lock.acquire(:till)
    assert lock.token > before.token
  end

  test "a server without a database says so" do
    :ok = stop_supervised(Lock)
    :ok = Magnesia.stop()
    Process.flag(:trap_exit, true)
    assert {:error, %Magnesia.SchemaError{}} = Lock.start_link()
  end

  test "an owner on a node that is lost holds nothing" do
    [home, away] = for _ <- 1..2, do: HotNodes.start()
    {:ok, _} = HotNodes.call(home, :application, :ensure_all_started, [:magnesia])
    :ok = HotNodes.call(home, Magnesia, :start, [])
    # Without a link to the process of the call, which ends with it.
    {:ok, _} = HotNodes.call(home, Agent, :start, [Lock, :start_link, []])
    server = {Lock, home.node}
    asks = [:till, [server: server, timeout: 0]]

    {:ok, agent} = HotNodes.call(away, Agent, :start, [Lock, :acquire, asks])
    assert {[%{owner: ^agent}], 0} = HotNodes.call(home, Lock, :holders, [:till])
    assert HotNodes.call(home, Lock, :acquire, asks) == {:error, :timeout}
    HotNodes.kill(away)

    asks = [:till, [server: server, timeout: @patience]]
    assert {:ok, %Lock{}} = HotNodes.call(home, Lock, :acquire, asks)
  end

  describe "many processes, some killed at any step" do
    # Enters what it holds, and looks whether someone alive holds what excludes it.
    defp work(table, key, mode, lock, parent) do
      :ets.insert(table, {{key, self()}, mode})

      for {{_, pid}, other} <- :ets.match_object(table, {{key, :_}, :_}),
          pid != self(),
          mode == :write or other == :write,
          Process.alive?(pid) do
        send(parent, {:together, key, {mode, self()}, {other, pid}})
      end

      :ets.delete(table, {key, self()})
      lock
    end

    defp worker(table, parent, seed) do
      _state = :rand.seed(:exsss, seed)

      for _ <- 1..25 do
        key = :rand.uniform(3)
        mode = Enum.random([:read, :write])
        options = [mode: mode, timeout: Enum.random([0, 5, :infinity, :infinity])]
        Lock.run(key, options, &work(table, key, mode, &1, parent))
      end

      send(parent, {:worked, self()})
    end

    test "no two holders, no lost wake-up" do
      seed = seed()
      table = :ets.new(:holding, [:public, :ordered_set])
      parent = self()
      seeds = for _ <- 1..60, do: :rand.uniform(1_000_000_000)
      workers = for s <- seeds, do: spawn_monitor(fn -> worker(table, parent, s) end)

      for {pid, _} <- Enum.take_random(workers, 30) do
        for _ <- 1..:rand.uniform(20_000), do: :ok
        Process.exit(pid, :kill)
      end

      for {pid, monitor} <- workers do
        assert_receive {:DOWN, ^monitor, :process, ^pid, reason}, @patience
        assert reason in [:normal, :killed, :noproc], "MAGNESIA_SEED=#{seed}: #{inspect(reason)}"
      end

      refute_received {:together, _, _, _}

      for key <- 1..3 do
        assert {:ok, _} = Lock.acquire(key, timeout: @patience), "MAGNESIA_SEED=#{seed}"
      end

      # Three locks of this process, and nothing of all that went before.
      state = :sys.get_state(Lock)

      assert for(map <- [:queues, :claims, :monitors, :owned], do: map_size(state[map])) ==
               [3, 3, 3, 3]

      assert Magnesia.count(:magnesia_lock_holders) == 3
    end
  end
end
