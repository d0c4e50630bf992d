defmodule Magnesia.UniqueTest do
  # Unique attributes hold against every way of writing, one at a time and all at once.
  use Magnesia.DatabaseCase

  alias Magnesia.TransactionError

  @columns [:id, :email, :age]

  defp table(options \\ []) do
    :ok = Magnesia.create_table(:user, [attributes: @columns, unique: [:email]] ++ options)
  end

  defp refused(fun) do
    error = assert_raise TransactionError, fun
    assert error.reason == {:not_unique, :user, :email}
    assert Exception.message(error) =~ "another row of table :user has the same :email"
  end

  for {kind, options} <- [
        set: [],
        ordered_set: [type: :ordered_set],
        disc: [storage: :disc],
        disc_only: [storage: :disc_only]
      ] do
    @tag :disc
    test "no two rows of a #{kind} have the same value" do
      table(unquote(options))
      {:ok, _} = Magnesia.put({:user, 1, "a", 10})
      {:ok, _} = Magnesia.dirty_put({:user, 2, "b", 20})

      refused(fn -> Magnesia.put({:user, 3, "a", 0}) end)
      refused(fn -> Magnesia.dirty_put({:user, 3, "b", 0}) end)
      refused(fn -> Magnesia.insert({:user, 3, "a", 0}) end)
      refused(fn -> Magnesia.update(:user, 2, &put_elem(&1, 2, "a")) end)
      assert Magnesia.keys(:user) |> Enum.sort() == [1, 2]

      assert {:aborted, {:not_unique, :user, :email}} =
               write([{:user, 3, "c", 0}, {:user, 4, "c", 0}])

      assert {:aborted, {:not_unique, :user, :email}} =
               write([{:user, 3, "x", 0}, {:user, 4, "a", 0}])

      assert catch_exit(:magnesia.dirty_write({:user, 3, "a", 0})) ==
               {:aborted, {:not_unique, :user, :email}}

      assert Magnesia.keys(:user) |> Enum.sort() == [1, 2]

      # A row keeps its value, and none is shared by all who have none.
      {:ok, _} = Magnesia.put({:user, 1, "a", 11})
      {:ok, _} = Magnesia.dirty_put({:user, 2, "b", 21})
      for id <- 5..7, none <- [nil, :undefined], do: {:ok, _} = Magnesia.put({:user, id, none, 0})

      # A transaction may pass a value on.
      assert {:atomic, :ok} = write([{:user, 1, "b", 0}, {:user, 2, "a", 0}])
      assert Magnesia.get(:user, 2) == {:user, 2, "a", 0}

      {:ok, :ok} =
        Magnesia.transaction(fn ->
          :ok = Magnesia.delete(:user, 1)
          :ok = Magnesia.delete_object({:user, 2, "a", 0})
          {:ok, _} = Magnesia.put({:user, 8, "a", 0})
          {:ok, _} = Magnesia.put({:user, 9, "b", 0})
          :ok
        end)

      :ok = Magnesia.delete(:user, 8)
      {:ok, _} = Magnesia.dirty_put({:user, 10, "a", 0})
      # Exactly the same: 1 is not 1.0.
      {:ok, _} = Magnesia.put({:user, 11, 1, 0})
      {:ok, _} = Magnesia.put({:user, 12, 1.0, 0})
      refused(fn -> Magnesia.put({:user, 13, 1.0, 0}) end)
      :ok = Magnesia.clear_table(:user)
      {:ok, _} = Magnesia.put({:user, 13, 1.0, 0})
      refused(fn -> Magnesia.put({:user, 14, 1.0, 0}) end)
    end

    @tag :disc
    test "of processes that write one value to a #{kind} at once, one does" do
      table(unquote(options))

      for round <- 1..30 do
        value = "value #{round}"

        outcomes =
          1..6
          |> Enum.map(fn n ->
            Task.async(fn -> attempt(rem(n, 3), {:user, {round, n}, value, n}) end)
          end)
          |> Task.await_many(60_000)

        assert Enum.count(outcomes, &(&1 == :ok)) == 1
        assert [{:user, {^round, _}, ^value, _}] = Magnesia.all_by(:user, email: value)
      end
    end
  end

  defp attempt(0, row), do: tried(fn -> Magnesia.dirty_put(row) end)
  defp attempt(1, row), do: tried(fn -> Magnesia.put(row) end)

  # One that passes a value of another row on: the commit has to see both.
  defp attempt(2, {:user, id, value, n}) do
    tried(fn ->
      Magnesia.transaction!(fn ->
        Magnesia.put({:user, {:other, id}, {:was, id}, n})
        Magnesia.put({:user, id, value, n})
      end)
    end)
  end

  defp tried(fun) do
    {:ok, _row} = fun.()
    :ok
  rescue
    error in TransactionError -> error.reason
  end

  defp write(rows) do
    :magnesia.transaction(fn -> Enum.each(rows, &:magnesia.write/1) end)
  end

  @tag :disc
  test "is true after a restart, another index, a new column and a new property" do
    table(storage: :disc)
    {:ok, _} = Magnesia.put({:user, 1, "a", 10})

    for change <- [
          fn -> :stopped = :magnesia.stop() && :magnesia.start() && :stopped end,
          fn -> :ok = Magnesia.add_index(:user, :age) end,
          fn -> :ok = Magnesia.drop_index(:user, :age) end,
          fn -> {:atomic, :ok} = :magnesia.write_table_property(:user, {:mine, 1}) end,
          fn -> {:atomic, :ok} = :magnesia.change_table_copy_type(:user, node(), :ram_copies) end,
          fn ->
            add = fn {:user, id, email, age} -> {:user, id, email, age, nil} end
            {:atomic, :ok} = :magnesia.transform_table(:user, add, @columns ++ [:city])
          end
        ] do
      change.()
      row = Magnesia.get(:user, 1)
      refused(fn -> Magnesia.dirty_put(put_elem(row, 1, 2)) end)
      refused(fn -> Magnesia.put(put_elem(row, 1, 2)) end)
    end

    assert Magnesia.info(:user).unique == [:email]
  end

  test "goes with its index" do
    table()
    {:ok, _} = Magnesia.put({:user, 1, "a", 10})
    :ok = Magnesia.drop_index(:user, :email)
    assert Magnesia.info(:user).unique == []
    {:ok, _} = Magnesia.put({:user, 2, "a", 10})

    assert {:error, %{reason: {:mismatch, :user, [{:unique, [], [:email]}]}}} =
             Magnesia.ensure_table(:user, attributes: @columns, unique: [:email])
  end

  test "is not for bags, keys, counters and attributes that are not there" do
    assert_raise ArgumentError, ~r/not for a bag/, fn ->
      Magnesia.create_table(:tags, type: :bag, unique: [:value])
    end

    assert_raise ArgumentError, ~r/no attribute :emal, did you mean :email/, fn ->
      Magnesia.create_table(:user, attributes: @columns, unique: [:emal])
    end

    assert_raise ArgumentError, ~r/beside its key/, fn ->
      Magnesia.create_table(:user, attributes: @columns, unique: [:id])
    end

    :ok = Magnesia.create_table(:hits, unique: [:value])
    error = assert_raise TransactionError, fn -> Magnesia.dirty_increment(:hits, :a) end
    assert error.reason == {:not_unique, :hits, :value}
  end

  test "rows that share a value already are told of" do
    :ok = Magnesia.create_table(:user, attributes: @columns, index: [:email])
    for id <- 1..2, do: {:ok, _} = Magnesia.put({:user, id, "a", id})

    assert {:"$magnesia_error", {:not_unique, :user, 3}} =
             Magnesia.Engine.table_unique(:user, [3], [])

    {:ok, _} = Magnesia.put({:user, 3, "a", 3})
    for id <- 2..3, do: :ok = Magnesia.delete(:user, id)
    assert Magnesia.Engine.table_unique(:user, [3], []) == :ok
    refused(fn -> Magnesia.put({:user, 2, "a", 0}) end)
  end

  @shared {:aborted, {:not_unique, :user, :email}}

  defp shared_rows(options) do
    {:atomic, :ok} = :magnesia.create_table(:user, [attributes: @columns] ++ options)
    for id <- 1..2, do: :ok = :magnesia.dirty_write({:user, id, "a", id})
  end

  defp declare, do: :magnesia.write_table_property(:user, {:magnesia_unique, [:email]})
  defp emails, do: for({:user, id, email, _} <- rows(), do: {id, email})
  defp rows, do: Enum.sort(:magnesia.dirty_match_object({:user, :_, :_, :_}))

  test "rows that share a value keep it from being declared" do
    shared_rows(index: [:email])
    assert declare() == @shared
    assert :magnesia.table_info(:user, :user_properties) == []
    :ok = :magnesia.dirty_write({:user, 3, "a", 3})
    for id <- 2..3, do: :ok = :magnesia.dirty_delete(:user, id)
    assert declare() == {:atomic, :ok}
    refused(fn -> Magnesia.put({:user, 2, "a", 0}) end)
  end

  test "rows that share a value keep its index from coming back" do
    shared_rows([])
    assert declare() == {:atomic, :ok}
    assert :magnesia.add_table_index(:user, :email) == @shared
    assert :magnesia.table_info(:user, :index) == []
    :ok = :magnesia.dirty_delete(:user, 2)
    assert :magnesia.add_table_index(:user, :email) == {:atomic, :ok}
    refused(fn -> Magnesia.put({:user, 2, "a", 0}) end)
  end

  test "a transformation after which rows would share a value changes nothing" do
    table()
    for id <- 1..2, do: :ok = :magnesia.dirty_write({:user, id, "#{id}", 0})
    same = fn {:user, id, _email, age} -> {:user, id, "a", age} end
    assert :magnesia.transform_table(:user, same, @columns) == @shared
    assert emails() == [{1, "1"}, {2, "2"}]
    other = fn {:user, id, email, age} -> {:user, id, email <> "!", age} end
    assert :magnesia.transform_table(:user, other, @columns) == {:atomic, :ok}
    refused(fn -> Magnesia.put({:user, 3, "1!", 0}) end)
  end

  @tag :disc
  test "a restore brings no row that shares a value", %{dir: dir} do
    file = dir <> ".bup"
    on_exit(fn -> for path <- Path.wildcard(file <> "*"), do: File.rm!(path) end)
    bup = String.to_charlist(file)
    shared_rows(index: [:email], disc_copies: [node()])
    :ok = :magnesia.backup(bup)
    :ok = :magnesia.dirty_delete(:user, 2)
    {:atomic, :ok} = declare()

    assert :magnesia.restore(bup, clear_tables: [:user]) == @shared
    assert :magnesia.restore(bup, keep_tables: [:user]) == @shared
    assert emails() == [{1, "a"}]
    refused(fn -> Magnesia.dirty_put({:user, 2, "a", 0}) end)

    :ok = :magnesia.backup(bup)

    for how <- [:clear_tables, :keep_tables, :recreate_tables] do
      assert :magnesia.restore(bup, [{how, [:user]}]) == {:atomic, [:user]}
      refused(fn -> Magnesia.dirty_put({:user, 2, "a", 0}) end)
    end
  end

  @tag :disc
  @tag capture_log: true
  test "the operator is told of a table made by a backup whose rows share a value", %{dir: dir} do
    file = dir <> ".bup"
    on_exit(fn -> for path <- Path.wildcard(file <> "*"), do: File.rm!(path) end)
    {plain, declared} = {String.to_charlist(file), String.to_charlist(file <> "2")}
    shared_rows(index: [:email], disc_copies: [node()])
    :ok = :magnesia.backup(plain)
    said = &Keyword.put(&1, :user_properties, magnesia_unique: [:email])

    change = fn
      {:schema, :user, list}, n -> {[{:schema, :user, said.(list)}], n}
      item, n -> {[item], n}
    end

    {:ok, 0} = :magnesia.traverse_backup(plain, declared, change, 0)
    {:ok, _node} = :magnesia.subscribe(:system)
    assert {:atomic, [:user]} = :magnesia.restore(declared, recreate_tables: [:user])
    assert_receive {:mnesia_system_event, {:mnesia_error, format, arguments}}, 30_000
    text = IO.chardata_to_string(:io_lib.format(format, arguments))
    assert text =~ "table user: its unique attributes are not enforced"
    assert text =~ "rows share a value of :email"
    assert emails() == [{1, "a"}, {2, "a"}]
  end

  test "a table module says it of a field" do
    defmodule Account do
      use Magnesia.Table, name: :user

      fields do
        field :id
        field :email, :string, unique: true
        field :age, :integer, default: 0
      end
    end

    :ok = Account.create()
    {:ok, _} = Account.put(struct!(Account, id: 1, email: "a"))
    refused(fn -> Account.put(struct!(Account, id: 2, email: "a")) end)
    assert Account.info().unique == [:email]
    assert Account.ensure() == :ok
  end
end
