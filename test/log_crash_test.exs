defmodule Magnesia.LogCrashTest do
  @moduledoc """
  `kill -9` while a change log is written and consumed: no gap, no repeat, no effect twice.

  `MAGNESIA_CRASH_RUNS` sets the rounds, `MAGNESIA_SEED` the moments.
  """

  use ExUnit.Case, async: false

  alias Magnesia.Crash.{LogLoad, LogRounds}
  alias Magnesia.Log

  @tag timeout: 1_800_000
  test "a log survives the death of the VM without a gap or a repeat" do
    :stopped = :magnesia.stop()
    runs = String.to_integer(System.get_env("MAGNESIA_CRASH_RUNS", "8"))
    seed = String.to_integer(System.get_env("MAGNESIA_SEED", "#{:rand.uniform(1_000_000)}"))
    dir = Path.join(System.tmp_dir!(), "magnesia-log-kill-#{System.pid()}")
    {told, complaints} = LogRounds.run(dir, runs, seed)
    again = "repeat: MAGNESIA_SEED=#{seed} MAGNESIA_CRASH_RUNS=#{runs} mix test #{__ENV__.file}"
    assert complaints == [], Enum.join(complaints ++ [again], "\n")
    assert told > 0, "nothing was acknowledged, so nothing was tested"
  end

  test "the judge sees a gap, a change that is not logged and an effect that is missing" do
    :stopped = :magnesia.stop()
    dir = Path.join(System.tmp_dir!(), "magnesia-log-judge-#{System.pid()}")
    on_exit(fn -> File.rm_rf!(dir) end)
    :ok = LogLoad.open(String.to_charlist(dir))
    for n <- 1..5, do: :magnesia.dirty_write({:logged, {{1, 1}, n}, n})
    for n <- 1..2, do: :magnesia.dirty_write({:seen, n, {:logged, {{1, 1}, n}, n}})
    :ok = Log.acknowledge(:log, :reader, 2)
    assert LogLoad.complaints(%{{1, 1} => 5}) == []
    assert [lost] = LogLoad.complaints(%{{1, 1} => 6})
    assert lost =~ "not in the log"
    :ok = Log.acknowledge(:log, :reader, 3)
    assert [effect] = LogLoad.complaints(%{})
    assert effect =~ "had their effect"
    :magnesia.dirty_delete({:log, 4})
    assert ["the numbers have" <> _, "the log makes" <> _ | _] = judged()
    :stopped = :magnesia.stop()
    Application.delete_env(:magnesia, :dir)
  end

  # A reader meets the gap as entries that are gone.
  defp judged do
    LogLoad.complaints(%{})
  rescue
    Log.TrimmedError -> ["the numbers have a gap", "the log makes no table"]
  end
end
