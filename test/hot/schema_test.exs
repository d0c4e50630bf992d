defmodule Magnesia.Hot.SchemaTest do
  @moduledoc """
  Changes of tables under the aliases: storage, indexes, shape, plugins, fragments.
  """
  use Magnesia.HotCase

  alias Magnesia.Backend
  alias Magnesia.Engine
  alias Magnesia.Pair

  @stock [:ram_copies, :disc_copies, :disc_only_copies]
  @volatile [:ram_copies, :magnesia_ram]

  defp fill(tab, count) do
    for k <- 1..count, do: :ok = :mnesia.dirty_write({tab, k, rem(k, 5), "w"})
    rows(tab)
  end

  for kind <- [:set, :bag, :ordered_set] do
    @tag kind: kind
    test "a #{kind} changes from and to every storage and keeps its rows and its index",
         context do
      storages = if context.kind == :ordered_set, do: @stock -- [:disc_only_copies], else: @stock
      all = storages ++ aliases()

      pairs =
        for from <- all,
            to <- all,
            from != to,
            from in aliases() or to in aliases(),
            do: {from, to}

      converted =
        for {from, to} <- pairs do
          tab = create(from, :"#{from}_#{to}", type: context.kind, index: [:v])
          rows = fill(tab, 150)
          result = :mnesia.change_table_copy_type(tab, node(), to)
          assert {tab, result} == {tab, {:atomic, :ok}}
          assert rows(tab) == rows
          # Once, and not once for each storage that it has had.
          assert {tab, :mnesia.table_info(tab, :index)} == {tab, [3]}
          assert length(:mnesia.dirty_index_read(tab, 1, :v)) == 30
          :ok = :mnesia.dirty_write({tab, 1000, 1, "later"})
          {tab, to}
        end

      restart()

      for {tab, to} <- converted do
        size = if to in @volatile, do: 0, else: 151
        assert {tab, length(rows(tab))} == {tab, size}
        assert {tab, length(:mnesia.dirty_index_read(tab, 1, :v))} == {tab, div(size + 4, 5)}
      end

      # No table of the engine is left of those that are Mnesia's now.
      ours = for {tab, to} <- converted, to in aliases(), do: tab
      names = Engine.tables(:hot) -- [:schema]
      assert Enum.sort(Enum.reject(names, &String.starts_with?("#{&1}", "$"))) == Enum.sort(ours)
    end
  end

  test "Mnesia's own change to disc_copies keeps rows, and what is written after it" do
    for alias_name <- aliases(), kind <- [:set, :bag, :ordered_set] do
      tab = create(alias_name, :"#{alias_name}_#{kind}", type: kind, index: [:v])
      fill(tab, 2_500)
      assert {:atomic, :ok} = :mnesia.change_table_copy_type(tab, node(), :disc_copies)
      :ok = :mnesia.dirty_delete(tab, 7)
      :ok = :mnesia.dirty_write({tab, 3_000, 1, "later"})
    end

    tabs = :mnesia.system_info(:tables) -- [:schema]
    before = Map.new(tabs, &{&1, rows(&1)})
    restart()
    assert Enum.reject(tabs, &(rows(&1) == before[&1])) == []
    assert Enum.uniq(Enum.map(tabs, &length(:mnesia.dirty_index_read(&1, 1, :v)))) == [501]
  end

  test "a change that can't be leaves the table as it is" do
    tab = create(:magnesia_disc, :t, type: :ordered_set)
    rows = fill(tab, 20)
    assert {:aborted, _} = Backend.convert(tab, :disc_only_copies)
    assert {:aborted, _} = Backend.convert(tab, :no_such_alias)
    assert {:aborted, _} = Backend.convert(:no_such_table, :ram_copies)
    assert rows(tab) == rows
    assert :mnesia.table_info(tab, :magnesia_disc) == [node()]
  end

  test "indexes are added, used and deleted, of both kinds" do
    for alias_name <- aliases(), kind <- [:set, :ordered_set, :bag], type <- [:ordered, :bag] do
      tab = create(alias_name, :"i_#{alias_name}_#{kind}_#{type}", type: kind)
      fill(tab, 100)
      assert {:atomic, :ok} = :mnesia.add_table_index(tab, :v)
      assert length(:mnesia.dirty_index_read(tab, 2, :v)) == 20
      assert {:atomic, :ok} = :mnesia.del_table_index(tab, :v)
      assert {:atomic, :ok} = :mnesia.delete_table(tab)
      create(alias_name, tab, type: kind, index: [{:v, type}])
      fill(tab, 100)
      :ok = :mnesia.dirty_write({tab, 2, 0, "w"})
      :ok = :mnesia.dirty_delete(tab, 7)
      kept = if kind == :bag, do: 19, else: 18
      assert {tab, length(:mnesia.dirty_index_read(tab, 2, :v))} == {tab, kept}
      assert {:atomic, :ok} = :mnesia.delete_table(tab)
    end

    assert Engine.tables(:hot) == []
  end

  test "names of engine tables for indexes are used again" do
    for n <- 1..5 do
      tab = create(:magnesia_ram, :"n#{n}", index: [:v])
      assert :"$magnesia index 1" in Engine.tables(:hot)
      refute :"$magnesia index 2" in Engine.tables(:hot)
      {:atomic, :ok} = :mnesia.delete_table(tab)
    end
  end

  def parts(_tab, _position, record), do: String.split(elem(record, 3), " ")

  test "index plugins give a record several values" do
    {:atomic, :ok} = :mnesia_schema.add_index_plugin({:parts}, __MODULE__, :parts)

    for alias_name <- aliases() do
      tab = create(alias_name, :"p_#{alias_name}", index: [{:parts}])
      :ok = :mnesia.dirty_write({tab, 1, 0, "red green"})
      :ok = :mnesia.dirty_write({tab, 2, 0, "green blue"})

      keys = fn value ->
        tab |> :mnesia.dirty_index_read(value, {:parts}) |> Enum.map(&elem(&1, 1))
      end

      assert Enum.sort(keys.("green")) == [1, 2]
      :ok = :mnesia.dirty_write({tab, 1, 0, "red"})
      assert keys.("green") == [2]
      assert keys.("red") == [1]
    end
  end

  test "a transformation gives rows another arity and another name" do
    for alias_name <- aliases(), kind <- [:set, :ordered_set, :bag] do
      tab = create(alias_name, :"x_#{alias_name}_#{kind}", type: kind, index: [:v])
      fill(tab, 100)
      wider = fn {_name, k, v, w} -> {:wider, k, v, w, k * 2} end
      assert {:atomic, :ok} = :mnesia.transform_table(tab, wider, [:k, :v, :w, :x], :wider)
      assert rows(tab) == for(k <- 1..100, do: {:wider, k, rem(k, 5), "w", k * 2})
      :ok = :mnesia.dirty_write(tab, {:wider, 101, 1, "new", nil})
      assert length(:mnesia.dirty_index_read(tab, 1, :v)) == 21
      assert {:aborted, _} = :mnesia.transform_table(tab, fn _ -> :no_record end, [:k, :v])
      assert length(rows(tab)) == 101
    end

    restart()

    for alias_name <- aliases() -- [:magnesia_ram], kind <- [:set, :ordered_set, :bag] do
      tab = :"x_#{alias_name}_#{kind}"
      assert {:wider, 101, 1, "new", nil} in rows(tab)
      assert length(:mnesia.dirty_index_read(tab, 1, :v)) == 21
    end
  end

  test "fragments" do
    for alias_name <- aliases() do
      tab = :"g_#{alias_name}"
      # Mnesia's fragments know its own three storages alone, so each is changed on its own.
      options = [{:attributes, [:k, :v, :w]}, {alias_name, [node()]}]
      frag = [n_fragments: 4, node_pool: [node()]]
      {:atomic, :ok} = :mnesia.create_table(:"a_#{tab}", options ++ [frag_properties: frag])
      assert :mnesia.table_info(:"a_#{tab}", alias_name) == []
      options = [attributes: [:k, :v, :w], frag_properties: [n_fragments: 4, node_pool: [node()]]]
      {:atomic, :ok} = :mnesia.create_table(tab, options)
      names = [tab | for(n <- 2..4, do: :"#{tab}_frag#{n}")]
      for name <- names, do: {:atomic, :ok} = Backend.convert(name, alias_name)
      write = fn -> for k <- 1..100, do: :mnesia.write({tab, k, k, "w"}) end
      :mnesia.activity(:transaction, write, [], :mnesia_frag)
      sizes = Enum.map(names, &:mnesia.table_info(&1, :size))
      assert Enum.sum(sizes) == 100 and Enum.all?(sizes, &(&1 > 0))
      read = fn -> for k <- 1..100, do: :mnesia.read(tab, k) end
      found = :mnesia.activity(:transaction, read, [], :mnesia_frag)
      assert found == for(k <- 1..100, do: [{tab, k, k, "w"}])
    end
  end

  test "bad input gets a reason" do
    copies = [magnesia_ram: [node()]]
    options = [storage_properties: [magnesia: [fast: true]]] ++ copies
    assert {:aborted, reason} = :mnesia.create_table(:a, options)
    assert inspect(reason) =~ "magnesia has no storage option [fast: true]"

    assert {:aborted, {:badarg, :b, :magnesia_none}} =
             :mnesia.create_table(:b, magnesia_none: [node()])

    assert {:aborted, {:bad_type, :c, _}} =
             :mnesia.create_table(:c, [type: :duplicate_bag] ++ copies)

    assert {:aborted, {:already_exists, _}} = double(copies)
  end

  test "a table with an option that is unknown here stays where it is" do
    tab = create(:ram_copies, :t, storage_properties: [magnesia: [fast: true]])
    fill(tab, 10)
    rows = rows(tab)

    for to <- aliases() do
      assert {:aborted, reason} = Backend.convert(tab, to)
      assert inspect(reason) =~ "magnesia has no storage option [fast: true]"
      assert {:mnesia.table_info(tab, :storage_type), rows(tab)} == {:ram_copies, rows}
    end
  end

  defp double(copies) do
    {:atomic, :ok} = :mnesia.create_table(:d, copies)
    :mnesia.create_table(:d, copies)
  end

  test "a table that was deleted while nobody told us is not there when it is made anew" do
    tab = create(:magnesia_disc, :t)
    fill(tab, 10)
    :stopped = :mnesia.stop()
    :ok = :mnesia.delete_schema([node()])
    :ok = :mnesia.create_schema([node()], backend_types: Backend.backend_types())
    :ok = :mnesia.start()
    create(:magnesia_disc, :t)
    assert rows(tab) == []
  end

  test "tables that Mnesia has no more are deleted after its start" do
    for tab <- [:kept, :gone], do: fill(create(:magnesia_disc, tab, index: [:v]), 10)
    :stopped = :mnesia.stop()
    :ok = :mnesia.start()
    # Mnesia's own record of the table goes, as when another node deleted it meanwhile.
    {:ok, :schema} = forget(:gone)
    :ok = :mnesia.start()
    :ok = :mnesia.wait_for_tables([:kept], 10_000)
    Pair.until(fn -> :gone not in Engine.tables(:hot) end)
    assert length(rows(:kept)) == 10
    assert length(Engine.tables(:hot)) == 2
  end

  @tag :ram
  test "without a directory a table is not converted, and keeps its rows" do
    {:atomic, :ok} = :mnesia.create_table(:t, attributes: [:k, :v, :w], ram_copies: [node()])
    fill(:t, 50)
    assert {:aborted, {:magnesia, reason}} = Backend.convert(:t, :magnesia_ram)
    assert reason =~ "schema on disk"
    assert length(rows(:t)) == 50
    assert :mnesia.table_info(:t, :storage_type) == :ram_copies
  end

  @tag capture_log: true
  test "tables of a schema that was lost are kept" do
    fill(create(:magnesia_disc, :t), 10)
    :stopped = :mnesia.stop()
    dir = Application.get_env(:mnesia, :dir)
    for file <- ~w(schema.DAT LATEST.LOG), do: File.rm(Path.join(to_string(dir), file))
    :ok = :mnesia.create_schema([node()], backend_types: Backend.backend_types())
    :ok = :mnesia.start()
    owner = Process.whereis(Magnesia.Backend.Owner)
    Pair.until(fn -> :sys.get_state(owner) == [] end)
    assert Engine.size([:t]) == 10
  end

  defp forget(tab) do
    :stopped = :mnesia.stop()
    file = :filename.join(Application.get_env(:mnesia, :dir), ~c"schema.DAT")
    {:ok, schema} = :dets.open_file(:schema, file: file, keypos: 2)
    :ok = :dets.delete(schema, tab)
    :ok = :dets.close(schema)
    # What Mnesia's log says of the table would bring it back.
    File.rm(:filename.join(Application.get_env(:mnesia, :dir), ~c"LATEST.LOG"))
    {:ok, schema}
  end
end
