defmodule Magnesia.FriendlyTest do
  # What the examples do not show: where calls run, how failures come out, conditions that a
  # match specification would misread.
  use Magnesia.DatabaseCase

  alias Magnesia.NoTransactionError
  alias Magnesia.SchemaError
  alias Magnesia.TransactionError

  defp people(_context) do
    :ok = Magnesia.create_table(:people, attributes: [:id, :name, :age], index: [:name])
    for n <- 1..20, do: Magnesia.put({:people, n, "p#{rem(n, 5)}", n})
    :ok
  end

  describe "transactions" do
    setup :people

    test "keep all writes or none" do
      assert {:error, %TransactionError{reason: :no, hint: nil}} =
               Magnesia.transaction(fn ->
                 Magnesia.put({:people, 1, "x", 0})
                 Magnesia.delete(:people, 2)
                 Magnesia.rollback(:no)
               end)

      assert Magnesia.get(:people, 1) == {:people, 1, "p1", 1}
      assert Magnesia.has_key?(:people, 2)
    end

    test "raise what the fun raises, with its stack" do
      stack =
        try do
          Magnesia.transaction(fn -> raise ArgumentError, "mine" end)
        rescue
          error in ArgumentError ->
            assert error.message == "mine"
            __STACKTRACE__
        end

      assert Enum.any?(stack, fn {module, _, _, _} -> module == __MODULE__ end)
      assert_raise ErlangError, fn -> Magnesia.transaction(fn -> :erlang.error(:mine) end) end
    end

    test "give exceptions as errors when asked to" do
      assert {:error, %TransactionError{reason: {%ArgumentError{}, [_ | _]}} = error} =
               Magnesia.transaction(fn -> raise ArgumentError, "mine" end, rescue: true)

      assert Exception.message(error) =~ "(ArgumentError) mine"
    end

    test "give throws and exits as errors" do
      assert {:error, %{reason: {:throw, :ball}}} = Magnesia.transaction(fn -> throw(:ball) end)

      assert {:error, %{reason: :gone}} = Magnesia.transaction(fn -> exit(:gone) end)
    end

    test "end with the reason of the call that failed" do
      assert {:error, %TransactionError{reason: {:no_exists, :town}, table: :town} = error} =
               Magnesia.transaction(fn -> Magnesia.get(:town, 1) end)

      assert Exception.message(error) =~ "table :town does not exist"
    end

    test "can be nested, and the inner one rolled back alone" do
      assert {:ok, {:people, 1, "outer", 1}} =
               Magnesia.transaction(fn ->
                 Magnesia.put({:people, 1, "outer", 1})

                 {:error, %{reason: :inner}} =
                   Magnesia.transaction(fn ->
                     Magnesia.put({:people, 1, "inner", 1})
                     Magnesia.rollback(:inner)
                   end)

                 Magnesia.get(:people, 1)
               end)
    end

    test "see their own writes in every kind of read" do
      Magnesia.transaction!(fn ->
        Magnesia.put({:people, 21, "new", 21})
        Magnesia.delete(:people, 1)
        assert Magnesia.count(:people) == 20
        assert Magnesia.count(:people, name: "new") == 1
        assert Magnesia.match(:people, name: "new") == [{:people, 21, "new", 21}]
        assert Magnesia.get_by(:people, name: "new") == {:people, 21, "new", 21}
        assert Enum.sort(Magnesia.keys(:people)) == Enum.to_list(2..21)
        assert Enum.count(Magnesia.stream(:people, chunk: 3)) == 20
        assert Magnesia.fold(:people, 0, fn _row, n -> n + 1 end) == 20
        assert Magnesia.dirty_get(:people, 21) == nil
      end)
    end

    test "refuse options that do not exist or fit" do
      assert_raise ArgumentError, ~r/did you mean :retries/, fn ->
        Magnesia.transaction(fn -> :ok end, retires: 3)
      end

      assert_raise ArgumentError, ~r/sync must be true or false/, fn ->
        Magnesia.transaction(fn -> :ok end, sync: 1)
      end

      assert {:ok, :ok} = Magnesia.transaction(fn -> :ok end, sync: true, retries: 3)
    end

    test "are what rollback needs" do
      assert_raise NoTransactionError, ~r/Wrap the call/, fn -> Magnesia.rollback(:no) end
    end

    test "lose no update in a race" do
      tasks =
        for _ <- 1..8 do
          Task.async(fn ->
            for _ <- 1..50, do: Magnesia.update(:people, 1, &put_elem(&1, 3, elem(&1, 3) + 1))
          end)
        end

      Task.await_many(tasks, 60_000)
      assert Magnesia.get(:people, 1) == {:people, 1, "p1", 401}
    end
  end

  describe "outside a transaction" do
    setup :people

    test "failures raise with table and hint" do
      error = catch_error(Magnesia.get(:town, 1))
      assert %TransactionError{table: :town, reason: {:no_exists, :town}} = error
      assert error.hint =~ "Magnesia.create_table(:town"

      error = catch_error(Magnesia.put({:people, 1, "x"}))
      assert %TransactionError{table: :people, reason: {:bad_type, {:people, 1, "x"}}} = error
      assert error.hint == "Its rows are {:people, id, name, age}"

      assert_raise TransactionError, ~r/does not exist/, fn -> Magnesia.dirty_get(:town, 1) end
      assert_raise TransactionError, ~r/does not exist/, fn -> Magnesia.count(:town) end
      assert_raise TransactionError, ~r/does not exist/, fn -> Magnesia.stream(:town) end
      assert_raise ArgumentError, ~r/a row is a tuple/, fn -> Magnesia.put("row") end
    end

    test "a database that does not run says so" do
      Magnesia.stop()

      for call <- [
            fn -> Magnesia.get(:people, 1) end,
            fn -> Magnesia.put({:people, 1, "x", 1}) end,
            fn -> Magnesia.match(:people, name: "x") end,
            fn -> Magnesia.dirty_get(:people, 1) end,
            fn -> Magnesia.keys(:people) end
          ] do
        assert_raise TransactionError, ~r/is not running.*Magnesia.start/s, call
      end

      assert {:error, %SchemaError{hint: hint}} = Magnesia.create_table(:town)
      assert hint =~ "Magnesia.start"
    end

    test "a read-only table says so" do
      {:atomic, :ok} = :magnesia.change_table_access_mode(:people, :read_only)

      assert_raise TransactionError, ~r/is read-only.*read_write/s, fn ->
        Magnesia.put({:people, 1, "x", 1})
      end
    end

    test "exceptions of a fun are its own" do
      assert_raise RuntimeError, "mine", fn ->
        Magnesia.update(:people, 1, fn _ -> raise "mine" end)
      end

      assert_raise ArgumentError, ~r/has the key 2, not 1/, fn ->
        Magnesia.update(:people, 1, &put_elem(&1, 1, 2))
      end

      assert Magnesia.get(:people, 1) == {:people, 1, "p1", 1}
    end

    test "a dirty block is dirty, and part of a transaction inside one" do
      assert Magnesia.dirty(fn -> Magnesia.put({:people, 1, "d", 1}) end) ==
               {:ok, {:people, 1, "d", 1}}

      assert_raise TransactionError, fn -> Magnesia.dirty(fn -> Magnesia.get(:town, 1) end) end
      assert_raise RuntimeError, "mine", fn -> Magnesia.dirty(fn -> raise "mine" end) end
      refute Magnesia.dirty(fn -> Magnesia.in_transaction?() end)

      Magnesia.transaction(fn ->
        Magnesia.dirty(fn -> Magnesia.put({:people, 1, "t", 1}) end)
        Magnesia.rollback(:no)
      end)

      assert Magnesia.get(:people, 1) == {:people, 1, "d", 1}
    end
  end

  describe "rows" do
    test "replace, insert and swap look before they write" do
      :ok = Magnesia.create_table(:pair)
      assert {:error, :not_found} = Magnesia.replace(:pair, {:pair, 1, :a})
      assert {:ok, _} = Magnesia.insert({:pair, 1, :a})
      assert {:error, :already_exists} = Magnesia.put_new(:pair, {:pair, 1, :b})
      assert {:ok, {:pair, 1, :c}} = Magnesia.replace(:pair, {:pair, 1, :c})
      assert {:error, :stale} = Magnesia.compare_and_swap(:pair, nil, {:pair, 1, :d})
      assert :ok = Magnesia.compare_and_swap(:pair, nil, {:pair, 2, :d})

      assert_raise ArgumentError, fn ->
        Magnesia.compare_and_swap(:pair, {:pair, 1, :c}, {:pair, 2, :c})
      end

      assert Magnesia.get_and_update(:pair, 9, fn nil -> {:new, {:pair, 9, 0}} end) == :new
      assert Magnesia.get_and_update(:pair, 9, fn _ -> {:gone, nil} end) == :gone
      refute Magnesia.has_key?(:pair, 9)
      assert_raise ArgumentError, fn -> Magnesia.get_and_update(:pair, 9, fn _ -> 1 end) end
    end

    test "of a bag are for get_all" do
      :ok = Magnesia.create_table(:bag, type: :bag)
      Magnesia.put({:bag, 1, :a})
      assert_raise ArgumentError, ~r/get_all/, fn -> Magnesia.get(:bag, 1) end
      assert_raise ArgumentError, ~r/get_all/, fn -> Magnesia.dirty_get(:bag, 1) end
      assert_raise ArgumentError, ~r/get_all/, fn -> Magnesia.update(:bag, 1, & &1) end
      assert Magnesia.get_all(:bag, 1) == [{:bag, 1, :a}]
    end

    test "with a record name of their own" do
      :ok = Magnesia.create_table(:things, attributes: [:id, :n], record_name: :thing)
      assert {:ok, _} = Magnesia.put(:things, {:thing, 1, 2})
      assert Magnesia.increment(:things, 1, 3) == 5
      assert Magnesia.match(:things, n: 5) == [{:thing, 1, 5}]
      assert Magnesia.to_map(:things, {:thing, 1, 5}) == %{id: 1, n: 5}

      assert_raise TransactionError, ~r/{:thing, id, n}/, fn ->
        Magnesia.put(:things, {:x, 1, 2})
      end

      assert_raise ArgumentError, fn -> Magnesia.to_map(:things, {:thing, 1}) end
    end

    test "that are no counters are not counted" do
      :ok = Magnesia.create_table(:pair)
      Magnesia.put({:pair, 1, "text"})
      assert_raise TransactionError, ~r/no counter/, fn -> Magnesia.increment(:pair, 1) end
      assert Magnesia.increment(:pair, 2, -5) == -5
      assert Magnesia.dirty_increment(:pair, 3, -5) == 0
    end
  end

  describe "conditions" do
    setup do
      :ok = Magnesia.create_table(:item, attributes: [:id, :value, :other], index: [:value])
      values = [:_, :"$1", %{a: 1}, %{a: 1, b: 2}, {:a, :_}, {1, 2}, 1, 1.0, "x", [:_ | :x], nil]
      for {value, n} <- Enum.with_index(values), do: Magnesia.put({:item, n, value, n})
      {:ok, values: values}
    end

    test "take every value for itself", %{values: values} do
      for {value, n} <- Enum.with_index(values) do
        assert Magnesia.match(:item, value: value) == [{:item, n, value, n}]
        assert Magnesia.get_by(:item, value: value) == {:item, n, value, n}
        assert Magnesia.select(:item, [{:===, :value, {:const, value}}]) == [{:item, n, value, n}]
        assert Magnesia.dirty_match(:item, value: value) == [{:item, n, value, n}]
      end
    end

    test "combine" do
      ids = fn conditions -> :item |> Magnesia.select(conditions) |> Enum.map(&elem(&1, 1)) end
      assert Enum.sort(ids.([{:or, {:==, :id, 3}, {:<, :id, 2}}])) == [0, 1, 3]
      assert Enum.sort(ids.([{:not, {:>=, :id, 2}}])) == [0, 1]
      assert Enum.sort(ids.([{:in, :id, [4, 5, 99]}, {:!=, :id, 4}])) == [5]
      assert Enum.sort(ids.([{:==, :value, 1}])) == [6, 7]
      assert length(ids.([{:==, :id, :other}])) == 11
      assert ids.([{:in, :id, []}]) == []
      assert ids.([{:id, 4}, {:<=, :other, 4}]) == [4]
    end

    test "that make no sense are refused in words" do
      refused = fn conditions, words ->
        assert_raise ArgumentError, words, fn -> Magnesia.select(:item, conditions) end
      end

      refused.([{:between, :id, 3}], ~r/no operator :between/)
      refused.([{:valu, 3}], ~r/did you mean :value/)
      refused.([:id], ~r/a condition is/)
      refused.(:id, ~r/conditions are a list/)
      refused.([{:>, :value, ~U[2024-01-01 00:00:00Z]}], ~r/to_unix/)
      assert_raise ArgumentError, fn -> Magnesia.match(:item, [{:>, :id, 1}]) end

      assert_raise ArgumentError, ~r/add_index/, fn ->
        Magnesia.all_by(:item, [other: 1], require_index: true)
      end

      assert Magnesia.all_by(:item, [value: "x"], require_index: true) == [{:item, 8, "x", 8}]
      assert_raise TransactionError, fn -> Magnesia.select_spec(:item, [{:item, :nonsense}]) end
    end

    test "that several rows meet are not for get_by" do
      Magnesia.put({:item, 99, "x", 0})
      assert_raise ArgumentError, ~r/2 rows.*all_by/, fn -> Magnesia.get_by(:item, value: "x") end
    end
  end

  describe "streams" do
    setup do
      for type <- [:set, :ordered_set, :bag] do
        :ok = Magnesia.create_table(type, type: type)
        for n <- 1..1000, do: Magnesia.put({type, n, rem(n, 7)})
      end

      :ok
    end

    test "give every row once, in and out of a transaction, whatever the chunk" do
      for type <- [:set, :ordered_set, :bag], chunk <- [1, 7, 1000, 5000] do
        rows = for n <- 1..1000, do: {type, n, rem(n, 7)}
        stream = Magnesia.stream(type, chunk: chunk)
        assert Enum.sort(stream) == rows
        assert Magnesia.transaction!(fn -> Enum.sort(stream) end) == rows
        assert Enum.sort(Magnesia.fold(type, [], &[&1 | &2], chunk: chunk)) == rows
      end
    end

    test "are lazy and can be left" do
      assert [{:ordered_set, 1, 1}, {:ordered_set, 2, 2}] =
               :ordered_set |> Magnesia.stream(chunk: 2) |> Enum.take(2)
    end

    test "keep to their bounds and order" do
      keys = fn options ->
        free = :ordered_set |> Magnesia.stream(options) |> Enum.map(&elem(&1, 1))

        assert free ==
                 Magnesia.transaction!(fn ->
                   :ordered_set |> Magnesia.stream(options) |> Enum.map(&elem(&1, 1))
                 end)

        free
      end

      assert keys.(from: 10, to: 13) == [10, 11, 12, 13]
      assert keys.(from: 10, to: 13, order: :desc, chunk: 2) == [13, 12, 11, 10]
      assert keys.(from: 9.5, to: 11.5, order: :desc) == [11, 10]
      assert keys.(from: 999) == [999, 1000]
      assert keys.(order: :desc) == Enum.to_list(1000..1//-1)
      assert keys.(from: 2000, order: :desc) == []
      assert Enum.count(Magnesia.stream(:set, from: 10, to: 13)) == 4
    end

    test "refuse an order that a table does not have, and wrong options" do
      assert_raise ArgumentError, ~r/has no order/, fn -> Magnesia.stream(:set, order: :desc) end
      assert_raise ArgumentError, ~r/:asc or :desc/, fn -> Magnesia.stream(:bag, order: :up) end
      assert_raise ArgumentError, ~r/above zero/, fn -> Magnesia.stream(:set, chunk: 0) end
    end
  end

  describe "tables" do
    test "on disc need a directory" do
      assert {:error, %SchemaError{table: :d, reason: {:bad_type, :d, :disc_copies, _}} = error} =
               Magnesia.create_table(:d, storage: :disc)

      assert error.hint =~ "Magnesia.start(dir:"
      assert {:error, %SchemaError{}} = Magnesia.create_table(:d, disc_copies: [node()])
    end

    test "have no empty lists of nodes" do
      for kind <- [:ram_copies, :disc_copies, :disc_only_copies] do
        assert {:error, %SchemaError{reason: {:bad_type, :d, {^kind, []}}} = error} =
                 Magnesia.create_table(:d, [{kind, Node.list()}])

        assert error.hint =~ "Node.list() leaves out the local node"
      end

      assert Magnesia.tables() == []
    end

    test "refuse options that do not fit" do
      for options <- [
            [attributes: [:one]],
            [attributes: "a"],
            [type: :heap],
            [storage: :tape],
            [storage: :ram, ram_copies: [node()]],
            [index: [:nope]],
            [:bare]
          ] do
        assert_raise ArgumentError, fn -> Magnesia.create_table(:t, options) end
      end

      assert_raise ArgumentError, fn -> Magnesia.create_table("t") end
    end

    @tag :disc
    test "of every type can be on disc only" do
      for type <- [:set, :ordered_set, :bag] do
        :ok = Magnesia.create_table(type, type: type, storage: :disc_only, index: [:value])
        for n <- 1..50, do: Magnesia.put({type, n, rem(n, 5)})
      end

      :ok = Magnesia.drop_index(:ordered_set, :value)
      :ok = Magnesia.add_index(:ordered_set, :value)
      assert Magnesia.info(:ordered_set).index == [:value]
      :ok = Magnesia.stop()
      :ok = Magnesia.start()

      for type <- [:set, :ordered_set, :bag] do
        assert %{type: ^type, storage: :disc_only, size: 50} = Magnesia.info(type)
        assert length(Magnesia.all_by(type, value: 3)) == 10
      end

      assert Magnesia.keys(:ordered_set) == Enum.to_list(1..50)
      assert {:error, %SchemaError{}} = Magnesia.create_table(:ordered_set, type: :ordered_set)
    end

    test "are not changed inside a transaction" do
      :ok = Magnesia.create_table(:pair)

      Magnesia.transaction!(fn ->
        for answer <- [
              Magnesia.create_table(:t),
              Magnesia.delete_table(:pair),
              Magnesia.clear_table(:pair),
              Magnesia.add_index(:pair, :value)
            ] do
          assert {:error, %SchemaError{reason: :nested_transaction}} = answer
        end
      end)
    end

    test "that are not there" do
      for answer <- [
            Magnesia.delete_table(:t),
            Magnesia.clear_table(:t),
            Magnesia.add_index(:t, :x),
            Magnesia.drop_index(:t, :x)
          ] do
        assert {:error, %SchemaError{table: :t} = error} = answer
        assert Exception.message(error) =~ "does not exist"
      end

      assert {:error, %SchemaError{reason: {:timeout, [:t]}}} = Magnesia.wait([:t], 0)
      assert_raise TransactionError, fn -> Magnesia.info(:t) end
    end

    test "get the indexes that a declaration has and they lack" do
      :ok = Magnesia.create_table(:pair)
      assert Magnesia.ensure_table(:pair, index: [:value]) == :ok
      assert Magnesia.info(:pair).index == [:value]

      assert {:error, %{reason: {:mismatch, :pair, found}}} =
               Magnesia.ensure_table(:pair, storage: :disc, attributes: [:key, :val])

      assert found == [
               {:attributes, [:key, :value], [:key, :val]},
               {:storage, :ram_copies, :disc_copies}
             ]
    end
  end
end
