defmodule Magnesia.Stress.LongScheduleTest do
  # The watcher tells whose work it is that holds a scheduler in a process of Mnesia: a backend's
  # counts, all else that the process does is not ours. How busy the machine is plays no part.
  use Magnesia.HotCase

  alias Magnesia.Backend
  alias Magnesia.Stress.{LongSchedule, StockWork}

  @moduletag capture_log: true
  @held_ms 50

  defmodule Holding do
    # Our backend under one more alias. It holds the scheduler where Mnesia has it delete a
    # table, which is in the process of the schema operation.
    @own [init_backend: 0, add_aliases: 1, remove_aliases: 1, insert: 3, delete_table: 2]

    for {name, arity} = function <- Backend.__info__(:functions), function not in @own do
      arguments = Macro.generate_arguments(arity, __MODULE__)

      def unquote(name)(unquote_splicing(arguments)) do
        apply(Backend, unquote(name), Enum.map(unquote(arguments), &ours/1))
      end
    end

    def init_backend, do: :ok
    def add_aliases(_aliases), do: :ok
    def remove_aliases(_aliases), do: :ok

    def insert(_alias, tab, record) do
      _ = if is_tuple(tab), do: tell()
      Backend.insert(:magnesia_ram, tab, record)
    end

    def delete_table(_alias, tab) do
      tell()
      hold(System.monotonic_time(:millisecond) + Application.fetch_env!(:magnesia, :held_ms))
      Backend.delete_table(:magnesia_ram, tab)
    end

    defp tell, do: send(:holding_test, {:holds, self(), System.monotonic_time(:millisecond)})

    # The size is counted in one go, and one call is one reduction.
    defp hold(until) do
      _ = :erts_debug.flat_size(:persistent_term.get(__MODULE__))
      if System.monotonic_time(:millisecond) < until, do: hold(until)
    end

    defp ours(:holding), do: :magnesia_ram
    defp ours(argument), do: argument
  end

  setup do
    Process.register(self(), :holding_test)
    Application.put_env(:magnesia, :held_ms, @held_ms)
    :persistent_term.put(Holding, Enum.to_list(1..100_000))

    on_exit(fn ->
      Application.delete_env(:magnesia, :held_ms)
      :persistent_term.erase(Holding)
    end)

    {:atomic, :ok} = :mnesia_schema.add_backend_type(:holding, Holding)
    create(:holding, :held)
    :ok
  end

  test "what a function of ours holds in a process of Mnesia counts" do
    ours = ours_of([Holding])
    assert ours >= @held_ms
    assert LongSchedule.counted(@held_ms, 1, ours) == @held_ms - 1
  end

  test "what it is held for elsewhere does not" do
    assert ours_of([Magnesia.Export]) == 0
    assert LongSchedule.counted(@held_ms, 1, 0) == 0
    assert LongSchedule.counted(@held_ms, 1, nil) == @held_ms - 1
  end

  test "a process that is none of Mnesia's is not looked into" do
    assert ours_of([Holding], fn ->
             {pid, ref} = spawn_monitor(fn -> Holding.delete_table(:holding, :none) end)
             assert_receive {:DOWN, ^ref, :process, ^pid, _reason}, 60_000
           end) == nil
  end

  test "of one that calls us for each of many rows nothing is said" do
    assert ours_of([Backend], fn -> index_of(10) end) >= 0
    assert ours_of([Backend], fn -> index_of(2000) end) == nil
  end

  defp index_of(rows) do
    for n <- 1..rows, do: :ok = :mnesia.dirty_write({:held, n, n, n})
    assert :mnesia.add_table_index(:held, :v) == {:atomic, :ok}
    assert :mnesia.del_table_index(:held, :v) == {:atomic, :ok}
  end

  defp delete, do: assert(:mnesia.delete_table(:held) == {:atomic, :ok})

  # Of the process in which a fun had a table deleted. The caller is looked at from a process of
  # its own, since none can trace itself.
  defp ours_of(modules, fun \\ &delete/0) do
    parent = self()

    watcher =
      spawn_link(fn ->
        known = StockWork.begin([parent], modules)
        send(parent, :traced)

        receive do
          {:held, pid, since} ->
            {_known, ours} = StockWork.ours(known, pid, since)
            StockWork.stop(modules)
            send(parent, {:ours, ours})
        end
      end)

    assert_receive :traced, 60_000
    fun.()
    assert_receive {:holds, pid, since}
    assert pid != self()
    send(watcher, {:held, pid, since})
    assert_receive {:ours, ours}, 60_000
    flush()
    ours
  end

  defp flush do
    receive do
      {:holds, _pid, _since} -> flush()
    after
      0 -> :ok
    end
  end
end
