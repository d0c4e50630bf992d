defmodule Magnesia.RestartsTest do
  @moduledoc """
  Transactions in conflict: who waits, who runs again, and what is left of a process that dies
  in each state of a lock. Steps are ordered by messages, never by time.
  """

  use ExUnit.Case, async: false

  import Magnesia.Pair

  alias Magnesia.Engine

  setup_all do
    fresh()
    on_exit(&stop/0)
  end

  setup do
    :magnesia.clear_table(:s)
    :ok
  end

  # A transaction that does what it is told, and tells what came of it. The first run takes
  # orders; a later one does the same again by itself.
  defp actor(name, options \\ []) do
    owner = self()

    spawn(fn ->
      Process.put(:orders, [])

      outcome =
        :magnesia.transaction(
          fn ->
            send(owner, {name, :began})
            Enum.each(Enum.reverse(Process.get(:orders)), & &1.())
            obey(owner, name)
          end,
          [],
          Keyword.get(options, :retries, :infinity)
        )

      send(owner, {name, outcome})
    end)
  end

  defp obey(owner, name) do
    receive do
      {:do, order} ->
        Process.put(:orders, [order | Process.get(:orders)])
        send(owner, {name, {:did, order.()}})
        obey(owner, name)

      :commit ->
        name

      {:abort, reason} ->
        :magnesia.abort(reason)
    end
  end

  defp began(name), do: assert_receive({^name, :began}, 5_000)

  defp order(pid, name, fun) do
    send(pid, {:do, fun})
    assert_receive {^name, {:did, answer}}, 5_000
    answer
  end

  defp waits(pid, fun) do
    send(pid, {:do, fun})
    until(fn -> Enum.any?(Engine.lock_queue(), &(elem(&1, 3) == pid)) end)
  end

  defp quiet, do: until(fn -> Engine.held_locks() == [] and Engine.lock_queue() == [] end)

  test "the older of two waits, the younger runs again, both commit" do
    old = actor(:old)
    began(:old)
    young = actor(:young)
    began(:young)
    assert order(old, :old, fn -> :magnesia.write({:s, :x, :old}) end) == :ok
    assert order(young, :young, fn -> :magnesia.write({:s, :y, :young}) end) == :ok
    waits(old, fn -> :magnesia.write({:s, :y, :old}) end)
    send(young, {:do, fn -> :magnesia.write({:s, :x, :young}) end})
    # The younger gives way, and what the older wanted is granted.
    assert_receive {:old, {:did, :ok}}, 5_000
    send(old, :commit)
    assert_receive {:old, {:atomic, :old}}, 5_000
    began(:young)
    send(young, :commit)
    assert_receive {:young, {:atomic, :young}}, 5_000
    assert :magnesia.dirty_read(:s, :x) == [{:s, :x, :young}]
    assert :magnesia.dirty_read(:s, :y) == [{:s, :y, :young}]
    quiet()
  end

  test "a younger one that finds an older holder runs again after it has ended, once" do
    old = actor(:old)
    began(:old)
    young = actor(:young)
    began(:young)
    order(old, :old, fn -> :magnesia.wread({:s, :x}) end)
    send(young, {:do, fn -> :magnesia.read(:s, :x) end})
    refute_received {:young, _}
    order(old, :old, fn -> :magnesia.write({:s, :x, 1}) end)
    send(old, :commit)
    assert_receive {:old, {:atomic, :old}}, 5_000
    began(:young)
    refute_received {:young, :began}
    assert order(young, :young, fn -> :magnesia.read(:s, :x) end) == [{:s, :x, 1}]
    send(young, :commit)
    assert_receive {:young, {:atomic, :young}}, 5_000
    quiet()
  end

  test "a restart keeps the number and drops the writes of all levels" do
    owner = self()
    old = actor(:old)
    began(:old)
    order(old, :old, fn -> :magnesia.wread({:s, :x}) end)

    spawn(fn ->
      outcome =
        :magnesia.transaction(fn ->
          {_, tid, _} = :magnesia.get_activity_id()
          seen = {:magnesia.read(:s, :own), :magnesia.read(:s, :inner)}
          send(owner, {:run, tid, seen})
          :magnesia.write({:s, :own, 1})

          :magnesia.transaction(fn ->
            :magnesia.write({:s, :inner, 1})
            :magnesia.wread({:s, :x})
          end)
        end)

      send(owner, {:nested, outcome})
    end)

    assert_receive {:run, tid, {[], []}}, 5_000
    send(old, :commit)
    assert_receive {:run, ^tid, {[], []}}, 5_000
    assert_receive {:nested, {:atomic, {:atomic, []}}}, 5_000
    assert :magnesia.dirty_read(:s, :inner) == [{:s, :inner, 1}]
    quiet()
  end

  test "retries that are used up end with nomore" do
    for retries <- [0, 1] do
      old = actor(:old)
      began(:old)
      order(old, :old, fn -> :magnesia.wread({:s, :x}) end)
      young = actor(:young, retries: retries)
      began(:young)
      send(young, {:do, fn -> :magnesia.wread({:s, :x}) end})
      assert_receive {:young, {:aborted, :nomore}}, 5_000
      send(old, :commit)
      assert_receive {:old, {:atomic, :old}}, 5_000
      quiet()
    end
  end

  test "an inner level without retries gives up and the outer goes on" do
    owner = self()
    old = actor(:old)
    began(:old)
    order(old, :old, fn -> :magnesia.wread({:s, :x}) end)

    spawn(fn ->
      outcome =
        :magnesia.transaction(fn ->
          inner = :magnesia.transaction(fn -> :magnesia.wread({:s, :x}) end, 1)
          {inner, :magnesia.write({:s, :y, 1})}
        end)

      send(owner, {:young, outcome})
    end)

    assert_receive {:young, {:atomic, {{:aborted, :nomore}, :ok}}}, 5_000
    send(old, :commit)
    assert_receive {:old, {:atomic, :old}}, 5_000
    quiet()
  end

  test "a fun that swallows the exit goes on" do
    old = actor(:old)
    began(:old)
    order(old, :old, fn -> :magnesia.wread({:s, :x}) end)
    young = actor(:young)
    began(:young)

    assert {:exit, {:aborted, {:cyclic, _, {:s, :x}, _, _, _}}} =
             order(young, :young, fn -> outcome(fn -> :magnesia.wread({:s, :x}) end) end)

    assert order(young, :young, fn -> :magnesia.write({:s, :z, 1}) end) == :ok
    send(young, :commit)
    assert_receive {:young, {:atomic, :young}}, 5_000
    assert :magnesia.dirty_read(:s, :z) == [{:s, :z, 1}]
    send(old, :commit)
    assert_receive {:old, {:atomic, :old}}, 5_000
    quiet()
  end

  test "three in a row: each older one waits for the one that holds" do
    [first, second, third] =
      for name <- [:first, :second, :third] do
        pid = actor(name)
        began(name)
        pid
      end

    order(third, :third, fn -> :magnesia.write({:s, :x, 3}) end)
    waits(second, fn -> :magnesia.write({:s, :x, 2}) end)
    waits(first, fn -> :magnesia.write({:s, :x, 1}) end)
    send(third, :commit)
    assert_receive {:third, {:atomic, :third}}, 5_000
    drain([{:first, first}, {:second, second}])
    assert [{:s, :x, last}] = :magnesia.dirty_read(:s, :x)
    assert last in [1, 2]
    quiet()
  end

  defp drain([]), do: :ok

  defp drain(actors) do
    receive do
      {name, {:did, :ok}} ->
        send(actors[name], :commit)
        drain(actors)

      {_name, :began} ->
        drain(actors)

      {name, {:atomic, name}} ->
        drain(Keyword.delete(actors, name))
    after
      5_000 -> flunk("no answer from #{inspect(actors)}")
    end
  end

  describe "a process that dies" do
    test "while it holds locks and has written" do
      dead = actor(:dead)
      began(:dead)
      order(dead, :dead, fn -> :magnesia.write({:s, :x, :dead}) end)
      order(dead, :dead, fn -> :magnesia.read_lock_table(:o) end)
      order(dead, :dead, fn -> :magnesia.s_write({:b, 1, 1}) end)
      Process.exit(dead, :kill)
      quiet()
      assert {:atomic, []} = :magnesia.transaction(fn -> :magnesia.wread({:s, :x}) end)
    end

    test "while it waits in the queue" do
      dead = actor(:dead)
      began(:dead)
      holder = actor(:holder)
      began(:holder)
      order(holder, :holder, fn -> :magnesia.write({:s, :x, 1}) end)
      waits(dead, fn -> :magnesia.write({:s, :x, :dead}) end)
      Process.exit(dead, :kill)
      until(fn -> Engine.lock_queue() == [] end)
      send(holder, :commit)
      assert_receive {:holder, {:atomic, :holder}}, 5_000
      quiet()
      assert :magnesia.dirty_read(:s, :x) == [{:s, :x, 1}]
    end

    test "while another waits for it" do
      old = actor(:old)
      began(:old)
      dead = actor(:dead)
      began(:dead)
      order(dead, :dead, fn -> :magnesia.write({:s, :x, :dead}) end)
      waits(old, fn -> :magnesia.write({:s, :x, :old}) end)
      Process.exit(dead, :kill)
      assert_receive {:old, {:did, :ok}}, 5_000
      send(old, :commit)
      assert_receive {:old, {:atomic, :old}}, 5_000
      assert :magnesia.dirty_read(:s, :x) == [{:s, :x, :old}]
      quiet()
    end

    test "while a younger one waits to run again after it" do
      dead = actor(:dead)
      began(:dead)
      order(dead, :dead, fn -> :magnesia.write({:s, :x, :dead}) end)
      young = actor(:young)
      began(:young)
      send(young, {:do, fn -> :magnesia.write({:s, :x, :young}) end})
      Process.exit(dead, :kill)
      began(:young)
      order(young, :young, fn -> :magnesia.write({:s, :x, :young}) end)
      send(young, :commit)
      assert_receive {:young, {:atomic, :young}}, 5_000
      quiet()
    end

    test "while it waits to run again" do
      old = actor(:old)
      began(:old)
      order(old, :old, fn -> :magnesia.write({:s, :x, :old}) end)
      dead = actor(:dead)
      began(:dead)
      order(dead, :dead, fn -> :magnesia.write({:s, :y, :dead}) end)
      send(dead, {:do, fn -> :magnesia.write({:s, :x, :dead}) end})
      # It has given way when its other lock is free.
      until(fn -> not Enum.any?(Engine.held_locks(), &(elem(&1, 3) == dead)) end)
      Process.exit(dead, :kill)
      send(old, :commit)
      assert_receive {:old, {:atomic, :old}}, 5_000
      quiet()
      assert :magnesia.dirty_read(:s, :y) == []
    end

    test "in an inner level" do
      owner = self()

      dead =
        spawn(fn ->
          :magnesia.transaction(fn ->
            :magnesia.write({:s, 1, 1})

            :magnesia.transaction(fn ->
              :magnesia.write({:s, 2, 2})
              send(owner, :inside)
              receive(do: (:never -> :ok))
            end)
          end)
        end)

      assert_receive :inside, 5_000
      Process.exit(dead, :kill)
      quiet()
      assert :magnesia.dirty_all_keys(:s) == []
    end
  end

  test "a counter raised by many processes loses nothing" do
    :magnesia.dirty_write({:s, :n, 0})

    tasks =
      for _ <- 1..4 do
        Task.async(fn ->
          for _ <- 1..250 do
            {:atomic, _} =
              :magnesia.transaction(fn ->
                [{:s, :n, n}] = :magnesia.wread({:s, :n})
                :magnesia.write({:s, :n, n + 1})
                n
              end)
          end
        end)
      end

    Enum.each(tasks, &Task.await(&1, 60_000))
    assert :magnesia.dirty_read(:s, :n) == [{:s, :n, 1000}]
    quiet()
  end
end
