defmodule Magnesia.DatabaseTest do
  @moduledoc """
  The owner of the open database: opening, closing, waiting, one operation at a time, a crash of
  its own, and the directory.
  """

  use Magnesia.DatabaseCase, async: false

  import Magnesia.Pair, only: [until: 1]

  test "starting and stopping are harmless when done" do
    assert :magnesia.start() == :ok
    assert :magnesia.stop() == :stopped
    assert :magnesia.stop() == :stopped
    assert :magnesia.start() == :ok
    assert :magnesia.start(dir: ~c"elsewhere") == :ok
    refute Application.get_env(:magnesia, :dir) == ~c"elsewhere"
  end

  test "a database in memory is gone with its stop" do
    {:atomic, :ok} = :magnesia.create_table(:t, [])
    :magnesia.stop()
    :magnesia.start()
    assert :magnesia.system_info(:tables) == [:schema]
  end

  test "start takes settings", %{dir: dir} do
    :magnesia.stop()
    other = String.to_charlist(dir <> "-other")
    on_exit(fn -> File.rm_rf!(other) end)
    Application.put_env(:magnesia, :dir, other)
    :ok = :magnesia.create_schema([node()])
    Application.put_env(:magnesia, :dir, String.to_charlist(dir))
    assert :magnesia.start(dir: other) == :ok
    assert :magnesia.system_info(:use_dir)
    assert :magnesia.system_info(:directory) == other
  end

  test "the application opens no database and closes one" do
    :ok = Application.stop(:magnesia)
    :ok = Application.start(:magnesia)
    assert :magnesia.system_info(:is_running) == :no
    :ok = :magnesia.start()
    :ok = Application.stop(:magnesia)
    assert :magnesia.system_info(:is_running) == :no
    assert :magnesia.transaction(fn -> :ok end) == {:aborted, {:node_not_running, node()}}
    assert :magnesia.create_table(:t, []) == {:aborted, {:node_not_running, node()}}
    assert :magnesia.wait_for_tables([:t], 0) == {:error, {:node_not_running, node()}}
    assert :magnesia.stop() == :stopped
    assert :magnesia.start() == :ok
  end

  test "rows and definitions outlive a crash of the owner" do
    {:atomic, :ok} = :magnesia.create_table(:t, attributes: [:a, :b, :c], index: [:c])
    :magnesia.dirty_write({:t, 1, 2, 3})
    owner = Process.whereis(Magnesia.Database)
    Process.exit(owner, :kill)
    until(fn -> Process.whereis(Magnesia.Database) not in [nil, owner] end)
    # It has its name before it has found the tables.
    _ = :sys.get_state(Magnesia.Database)
    assert :magnesia.create_table(:u, []) == {:atomic, :ok}
    assert :magnesia.dirty_index_read(:t, 3, :c) == [{:t, 1, 2, 3}]
    assert :magnesia.table_info(:t, :attributes) == [:a, :b, :c]
  end

  test "operations run one at a time and all of them" do
    names = for n <- 1..40, do: :"many_#{n}"
    tasks = for name <- names, do: Task.async(fn -> :magnesia.create_table(name, []) end)
    assert Enum.uniq(Task.await_many(tasks)) == [{:atomic, :ok}]
    assert Enum.sort(:magnesia.system_info(:tables)) == Enum.sort([:schema | names])

    same = for _ <- 1..10, do: Task.async(fn -> :magnesia.create_table(:one, []) end)

    assert Enum.frequencies(Task.await_many(same)) == %{
             {:atomic, :ok} => 1,
             {:aborted, {:already_exists, :one}} => 9
           }
  end

  test "an operation waits for the transactions that use its table" do
    {:atomic, :ok} = :magnesia.create_table(:t, [])
    restarts = :magnesia.system_info(:transaction_restarts)
    holder = holder(fn -> :magnesia.write({:t, 1, :a}) end)
    adding = Task.async(fn -> :magnesia.add_table_index(:t, :val) end)
    until(fn -> :magnesia.system_info(:transaction_restarts) > restarts end)
    assert :magnesia.table_info(:t, :index) == []
    send(holder, :go)
    assert Task.await(adding) == {:atomic, :ok}
    assert :magnesia.dirty_index_read(:t, :a, :val) == [{:t, 1, :a}]
  end

  test "a stop ends the operation that waits for a lock, and those behind it" do
    {:atomic, :ok} = :magnesia.create_table(:t, [])
    restarts = :magnesia.system_info(:transaction_restarts)
    stuck = holder(fn -> :magnesia.write({:t, 1, :a}) end)
    waiting = Task.async(fn -> :magnesia.delete_table(:t) end)
    until(fn -> :magnesia.system_info(:transaction_restarts) > restarts end)
    behind = Task.async(fn -> :magnesia.create_table(:u, []) end)
    until(fn -> :queue.len(:sys.get_state(Magnesia.Database).queue) == 1 end)
    stop_soon()
    not_running = {:aborted, {:node_not_running, node()}}
    assert Task.await_many([waiting, behind]) == [not_running, not_running]
    send(stuck, :go)
    assert :magnesia.start() == :ok
    assert :magnesia.create_table(:t, []) == {:atomic, :ok}
  end

  test "a stop ends the operation whose fun never returns" do
    {:atomic, :ok} = :magnesia.create_table(:t, [])
    :magnesia.dirty_write({:t, 1, :a})
    test = self()

    endless = fn _ ->
      send(test, :called)
      receive do: (:never -> :ok)
    end

    waiting = Task.async(fn -> :magnesia.transform_table(:t, endless, [:key, :val]) end)
    assert_receive :called, 30_000
    stop_soon()
    assert Task.await(waiting) == {:aborted, {:node_not_running, node()}}
  end

  test "the end of the application ends an operation that waits" do
    {:atomic, :ok} = :magnesia.create_table(:t, [])
    restarts = :magnesia.system_info(:transaction_restarts)
    stuck = holder(fn -> :magnesia.write({:t, 1, :a}) end)
    waiting = Task.async(fn -> :magnesia.delete_table(:t) end)
    until(fn -> :magnesia.system_info(:transaction_restarts) > restarts end)
    assert Application.stop(:magnesia) == :ok
    assert Task.await(waiting) == {:aborted, {:node_not_running, node()}}
    send(stuck, :go)
    assert :magnesia.start() == :ok
  end

  # A stop that waits for more than the engine would never answer.
  defp stop_soon do
    stopping = Task.async(fn -> :magnesia.stop() end)
    assert {:ok, :stopped} = Task.yield(stopping, 30_000) || Task.shutdown(stopping)
  end

  test "an operation goes on when its caller dies" do
    {:atomic, :ok} = :magnesia.create_table(:t, [])
    restarts = :magnesia.system_info(:transaction_restarts)
    holder = holder(fn -> :magnesia.write({:t, 1, :a}) end)
    caller = spawn(fn -> :magnesia.delete_table(:t) end)
    until(fn -> :magnesia.system_info(:transaction_restarts) > restarts end)
    Process.exit(caller, :kill)
    send(holder, :go)
    until(fn -> :t not in :magnesia.system_info(:tables) end)
  end

  test "a fun that fails leaves the table as it was and the owner at work" do
    {:atomic, :ok} = :magnesia.create_table(:t, [])
    :magnesia.dirty_write({:t, 1, :a})
    before = :magnesia.table_info(:t, :version)

    for bad <- [fn _ -> exit(:kill) end, fn _ -> raise "no" end, fn _ -> {:t, 2, 3, 4} end] do
      assert {:aborted, {~c"Bad transform function", :t, ^bad, _, _}} =
               :magnesia.transform_table(:t, bad, [:key, :val, :new])
    end

    killer = fn _ -> Process.exit(self(), :kill) end
    assert {:aborted, _} = :magnesia.transform_table(:t, killer, [:key, :val, :new])
    assert :magnesia.dirty_read(:t, 1) == [{:t, 1, :a}]
    assert :magnesia.table_info(:t, :version) == before
    assert :magnesia.transaction(fn -> :magnesia.wread({:t, 1}) end) == {:atomic, [{:t, 1, :a}]}
  end

  describe "wait_for_tables" do
    test "answers as soon as the last table is there" do
      waiting = Task.async(fn -> :magnesia.wait_for_tables([:t, :u, :schema], :infinity) end)
      {:atomic, :ok} = :magnesia.create_table(:t, [])
      {:atomic, :ok} = :magnesia.create_table(:u, [])
      assert Task.await(waiting) == :ok
    end

    test "names what is missing when the time is over" do
      {:atomic, :ok} = :magnesia.create_table(:t, [])
      assert :magnesia.wait_for_tables([:t, :u, :v], 1) == {:timeout, [:u, :v]}
      assert :magnesia.wait_for_tables([:u], 0) == {:timeout, [:u]}
    end

    test "ends with the database" do
      waiting = Task.async(fn -> :magnesia.wait_for_tables([:t], :infinity) end)
      until(fn -> map_size(:sys.get_state(Magnesia.Database).waiters) == 1 end)
      :stopped = :magnesia.stop()
      assert Task.await(waiting) == {:error, {:node_not_running, node()}}
    end
  end

  describe "on disc" do
    @describetag :disc

    test "tables, definitions and properties are there after a restart", %{dir: dir} do
      {:atomic, :ok} =
        :magnesia.create_table(:t,
          attributes: [:a, :b, :c],
          disc_copies: [node()],
          index: [:c],
          type: :bag,
          load_order: 7,
          user_properties: [{:p, fn -> :a end, "x"}, {:q, %{1 => self()}}]
        )

      :magnesia.dirty_write({:t, 1, 2, 3})
      :magnesia.set_master_nodes(:t, [node()])
      :magnesia.write_table_property(:schema, {:mine, 1})
      facts = facts(:t)
      schema = :magnesia.table_info(:schema, :cookie)
      restart()
      assert facts(:t) == facts
      assert :magnesia.table_info(:schema, :cookie) == schema
      assert :magnesia.read_table_property(:schema, :mine) == {:mine, 1}
      assert :magnesia.dirty_index_read(:t, 3, :c) == [{:t, 1, 2, 3}]
      assert :magnesia.system_info(:directory) == String.to_charlist(dir)
    end

    test "a table without a copy here is still known" do
      {:atomic, :ok} = :magnesia.create_table(:gh, ram_copies: [:a@b])
      restart()
      assert :magnesia.table_info(:gh, :where_to_read) == :nowhere
      assert :magnesia.wait_for_tables([:gh], 0) == {:timeout, [:gh]}
    end

    test "every change of storage keeps the rows" do
      {:atomic, :ok} = :magnesia.create_table(:t, index: [:val])
      for n <- 1..100, do: :magnesia.dirty_write({:t, n, rem(n, 7)})

      for storage <- ~w(disc_copies disc_only_copies ram_copies disc_only_copies disc_copies)a do
        assert :magnesia.change_table_copy_type(:t, node(), storage) == {:atomic, :ok}
        assert :magnesia.table_info(:t, :storage_type) == storage
        assert :magnesia.table_info(:t, storage) == [node()]
        if storage != :ram_copies, do: restart()
        assert :magnesia.table_info(:t, :size) == 100
        assert length(:magnesia.dirty_index_read(:t, 3, :val)) == 14
      end
    end

    test "an ordered set on disc only is not made here, but changed like any other" do
      options = [type: :ordered_set, storage: :disc_only]
      assert Magnesia.create_table(:t, options) == :ok
      assert :magnesia.change_table_access_mode(:t, :read_only) == {:atomic, :ok}
      assert :magnesia.change_table_access_mode(:t, :read_write) == {:atomic, :ok}
      assert :magnesia.add_table_index(:t, :value) == {:atomic, :ok}
      assert :magnesia.change_table_copy_type(:t, node(), :disc_copies) == {:atomic, :ok}

      refused = {:bad_type, :t, {:not_supported, :ordered_set, :disc_only_copies}}

      assert :magnesia.change_table_copy_type(:t, node(), :disc_only_copies) ==
               {:aborted, refused}
    end

    test "a transformation is there after a restart" do
      {:atomic, :ok} = :magnesia.create_table(:t, disc_copies: [node()], index: [:val])
      for n <- 1..2000, do: :magnesia.dirty_write({:t, n, rem(n, 7)})
      widen = fn {:t, key, value} -> {:u, key, value, -key} end

      assert :magnesia.transform_table(:t, widen, [:key, :val, :minus], :u) == {:atomic, :ok}
      restart()
      assert :magnesia.table_info(:t, :size) == 2000
      assert :magnesia.dirty_read(:t, 17) == [{:u, 17, 3, -17}]
      assert length(:magnesia.dirty_index_read(:t, 3, :val)) == 286
      assert :magnesia.table_info(:t, :attributes) == [:key, :val, :minus]
    end

    test "the schema goes to memory and back, with the tables in memory" do
      {:atomic, :ok} = :magnesia.create_table(:t, [])
      {:atomic, :ok} = :magnesia.create_table(:d, disc_copies: [node()])
      :magnesia.dirty_write({:t, 1, :a})
      ram = fn -> :magnesia.change_table_copy_type(:schema, node(), :ram_copies) end
      assert ram.() == {:aborted, {~c"Disc resident tables", [:d], node()}}
      {:atomic, :ok} = :magnesia.dump_tables([:t])
      {:atomic, :ok} = :magnesia.delete_table(:d)
      assert ram.() == {:atomic, :ok}
      refute :magnesia.system_info(:use_dir)
      assert :magnesia.dirty_read(:t, 1) == [{:t, 1, :a}]
      disc = fn -> :magnesia.change_table_copy_type(:schema, node(), :disc_copies) end
      assert disc.() == {:atomic, :ok}
      assert :magnesia.change_table_copy_type(:t, node(), :disc_copies) == {:atomic, :ok}
      restart()
      assert :magnesia.dirty_read(:t, 1) == [{:t, 1, :a}]
    end

    test "create_schema and delete_schema refuse what is not theirs to do", %{dir: dir} do
      there = {:error, {node(), {:already_exists, node()}}}
      assert :magnesia.create_schema([node()]) == there
      :magnesia.stop()
      assert :magnesia.create_schema([]) == there
      keep = Path.join(dir, "not-ours.txt")
      File.write!(keep, "kept")
      assert :magnesia.delete_schema([node()]) == :ok
      assert :magnesia.delete_schema([node()]) == :ok
      assert File.ls!(dir) == ["not-ours.txt"]
      assert :magnesia.create_schema([node()]) == :ok
    end

    test "backend types and index plug-ins are refused" do
      :magnesia.stop()
      :magnesia.delete_schema([node()])
      bad = [backend_types: [{:mine, __MODULE__}]]
      reason = {:bad_type, {:backend_type, :mine, __MODULE__}}
      assert catch_exit(:magnesia.create_schema([node()], bad)) == {:aborted, reason}
      assert :magnesia.create_schema([node()], backend_types: []) == :ok
    end

    test "a damaged directory is refused in words and not touched", %{dir: dir} do
      :magnesia.stop()
      files = for file <- File.ls!(dir), do: Path.join(dir, file)
      for file <- files, File.regular?(file), do: File.write!(file, "damaged beyond repair")
      assert {:error, {kind, text}} = :magnesia.start()
      assert kind in [:damaged, :too_new] and is_binary(text)
      assert :magnesia.system_info(:is_running) == :no
      for file <- files, File.regular?(file), do: assert(File.read!(file) =~ "damaged")
    end
  end

  defp restart do
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
  end

  defp facts(tab) do
    tab |> :magnesia.table_info(:all) |> Keyword.drop([:load_reason, :memory])
  end

  # A process in a transaction that has done `fun` and ends on `:go`.
  defp holder(fun) do
    me = self()

    pid =
      spawn_link(fn ->
        :magnesia.transaction(fn ->
          fun.()
          send(me, :held)

          receive do
            :go -> :ok
          end
        end)
      end)

    assert_receive :held, 5000
    pid
  end
end
