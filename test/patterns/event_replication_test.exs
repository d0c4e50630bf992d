defmodule Magnesia.Patterns.EventReplicationTest do
  @moduledoc "The events of the example: for one and many subscribers, on one and three nodes."
  use ExUnit.Case, async: false
  use Magnesia.DatabaseCase

  alias Magnesia.ClusterListener
  alias Magnesia.HotNodes
  alias Magnesia.Patience
  alias MyApp.EventReplication

  # Compiled once, for the other nodes too.
  @example Path.expand("../../examples/patterns/event_replication.ex", __DIR__)
  @code Code.compile_file(@example)

  @moduletag timeout: 300_000
  @deadline 60_000

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

  # A node of its own with a database in memory.
  defp node_with_stock(peer) do
    [{module, code}] = @code
    {:module, _} = HotNodes.call(peer, :code, :load_binary, [module, ~c"#{@example}", code])
    {:ok, _} = HotNodes.call(peer, :application, :ensure_all_started, [:magnesia])
    :ok = HotNodes.call(peer, :magnesia, :start, [[schema_location: :ram]])
    {:atomic, :ok} = HotNodes.call(peer, :magnesia, :create_table, [:stock, []])
    peer
  end

  defp listen(peer, function, argument) do
    HotNodes.call(peer, ClusterListener, :start, [EventReplication, function, [argument]])
  end

  defp heard(peer, pid), do: HotNodes.call(peer, ClusterListener, :heard, [pid])

  defp members(peer, group) do
    length(HotNodes.call(peer, :pg, :get_members, [Magnesia.Events.Groups, group]))
  end

  test "three nodes hear of each other's events and changes, and two when one has died" do
    peers = HotNodes.start_all(for _ <- 1..3, do: [log: :emergency])
    Enum.each(peers, &node_with_stock/1)
    [a, b, c] = peers
    for peer <- [b, c], do: true = HotNodes.call(a, :net_kernel, :connect_node, [peer.node])
    topic = {:topic, {EventReplication, :sold}}
    sold = for peer <- peers, do: {peer, listen(peer, :subscribe, :sold)}
    changes = for peer <- peers, do: {peer, listen(peer, :follow, :stock)}
    known = fn peer -> {members(peer, topic), members(peer, {:table, :stock, :cluster})} end
    Patience.await("it does not come about", fn -> Enum.all?(peers, &(known.(&1) == {3, 3})) end)

    :ok = HotNodes.call(a, EventReplication, :publish, [{:sold, 1, "tea"}])
    :ok = HotNodes.call(b, EventReplication, :publish, [{:bought, 2, "tea"}])
    for {peer, n} <- Enum.with_index(peers), do: stock(peer, n)

    for {peer, pid} <- sold do
      Patience.await("it does not come about", fn -> heard(peer, pid) != [] end)
      assert heard(peer, pid) == [{:magnesia, {EventReplication, :sold}, {:sold, 1, "tea"}}]
    end

    wanted = Enum.sort(for {peer, n} <- Enum.with_index(peers), do: {peer.node, {:stock, n, n}})

    for {peer, pid} <- changes,
        do: Patience.await("it does not come about", fn -> told(peer, pid) == wanted end)

    HotNodes.kill(c)
    Patience.await("it does not come about", fn -> Enum.all?([a, b], &(known.(&1) == {2, 2})) end)
    :ok = HotNodes.call(b, EventReplication, :publish, [{:sold, 2, "tea"}])

    for {peer, pid} <- sold, peer != c do
      Patience.await("it does not come about", fn -> length(heard(peer, pid)) == 2 end)
      assert {:magnesia, _topic, {:sold, 2, "tea"}} = List.last(heard(peer, pid))
    end
  end

  defp stock(peer, n), do: :ok = HotNodes.call(peer, :magnesia, :dirty_write, [{:stock, n, n}])

  defp told(peer, pid) do
    Enum.sort(for {:magnesia, :stock, event} <- heard(peer, pid), do: {event.node, event.data})
  end
end
