defmodule Magnesia.Hot.LifeTest do
  @moduledoc """
  The owner of the database, Mnesia's stop and start, registration, what is asked of a closed
  database, and the promises that callbacks make by themselves.
  """
  use Magnesia.HotCase

  alias Magnesia.Backend
  alias Magnesia.Backend.{Owner, Place, Registration}
  alias Magnesia.Engine
  alias Magnesia.Pair

  test "tables outlive their owner, and rows in memory do" do
    for alias_name <- aliases() do
      tab = create(alias_name, :"t_#{alias_name}", index: [:v])
      :ok = :mnesia.dirty_write({tab, 1, 2, 3})
    end

    owner = Process.whereis(Owner)
    Process.exit(owner, :kill)
    Pair.until(fn -> Process.whereis(Owner) not in [nil, owner] end)

    for alias_name <- aliases() do
      tab = :"t_#{alias_name}"
      assert rows(tab) == [{tab, 1, 2, 3}]
      assert :mnesia.dirty_index_read(tab, 2, :v) == [{tab, 1, 2, 3}]
      assert {:atomic, :ok} = :mnesia.transaction(fn -> :mnesia.write({tab, 2, 2, 3}) end)
    end

    assert :mnesia.system_info(:is_running) == :yes
  end

  test "the database closes with Mnesia, and writers of that time neither hang nor alarm" do
    tab = create(:magnesia_disc, :t)

    write = fn ->
      for k <- Stream.iterate(1, &(&1 + 1)), do: :mnesia.dirty_write({tab, k, 0, 0})
    end

    {writer, ref} = spawn_monitor(fn -> until_refused(write) end)
    Pair.until(fn -> :mnesia.table_info(tab, :size) > 100 end)
    :stopped = :mnesia.stop()
    assert_receive {:DOWN, ^ref, :process, ^writer, :normal}, 10_000
    refute Place.open?()
    assert Backend.alarm() == nil
    :ok = :mnesia.start()
    :ok = :mnesia.wait_for_tables([tab], 10_000)
    assert :mnesia.table_info(tab, :size) > 100
  end

  # Mnesia leaves a write of that time in one of several ways.
  defp until_refused(write) do
    write.()
  catch
    kind, _reason when kind in [:exit, :error] -> :ok
  end

  test "a database that an earlier Mnesia left open is taken over with its tables on disk" do
    tab = create(:magnesia_disc, :t)
    ram = create(:magnesia_ram, :r)
    for t <- [tab, ram], do: :ok = :mnesia.dirty_write({t, 1, 2, 3})
    Process.flag(:trap_exit, true)
    # Nobody gets to close anything.
    :sys.suspend(Owner)
    Process.exit(Process.whereis(Owner), :kill)
    Process.exit(Process.whereis(:mnesia_ext_sup), :kill)
    Pair.until(fn -> not List.keymember?(Application.started_applications(), :mnesia, 0) end)
    assert Place.open?()
    :ok = :mnesia.start()
    :ok = :mnesia.wait_for_tables([tab, ram], 10_000)
    assert rows(tab) == [{tab, 1, 2, 3}]
    assert rows(ram) == []
  end

  test "a directory without rights gets Mnesia's refusal with the reason", %{dir: dir} do
    :stopped = :mnesia.stop()
    File.rm_rf!(Path.join(dir, "magnesia"))
    File.write!(Path.join(dir, "magnesia"), "a file")
    Process.flag(:trap_exit, true)
    assert {:error, _reason} = :mnesia.start()
    Pair.until(fn -> Process.whereis(:mnesia_ext_sup) == nil end)
    File.rm!(Path.join(dir, "magnesia"))
    assert :ok = :mnesia.start()
  end

  @tag :ram
  test "a directory that can't be used refuses a change of storage, and the rows stay", %{
    dir: dir
  } do
    tab = create(:ram_copies, :t)
    for k <- 1..20, do: :ok = :mnesia.dirty_write({tab, k, k, 0})
    File.mkdir_p!(dir)
    File.write!(Path.join(dir, "magnesia"), "a file")
    {:atomic, :ok} = :mnesia.change_table_copy_type(:schema, node(), :disc_copies)

    for to <- [:magnesia_disc, :magnesia_disc_only] do
      assert {:aborted, reason} = Backend.convert(tab, to)
      assert inspect(reason) =~ "check the disk and the permissions"
      assert :mnesia.table_info(tab, :storage_type) == :ram_copies
      assert length(rows(tab)) == 20
      assert {:aborted, reason} = :mnesia.create_table(:new, [{to, [node()]}])
      assert inspect(reason) =~ "check the disk and the permissions"
      refute :new in :mnesia.system_info(:tables)
    end

    File.rm!(Path.join(dir, "magnesia"))
    assert Backend.convert(tab, :magnesia_disc) == {:atomic, :ok}
    assert length(rows(tab)) == 20
  end

  @tag :ram
  test "an alias that is not registered is refused, and the rows stay" do
    :stopped = :mnesia.stop()
    :ok = :mnesia.start()
    tab = create(:ram_copies, :t)
    :ok = :mnesia.dirty_write({tab, 1, 2, 3})

    for to <- aliases() do
      assert {:aborted, {:badarg, :new, ^to}} = :mnesia.create_table(:new, [{to, [node()]}])
      changed = :mnesia.change_table_copy_type(tab, node(), to)
      assert changed == {:aborted, {:bad_type, {:storage_type, to}}}
      assert :mnesia.table_info(tab, :storage_type) == :ram_copies
    end

    assert rows(tab) == [{tab, 1, 2, 3}]
  end

  @tag :ram
  test "a Mnesia that gets a directory later has tables on disk from then on" do
    ram = create(:magnesia_ram, :r)
    :ok = :mnesia.dirty_write({ram, 1, 2, 3})
    assert {:aborted, _} = :mnesia.create_table(:t, magnesia_disc: [node()])
    {:atomic, :ok} = :mnesia.change_table_copy_type(:schema, node(), :disc_copies)
    tab = create(:magnesia_disc, :t)
    :ok = :mnesia.dirty_write({tab, 1, 2, 3})
    assert rows(ram) == [{ram, 1, 2, 3}]
    restart()
    assert rows(tab) == [{tab, 1, 2, 3}]
    assert rows(ram) == []
  end

  test "the application's setting is in Mnesia's for the schemas to come" do
    Application.put_env(:magnesia, :hot_tables, true)
    Application.put_env(:mnesia, :schema, backend_types: [{:other, Other}])

    on_exit(fn ->
      Application.delete_env(:magnesia, :hot_tables)
      Application.delete_env(:mnesia, :schema)
    end)

    # A Mnesia that runs is told.
    assert :ok = Registration.configured()
    :stopped = :mnesia.stop()
    assert :ok = Registration.configured()
    schema = Application.get_env(:mnesia, :schema)
    assert schema[:backend_types] == Backend.backend_types() ++ [{:other, Other}]
    Application.put_env(:mnesia, :schema, backend_types: [])
    assert :ok = Registration.configured()
    :ok = :mnesia.delete_schema([node()])
    :ok = :mnesia.start()
    # A schema in memory, made by the start.
    assert :magnesia_disc_only in :mnesia.system_info(:backend_types)
    create(:magnesia_ram, :t)
  end

  test "a schema on disk without aliases gets them when Mnesia has started" do
    :stopped = :mnesia.stop()
    :ok = :mnesia.delete_schema([node()])
    :ok = :mnesia.create_schema([node()])
    registrar = start_supervised!(Magnesia.Backend.Registrar)
    ref = Process.monitor(registrar)
    :ok = :mnesia.start()
    assert_receive {:DOWN, ^ref, :process, ^registrar, :normal}, 10_000
    {:mnesia_backend_types, types} = :mnesia.read_table_property(:schema, :mnesia_backend_types)
    assert types == Backend.backend_types()
  end

  test "registering needs a Mnesia that runs" do
    :stopped = :mnesia.stop()
    assert {:aborted, {:node_not_running, _}} = Backend.register()
  end

  test "what needs no state answers without any" do
    :stopped = :mnesia.stop()
    assert Backend.real_suffixes() == [] and Backend.tmp_suffixes() == []
    assert Backend.semantics(:magnesia_ram, :storage) == :ram_copies

    for a <- [:magnesia_disc, :magnesia_disc_only] do
      assert Backend.semantics(a, :storage) == :disc_only_copies
    end

    for a <- aliases() do
      assert Backend.semantics(a, :types) == [:set, :ordered_set, :bag]
      assert Backend.semantics(a, :index_types) == [:ordered, :bag]
      assert Backend.semantics(a, :anything) == :undefined
      assert Backend.add_aliases([a]) == :ok and Backend.remove_aliases([a]) == :ok
    end
  end

  test "a closed database is no reason to raise, nor is a table that is not there" do
    for stop? <- [false, true] do
      if stop?, do: :stopped = :mnesia.stop()

      for a <- aliases(),
          tab <- [:none, {:none, :index, {3, :ordered}}, {:none, :retainer, :c}] do
        assert {:error, {:no_exists, ^tab}} = Backend.insert(a, tab, {:none, 1, []})
        assert {:error, {:no_exists, ^tab}} = Backend.delete(a, tab, 1)
        assert {:error, {:no_exists, ^tab}} = Backend.match_delete(a, tab, :_)
        assert {:error, {:no_exists, ^tab}} = Backend.match_delete(a, tab, {:none, 1, []})
        assert :ok = Backend.close_table(a, tab)
        assert :ok = Backend.delete_table(a, tab)
        assert :ok = Backend.load_table(a, tab, :anything, [])
        assert :ok = Backend.load_table(a, tab, {:net_load, node()}, [])
        assert :ok = Backend.load_table(a, tab, :startup, [])
        assert :ok = Backend.fixtable(a, tab, true)
        assert :ok = Backend.create_table(a, tab, [])
        assert Backend.info(a, tab, :size) == :undefined
        assert {:aborted, {:no_exists, ^tab}} = catch_exit(Backend.lookup(a, tab, 1))
      end

      refute Backend.is_index_consistent(:magnesia_ram, {:none, :index, {3, :ordered}})
      assert :ok = Backend.index_is_consistent(:magnesia_ram, {:none, :index, {3, :bag}}, true)
    end

    assert Backend.alarm() == nil
  end

  test "a network load replaces the rows, those on disk at its end, and doubts indexes" do
    for alias_name <- aliases() do
      tab = create(alias_name, :"l_#{alias_name}", index: [:v])
      :ok = :mnesia.dirty_write({tab, 1, 2, 3})
      index = {tab, :index, {3, :ordered}}
      assert Backend.is_index_consistent(alias_name, index)
      assert :ok = Backend.load_table(alias_name, tab, {:net_load, :other@node}, [])
      kept = if alias_name == :magnesia_ram, do: [], else: [{tab, 1, 2, 3}]
      assert rows(tab) == kept
      refute Backend.is_index_consistent(alias_name, index)
      {2, state} = Backend.receiver_first_message(self(), {:first, 2}, alias_name, tab)

      state =
        for k <- 4..5, reduce: state do
          state ->
            rows = [{tab, k, k, k}]
            {:more, state} = Backend.receive_data(rows, alias_name, tab, self(), state)
            assert kept == [] or rows(tab) == kept
            state
        end

      assert :ok = Backend.receive_done(alias_name, tab, self(), state)
      assert rows(tab) == [{tab, 4, 4, 4}, {tab, 5, 5, 5}]
      :ok = Backend.index_is_consistent(alias_name, index, true)
      assert Backend.is_index_consistent(alias_name, index)
      assert Backend.alarm() == nil
    end
  end

  test "a network load of no rows leaves none, and one that ends half-way those of before" do
    for alias_name <- aliases() do
      tab = create(alias_name, :"l_#{alias_name}")
      :ok = :mnesia.dirty_write({tab, 1, 2, 3})
      :ok = Backend.load_table(alias_name, tab, {:net_load, :other@node}, [])
      {:more, _} = Backend.receive_data([{tab, 4, 4, 4}], alias_name, tab, self(), nil)
      # As Mnesia does when the sender has died.
      :ok = Backend.close_table(alias_name, tab)
      :ok = Backend.delete_table(alias_name, tab)
      size = if alias_name == :magnesia_ram, do: :undefined, else: 1
      assert {tab, Backend.info(alias_name, tab, :size)} == {tab, size}
      :ok = Backend.create_table(alias_name, tab, :mnesia.table_info(tab, :all))
      :ok = Backend.load_table(alias_name, tab, {:net_load, :other@node}, [])
      :ok = Backend.receive_done(alias_name, tab, self(), nil)
      assert rows(tab) == []
      # Deleted in earnest.
      assert {:atomic, :ok} = :mnesia.delete_table(tab)
      assert Backend.info(alias_name, tab, :size) == :undefined
    end
  end

  test "creating a table again keeps its rows; another cookie or kind makes it new" do
    tab = create(:magnesia_disc, :t)
    :ok = :mnesia.dirty_write({tab, 1, 2, 3})
    props = :mnesia.table_info(tab, :all)
    assert :ok = Backend.create_table(:magnesia_disc, tab, props)
    assert rows(tab) == [{tab, 1, 2, 3}]
    assert :ok = Backend.create_table(:magnesia_disc, tab, Keyword.put(props, :cookie, :another))
    assert rows(tab) == []
    :ok = :mnesia.dirty_write({tab, 1, 2, 3})
    other = Keyword.merge(props, cookie: :another, type: :bag)
    assert :ok = Backend.create_table(:magnesia_disc, tab, other)
    assert rows(tab) == []
  end

  @tag capture_log: true
  test "new code is taken while tables are in use; the native library stays until a restart" do
    tab = create(:magnesia_ram, :t)
    :ok = :mnesia.dirty_write({tab, 1, 2, 3})

    for module <- [Backend, Owner, Place, Engine] do
      :code.purge(module)
      assert {:module, ^module} = :code.load_file(module)
    end

    assert {:error, :on_load_failure} = :code.load_file(Magnesia.Native)
    assert rows(tab) == [{tab, 1, 2, 3}]
    :ok = :mnesia.dirty_write({tab, 2, 2, 3})
    assert length(rows(tab)) == 2
  end

  test "both databases live beside each other" do
    :ok = Engine.open(nil, %{})
    on_exit(fn -> Engine.close() end)
    tab = create(:magnesia_ram, :t)
    :ok = Engine.table_create(tab, :set, :ram_copies, :t, 3, [], :read_write, nil)
    :ok = Engine.write(tab, {:t, 1, 2})
    :ok = :mnesia.dirty_write({tab, 1, 2, 3})
    assert Engine.read(tab, 1) == [{:t, 1, 2}]
    assert Engine.read([tab], 1) == [{:t, 1, 2, 3}]
    assert Engine.write(tab, {:t, 1, 2, 3}) == {:"$magnesia_error", :bad_type}
    assert Engine.tables() == [tab] and Engine.tables(:hot) == [tab]
  end
end
