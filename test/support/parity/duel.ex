defmodule Magnesia.Parity.Duel do
  @moduledoc """
  Carries out a two-process script: one step at a time, each awaited until it is answered,
  queued or restarted. A restarted fun repeats the steps it had taken; only first answers are
  recorded. It must never wait for time to pass, only for a condition, with a deadline.
  """

  alias Magnesia.Parity.{Normal, Order, Script, Subject}

  @deadline 5_000
  @quiet 100

  @doc "The record of a duel."
  @spec run([tuple], module) :: [map]
  def run(operations, subject) do
    for {:setup, row} <- operations, do: subject.dirty_write(row)
    players = Map.new([:a, :b], fn name -> {name, start(name, subject)} end)
    state = %{subject: subject, players: players, waiting: %{}, ended: [], log: []}

    state =
      for({:step, name, action} <- operations, do: {name, action})
      |> Enum.with_index(1)
      |> Enum.reduce(state, fn {{name, action}, number}, state ->
        turn(name, action, number, state)
      end)
      |> close()

    contents = Normal.term(Subject.contents(subject), subject)
    locks = {:value, locks_left(subject, :_, now() + @deadline)}
    Enum.each(state.players, fn {_name, pid} -> remove(pid) end)

    Enum.reverse([
      entry([], :contents, {:value, contents}),
      entry([], :locks_left, locks) | state.log
    ])
  end

  # A player whose ending was skipped while it waited ends now.
  defp close(state) do
    Enum.reduce([:a, :b] -- state.ended, state, fn name, state ->
      if name in state.ended, do: state, else: step(name, :commit, 0, state)
    end)
  end

  # A player begins its transaction before the next is started, which makes it the older one.
  defp start(name, subject) do
    referee = self()
    pid = spawn_link(fn -> play(name, subject, referee) end)

    receive do
      {:began, ^name} -> pid
    after
      @deadline -> exit({:never_began, name})
    end
  end

  defp play(name, subject, referee) do
    result =
      subject.transaction(fn ->
        taken = Process.get(:taken)
        send(referee, if(taken, do: {:restarted, name}, else: {:began, name}))
        Process.put(:taken, taken || [])
        # A transaction has its place in the order of age once it has asked for a lock.
        Enum.each(taken || [], &take(&1, name, subject, referee))
        take_turns(name, subject, referee)
      end)

    send(referee, {:ended, name, Normal.term(result, subject)})
  end

  defp take_turns(name, subject, referee) do
    receive do
      {:turn, _number, :commit} ->
        :committed

      {:turn, _number, {:abort, reason}} ->
        subject.abort(reason)

      {:turn, number, action} ->
        Process.put(:taken, Process.get(:taken) ++ [{number, action}])
        take({number, action}, name, subject, referee)
        take_turns(name, subject, referee)
    end
  end

  defp take({number, {:call, function, arguments}}, name, subject, referee) do
    value = Normal.term(apply(subject, function, arguments), subject)
    type = fn table -> elem(Script.table(table), 0) end
    mode = Order.mode({:call, function, arguments}, type, fn _table -> false end)
    {:value, comparable} = Order.comparable(mode, {:value, value})
    send(referee, {:done, name, number, comparable})
  end

  defp turn(name, action, number, state) do
    cond do
      name in state.ended -> state
      Map.has_key?(state.waiting, name) and action != :kill -> note(state, number, name, :skipped)
      action == :kill -> kill(name, number, state)
      true -> step(name, action, number, state)
    end
  end

  defp step(name, action, number, state) do
    forget_restarts(name)
    send(state.players[name], {:turn, number, action})
    answer = await(name, number, state, now() + @deadline)
    state = note(state, number, {name, action}, answer)

    case answer do
      {:ended, _} -> resume(%{state | ended: [name | state.ended]}, number)
      :queued -> put_in(state.waiting[name], {number, :queued})
      :restarted -> state.waiting[name] |> put_in({number, :restarted}) |> resume(number)
      :silent -> %{state | ended: [name | state.ended]}
      {:done, _} -> observe(state, number)
    end
  end

  # A player that answered may have restarted more often than anyone asked.
  defp forget_restarts(name) do
    receive do
      {:restarted, ^name} -> forget_restarts(name)
    after
      0 -> :ok
    end
  end

  # One that never answered still holds its locks.
  defp remove(pid) do
    monitor = Process.monitor(pid)
    Process.unlink(pid)
    Process.exit(pid, :kill)

    receive do
      {:DOWN, ^monitor, :process, _, _} -> :ok
    end
  end

  defp kill(name, number, state) do
    remove(state.players[name])
    locks_left(state.subject, state.players[name], now() + @deadline)
    state = %{state | ended: [name | state.ended], waiting: Map.delete(state.waiting, name)}
    state |> note(number, {name, :kill}, :killed) |> resume(number)
  end

  # Locks of the dead are let go soon, not at once: how many are left when the deadline is past.
  defp locks_left(subject, pid, deadline) do
    left =
      Enum.count(subject.system_info(:held_locks), fn {_, _, {:tid, _, owner}} ->
        pid == :_ or pid == owner
      end)

    if left == 0 or now() > deadline do
      left
    else
      :erlang.yield()
      locks_left(subject, pid, deadline)
    end
  end

  # The other player gets what it waits for: this one has ended, or restarts and so lets go.
  defp resume(state, number) do
    Enum.reduce(state.waiting, state, fn {name, {step, _how}}, state ->
      if step == number do
        state
      else
        answer = answered(name, step, now() + @deadline)
        state = %{state | waiting: Map.delete(state.waiting, name)}
        note(state, number, {name, :resumed}, answer)
      end
    end)
  end

  defp await(name, number, state, deadline) do
    # While the other restarts it lets go of its locks and retakes them: only an answer counts.
    if Enum.any?(state.waiting, fn {_, {_, how}} -> how == :restarted end),
      do: answered(name, number, deadline),
      else: answered_or_held(name, number, state, now() + @quiet)
  end

  defp answered(name, number, deadline) do
    receive do
      {:done, ^name, ^number, value} -> {:done, value}
      {:ended, ^name, result} -> {:ended, result}
    after
      max(deadline - now(), 0) -> :silent
    end
  end

  # A player that neither answers nor queues has restarted and waits for the lock to come free.
  defp answered_or_held(name, number, state, deadline) do
    receive do
      {:done, ^name, ^number, value} -> {:done, value}
      {:ended, ^name, result} -> {:ended, result}
      {:restarted, ^name} -> :restarted
    after
      1 ->
        cond do
          queued?(state.subject, state.players[name]) -> :queued
          now() > deadline -> :restarted
          true -> answered_or_held(name, number, state, deadline)
        end
    end
  end

  defp queued?(subject, pid) do
    Enum.any?(subject.system_info(:lock_queue), &mentions?(&1, pid))
  end

  defp mentions?(pid, pid), do: true
  defp mentions?(tuple, pid) when is_tuple(tuple), do: mentions?(Tuple.to_list(tuple), pid)
  defp mentions?([head | tail], pid), do: mentions?(head, pid) or mentions?(tail, pid)
  defp mentions?(_other, _pid), do: false

  # Held locks are looked at only when nobody waits, since a restarting player drops and retakes.
  defp observe(%{waiting: waiting} = state, _number) when map_size(waiting) > 0, do: state

  defp observe(state, number) do
    names = Map.new(state.players, fn {name, pid} -> {pid, name} end)

    held =
      for {item, kind, {:tid, _, pid}} <- state.subject.system_info(:held_locks) do
        {item, kind, Map.get(names, pid, :other)}
      end

    note(state, number, :held_locks, Enum.sort(held))
  end

  defp note(state, number, operation, answer) do
    entry = entry([number], operation, {:value, answer})
    %{state | log: [entry | state.log]}
  end

  defp entry(path, operation, outcome) do
    %{path: path, operation: operation, mode: :exact, outcome: outcome}
  end

  defp now, do: System.monotonic_time(:millisecond)
end
