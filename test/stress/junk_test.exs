defmodule Magnesia.Stress.JunkTest do
  # Whatever is thrown at any function of any layer, the VM lives, no call finds a bug in the
  # library, none hangs, and the tables can be used afterwards.
  use Magnesia.DatabaseCase, async: false

  import Bitwise
  import ExUnit.CaptureIO
  import Magnesia.Parity.Random
  alias Magnesia.{Native, Stress.Junk}

  @moduletag :stress
  @moduletag :disc
  @moduletag capture_log: true
  @moduletag timeout: 300_000

  @deadline_ms 20_000
  @calls String.to_integer(System.get_env("MAGNESIA_JUNK", "6000"))
  # Loading, what a module says of itself, and what ends the database under test.
  @not_native [:load, :module_info, :__info__, :close, :detach]
  @directories [:has_database, :create, :destroy]
  # These say first which of the two databases they mean.
  @sided [:open, :attach, :dump_log, :sync_log, :log_info, :counters, :tables] ++
           [:schema_properties, :set_schema_properties]
  @not_public [:module_info, :__info__, :behaviour_info, :start_link, :child_spec] ++
                [:start, :stop, :kill, :lkill, :wait, :wait_for_tables] ++
                [:create_schema, :delete_schema, :install_fallback]

  setup do
    seed = String.to_integer(System.get_env("MAGNESIA_SEED", "#{:rand.uniform(1_000_000_000)}"))
    IO.puts("junk: MAGNESIA_SEED=#{seed} mix test test/stress/junk_test.exs")
    owner = Process.whereis(Magnesia.Database)
    make_tables()
    {:ok, seed: seed, owner: owner}
  end

  test "every native function survives junk", %{seed: seed, dir: dir} = context do
    properties = Native.schema_properties(:main)
    hot_tables()
    functions = for {f, a} <- Native.module_info(:exports), f not in @not_native, do: {f, a}
    assert {:tx_read, 4} in functions and length(functions) > 60
    batch = 30

    for number <- 1..div(@calls, batch) do
      watched({:native, seed + number}, fn ->
        seeded(seed + number, fn ->
          live = live()
          for _ <- 1..batch, do: native(pick(functions), live, dir)
        end)
      end)
    end

    # Definitions and tables went apart: below the public functions nothing keeps them together.
    for table <- Native.tables(:main), do: :ok = Native.table_delete(table)
    :ok = Native.set_schema_properties(:main, properties)
    assert is_list(Native.tables(:hot))
    :ok = Native.close(:hot)
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    usable(context)
  end

  test "every public function survives junk", %{seed: seed} = context do
    functions =
      for module <- [:magnesia, Magnesia],
          Code.ensure_loaded?(module),
          {f, a} <- module.module_info(:exports),
          f not in @not_public and not String.starts_with?(Atom.to_string(f), "MACRO-"),
          do: {module, f, a}

    assert {:magnesia, :write, 3} in functions and length(functions) > 120
    # What is printed goes nowhere, and files of any name into a directory of their own.
    there = Path.join(System.tmp_dir!(), "magnesia-junk-files-#{System.pid()}")
    File.mkdir_p!(there)
    on_exit(fn -> File.rm_rf!(there) end)

    capture_io(fn ->
      File.cd!(there, fn ->
        for number <- 1..@calls do
          watched({:public, seed + number}, fn ->
            seeded(seed + number, fn -> public(pick(functions)) end)
          end)
        end
      end)
    end)

    usable(context)
  end

  test "no time to wait is too long", %{owner: owner} do
    for time <- [0, 0xFFFFFFFF, 0x100000000, 1 <<< 70, -1, 1.5, :never],
        tab <- [:junk_missing, 1] do
      {pid, ref} = spawn_monitor(fn -> exit({:found, :magnesia.wait_for_tables([tab], time)}) end)
      # The owner answers others while one waits.
      assert :magnesia.wait_for_tables([:junk_set], 1000) == :ok
      Process.exit(pid, :kill)
      assert_receive {:DOWN, ^ref, :process, ^pid, _reason}
    end

    assert Process.whereis(Magnesia.Database) == owner
  end

  test "a bug is seen wherever it stands in an answer" do
    assert bug?({:"$magnesia_error", {:bug, "index out of bounds"}})
    assert bug?({:aborted, {:bug, "text"}})
    assert bug?({:exit, {{:aborted, {:bug, "text"}}, []}})
    assert bug?(%{reason: {:bug, "text"}})
    refute bug?({:aborted, {:bad_type, :bug}})
    refute bug?([:bug, {1, 2}])
  end

  defp make_tables do
    tables = [
      junk_set: [],
      junk_ordered: [type: :ordered_set],
      junk_bag: [type: :bag],
      junk_disc: [disc_copies: [node()]],
      junk_indexed: [index: [:val]]
    ]

    for {name, options} <- tables do
      {:aborted, _} = :magnesia.delete_table(:junk_missing)
      {:atomic, :ok} = :magnesia.create_table(name, [{:attributes, [:key, :val]} | options])
      for n <- 1..50, do: :ok = :magnesia.dirty_write({name, n, rem(n, 5)})
    end
  end

  # The same names in the database of a stock Mnesia, with and without record names.
  defp hot_tables do
    :ok = Native.open(:hot, nil, %{})

    for {name, kind, arity} <- [
          {:junk_set, :set, 3},
          {:junk_ordered, :ordered_set, 0},
          {:junk_bag, :bag, 0}
        ] do
      ram = [[name], kind, :ram_copies, name, arity, [], :read_write, []]
      :ok = apply(Native, :table_create, ram)
    end
  end

  # Runs a fun in a process of its own, which must end before the deadline and find no bug.
  defp watched(what, fun) do
    {pid, ref} = spawn_monitor(fn -> exit({:found, fun.()}) end)

    receive do
      {:DOWN, ^ref, :process, ^pid, {:found, answers}} ->
        for {call, answer} <- List.wrap(answers), bug?(answer) do
          flunk("#{inspect(what)}: #{inspect(call, limit: 30)} answered #{inspect(answer)}")
        end

      {:DOWN, ^ref, :process, ^pid, reason} ->
        assert not bug?(reason), "#{inspect(what)} ended with #{inspect(reason, limit: 30)}"
    after
      @deadline_ms ->
        where = Process.info(pid, :current_stacktrace)
        Process.exit(pid, :kill)
        flunk("#{inspect(what)} hangs in #{inspect(where)}")
    end
  end

  # A context, a cursor and a handle that are good, for junk to be mixed with.
  defp live do
    context = Native.tx_new()
    Native.tx_begin(context)
    cursor = Native.select_chunk(:junk_set, [{:_, [], [:"$_"]}], 3)
    handle = Native.transform_start(:junk_bag, :junk_bag, 3, [])
    for term <- [context, context, context, cursor, handle], do: last(term)
  end

  defp last({:more, _rows, cursor}), do: cursor
  defp last(term), do: term

  defp native({function, arity}, live, dir) do
    arguments =
      for argument <- Junk.arguments(arity), do: if(chance?(1, 4), do: pick(live), else: argument)

    arguments =
      cond do
        function in @directories -> away(arguments, dir)
        function in @sided -> [side(hd(arguments)) | away(tl(arguments), dir)]
        true -> arguments
      end

    {{function, arguments}, outcome(Native, function, arguments)}
  end

  defp side(argument), do: pick([:main, :hot, :hot, argument])

  # A binary names a directory: only one beside the database's own.
  defp away([place | rest], dir) when is_binary(place) do
    name = Base.url_encode64(binary_part(place, 0, min(9, byte_size(place))))
    [Path.join([dir, "away", name]) | rest]
  end

  # An atom opens a database in memory.
  defp away([place | rest], _dir) when is_atom(place), do: [[place] | rest]
  defp away(arguments, _dir), do: arguments

  defp public({module, function, arity}) do
    arguments = Junk.arguments(arity)
    call = fn -> outcome(module, function, arguments) end

    answer =
      case pick([:bare, :transaction, :dirty]) do
        :bare -> call.()
        :transaction -> outcome(:magnesia, :transaction, [call])
        :dirty -> outcome(:magnesia, :async_dirty, [call])
      end

    {{module, function, arguments}, answer}
  end

  defp outcome(module, function, arguments) do
    apply(module, function, arguments)
  catch
    kind, reason -> {kind, reason}
  end

  defp bug?(term), do: bug?(term, 6)
  defp bug?(_term, 0), do: false
  defp bug?({:bug, text}, _depth) when is_binary(text), do: true

  defp bug?(tuple, depth) when is_tuple(tuple) and tuple_size(tuple) < 9 do
    tuple |> Tuple.to_list() |> Enum.any?(&bug?(&1, depth - 1))
  end

  defp bug?(map, depth) when is_map(map) and map_size(map) < 9 do
    map |> Map.to_list() |> Enum.any?(&bug?(&1, depth - 1))
  end

  defp bug?([head | _], depth), do: bug?(head, depth - 1)
  defp bug?(_term, _depth), do: false

  defp usable(%{owner: owner}) do
    assert Process.whereis(Magnesia.Database) == owner
    assert :magnesia.system_info(:is_running) == :yes
    for table <- Junk.tables(), do: :magnesia.delete_table(table)
    make_tables()
    all = [{:_, [], [:"$_"]}]

    for table <- Junk.tables() -- [:junk_missing] do
      assert {:atomic, :ok} = :magnesia.transaction(fn -> :magnesia.write({table, 99, 5}) end)
      assert :magnesia.dirty_read(table, 99) == [{table, 99, 5}]
      assert length(:magnesia.dirty_select(table, all)) == 51
    end

    assert length(:magnesia.dirty_index_read(:junk_indexed, 3, :val)) == 10
    assert :magnesia.system_info(:held_locks) == []
    assert :magnesia.system_info(:lock_queue) == []
  end
end
