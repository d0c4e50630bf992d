defmodule Magnesia.OverloadTest do
  @moduledoc """
  That overload is told as Mnesia tells it, with the number that matters and what to do, once and
  not all the time, to subscribers and in the log.
  """

  use Magnesia.DatabaseCase

  import ExUnit.CaptureLog

  alias Magnesia.Overload
  alias Magnesia.Telemetry.Scene
  alias Magnesia.Telemetry.Watch

  @moduletag capture_log: true
  @deadline 60_000

  setup do
    {:ok, _node} = :magnesia.subscribe(:system)
    on_exit(fn -> Application.delete_env(:magnesia, :overload) end)
  end

  defp limit(limits), do: Application.put_env(:magnesia, :overload, limits)

  defp told do
    receive do
      {:mnesia_system_event, {:mnesia_overload, details}} -> details
    after
      0 -> nil
    end
  end

  # A process that takes no message until it is told to take all.
  defp sluggard do
    me = self()

    pid =
      spawn_link(fn ->
        send(me, :magnesia.subscribe({:table, :a, :simple}))
        sleepy()
      end)

    assert_receive {:ok, _node}, @deadline
    pid
  end

  defp sleepy do
    receive do
      {:wake, from} ->
        flush()
        send(from, :awake)
        sleepy()
    end
  end

  defp flush do
    receive do
      _message -> flush()
    after
      0 -> :ok
    end
  end

  defp write(count), do: for(n <- 1..count, do: :ok = :magnesia.dirty_write({:a, n, n}))

  test "a subscriber that does not keep up, once until it is twice as bad, and anew later" do
    :ok = Magnesia.create_table(:a)
    pid = sluggard()
    limit(message_queue: 20)
    write(20)
    :ok = Watch.look()
    assert told() == nil
    write(10)
    :ok = Watch.look()
    assert {:message_queue, %{value: 30, limit: 20, process: ^pid, text: text}} = told()
    assert text =~ "#{inspect(pid)} has 30 messages waiting, above 20: it handles events slower"
    assert text =~ "follow a change log"
    write(20)
    :ok = Watch.look()
    assert told() == nil
    write(10)
    :ok = Watch.look()
    assert {:message_queue, %{value: 60}} = told()
    send(pid, {:wake, self()})
    assert_receive :awake, @deadline
    :ok = Watch.look()
    write(30)
    :ok = Watch.look()
    assert {:message_queue, %{value: 30, process: ^pid}} = told()
    assert told() == nil
  end

  test "a process of Magnesia's own is told by its name" do
    :ok = Magnesia.create_table(:a)
    limit(message_queue: 20)
    name = Process.whereis(Magnesia.Events)
    :ok = :sys.suspend(name)
    for n <- 1..21, do: send(name, {:nothing, n})
    :ok = Watch.look()
    :ok = :sys.resume(name)
    assert {:message_queue, %{process: ^name, text: "Magnesia.Events (#PID" <> _}} = told()
  end

  @tag :disc
  test "a log that is not dumped" do
    :ok = Magnesia.create_table(:a, storage: :disc)
    limit(log_bytes: 1_000)
    write(200)

    log =
      capture_log(fn ->
        :ok = Watch.look()
        assert :gen_event.which_handlers(Magnesia.Notices.process()) == [Magnesia.Notices]
      end)

    assert {:dump_log, %{value: bytes, limit: 1_000, process: nil, text: text}} = told()
    assert bytes > 1_000 and text =~ "dumps do not keep up with the writes or fail"
    assert log =~ "[warning] Magnesia is overloaded: the log is 0 MiB long, above 0 MiB"
    :ok = Watch.look()
    assert told() == nil
  end

  test "many transactions that wait for locks, with the table that most of them wait for" do
    :ok = Magnesia.create_table(:a)
    :ok = Magnesia.create_table(:b)
    limit(lock_queue: 2)
    me = self()
    # Older ones wait for a younger one.
    waiting = for tab <- [:a, :b, :b], do: Task.async(fn -> asked(tab, me) end)
    for _ <- waiting, do: assert_receive(:begun, @deadline)

    holder =
      Task.async(fn ->
        :magnesia.transaction(fn ->
          for tab <- [:a, :b], do: :magnesia.write_lock_table(tab)
          send(me, :held)
          receive do: (:end -> :ok)
        end)
      end)

    assert_receive :held, @deadline
    for task <- waiting, do: send(task.pid, :go)
    Scene.until(fn -> length(:magnesia.system_info(:lock_queue)) == 3 end)
    for _ <- 1..5, do: :ok = Watch.look()
    assert {:lock_queue, %{value: 3, limit: 2, text: text}} = told()
    assert text =~ "3 transactions wait for locks, above 2, 2 of them for :b: see who holds it"
    send(holder.pid, :end)
    assert Enum.all?(Task.await_many([holder | waiting], @deadline), &(&1 == {:atomic, :ok}))
  end

  defp asked(tab, test) do
    :magnesia.transaction(fn ->
      send(test, :begun)
      receive do: (:go -> :ok)
      :magnesia.write({tab, 1, 1})
    end)
  end

  test "limits are settings, none with :infinity, and one that is misspelt is named" do
    assert Overload.limits() ==
             %{log_bytes: 268_435_456, message_queue: 10_000, lock_queue: 1_000}

    :ok = Magnesia.create_table(:a)
    _pid = sluggard()
    limit(message_queue: :infinity)
    write(20)
    :ok = Watch.look()
    assert told() == nil
    limit(message_queu: 5)
    assert_raise ArgumentError, ~r/:message_queu, did you mean :message_queue/, &Overload.limits/0
    watch = Process.whereis(Watch)

    assert capture_log(fn -> :ok = Watch.look() end) =~
             "overload is not watched: config :magnesia"

    assert Process.whereis(Watch) == watch
  end
end
