defmodule Magnesia.Parity.DuelSource do
  @moduledoc """
  Makes scripts for two processes that take turns inside two transactions on a few keys: `a` is
  the older transaction, `b` the younger. It must never make a step whose outcome depends on time.
  """

  import Magnesia.Parity.Random

  @doc "Setup rows, then the steps of both processes in turn, each ended at last."
  @spec operations() :: [tuple]
  def operations do
    setup = list(0, 3, fn -> {:setup, {pick([:s, :o, :b]), pick([:x, :y]), pick([0, 1])}} end)
    steps = list(3, 10, &step/0)
    setup ++ steps ++ Enum.shuffle([{:step, :a, ending()}, {:step, :b, ending()}])
  end

  defp step, do: {:step, pick([:a, :b]), action()}

  defp ending do
    weighted([{5, fn -> :commit end}, {2, fn -> {:abort, :x} end}, {1, fn -> :kill end}])
  end

  defp action do
    table = pick([:s, :s, :s, :o, :b])
    key = pick([:x, :x, :y])

    weighted([
      {4, fn -> {:call, :read, [table, key]} end},
      {4, fn -> {:call, :wread, [{table, key}]} end},
      {5, fn -> {:call, :write, [{table, key, pick([1, 2, 3])}]} end},
      {2, fn -> {:call, :delete, [{table, key}]} end},
      {1, fn -> {:call, :match_object, [{table, pick([key, :_]), :_}]} end},
      {1, fn -> {:call, :read_lock_table, [table]} end},
      {1, fn -> {:call, :write_lock_table, [table]} end},
      {1, fn -> {:call, :lock, [{:global, :g, [node()]}, pick([:read, :write])]} end},
      {2, fn -> {:call, :dirty_read, [table, key]} end},
      {1, fn -> {:call, :dirty_write, [{table, key, 9}]} end},
      {1, fn -> {:call, :s_write, [{table, key, 4}]} end}
    ])
  end
end
