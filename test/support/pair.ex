defmodule Magnesia.Pair do
  @moduledoc """
  Stock Mnesia and Magnesia side by side in one VM: the same fun on both, each in a process of
  its own, and their answers in comparable form. It must never say which of the two is right.
  """

  import ExUnit.Assertions

  alias Magnesia.Parity.{Normal, Subject}

  @subjects [:mnesia, :magnesia]

  @doc "Both with their fixed tables empty and no other table."
  @spec fresh() :: :ok
  def fresh do
    Enum.each(@subjects, fn subject ->
      Subject.start_ram(subject)
      Subject.fresh_tables(subject)
    end)
  end

  @doc "Stops both."
  @spec stop() :: :ok
  def stop, do: Enum.each(@subjects, &Subject.stop/1)

  @doc "Asserts that both answer the same, and gives the answer."
  @spec same((module() -> term())) :: term()
  def same(fun) do
    [stock, ours] = Enum.map(@subjects, &answer(fun, &1))
    assert ours == stock
    ours
  end

  @doc "Runs a fun and answers its value or how it left."
  @spec outcome((() -> term())) :: term()
  def outcome(fun) do
    {:value, fun.()}
  catch
    kind, reason -> {kind, reason}
  end

  @doc "Waits until a condition holds, for ten seconds at most."
  @spec until((() -> as_boolean(term()))) :: :ok
  def until(condition, deadline \\ System.monotonic_time(:millisecond) + 10_000) do
    cond do
      condition.() ->
        :ok

      System.monotonic_time(:millisecond) > deadline ->
        flunk("the condition did not come true in time")

      true ->
        :erlang.yield()
        until(condition, deadline)
    end
  end

  defp answer(fun, subject) do
    task = Task.async(fn -> Normal.term(outcome(fn -> fun.(subject) end), subject) end)
    Task.await(task, 30_000)
  end
end
