defmodule Magnesia.InformationTest do
  @moduledoc """
  What is told of tables and of the database, running and stopped, in memory and on disc,
  compared with stock Mnesia; and what is printed.
  """

  use ExUnit.Case, async: false

  import ExUnit.CaptureIO
  import Magnesia.Pair

  alias Magnesia.Parity.Subject

  @items [
    :backend_types,
    :checkpoints,
    :core_dir,
    :db_nodes,
    :dc_dump_limit,
    :debug,
    :dump_log_load_regulation,
    :dump_log_time_threshold,
    :dump_log_update_in_place,
    :dump_log_write_threshold,
    :fallback_activated,
    :held_locks,
    :ignore_fallback_at_startup,
    :is_running,
    :local_tables,
    :lock_queue,
    :log_version,
    :master_node_tables,
    :max_transfer_size,
    :max_wait_for_decision,
    :no_table_loaders,
    :protocol_version,
    :running_db_nodes,
    :schema_location,
    :send_compressed,
    :tables,
    :transactions,
    :use_dir,
    :bogus
  ]

  describe "in memory" do
    setup do
      fresh()
      on_exit(&stop/0)
    end

    test "a table's items" do
      for tab <- [:s, :o, :b, :i, :ib, :rn, :schema, :nosuch, "x"],
          item <- [:all, :name, :setorbag, :type, :size, :cstruct, :bogus, {:a, :b}] do
        same(fn m -> {tab, item, info(m, tab, item)} end)
      end

      same(fn m ->
        for n <- 1..10, do: m.dirty_write({:ib, 1, n, :x})
        {m.table_info(:ib, :size), m.table_info(:ib, :memory) > 0}
      end)
    end

    test "the database's items" do
      for item <- @items, do: same(fn m -> {item, asked(m, item)} end)
      same(fn m -> for {item, _} <- m.system_info(:all), do: item end)
      same(fn m -> m.system_info(:schema_version) end)
    end

    test "locks and transactions" do
      same(fn m ->
        m.transaction(fn ->
          m.write({:s, 1, 2})
          m.read_lock_table(:o)
          m.write_lock_table(:schema)
          m.lock({:global, :g, [node()]}, :write)

          held =
            for {oid, kind, {:tid, number, pid}} <- m.system_info(:held_locks) do
              {oid, kind, is_integer(number), pid == self()}
            end

          [{number, pid, kind}] = m.system_info(:transactions)
          {Enum.sort(held), is_integer(number), pid == self(), kind}
        end)
      end)
    end

    test "an item that was asked for in both ways" do
      items = [
        {:record, :s, 1},
        {:table, :s},
        {:global, :g, [node()]},
        {:global, 1.0, [node()]},
        {:table, :schema}
      ]

      for item <- items, first <- [:read, :write], second <- [:read, :write] do
        same(fn m ->
          asked = fn ->
            m.lock(item, first)
            m.lock(item, second)
            m.lock(item, first)
            for {oid, kind, _tid} <- m.system_info(:held_locks), do: {oid, kind}
          end

          {item, first, second, m.transaction(fn -> Enum.sort(asked.()) end)}
        end)
      end
    end

    test "counts commits, failures and log writes" do
      before = counters()
      :magnesia.transaction(fn -> :magnesia.write({:s, 1, 1}) end)
      :magnesia.transaction(fn -> :magnesia.abort(:no) end)
      assert Enum.zip_with(counters(), before, &-/2) == [1, 1, 0, 0]
    end

    test "master nodes" do
      same(fn m ->
        {m.set_master_nodes(:x), m.set_master_nodes([node()]), masters(m),
         m.table_info(:i, :master_nodes), m.set_master_nodes(:i, []), masters(m),
         m.set_master_nodes([:a@b]), masters(m), m.set_master_nodes(:i, :x),
         m.set_master_nodes(:nosuch, []), m.set_master_nodes(:schema, [node()]), masters(m)}
      end)
    end

    test "settings" do
      same(fn m ->
        {m.set_debug_level(:verbose), m.system_info(:debug), m.set_debug_level(true),
         m.set_debug_level(:foo), m.set_debug_level(false), m.set_debug_level(:none)}
      end)

      same(fn m ->
        {m.change_config(:dc_dump_limit, 7), m.system_info(:dc_dump_limit),
         m.change_config(:dc_dump_limit, 0), m.change_config(:dc_dump_limit, 4),
         m.change_config(:extra_db_nodes, [:a@b]), m.change_config(:x, 1)}
      end)
    end

    test "errors in words" do
      tags = ~w(nested_transaction badarg no_transaction combine_error bad_index already_exists
           index_exists no_exists system_limit mnesia_down not_a_db_node bad_type
           node_not_running truncated_binary_file active illegal other)a

      for tag <- tags do
        for reason <- [tag, {tag, 1}, {tag, 1, 2}, {:aborted, tag}, {:EXIT, {:aborted, {tag}}}] do
          same(& &1.error_description(reason))
        end
      end

      for reason <- ["x", {}, 1, {:error, {:error, :badarg}}, {"x"}] do
        same(& &1.error_description(reason))
      end
    end

    test "pages print every table" do
      assert printed(&:magnesia.info/0) =~ ~r/^i +: with 0 +records occupying \d+ +words of mem$/m
      assert printed(&:magnesia.info/0) =~ "ram_copies         = [b,i,ib,ii,io,o,rn,s,schema]"
      assert printed(fn -> assert :magnesia.system_info() == :yes end) =~ "NOT used"
      assert printed(&:magnesia.schema/0) =~ "-- Properties for rn table --- "
      assert printed(fn -> :magnesia.schema(:nosuch) end) =~ "Properties for nosuch table"

      assert without_values(printed(fn -> :magnesia.schema(:s) end)) ==
               without_values(printed(fn -> :mnesia.schema(:s) end))
    end

    test "a name that no table can have is printed, unless it is huge" do
      for name <- ["é", "x", {:ключ, [1.5]}, String.to_atom(String.duplicate("я", 255))] do
        same(fn m -> printed(fn -> m.schema(name) end) end)
      end

      for name <- [:binary.copy("x", 10_000), Bitwise.bsl(1, 100_000), Enum.to_list(1..10_000)] do
        assert printed(fn -> assert :magnesia.schema(name) == :ok end) =~
                 ~r/^-- Properties for \(a term of \d+ bytes\) table --- $/m
      end
    end
  end

  describe "stopped" do
    setup do
      stop()
      fresh()
      stop()
    end

    test "a table's items" do
      for item <- [:size, :memory, :type, :all, :name, :master_nodes, :bogus] do
        same(fn m -> {item, outcome(fn -> m.table_info(:s, item) end)} end)
      end
    end

    test "the database's items" do
      for item <- @items, do: same(fn m -> {item, asked(m, item)} end)
      same(fn m -> for {item, _} <- m.system_info(:all), do: item end)
    end

    test "every operation says so" do
      for fun <- [
            & &1.create_table(:s, []),
            & &1.delete_table(:s),
            & &1.clear_table(:s),
            & &1.add_table_index(:s, :v),
            & &1.transform_table(:s, :ignore, [:a, :b]),
            & &1.transform_table(:s, :ignore, [:a, :b], :c),
            & &1.change_table_copy_type(:s, node(), :disc_copies),
            & &1.write_table_property(:s, {:a, 1}),
            & &1.read_table_property(:s, :a),
            & &1.dump_log(),
            & &1.dump_tables([:s]),
            & &1.dump_tables(:s),
            & &1.sync_log(),
            & &1.wait_for_tables([:s], 0),
            & &1.wait_for_tables([:s], :foo),
            & &1.force_load_table(:s),
            & &1.set_master_nodes([node()]),
            & &1.set_master_nodes(:s, [node()]),
            & &1.change_config(:extra_db_nodes, []),
            & &1.change_config(:foo, 1),
            & &1.set_debug_level(:none),
            & &1.schema(),
            & &1.schema(:s),
            & &1.create_schema([node(), node()]),
            & &1.create_schema(["x"]),
            & &1.create_schema(:foo),
            & &1.delete_schema([])
          ] do
        same(fn m -> outcome(fn -> fun.(m) end) end)
      end

      assert printed(&:magnesia.info/0) =~ "running db nodes   = []"
    end
  end

  describe "on disc" do
    test "a table's items and the database's" do
      [stock, ours] =
        for subject <- [:mnesia, :magnesia] do
          Subject.with_disc(subject, fn dir ->
            tables =
              for tab <- [:dc, :dcb, :dco, :doo, :dob, :rc, :schema] do
                {tab, info(subject, tab, :all)}
              end

            {tables, for(item <- @items, do: {item, asked(subject, item)}),
             subject.system_info(:directory) == dir}
          end)
        end

      assert ours == stock
    end
  end

  defp info(m, tab, item) do
    case {item, outcome(fn -> m.table_info(tab, item) end)} do
      {:all, {:value, facts}} -> facts |> Enum.reject(&is_tuple(elem(&1, 0))) |> stable()
      {:cstruct, {:value, cstruct}} -> cstruct |> Tuple.to_list() |> Enum.take(18)
      {_, other} -> other
    end
  end

  defp stable(facts) do
    for {item, value} <- facts,
        item not in [:cookie, :version, :cstruct, :memory, :index_info, :commit_work] do
      {item, if(item in [:tables, :local_tables], do: Enum.sort(value), else: value)}
    end
  end

  defp asked(m, item) do
    case outcome(fn -> m.system_info(item) end) do
      {:value, tables} when item in [:tables, :local_tables] -> Enum.sort(tables)
      other -> other
    end
  end

  defp masters(m), do: Enum.sort(m.system_info(:master_node_tables))

  defp counters do
    for item <- ~w(commits failures restarts log_writes)a do
      :magnesia.system_info(:"transaction_#{item}")
    end
  end

  defp printed(fun), do: capture_io(fn -> fun.() end)

  defp without_values(page), do: Regex.replace(~r/->.*$/m, page, "")
end
