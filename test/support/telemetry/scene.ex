defmodule Magnesia.Telemetry.Scene do
  @moduledoc """
  Does, once each, what `Magnesia.Telemetry` has events for, on the running database in `dir`.

  Everything is done as a user does it; who listens, and whether that was heard, is the test's.
  """

  alias Magnesia.Backup
  alias Magnesia.Cache
  alias Magnesia.Log
  alias Magnesia.Pair
  alias Magnesia.Telemetry.Watch

  @doc "Plays all of it; the migration has the version 1."
  @spec play(Path.t(), module()) :: :ok
  def play(dir, migration) do
    tables(dir)
    transactions()
    waits()
    log()
    copies(dir)
    library(dir, migration)
    operations()
    overload()
  end

  defp tables(dir) do
    :stopped = :magnesia.stop()
    Application.put_env(:magnesia, :dir, 7)
    {:aborted, {:transaction_crashed, _reason}} = :magnesia.start()
    Application.put_env(:magnesia, :dir, String.to_charlist(dir))
    :ok = :magnesia.start()
    :ok = Magnesia.create_table(:a, storage: :disc)
    :ok = Magnesia.create_table(:gone)
    :ok = Magnesia.delete_table(:gone)
    {:ok, _row} = Magnesia.put({:a, 0, 0})
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    :ok = :magnesia.wait_for_tables([:a], 60_000)
  end

  defp transactions do
    {:atomic, :ok} = :magnesia.transaction(fn -> :magnesia.write({:a, 1, 1}) end)
    {:atomic, :ok} = :magnesia.sync_transaction(fn -> :magnesia.write({:a, 2, 2}) end)
    {:aborted, :no} = :magnesia.transaction(fn -> :magnesia.abort(:no) end)
    {:aborted, {%RuntimeError{}, _stack}} = :magnesia.transaction(fn -> raise "no" end)
    :ok = Watch.look()
  end

  # The older transaction waits for what the younger one has, which gives way when it wants what
  # the older one has.
  defp waits do
    me = self()

    older =
      Task.async(fn ->
        :magnesia.transaction(fn ->
          :magnesia.write({:a, 1, :older})
          send(me, :older_has_1)
          hear(:go)
          :magnesia.write({:a, 2, :older})
        end)
      end)

    hear(:older_has_1)

    younger =
      Task.async(fn ->
        :magnesia.transaction(fn ->
          :magnesia.write({:a, 2, :younger})
          send(me, :younger_has_2)
          if Process.put(:again, true) == nil, do: hear(:go)
          :magnesia.write({:a, 1, :younger})
        end)
      end)

    hear(:younger_has_2)
    send(older.pid, :go)
    until(fn -> :magnesia.system_info(:lock_queue) != [] end)
    send(younger.pid, :go)
    [{:atomic, :ok}, {:atomic, :ok}] = Task.await_many([older, younger], 60_000)
  end

  defp log do
    for n <- 1..500, do: :magnesia.dirty_write({:a, n, n})
    :ok = Watch.look()
    :ok = :magnesia.sync_log()
    :dumped = :magnesia.dump_log()
    :ok = Watch.look()
  end

  defp copies(dir) do
    file = dir <> ".bup"
    {:ok, %{rows: 501}} = Backup.save(file)
    {:ok, [:a]} = Backup.restore(file)
    File.rm!(file)
  end

  defp library(dir, migration) do
    {:ok, [1]} = Magnesia.Migration.run([migration], backups: dir <> ".migrations")
    File.rm_rf!(dir <> ".migrations")
    me = self()
    :ok = Log.create(:a_log, tables: [:a])
    for n <- 1..3, do: :magnesia.dirty_write({:a, n, :logged})
    {good, _monitor} = consumer(:good, &send(me, {:entries, length(&1)}))
    hear({:entries, 3})
    until(fn -> Log.bookmark(:a_log, :good) == 3 end)
    2 = Log.trim(:a_log)
    Process.exit(good, :kill)
    :ok = Log.rewind(:a_log, :bad, 2)
    {bad, monitor} = consumer(:bad, fn _entries -> raise "no" end)
    receive do: ({:DOWN, ^monitor, _, ^bad, _reason} -> :ok), after: (60_000 -> raise("it lives"))

    {:ok, cache} = Cache.start_link(name: :scene_cache, rows: 1, sweep: 5)
    1 = Cache.fetch(:scene_cache, :one, fn -> 1 end)
    2 = Cache.fetch(:scene_cache, :two, fn -> 2 end, ttl: 1)
    until(fn -> Cache.stats(:scene_cache).expirations == 1 end)
    GenServer.stop(cache)
  end

  # Not linked to the test, as one of them fails.
  defp consumer(name, handler) do
    spawn_monitor(fn ->
      {:ok, consumer} = Log.Consumer.start_link(log: :a_log, name: name, handler: handler)
      monitor = Process.monitor(consumer)
      receive do: ({:DOWN, ^monitor, _, _, _} -> :ok)
    end)
  end

  defp hear(message) do
    receive do
      ^message -> :ok
    after
      60_000 -> raise "not heard: #{inspect(message)}"
    end
  end

  # A sample is taken with every tenth look, if somebody listens.
  defp operations do
    reader = spawn_link(fn -> read_on() end)
    for _ <- 1..10, do: :ok = Watch.look()
    me = self()
    send(me, {:reader, reader})
  end

  defp read_on do
    [_row] = :magnesia.dirty_read(:a, 4)
    read_on()
  end

  defp overload do
    Application.put_env(:magnesia, :overload, message_queue: 5)
    {:ok, _node} = :magnesia.subscribe({:table, :a, :simple})
    for n <- 1..50, do: :magnesia.dirty_write({:a, n, :told})
    :ok = Watch.look()
    {:ok, _node} = :magnesia.unsubscribe({:table, :a, :simple})
    Application.delete_env(:magnesia, :overload)
    # The event handler has logged it by the time that it answers.
    [_handler] = :gen_event.which_handlers(Magnesia.Notices.process())
    :ok
  end

  @doc "Waits until something is so, however busy the machine is."
  @spec until((() -> boolean())) :: term()
  def until(fun), do: Pair.until(fun, System.monotonic_time(:millisecond) + 60_000)
end
