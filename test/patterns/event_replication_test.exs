Code.require_file("../../examples/patterns/event_replication.ex", __DIR__)

defmodule Magnesia.Patterns.EventReplicationTest do
  @moduledoc "The events of the example, for one and for many subscribers."
  use ExUnit.Case, async: false
  use Magnesia.DatabaseCase

  alias MyApp.EventReplication

  @deadline 20_000

  defp listener(test, type) do
    spawn_link(fn ->
      :ok = EventReplication.subscribe(type)
      send(test, {:listens, self()})

      receive do
        {:magnesia, {EventReplication, ^type}, event} -> send(test, {:got, self(), event})
      end
    end)
  end

  test "every subscriber of a type gets an event once, and no other" do
    test = self()
    pids = for _ <- 1..10, do: listener(test, :sold)
    other = listener(test, :bought)
    for pid <- [other | pids], do: assert_receive({:listens, ^pid}, @deadline)
    :ok = EventReplication.publish({:sold, 1, "tea"})
    for pid <- pids, do: assert_receive({:got, ^pid, {:sold, 1, "tea"}}, @deadline)
    refute_received {:got, _, _}
    :ok = EventReplication.publish({:bought, 2, "tea"})
    assert_receive {:got, ^other, {:bought, 2, "tea"}}, @deadline
  end

  test "who has left hears nothing" do
    :ok = EventReplication.subscribe(:sold)
    :ok = EventReplication.publish({:sold, 1, :one})
    assert_receive {:magnesia, _, {:sold, 1, :one}}, @deadline
    :ok = EventReplication.unsubscribe(:sold)
    :ok = EventReplication.publish({:sold, 2, :two})
    refute_received _
  end

  test "the changes of a table" do
    {:atomic, :ok} = :magnesia.create_table(:stock, attributes: [:item, :count])
    :ok = EventReplication.follow(:stock)
    :magnesia.dirty_write({:stock, "tea", 3})
    assert_receive {:magnesia, :stock, event}, @deadline
    assert {event.verb, event.data, event.node} == {:write, {:stock, "tea", 3}, node()}
  end
end
