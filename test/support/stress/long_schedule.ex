defmodule Magnesia.Stress.LongSchedule do
  @moduledoc """
  Watches for work that holds a scheduler: what the VM's own monitor reports of processes that
  were started since, without what is not theirs. The VM measures by the wall clock, so a report
  is dropped when the operating system says that a thread of the VM was kept from running for
  that time, when the process was collecting its garbage, and, of what Mnesia does by itself,
  for the time that it was in no function of ours. It must never drop a report for any other
  reason.
  """

  alias Magnesia.Stress.StockWork

  @sample_ms 2
  @kept 500
  @threads ~c"/proc/self/task"

  @typedoc "A report: how long, and the functions that the process was in."
  @type event :: {non_neg_integer, pid, keyword}

  @doc """
  Runs a fun and answers its value and the reports of `limit_ms` and more; of processes that were
  there before, the caller and those called `names` are watched too. Where `ours` names modules,
  the processes of a stock Mnesia for schemas and logs count as long as they are in one of them.
  """
  @spec watch(pos_integer, (() -> value), [atom], [module]) :: {value, [event]} when value: term
  def watch(limit_ms, fun, names \\ [Magnesia.Database], ours \\ []) do
    watched = [self() | Enum.map(names, &Process.whereis/1)]
    old = for pid <- Process.list(), pid not in watched, into: MapSet.new(), do: pid
    test = self()
    {watcher, ref} = spawn_monitor(fn -> begin(test, limit_ms, old, ours) end)

    receive do
      {:watching, ^watcher} -> :ok
    end

    value = fun.()
    send(watcher, {:stop, test})

    receive do
      {:events, ^watcher, events} ->
        receive do
          {:DOWN, ^ref, :process, _pid, _reason} -> {value, events}
        end

      {:DOWN, ^ref, :process, _pid, reason} ->
        exit(reason)
    end
  end

  defp begin(test, limit_ms, old, ours) do
    :erlang.process_flag(:priority, :max)
    :erlang.system_monitor(self(), long_schedule: limit_ms, long_gc: max(div(limit_ms, 2), 1))
    stock = if ours != [], do: StockWork.begin([test], ours)
    send(test, {:watching, self()})
    state = %{limit_ms: limit_ms, old: old, ours: ours, stock: stock}
    loop(Map.merge(state, %{samples: [sample()], collected: [], events: []}), nil)
  end

  # After `:stop` it goes on until no report is left in its mailbox for some samples.
  defp loop(state, stopping) do
    receive do
      {:stop, test} ->
        loop(state, {test, 10})

      {:monitor, pid, :long_gc, facts} ->
        collected = {pid, facts[:timeout], now()}
        loop(%{state | collected: [collected | state.collected]}, stopping)

      {:monitor, pid, :long_schedule, facts} when is_pid(pid) ->
        loop(judge(state, pid, facts), stopping)

      {:monitor, _port, :long_schedule, _facts} ->
        loop(state, stopping)

      traced when elem(traced, 0) == :trace_ts ->
        loop(%{state | stock: StockWork.heard(state.stock, traced)}, stopping)
    after
      @sample_ms -> idle(sampled(state), stopping)
    end
  end

  defp idle(state, {test, 0}) do
    :erlang.system_monitor(:undefined)
    StockWork.stop(state.ours)
    send(test, {:events, self(), Enum.reverse(state.events)})
  end

  defp idle(state, {test, left}), do: loop(state, {test, left - 1})
  defp idle(state, nil), do: loop(state, nil)

  defp judge(state, pid, facts) do
    long = facts[:timeout]
    # The time before the stock work is asked for: that waits for the tracing.
    taken = taken(state, pid, long)
    {stock, ours} = StockWork.ours(state.stock, pid, since(state, long))
    state = %{state | stock: stock}
    counted = counted(long, taken, ours)

    # The figures of a long time are good to a tenth of it.
    if MapSet.member?(state.old, pid) or counted < state.limit_ms + long / 10 do
      state
    else
      %{state | events: [{long, pid, [counted: counted, ours: ours] ++ facts} | state.events]}
    end
  end

  @doc "What counts of a slice: without what others took, and of Mnesia's work what is ours."
  @spec counted(non_neg_integer, number, number | nil) :: number
  def counted(long, taken, nil), do: long - taken
  def counted(long, taken, ours), do: min(long - taken, ours)

  # How much of the `long` milliseconds was not the process's own: who waits for a lock whose
  # holder has no processor waits as long as that one. The report's time is not known, only
  # that the mailbox was empty at the last sample.
  defp taken(state, pid, long) do
    since = since(state, long)
    collected = for {^pid, ms, at} <- state.collected, at >= since, do: ms
    {_, latest} = sample()
    before = Enum.find(state.samples, List.last(state.samples), fn {at, _} -> at <= since end)
    waited = for {thread, delay} <- latest, do: delay - Map.get(elem(before, 1), thread, 0)
    Enum.sum(collected) + Enum.max(waited, fn -> 0 end)
  end

  defp since(%{samples: [{emptied, _} | _]}, long), do: emptied - long

  defp sampled(state) do
    %{state | samples: Enum.take([sample() | state.samples], @kept)}
  end

  # Milliseconds that each thread, and the machine as a whole, was kept from running.
  defp sample do
    waited =
      for thread <- threads(),
          {:ok, text} <- [:prim_file.read_file([@threads, ?/, thread, ~c"/schedstat"])],
          [_on, waited, _slices] <- [String.split(text)],
          into: %{},
          do: {thread, String.to_integer(waited) / 1.0e6}

    {now(), Map.put(waited, :host, stolen())}
  end

  defp threads do
    case :prim_file.list_dir(@threads) do
      {:ok, threads} -> threads
      {:error, _no_such_figures} -> []
    end
  end

  # What the host of a virtual machine took, in ticks of 10 ms.
  defp stolen do
    with {:ok, "cpu " <> text} <- :prim_file.read_file("/proc/stat"),
         [_, _, _, _, _, _, _, steal | _] <- String.split(text) do
      String.to_integer(steal) * 10
    else
      _no_figures -> 0
    end
  end

  defp now, do: System.monotonic_time(:millisecond)
end
