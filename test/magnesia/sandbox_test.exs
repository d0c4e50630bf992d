defmodule Magnesia.SandboxTest do
  # What a test did is undone: rows of all kinds of tables, whoever wrote them, and the schema.
  use Magnesia.DatabaseCase

  alias Magnesia.Sandbox

  @moduletag :disc
  @deadline 30_000

  setup do
    for storage <- [:ram, :disc, :disc_only], type <- [:set, :ordered_set, :bag] do
      table = :"#{storage}_#{type}"
      :ok = Magnesia.create_table(table, storage: storage, type: type, index: [:value])
      for key <- 1..20, do: {:ok, _row} = Magnesia.put({table, key, rem(key, 3)})
    end

    :ok
  end

  defp state do
    for table <- Magnesia.tables(), into: %{} do
      keys = Enum.sort(Magnesia.keys(table))
      found = Enum.sort(Magnesia.select(table, [{:==, :value, 1}]))
      info = Map.drop(Magnesia.info(table), [:bytes])
      {table, {info, for(key <- keys, do: Magnesia.get_all(table, key)), found}}
    end
  end

  defp change(table) do
    Magnesia.put({table, 1, :new})
    Magnesia.put({table, 99, :new})
    Magnesia.delete(table, 2)
    :magnesia.dirty_delete(table, 3)
    :magnesia.dirty_write({table, 4, :dirty})
    Magnesia.transaction(fn -> for key <- 5..9, do: Magnesia.delete(table, key) end)
  end

  test "rows of every kind of table come back, whoever changed them" do
    before = state()
    sandbox = Sandbox.checkout()
    tables = Magnesia.tables()
    {mine, others} = Enum.split(tables, 4)
    Enum.each(mine, &change/1)
    Task.await(Task.async(fn -> Enum.each(others, &change/1) end), @deadline)
    :ok = Magnesia.clear_table(hd(tables))
    assert state() != before
    assert Sandbox.checkin(sandbox) == :ok
    assert state() == before
    refute File.exists?(sandbox.file)
  end

  test "tables that were made, deleted and changed" do
    before = state()
    sandbox = Sandbox.checkout()
    :ok = Magnesia.create_table(:new, storage: :disc)
    :ok = Magnesia.create_table(:f, frag_properties: [n_fragments: 3])
    :ok = Magnesia.delete_table(:disc_set)
    :ok = Magnesia.drop_index(:ram_set, :value)
    longer = fn {name, key, value} -> {name, key, value, nil} end
    {:atomic, :ok} = :magnesia.transform_table(:ram_bag, longer, [:key, :value, :more])
    {:atomic, :ok} = :magnesia.change_table_copy_type(:disc_bag, node(), :ram_copies)
    {:atomic, :ok} = :magnesia.change_table_access_mode(:ram_ordered_set, :read_only)
    assert Sandbox.checkin(sandbox) == :ok
    assert state() == before
    # And after a restart what is on disk is what is in memory.
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    :ok = Magnesia.wait(Magnesia.tables())
    on_disk = fn {table, _} -> String.starts_with?("#{table}", "disc") end
    assert Enum.filter(state(), on_disk) == Enum.filter(before, on_disk)
  end

  test "only the tables that were asked for" do
    sandbox = Sandbox.checkout(tables: [:ram_set])
    :ok = Magnesia.create_table(:new)
    {:ok, _} = Magnesia.put({:ram_set, 1, :new})
    {:ok, _} = Magnesia.put({:disc_set, 1, :new})
    assert Sandbox.checkin(sandbox) == :ok
    assert Magnesia.get(:ram_set, 1) == {:ram_set, 1, 1}
    assert Magnesia.get(:disc_set, 1) == {:disc_set, 1, :new}
    assert :new in Magnesia.tables()
  end

  test "one in the other" do
    outer = Sandbox.checkout()
    {:ok, _} = Magnesia.put({:ram_set, 1, :outer})
    inner = Sandbox.checkout()
    {:ok, _} = Magnesia.put({:ram_set, 1, :inner})
    :ok = Sandbox.checkin(inner)
    assert Magnesia.get(:ram_set, 1) == {:ram_set, 1, :outer}
    :ok = Sandbox.checkin(outer)
    assert Magnesia.get(:ram_set, 1) == {:ram_set, 1, 1}
  end

  test "a log goes on from where it was" do
    :ok = Magnesia.Log.create(:log, tables: [:ram_set])
    {:ok, _} = Magnesia.put({:ram_set, 1, :logged})
    sandbox = Sandbox.checkout()
    for n <- 1..5, do: {:ok, _} = Magnesia.put({:ram_set, 1, n})
    assert Magnesia.Log.last(:log) == 6
    :ok = Sandbox.checkin(sandbox)
    assert Magnesia.Log.last(:log) == 1
    {:ok, _} = Magnesia.put({:ram_set, 2, :next})
    assert for(entry <- Magnesia.Log.read(:log, 0), do: entry.number) == [1, 2]
  end

  test "caches and locks go on" do
    start_supervised!({Magnesia.Cache, name: :pages})
    start_supervised!(Magnesia.Lock)
    sandbox = Sandbox.checkout()
    {:ok, lock} = Magnesia.Lock.acquire(:a)
    Magnesia.Cache.put(:pages, :home, 1)
    :ok = Sandbox.checkin(sandbox)
    assert Magnesia.Cache.get(:pages, :home) == 1
    assert Magnesia.Lock.release(lock) == :ok
  end

  test "what can't be is refused in words" do
    refusal = ~r/is async and uses Magnesia.Sandbox/

    assert_raise ArgumentError, refusal, fn ->
      Sandbox.refuse_async!(%{async: true, module: __MODULE__})
    end

    assert_raise Magnesia.BackupError, ~r/:nosuch/, fn -> Sandbox.checkout(tables: [:nosuch]) end
    assert_raise ArgumentError, ~r/did you mean :tables/, fn -> Sandbox.checkout(table: []) end
    :ok = Magnesia.stop()
    assert_raise Magnesia.BackupError, ~r/not running/, fn -> Sandbox.checkout() end
  end
end

defmodule Magnesia.SandboxInUseTest do
  # Two tests, in whatever order, of which each finds what was there before both.
  use ExUnit.Case, async: false

  setup_all do
    :stopped = :magnesia.stop()
    Application.delete_env(:magnesia, :dir)
    :ok = Magnesia.start(tables: [person: [attributes: [:id, :name]]])
    {:ok, _row} = Magnesia.put({:person, 0, "always"})
    on_exit(fn -> :magnesia.stop() end)
  end

  use Magnesia.Sandbox

  for id <- 1..2 do
    test "#{id} is alone with what was there" do
      assert Magnesia.keys(:person) == [0]
      {:ok, _row} = Magnesia.put({:person, unquote(id), "here"})
      :ok = Magnesia.delete(:person, 0)
    end
  end
end
