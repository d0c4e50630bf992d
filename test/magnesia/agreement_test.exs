defmodule Magnesia.AgreementTest do
  # What a single node answers; nodes that differ are under test/patterns/cluster_test.exs.
  use ExUnit.Case, async: false

  alias Magnesia.Agreement

  setup do
    :ok = :mnesia.start()
    on_exit(fn -> :mnesia.stop() end)
  end

  doctest Magnesia.Agreement

  test "a table with one copy agrees with itself, and is not one of those with several" do
    {:atomic, :ok} = :mnesia.create_table(:agreeing, [])
    for n <- 1..3000, do: :ok = :mnesia.dirty_write({:agreeing, n, n})
    rows = %{node() => 3000}

    assert Agreement.check(:agreeing) ==
             {:agree, %{table: :agreeing, rows: rows, missing: []}}

    assert Agreement.check_all() == %{}
  end

  test "what can't be asked is told" do
    assert_raise ArgumentError, ~r/did you mean :limit/, fn -> Agreement.check(:t, limt: 3) end
    :stopped = :mnesia.stop()
    assert Agreement.check(:schema) == {:error, {:node_not_running, node()}}
  end
end
