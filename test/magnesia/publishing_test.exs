defmodule Magnesia.PublishingTest do
  @moduledoc """
  `Magnesia.Events`: structs for many subscribers, through deletions and restarts, and on three
  nodes with a database each.
  """
  use ExUnit.Case, async: false
  use Magnesia.DatabaseCase

  alias Magnesia.Event
  alias Magnesia.Events
  alias Magnesia.Patience
  alias Magnesia.PublishingListener

  @deadline 20_000

  test "each kind of change, with the rows before" do
    {:atomic, :ok} = :magnesia.create_table(:s, [])
    :ok = Magnesia.subscribe(:s)
    :ok = Magnesia.subscribe(:s)
    :magnesia.dirty_write({:s, 1, :a})
    :magnesia.dirty_write({:s, 1, :b})
    :magnesia.dirty_delete({:s, 1})
    :magnesia.dirty_delete_object({:s, 2, :z})
    {:atomic, :ok} = :magnesia.clear_table(:s)
    assert [{:write, {:s, 1, :a}, []}, {:write, {:s, 1, :b}, [{:s, 1, :a}]}] = [next(), next()]
    assert {:delete, 1, [{:s, 1, :b}]} = next()
    assert {:delete_object, {:s, 2, :z}, [{:s, 2, :z}]} = next()
    assert {:clear, nil, []} = next()
    :ok = Magnesia.unsubscribe(:s)
    :magnesia.dirty_write({:s, 1, :a})
    :ok = Magnesia.Subscribers.settle()
    refute_received _
  end

  defp next do
    receive do
      {:magnesia, :s, %Event{table: :s} = event} -> {event.verb, event.data, event.old}
    after
      @deadline -> flunk("no event")
    end
  end

  test "a subscription outlives the table and the database being closed" do
    {:atomic, :ok} = :magnesia.create_table(:s, [])
    :ok = Magnesia.subscribe(:s)
    {:atomic, :ok} = :magnesia.delete_table(:s)
    {:atomic, :ok} = :magnesia.create_table(:s, [])
    :magnesia.dirty_write({:s, 1, :again})
    assert {:write, {:s, 1, :again}, []} = next()
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    {:atomic, :ok} = :magnesia.create_table(:s, [])
    :magnesia.dirty_write({:s, 1, :anew})
    assert {:write, {:s, 1, :anew}, []} = next()
  end

  test "a table that is not there, and a misspelt option" do
    assert {:error, %Magnesia.SchemaError{reason: {:no_exists, :nosuch}}} =
             Magnesia.subscribe(:nosuch)

    assert_raise ArgumentError, ~r/scoop/, fn -> Magnesia.subscribe(:s, scoop: :local) end
  end

  test "a topic" do
    :ok = Events.listen({:room, 1})
    :ok = Events.publish({:room, 1}, :hello)
    assert_receive {:magnesia, {:room, 1}, :hello}, @deadline
    :ok = Events.ignore({:room, 1})
    :ok = Events.publish({:room, 1}, :nobody)
    refute_received _
  end

  test "three nodes hear of each other's changes and messages" do
    nodes = for _ <- 1..3, do: node_with_table()
    [first | rest] = nodes
    for {peer, _} <- rest, do: true = call(peer, :net_kernel, :connect_node, [elem(first, 1)])
    for {peer, _} <- nodes, do: call(peer, PublishingListener, :listen, [])
    full? = fn {peer, _} -> call(peer, PublishingListener, :groups, []) == [3, 3] end
    Patience.await("it does not come about", fn -> Enum.all?(nodes, full?) end, @deadline)

    for {{peer, _}, n} <- Enum.with_index(nodes) do
      :ok = call(peer, :magnesia, :dirty_write, [{:s, n, n}])
      :ok = call(peer, Events, :publish, [:topic, n, [scope: :cluster]])
    end

    wanted = for {{_peer, node}, n} <- Enum.with_index(nodes), do: {node, {:s, n, n}}

    for {peer, _} <- nodes do
      Patience.await(
        "it does not come about",
        fn -> length(call(peer, PublishingListener, :heard, [])) == 6 end,
        @deadline
      )

      {topics, events} =
        Enum.split_with(call(peer, PublishingListener, :heard, []), &is_integer/1)

      assert Enum.sort(events) == Enum.sort(wanted)
      assert Enum.sort(topics) == [0, 1, 2]
    end
  end

  defp node_with_table do
    {:ok, peer, node} =
      :peer.start_link(%{
        name: :peer.random_name(),
        host: ~c"127.0.0.1",
        longnames: true,
        connection: :standard_io,
        args: Enum.flat_map(:code.get_path(), &[~c"-pa", &1])
      })

    {:ok, _} = call(peer, :application, :ensure_all_started, [:elixir])
    :ok = call(peer, :magnesia, :start, [[schema_location: :ram]])
    {:atomic, :ok} = call(peer, :magnesia, :create_table, [:s, []])
    {peer, node}
  end

  defp call(peer, module, function, args), do: :peer.call(peer, module, function, args, 60_000)
end
