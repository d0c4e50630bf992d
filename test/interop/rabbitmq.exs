defmodule Magnesia.Interop.RabbitmqTest do
  @moduledoc """
  RabbitMQ as Debian has it, with what it knows of queues, exchanges, bindings and users moved to
  the engine and back while clients declare, bind, publish, consume and delete, over a restart
  and over `kill -9`. Run it by `scripts/interop`.
  """
  use ExUnit.Case, async: false

  import Magnesia.Interop.Program, only: [note: 1]

  alias Magnesia.Interop.Amqp
  alias Magnesia.Interop.Clients
  alias Magnesia.Interop.Program
  alias Magnesia.Interop.Rabbitmq

  @moduletag timeout: 600_000

  # Each with what RabbitMQ keeps it in, and what it is moved to.
  @tables [
    rabbit_durable_exchange: {:disc_copies, :magnesia_disc},
    rabbit_durable_route: {:disc_copies, :magnesia_disc},
    rabbit_user_permission: {:disc_copies, :magnesia_disc_only},
    rabbit_topic_permission: {:disc_copies, :magnesia_disc_only},
    rabbit_semi_durable_route: {:ram_copies, :magnesia_ram},
    rabbit_reverse_route: {:ram_copies, :magnesia_ram},
    rabbit_topic_trie_node: {:ram_copies, :magnesia_ram},
    rabbit_topic_trie_edge: {:ram_copies, :magnesia_ram},
    rabbit_topic_trie_binding: {:ram_copies, :magnesia_ram},
    rabbit_exchange_serial: {:ram_copies, :magnesia_ram},
    rabbit_listener: {:ram_copies, :magnesia_ram}
  ]

  setup do
    {program, port} = Rabbitmq.new()
    program = Rabbitmq.start(program)
    for {table, {stock, _}} <- @tables, do: assert({table, stock} == at(program, table))
    client = Amqp.connect(port)

    for n <- 1..20 do
      queue = "kept#{n}"
      :ok = Amqp.declare_queue(client, queue)
      :ok = Amqp.bind(client, queue, "amq.topic", "kept.#{n}.#")
      :ok = Amqp.publish(client, "amq.topic", "kept.#{n}.first", "first of #{n}")
    end

    Amqp.close(client)
    %{program: program, port: port}
  end

  defp at(program, table), do: {table, Program.storage(program, table)}

  # What an administrator sees; of queues, bindings and exchanges what stays.
  defp answers(program) do
    kept = &Enum.filter(&1, fn line -> line =~ ~r/kept|^amq/ end)

    %{
      queues: kept.(Rabbitmq.control(program, ~w(list_queues name durable messages_ready))),
      bindings: Enum.filter(Rabbitmq.control(program, ~w(list_bindings)), &(&1 =~ "kept")),
      exchanges: kept.(Rabbitmq.control(program, ~w(list_exchanges name type durable))),
      users: Rabbitmq.control(program, ~w(list_users)),
      permissions: Rabbitmq.control(program, ~w(list_permissions)),
      vhosts: Rabbitmq.control(program, ~w(list_vhosts))
    }
  end

  # One client's day: a queue made, bound, filled by three kinds of exchange, emptied, deleted.
  defp day(port, name, round) do
    client = Amqp.connect(port)
    {queue, passing} = {"#{name}_#{round}", "#{name}_#{round}_passing"}
    :ok = Amqp.declare_exchange(client, "direct_#{name}", "direct")
    :ok = Amqp.declare_queue(client, queue)
    :ok = Amqp.declare_queue(client, passing, false)
    :ok = Amqp.bind(client, queue, "direct_#{name}", "key#{round}")
    :ok = Amqp.bind(client, queue, "amq.topic", "#{name}.*.#{round}")
    :ok = Amqp.bind(client, passing, "amq.topic", "#{name}.#.#{round}")
    :ok = Amqp.publish(client, "direct_#{name}", "key#{round}", "one")
    :ok = Amqp.publish(client, "amq.topic", "#{name}.any.#{round}", "two")
    :ok = Amqp.publish(client, "", queue, "three")
    bodies = for _ <- 1..4, do: Amqp.get(client, queue)
    expected = [{:ok, "one"}, {:ok, "two"}, {:ok, "three"}, :empty]
    unless bodies == expected, do: raise("#{queue} gave #{inspect(bodies)}")
    unless Amqp.get(client, passing) == {:ok, "two"}, do: raise("#{passing} has nothing")
    :ok = Amqp.delete_queue(client, queue)
    :ok = Amqp.delete_queue(client, passing)
    Amqp.close(client)
  end

  test "its tables are moved to the engine and back while clients are at work", context do
    %{program: program, port: port} = context
    before = answers(program)
    assert length(before.queues) == 20
    clients = Clients.start(~w(ann bob cid), &day(port, &1, &2))
    Clients.assert_days_pass(clients, "before")

    for {table, {_, to}} <- @tables, do: Program.move(program, table, to)
    Clients.note(clients)
    Clients.assert_days_pass(clients, "on the engine")
    assert answers(program) == before

    for {table, {stock, _}} <- @tables, do: Program.move(program, table, stock)
    Clients.note(clients)
    Clients.assert_days_pass(clients, "back in Mnesia")
    Clients.stop(clients)
    assert answers(program) == before
  end

  test "what was acknowledged is there after a restart and after kill -9", context do
    %{program: program, port: port} = context
    for {table, {_, to}} <- @tables, do: Program.move(program, table, to)
    before = answers(program)

    Rabbitmq.stop(program)
    program = Rabbitmq.start(program)
    for {table, {_, hot}} <- @tables, do: assert({table, hot} == at(program, table))
    assert answers(program) == before
    day(port, "ann", 1)

    writers = for name <- ~w(ann bob), do: Task.async(fn -> write(port, name) end)
    for writer <- writers, do: assert_receive({:declared, _, 30}, 120_000, inspect(writer))
    Program.kill(program)
    acknowledged = Task.await_many(writers, 120_000)
    note("killed with #{inspect(acknowledged)} queues acknowledged")

    program = Rabbitmq.start(program)
    for {table, {_, hot}} <- @tables, do: assert({table, hot} == at(program, table))
    assert answers(program) == before
    client = Amqp.connect(port)

    for {name, count} <- acknowledged, n <- 1..count do
      there = [Amqp.get(client, "#{name}_late#{n}"), Amqp.get(client, "#{name}_late#{n}")]
      assert {name, n, there} == {name, n, [{:ok, "message #{n}"}, :empty]}
      # The binding is there as well.
      :ok = Amqp.publish(client, "amq.direct", "#{name}.#{n}", "again")
      assert {name, n, Amqp.get(client, "#{name}_late#{n}")} == {name, n, {:ok, "again"}}
    end

    listed = Rabbitmq.control(program, ~w(list_queues name))
    for {name, _} <- acknowledged, do: refute("#{name}_deleted" in listed)
    Amqp.close(client)
  end

  # Queues are declared, bound and filled one by one until the broker is gone; how many were.
  defp write(port, name) do
    client = Amqp.connect(port)
    :ok = Amqp.declare_queue(client, "#{name}_deleted")
    :ok = Amqp.delete_queue(client, "#{name}_deleted")
    {name, write(client, name, hd(Process.get(:"$callers")), 1)}
  end

  defp write(client, name, test, n) do
    queue = "#{name}_late#{n}"
    :ok = Amqp.declare_queue(client, queue)
    :ok = Amqp.bind(client, queue, "amq.direct", "#{name}.#{n}")
    :ok = Amqp.publish(client, "amq.direct", "#{name}.#{n}", "message #{n}")
    send(test, {:declared, name, n})
    write(client, name, test, n + 1)
  rescue
    _broker_gone in [MatchError, RuntimeError] -> n - 1
  end

  test "its owner can move a table by rabbitmqctl, and has it after a cold start", context do
    program = context.program
    rows = Program.rows(program, :rabbit_user_permission)
    move = "'Elixir.Magnesia.Hot':move(rabbit_user_permission, magnesia_disc)."
    assert Enum.join(Rabbitmq.control(program, ["eval", move])) =~ "{ok,"
    Rabbitmq.stop(program)
    program = Rabbitmq.start(program)
    assert at(program, :rabbit_user_permission) == {:rabbit_user_permission, :magnesia_disc}
    assert Program.rows(program, :rabbit_user_permission) == rows
    day(context.port, "ann", 1)
  end

  # RabbitMQ reads rabbit_queue, rabbit_durable_queue, rabbit_exchange, rabbit_route, rabbit_user
  # and rabbit_vhost with ets, past Mnesia: no storage but Mnesia's own in memory can serve that.
  test "a table that it reads past Mnesia is of no use elsewhere, and again once back", context do
    %{program: program, port: port} = context

    for storage <- [:disc_only_copies, :magnesia_disc] do
      Program.move(program, :rabbit_user, storage)
      assert_raise RuntimeError, ~r/closed/, fn -> day(port, "ann", 1) end
      Program.move(program, :rabbit_user, :disc_copies)
      day(port, "ann", 1)
    end
  end
end
