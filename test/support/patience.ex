defmodule Magnesia.Patience do
  @moduledoc """
  Waits until something that comes about by itself has come about. It never asserts how long that
  takes: the time is for a machine that has much other work.
  """

  import ExUnit.Assertions

  @pause_ms 10

  @doc "Waits until a condition holds; fails with the words when it doesn't come to hold."
  @spec await(String.t(), (() -> boolean()), pos_integer()) :: :ok
  def await(words, condition, within_ms \\ 60_000) do
    wait(words, condition, System.monotonic_time(:millisecond) + within_ms)
  end

  defp wait(words, condition, deadline) do
    cond do
      condition.() ->
        :ok

      System.monotonic_time(:millisecond) > deadline ->
        flunk(words)

      true ->
        pause()
        wait(words, condition, deadline)
    end
  end

  defp pause do
    receive do
    after
      @pause_ms -> :ok
    end
  end
end
