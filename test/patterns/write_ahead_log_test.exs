Code.require_file("../../examples/patterns/write_ahead_log.ex", __DIR__)

defmodule Magnesia.Patterns.WriteAheadLogTest do
  @moduledoc "The log of the example: in order, once each, over failures and a restart."
  use ExUnit.Case, async: false
  use Magnesia.DatabaseCase

  alias MyApp.WriteAheadLog

  @moduletag :disc

  setup do
    {:atomic, :ok} =
      :magnesia.create_table(:users, disc_copies: [node()], attributes: [:id, :name])

    :ok = WriteAheadLog.create()
  end

  # Fails when it is carried out twice.
  defp execute(:create_user, {id, name}) do
    [] = :magnesia.read(:users, id)
    :magnesia.write({:users, id, name})
  end

  defp execute(:delete_user, id), do: :magnesia.delete({:users, id})
  defp execute(:unknown, _data), do: {:error, :unknown}

  test "operations are carried out in order and once" do
    :ok = WriteAheadLog.write_operation(:create_user, {1, "Ann"})
    :ok = WriteAheadLog.write_operation(:delete_user, 1)
    :ok = WriteAheadLog.write_operation(:create_user, {1, "Bob"})
    assert WriteAheadLog.replay(&execute/2) == {:ok, 3}
    assert :magnesia.dirty_read(:users, 1) == [{:users, 1, "Bob"}]
    assert WriteAheadLog.replay(&execute/2) == {:ok, 0}
    assert WriteAheadLog.trim() == 2
  end

  test "what fails stays, with what comes after it, over a restart" do
    for {operation, data} <- [create_user: {1, "Ann"}, unknown: 2, create_user: {3, "Cid"}] do
      :ok = WriteAheadLog.write_operation(operation, data)
    end

    assert {:error, {2, :unknown, :unknown}, 1} = WriteAheadLog.replay(&execute/2)
    assert WriteAheadLog.pending() == [{2, :unknown, 2}, {3, :create_user, {3, "Cid"}}]
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    :ok = :magnesia.wait_for_tables([:users, :operations], 20_000)

    mended = fn
      :unknown, _data -> :ok
      operation, data -> execute(operation, data)
    end

    assert WriteAheadLog.replay(mended) == {:ok, 2}
    assert WriteAheadLog.pending() == []
  end

  test "an operation of a transaction that is given up is not there" do
    {:error, _} =
      Magnesia.transaction(fn ->
        WriteAheadLog.write_operation(:create_user, {1, "Ann"})
        Magnesia.rollback(:no)
      end)

    assert WriteAheadLog.pending() == []
  end
end
