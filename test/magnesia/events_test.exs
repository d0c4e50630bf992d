defmodule Magnesia.EventsTest do
  @moduledoc """
  What subscribers can rely on beyond Mnesia's quirks: the order of commits for every one of
  them, however many there are and come and go, and that the dead are forgotten.
  """
  use ExUnit.Case, async: false
  use Magnesia.DatabaseCase

  alias Magnesia.Subscribers

  @deadline 20_000

  setup do
    {:atomic, :ok} = :magnesia.create_table(:ev, attributes: [:key, :val])
    {:atomic, :ok} = :magnesia.create_table(:other, attributes: [:key, :val])
    :ok
  end

  # A process that subscribes and keeps what it hears until it is asked.
  defp listener(streams) do
    test = self()

    pid =
      spawn_link(fn ->
        for stream <- streams, do: {:ok, _} = :magnesia.subscribe(stream)
        send(test, {:listens, self()})
        listen([])
      end)

    receive do
      {:listens, ^pid} -> pid
    after
      @deadline -> flunk("no subscription")
    end
  end

  defp listen(heard) do
    receive do
      {:heard?, from} ->
        send(from, {self(), Enum.reverse(heard)})
        listen(heard)

      :stop ->
        :stopped

      event ->
        listen([event | heard])
    end
  end

  defp heard(pid) do
    :ok = Subscribers.settle()
    send(pid, {:heard?, self()})

    receive do
      {^pid, heard} -> heard
    after
      @deadline -> flunk("no answer")
    end
  end

  defp values(events),
    do: for({:mnesia_table_event, {:write, row, _}} <- events, do: elem(row, 2))

  test "the only subscriber has the event when the write returns" do
    {:ok, _} = :magnesia.subscribe({:table, :ev})
    :magnesia.dirty_write({:ev, 1, :a})
    assert_received {:mnesia_table_event, {:write, {:ev, 1, :a}, {:dirty, pid}}}
    assert pid == self()
    {:atomic, _} = :magnesia.transaction(fn -> :magnesia.write({:ev, 1, :b}) end)
    assert_received {:mnesia_table_event, {:write, {:ev, 1, :b}, {:tid, number, ^pid}}}
    assert is_integer(number)
  end

  test "all subscribers hear of all commits in one order, which is the tables'" do
    listeners = for _ <- 1..20, do: listener([{:table, :ev}, {:table, :other}])

    writers =
      for writer <- 1..4 do
        Task.async(fn ->
          for n <- 1..200 do
            table = if rem(n, 2) == 0, do: :ev, else: :other

            if rem(n, 5) == 0 do
              {:atomic, _} =
                :magnesia.transaction(fn -> :magnesia.write({table, 1, {writer, n}}) end)
            else
              :magnesia.dirty_write({table, 1, {writer, n}})
            end
          end
        end)
      end

    Task.await_many(writers, @deadline)
    [first | rest] = Enum.map(listeners, &heard/1)
    assert length(first) == 800
    for other <- rest, do: assert(other == first)

    for table <- [:ev, :other] do
      [{_, 1, last}] = :magnesia.dirty_read(table, 1)
      of_table = for {_, {_, row, _}} = event <- first, elem(row, 0) == table, do: event
      assert List.last(values(of_table)) == last
    end
  end

  test "who stays hears all in order while others come and go" do
    stays = listener([{:table, :ev}])
    writer = Task.async(fn -> for n <- 1..20_000, do: :magnesia.dirty_write({:ev, n, n}) end)
    come_and_go(writer.ref)
    assert values(heard(stays)) == Enum.to_list(1..20_000)
  end

  defp come_and_go(ref) do
    receive do
      {^ref, _written} -> Process.demonitor(ref, [:flush])
    after
      0 ->
        send(listener([{:table, :ev, :detailed}]), :stop)
        :ok = Subscribers.settle()
        come_and_go(ref)
    end
  end

  test "a subscriber that dies is forgotten, and one that ends its subscription hears no more" do
    dies = listener([{:table, :ev}, :system, :activity])
    ends = listener([{:table, :ev}])
    Process.unlink(dies)
    ref = Process.monitor(dies)
    Process.exit(dies, :kill)
    assert_receive {:DOWN, ^ref, _, _, _}, @deadline
    :ok = Subscribers.settle()
    assert :magnesia.table_info(:ev, :subscribers) == [ends]
    assert :magnesia.system_info(:subscribers) == [Magnesia.Notices.process()]
    :magnesia.dirty_write({:ev, 1, 1})
    assert values(heard(ends)) == [1]
    assert {:ok, _} = Subscribers.unsubscribe(ends, {:table, :ev, :simple})
    :magnesia.dirty_write({:ev, 1, 2})
    assert values(heard(ends)) == [1]
    assert :magnesia.table_info(:ev, :commit_work) == []
  end

  test "a subscriber is linked, so that it knows when its subscription is lost" do
    listener = listener([{:table, :ev}])
    Process.unlink(listener)
    ref = Process.monitor(listener)
    Process.exit(Process.whereis(Subscribers), :kill)
    assert_receive {:DOWN, ^ref, _, _, :killed}, @deadline
    assert :ok = :magnesia.dirty_write({:ev, 1, 1})
  end

  test "who writes more than can be handed on waits, however it writes, and nothing is lost" do
    listeners = for _ <- 1..2, do: listener([{:table, :ev}])
    most = 32_768
    server = Process.whereis(Subscribers)
    :erlang.suspend_process(server)
    written = :counters.new(1, [])

    filler =
      Task.async(fn ->
        for n <- 1..(most + 10) do
          :magnesia.dirty_write({:ev, n, n})
          :counters.add(written, 1, 1)
        end
      end)

    waits(filler.pid)
    assert :counters.get(written, 1) == most
    other = Task.async(fn -> :magnesia.dirty_write({:other, 1, 1}) end)
    assert Task.await(other, @deadline) == :ok

    writers =
      for write <- [
            fn -> :magnesia.transaction(fn -> :magnesia.write({:ev, -1, -1}) end) end,
            fn -> :magnesia.sync_transaction(fn -> :magnesia.write({:ev, -2, -2}) end) end,
            fn -> :magnesia.dirty_update_counter(:ev, :counter, -3) end,
            fn -> :magnesia.dirty_delete(:ev, -4) end
          ] do
        writer = Task.async(write)
        waits(writer.pid)
        writer
      end

    :erlang.resume_process(server)
    answers = Task.await_many(writers, @deadline)
    assert answers == [{:atomic, :ok}, {:atomic, :ok}, 0, :ok]
    Task.await(filler, @deadline)

    for listener <- listeners do
      {fillers, others} = listener |> heard() |> Enum.split_with(&filler?/1)
      assert values(fillers) == Enum.to_list(1..(most + 10))
      assert length(others) == 4
    end
  end

  defp filler?({:mnesia_table_event, {_, row, _}}),
    do: is_integer(elem(row, 1)) and elem(row, 1) > 0

  # Until a process waits for an answer of another.
  defp waits(pid, deadline \\ System.monotonic_time(:millisecond) + @deadline) do
    cond do
      Process.info(pid, :current_function) == {:current_function, {:gen, :do_call, 4}} -> :ok
      System.monotonic_time(:millisecond) > deadline -> flunk("it does not wait")
      true -> waits(pid, deadline)
    end
  end

  test "events of a commit of thousands of rows" do
    listeners = for _ <- 1..2, do: listener([{:table, :ev}])

    {:atomic, _} =
      :magnesia.transaction(fn -> for n <- 1..3_000, do: :magnesia.write({:ev, n, n}) end)

    for listener <- listeners, do: assert(values(heard(listener)) == Enum.to_list(1..3_000))
  end

  test "a commit that fails tells nobody" do
    {:ok, _} = :magnesia.subscribe({:table, :ev})
    {:ok, _} = :magnesia.subscribe(:activity)

    {:aborted, :no} =
      :magnesia.transaction(fn ->
        :magnesia.write({:ev, 1, 1})
        :magnesia.abort(:no)
      end)

    catch_exit(:magnesia.dirty_write({:ev, 1}))
    refute_received _
  end

  test "the operator's own event handler" do
    Process.register(self(), :events_test)
    Application.put_env(:magnesia, :event_module, __MODULE__.Handler)
    on_exit(fn -> Application.delete_env(:magnesia, :event_module) end)
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    :ok = :magnesia.report_event(:hello)
    assert_receive {:handled, {:mnesia_system_event, {:mnesia_user, :hello}}}, @deadline
  end

  defmodule Handler do
    @moduledoc false
    @behaviour :gen_event

    @impl true
    def init([]), do: {:ok, :no_state}

    @impl true
    def handle_event(event, state) do
      send(:events_test, {:handled, event})
      {:ok, state}
    end

    @impl true
    def handle_call(_request, state), do: {:ok, :ok, state}
  end
end
