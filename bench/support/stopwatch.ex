defmodule Magnesia.Bench.Stopwatch do
  @moduledoc """
  Measures two sides against each other: alternating rounds, medians, wall time and CPU time.

  A side is `%{fun: fun, procs: p, heap: words, units: u}`: `fun.(index, n)` does the operation
  `n` times in process number `index`; one operation counts as `u` units (rows of a scan). What
  `before` gives, which is run before each sample, `after` is given behind it. Each
  sample runs in fresh processes with a preset heap, which wait at a gate and are let go
  together. Nothing is measured in the calling process, and no sample is thrown away.

  Wall time is divided by all operations of all processes. CPU time is the whole VM's.
  """

  @typedoc "What one side of a comparison does."
  @type side :: %{
          fun: (pos_integer, pos_integer -> term),
          procs: pos_integer,
          heap: pos_integer,
          units: pos_integer,
          before: (() -> term),
          after: (term -> term)
        }

  @typedoc "Nanoseconds a unit: median wall and CPU of both sides."
  @type result :: %{ours: float, peer: float, cpu_ours: float, cpu_peer: float}

  @doc "A side with one process and a small heap; `options` override."
  @spec side((pos_integer, pos_integer -> term), keyword) :: side
  def side(fun, options \\ []) do
    alone = %{before: fn -> nil end, after: fn nil -> nil end}
    Map.merge(%{fun: fun, procs: 1, heap: 32_768, units: 1}, Map.merge(alone, Map.new(options)))
  end

  @doc """
  Alternates `ours` and `peer` for `plan.rounds` rounds; the side that begins changes each round.

  Each side first finds how many operations fill `plan.round_ms`, which warms it up as well.
  """
  @spec compare(side, side, map) :: result
  def compare(ours, peer, plan) do
    {n_ours, n_peer} = {calibrate(ours, plan), calibrate(peer, plan)}

    samples =
      for round <- 1..plan.rounds do
        if rem(round, 2) == 1 do
          a = sample(ours, n_ours)
          {a, sample(peer, n_peer)}
        else
          b = sample(peer, n_peer)
          {sample(ours, n_ours), b}
        end
      end

    {ours_samples, peer_samples} = Enum.unzip(samples)
    {wall_ours, cpu_ours} = medians(ours_samples)
    {wall_peer, cpu_peer} = medians(peer_samples)
    %{ours: wall_ours, peer: wall_peer, cpu_ours: cpu_ours, cpu_peer: cpu_peer}
  end

  @doc "The median of each part of a list of pairs."
  @spec medians([{number, number}]) :: {float, float}
  def medians(pairs) do
    {first, second} = Enum.unzip(pairs)
    {median(first), median(second)}
  end

  @doc "Wall and CPU nanoseconds that `fun` takes in this process."
  @spec time((() -> term)) :: {number, number}
  def time(fun) do
    {cpu, _} = :erlang.statistics(:runtime)
    wall = :erlang.monotonic_time(:nanosecond)
    fun.()
    wall_end = :erlang.monotonic_time(:nanosecond)
    {cpu_end, _} = :erlang.statistics(:runtime)
    {wall_end - wall, (cpu_end - cpu) * 1_000_000}
  end

  defp calibrate(side, %{round_ms: 0}), do: div(20, side.procs) + 1
  defp calibrate(side, plan), do: calibrate(side, plan.round_ms * 1_000_000, 1)

  defp calibrate(side, target_ns, n) do
    {per_unit, _cpu} = sample(side, n)
    spent = per_unit * side.units * side.procs * n

    if spent >= target_ns / 8 do
      max(1, round(n * target_ns / spent))
    else
      calibrate(side, target_ns, n * 4)
    end
  end

  defp sample(side, n) do
    around = side.before.()
    sample = timed(side, n)
    side.after.(around)
    sample
  end

  defp timed(side, n) do
    workers = for index <- 1..side.procs, do: start_worker(side, index, n)
    :erlang.garbage_collect()

    {wall, cpu} =
      time(fn ->
        Enum.each(workers, fn {pid, _ref} -> send(pid, :go) end)
        Enum.each(workers, &await/1)
      end)

    units = n * side.procs * side.units
    {wall / units, cpu / units}
  end

  defp start_worker(%{fun: fun, heap: heap}, index, n) do
    :erlang.spawn_opt(
      fn ->
        receive do
          :go -> fun.(index, n)
        end
      end,
      [:monitor, min_heap_size: heap]
    )
  end

  defp await({_pid, ref}) do
    receive do
      {:DOWN, ^ref, :process, _pid, :normal} -> :ok
      {:DOWN, ^ref, :process, _pid, reason} -> exit(reason)
    end
  end

  defp median(list) do
    sorted = Enum.sort(list)
    middle = div(length(sorted), 2)

    if rem(length(sorted), 2) == 1 do
      Enum.at(sorted, middle) * 1.0
    else
      (Enum.at(sorted, middle - 1) + Enum.at(sorted, middle)) / 2
    end
  end
end
