defmodule Magnesia.SchemaTest do
  @moduledoc """
  Schema operations on Magnesia and stock Mnesia side by side: the same call, the same answer.
  The numbered quirks are compared elsewhere; here are the mistakes and changes between them.
  """

  use ExUnit.Case, async: false

  import Magnesia.Pair

  setup do
    fresh()
    on_exit(&stop/0)
  end

  describe "create_table" do
    test "reports the first mistake as Mnesia does" do
      for options <- mistakes() do
        same(fn m ->
          {options, m.create_table(:bad, options), :bad in m.system_info(:tables)}
        end)
      end
    end

    test "takes what Mnesia takes" do
      for options <- [
            [],
            [disc_copies: []],
            [index: [:val, :val]],
            [index: [{:val, :bag}]],
            [index: [3]],
            [attributes: [:a, :b, :c], index: [:c, :b], record_name: :other],
            [user_properties: [{:z, 1}, {:a, 2, 3}], load_order: -4],
            [local_content: true],
            [majority: true],
            [access_mode: :read_only],
            [storage_properties: [ets: [:compressed], dets: [auto_save: 5000]]],
            [ram_copies: [node(), :nobody@nowhere], majority: true],
            [ram_copies: [:nobody@nowhere]],
            [cookie: {{1, 2, 3}, :there}, version: {{3, 1}, []}]
          ] do
        same(fn m -> {options, m.create_table(:good, options), facts(m, :good)} end)
        fresh()
      end
    end

    test "with arguments of another kind" do
      same(& &1.create_table(:foo))
      same(& &1.create_table([]))
      same(& &1.create_table(:foo, :bar))
      same(& &1.create_table(:foo, %{}))
      same(& &1.create_table(attributes: [:a, :b]))
      same(& &1.create_table(nil, []))
      same(& &1.create_table(:t, name: :u, type: :set))
    end
  end

  describe "tables that are changed" do
    test "indexes come and go" do
      same(fn m ->
        m.dirty_write({:s, 1, :red})

        {m.add_table_index(:s, :v), m.dirty_index_read(:s, :red, :v), m.table_info(:s, :index),
         elem(m.table_info(:s, :version), 0), m.del_table_index(:s, 3), m.table_info(:s, :index),
         elem(m.table_info(:s, :version), 0)}
      end)

      for attribute <- [:k, :nope, 2, 9, -1, "x", {:v}, {:v, :bag}, nil, 1.5] do
        same(&{attribute, &1.add_table_index(:s, attribute)})
        same(&{attribute, &1.del_table_index(:s, attribute)})
      end

      for tab <- [:nosuch, :schema, "x"] do
        same(&{&1.add_table_index(tab, :v), &1.del_table_index(tab, :v)})
      end
    end

    test "an index asked for twice goes entry by entry" do
      # Stock Mnesia does not survive this.
      m = :magnesia
      m.create_table(:twice, index: [:val, :val])
      m.dirty_write({:twice, 1, :a})
      assert m.del_table_index(:twice, :val) == {:atomic, :ok}
      assert m.table_info(:twice, :index) == [3]
      assert m.dirty_index_read(:twice, :a, :val) == [{:twice, 1, :a}]
      assert m.del_table_index(:twice, :val) == {:atomic, :ok}
      assert m.del_table_index(:twice, :val) == {:aborted, {:no_exists, :twice, 3}}
    end

    test "the list of indexes has Mnesia's order" do
      same(fn m ->
        list = fn step -> {step, m.table_info(:x, :index)} end
        names = [:k, :a, :b, :c, :d]

        [
          list.(m.create_table(:x, attributes: names, index: [:b, :a, :c])),
          list.(m.write_table_property(:x, {:p, 1})),
          list.(m.add_table_index(:x, :d)),
          list.(m.change_table_load_order(:x, 1)),
          list.(m.del_table_index(:x, :a)),
          list.(m.add_table_index(:x, :a)),
          list.(m.transform_table(:x, :ignore, names)),
          list.(m.table_info(:x, :cstruct) |> elem(10))
        ]
      end)
    end

    test "access mode, load order and majority" do
      same(fn m ->
        {m.change_table_access_mode(:s, :read_only), facts(m, :s), m.add_table_index(:s, :v),
         m.change_table_load_order(:s, 3), m.change_table_copy_type(:s, node(), :ram_copies),
         m.transform_table(:s, :ignore, [:k, :x]), m.write_table_property(:s, {:a, 1}),
         m.del_table_copy(:s, node()), m.move_table_copy(:s, node(), :x@y),
         m.change_table_access_mode(:s, :read_write), m.change_table_majority(:s, true),
         facts(m, :s)}
      end)

      for tab <- [:s, :nosuch, :schema], value <- [:foo, 1.5, nil] do
        same(&{tab, value, &1.change_table_access_mode(tab, value)})
        same(&{tab, value, &1.change_table_load_order(tab, value)})
      end

      same(& &1.change_table_majority(:schema, true))
      same(& &1.change_table_majority(:nosuch, true))
    end

    test "user properties" do
      same(fn m ->
        {m.write_table_property(:i, {:q, 1}), m.write_table_property(:i, {:b, 1}),
         m.write_table_property(:i, {:q, 2, 3}), m.table_info(:i, :user_properties),
         m.delete_table_property(:i, :q), m.read_table_property(:i, :b)}
      end)

      for tab <- [:i, :nosuch, :schema] do
        same(&{tab, &1.write_table_property(tab, {:k, 1})})
        same(&{tab, &1.read_table_property(tab, :k)})
        same(&{tab, &1.read_table_property(tab, :other)})
        same(&{tab, &1.delete_table_property(tab, :k)})
        same(&{tab, &1.write_table_property(tab, {})})
      end
    end

    test "a schema that is read-only refuses every change, the way back too" do
      same(fn m ->
        {m.change_table_access_mode(:schema, :read_only), m.create_table(:x, []),
         m.delete_table(:s), m.write_table_property(:s, {:a, 1}),
         m.change_table_access_mode(:schema, :read_write), m.clear_table(:s)}
      end)
    end
  end

  describe "tables that go" do
    test "delete_table and clear_table" do
      for tab <- [:nosuch, :schema, "x", nil] do
        same(&{tab, &1.delete_table(tab), &1.clear_table(tab)})
      end

      same(fn m ->
        m.dirty_write({:i, 1, :red, 2})

        {m.clear_table(:i), m.table_info(:i, :size), m.dirty_index_read(:i, :red, :v),
         m.delete_table(:i), m.delete_table(:i), outcome(fn -> m.dirty_read(:i, 1) end),
         m.table_info(:i, :size)}
      end)
    end

    test "in activities" do
      same(fn m ->
        m.transaction(fn ->
          {m.create_table(:zz, []), m.delete_table(:i), m.add_table_index(:s, :v),
           m.del_table_index(:s, :v), m.transform_table(:s, :ignore, [:a, :b]),
           m.change_table_copy_type(:s, node(), :ram_copies), m.dump_tables([:s]),
           m.write_table_property(:s, {:a, 1}), m.change_table_majority(:s, true)}
        end)
      end)

      same(fn m -> m.transaction(fn -> {m.write({:s, 1, 2}), m.clear_table(:s)} end) end)
      same(fn m -> m.async_dirty(fn -> {m.create_table(:zz, []), m.clear_table(:s)} end) end)
      same(fn m -> m.activity(:ets, fn -> m.clear_table(:s) end) end)
    end
  end

  describe "copies" do
    test "on nodes that are not there" do
      for node <- [node(), :a@b, "x"], tab <- [:i, :nosuch, :schema] do
        for storage <- [:ram_copies, :disc_copies, :disc_only_copies, :foo] do
          same(&{tab, node, storage, &1.change_table_copy_type(tab, node, storage)})
        end

        same(&{tab, node, &1.move_table_copy(tab, node(), node)})
        same(&{tab, node, &1.move_table_copy(tab, node, :c@d)})
      end

      for tab <- [:i, :nosuch], node <- [:a@b, "x"], storage <- [:disc_copies, :foo] do
        same(&{tab, node, storage, &1.add_table_copy(tab, node, storage)})
      end

      same(& &1.del_table_copy(:i, :a@b))
      same(& &1.del_table_copy(:i, "x"))
      same(& &1.del_table_copy(:nosuch, node()))
    end

    test "a second copy elsewhere leaves the table as usable as it was" do
      same(fn m ->
        {m.add_table_copy(:s, :a@b, :ram_copies), m.dirty_write({:s, 1, :a}), m.dirty_read(:s, 1),
         facts(m, :s), m.change_table_majority(:s, true), m.change_table_load_order(:s, 1),
         m.delete_table(:s), m.del_table_copy(:s, :a@b)}
      end)
    end

    test "a table without a copy here can't be changed" do
      same(fn m ->
        {m.create_table(:gh, ram_copies: [:a@b]), facts(m, :gh), m.wait_for_tables([:gh], 0),
         m.delete_table(:gh), m.clear_table(:gh), m.add_table_index(:gh, :val),
         m.change_table_access_mode(:gh, :read_only), m.change_table_load_order(:gh, 1),
         m.del_table_copy(:gh, :a@b), m.change_table_copy_type(:gh, :a@b, :ram_copies),
         m.write_table_property(:gh, {:a, 1}), m.transform_table(:gh, :ignore, [:a, :b]),
         m.dump_tables([:gh]), m.table_info(:gh, :size)}
      end)
    end
  end

  # A mistake each, in every option.
  defp mistakes do
    [
      [bogus: 1],
      [:bogus],
      [{:type, :set}, :bogus],
      [{:type, :set, 1}],
      [{:type}],
      [{{:x, 1}, 2}],
      [{:ram_copies, [node()]} | :x],
      [type: :set, type: :bag],
      [type: :duplicate_bag],
      [type: "x"],
      [attributes: :x],
      [attributes: []],
      [attributes: [:a]],
      [attributes: [:a, :a]],
      [attributes: [:a, "b"]],
      [attributes: [:a, :snmp]],
      [index: [:val, :nope]],
      [index: [:key]],
      [index: [2]],
      [index: :val],
      [index: [4]],
      [index: ["x"]],
      [index: [{:val, :foo}]],
      [index: [{:val}]],
      [load_order: :x],
      [load_order: 1.5],
      [access_mode: :x],
      [majority: :x],
      [local_content: :x],
      [local_content: true, majority: true],
      [record_name: "x"],
      [snmp: 1],
      [user_properties: :x],
      [user_properties: [:x]],
      [user_properties: [{}]],
      [storage_properties: [ets: :x]],
      [storage_properties: [ets: [:set]]],
      [storage_properties: [ets: ["x"]]],
      [storage_properties: [ets: [{:foo, 1}]]],
      [storage_properties: [dets: [{:type, 1}]]],
      [ram_copies: node()],
      [ram_copies: ["x"]],
      [ram_copies: [node(), node()]],
      [ram_copies: [node()], disc_copies: [node()]],
      [disc_copies: node()],
      [disc_copies: [node()]],
      [disc_only_copies: [node()]],
      [disc_copies: [:a@b]],
      [type: :ordered_set, disc_only_copies: [node()]],
      [cookie: 1],
      [version: 1]
    ]
  end

  # What is told of a table, without what differs from run to run.
  defp facts(m, tab) do
    m.table_info(tab, :all)
    |> Enum.reject(&is_tuple(elem(&1, 0)))
    |> Keyword.drop([:cookie, :version, :cstruct, :memory, :index_info, :commit_work])
  end
end
