defmodule Magnesia.CacheTest do
  # The cache's promises, held against many processes at once.
  use Magnesia.DatabaseCase

  alias Magnesia.Cache

  @deadline 60_000

  setup context do
    options = Keyword.merge([name: :pages, rows: 100, ttl: 60_000], Map.get(context, :cache, []))
    start_supervised!({Cache, options})
    :ok
  end

  doctest Magnesia.Cache

  defp seed do
    seed = String.to_integer(System.get_env("MAGNESIA_SEED", "#{System.os_time()}"))
    {seed, "MAGNESIA_SEED=#{seed} mix test test/magnesia/cache_test.exs"}
  end

  test "of ten thousand processes that want a missing key one computes it" do
    me = self()

    compute = fn ->
      send(me, :computing)
      receive do: (:go_on -> :value)
    end

    computer = Task.async(fn -> Cache.fetch(:pages, :key, compute) end)
    assert_receive :computing, @deadline
    state = :persistent_term.get({Cache, :pages})
    others = for _ <- 1..10_000, do: Task.async(fn -> Cache.fetch(:pages, :key, compute) end)
    until(fn -> :ets.info(state.flights.waiting, :size) == 10_000 end)
    send(computer.pid, :go_on)
    assert Enum.all?(Task.await_many([computer | others], @deadline), &(&1 == :value))
    refute_received :computing
    assert %{computations: 1, misses: 10_001} = Cache.stats(:pages)
    assert :ets.info(state.flights.waiting, :size) == 0
    assert :ets.info(state.flights.running, :size) == 0
  end

  test "when the one that computes is killed another takes over" do
    me = self()

    compute = fn ->
      send(me, {:computing, self()})
      receive do: (:go_on -> :value)
    end

    fetch = fn -> send(me, {:value, Cache.fetch(:pages, :key, compute)}) end
    pids = for _ <- 1..50, do: spawn(fetch)

    for _ <- 1..10 do
      assert_receive {:computing, pid}, @deadline
      Process.exit(pid, :kill)
    end

    assert_receive {:computing, pid}, @deadline
    send(pid, :go_on)
    for _ <- 1..40, do: assert_receive({:value, :value}, @deadline)
    until(fn -> not Enum.any?(pids, &Process.alive?/1) end)
    refute_received {:computing, _}
  end

  test "what the fun raises is raised by all that wait, and nothing is kept" do
    me = self()

    compute = fn ->
      send(me, {:computing, self()})
      receive do: (:go_on -> raise(ArgumentError, "no"))
    end

    fetch = fn ->
      Task.async(fn ->
        assert_raise(ArgumentError, "no", fn -> Cache.fetch(:pages, 1, compute) end)
      end)
    end

    first = fetch.()
    assert_receive {:computing, pid}, @deadline
    state = :persistent_term.get({Cache, :pages})
    others = for _ <- 1..20, do: fetch.()
    until(fn -> :ets.info(state.flights.waiting, :size) == 20 end)
    send(pid, :go_on)
    Task.await_many([first | others], @deadline)
    assert Cache.fetch(:pages, 1, fn -> :better end) == :better

    assert_raise ArgumentError, ~r/would wait for itself/, fn ->
      Cache.fetch(:pages, 2, fn -> Cache.fetch(:pages, 2, fn -> 1 end) end)
    end
  end

  @tag cache: [rows: 50, bytes: 4_000]
  test "it is never over its caps, and what it holds is what was put" do
    {seed, line} = seed()
    me = self()
    state = :persistent_term.get({Cache, :pages})
    most = 50 + System.schedulers_online()

    writers =
      for n <- 1..8 do
        Task.async(fn ->
          :rand.seed(:exsss, {seed, n, 0})

          for _ <- 1..3_000 do
            key = :rand.uniform(200)

            case :rand.uniform(10) do
              1 -> Cache.delete(:pages, key)
              2 -> assert Cache.fetch(:pages, key, fn -> value(key) end) in values(key), line
              n when n < 6 -> assert Cache.get(:pages, key, hd(values(key))) in values(key), line
              _ -> Cache.put(:pages, key, value(key))
            end
          end

          send(me, :done)
        end)
      end

    watch(8, fn ->
      # A size is summed over the table's parts while rows come and go, so one may be too large.
      assert Enum.min(for _ <- 1..5, do: Magnesia.Scan.size(:pages)) <= most, line
      assert Cache.stats(:pages).bytes <= 4_000, line
    end)

    Task.await_many(writers, @deadline)
    rows = Enum.to_list(Magnesia.stream(:pages))
    assert length(rows) <= 50, line
    for {:pages, key, value, _, _} <- rows, do: assert(value in values(key), line)
    slots = for {_, _, _, _, slot} <- rows, do: slot
    assert slots == Enum.uniq(slots), line
    bytes = for {_, k, v, _, _} <- rows, do: :erlang.external_size(k) + :erlang.external_size(v)
    assert Enum.sum(bytes) <= Cache.stats(:pages).bytes, line
    for slot <- 1..50, do: assert(:atomics.get(state.slots, slot) in [0, 1], line)
  end

  defp values(key), do: for(n <- 0..3, do: {key, String.duplicate("x", 40 * n)})
  defp value(key), do: Enum.random(values(key))

  defp watch(0, _check), do: :ok

  defp watch(left, check) do
    check.()

    receive do
      :done -> watch(left - 1, check)
    after
      0 -> watch(left, check)
    end
  end

  @tag cache: [sweep: 5]
  test "a value is never given out after its lifetime" do
    now = fn -> System.monotonic_time(:millisecond) end
    written = :ets.new(:written, [:public])

    processes =
      for n <- 1..4 do
        Task.async(fn ->
          for round <- 1..300 do
            value = {n, round}
            Cache.put(:pages, {n, rem(round, 7)}, value, ttl: 2)
            # Its life began before this.
            :ets.insert(written, {value, now.()})

            for key <- 0..6, other <- 1..4 do
              asked = now.()
              found = Cache.get(:pages, {other, key})
              for {_value, at} <- :ets.lookup(written, found), do: assert(asked <= at + 2)
            end
          end
        end)
      end

    Task.await_many(processes, @deadline)
    until(fn -> Magnesia.count(:pages) == 0 end)
    assert Cache.stats(:pages).expirations > 0
  end

  @tag cache: [rows: 3]
  test "what was read stays, what was not makes room" do
    for key <- 1..3, do: Cache.put(:pages, key, key)
    assert Cache.get(:pages, 1) == 1
    Cache.put(:pages, 4, 4)
    assert Cache.get(:pages, 1) == 1
    assert for(key <- 1..4, Magnesia.has_key?(:pages, key), do: key) |> length() == 3
    assert %{rows: 3, evictions: 1, writes: 4} = Cache.stats(:pages)
    Cache.put(:pages, 4, :new)
    assert Cache.get(:pages, 4) == :new
    assert Cache.stats(:pages).evictions == 1
  end

  @tag cache: [bytes: 100, sweep: 5]
  test "what is larger than the cache is not kept; a killed writer's place is found" do
    large = String.duplicate("x", 200)
    Cache.put(:pages, 1, :small)
    assert Cache.fetch(:pages, 2, fn -> large end) == large
    Cache.put(:pages, 1, large)
    assert Cache.get(:pages, 1) == nil
    assert %{rows: 0, bytes: 0} = Cache.stats(:pages)

    state = :persistent_term.get({Cache, :pages})
    Cache.put(:pages, 1, :small)
    [{_, _, _, _, slot}] = Magnesia.get_all(:pages, 1)
    {pid, ref} = spawn_monitor(fn -> :ok end)
    assert_receive {:DOWN, ^ref, _, _, _}, @deadline
    :ets.insert(state.owners, {slot, pid})
    :atomics.put(state.slots, slot, 2)
    until(fn -> :atomics.get(state.slots, slot) == 0 end)
    assert %{rows: 0, bytes: 0} = Cache.stats(:pages)
  end

  test "options are checked, and a cache that is not there is told of" do
    for {options, words} <- [
          {[name: :other, rowz: 1], "did you mean :rows?"},
          {[name: :other, rows: 0], "rows must be a number above zero"},
          {[rows: 1], "needs a name:"}
        ] do
      assert_raise ArgumentError, ~r/#{Regex.escape(words)}/, fn -> Cache.start_link(options) end
    end

    assert_raise ArgumentError, ~r/no option :tl, only :ttl/, fn ->
      Cache.put(:pages, 1, 1, tl: 1)
    end

    assert_raise ArgumentError, ~r/there is no cache :other/, fn -> Cache.get(:other, 1) end
    :ok = stop_supervised({Cache, :pages})
    refute :pages in Magnesia.tables()
    assert_raise ArgumentError, ~r/there is no cache :pages/, fn -> Cache.get(:pages, 1) end
  end

  defp until(condition, tries \\ 60_000) do
    cond do
      condition.() -> :ok
      tries == 0 -> flunk("it did not come to be")
      true -> receive(do: (:never -> :ok), after: (1 -> until(condition, tries - 1)))
    end
  end
end
