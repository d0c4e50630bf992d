defmodule Magnesia.FragmentsTest do
  @moduledoc """
  Fragmented tables beside stock Mnesia's: the same rows in the same fragments, also under a hash
  module of one's own; and what only Magnesia does: finishing a move that a crash cut short,
  running a transaction again whose fragments changed while it waited, reading properties as
  guides write them.
  """

  use ExUnit.Case, async: false

  import Magnesia.Pair

  alias Magnesia.Strict.Definition

  doctest :magnesia_frag

  @moduletag capture_log: true

  setup do
    fresh()
    on_exit(&stop/0)
  end

  defmodule Parity do
    @moduledoc "A hash module: even keys in the second fragment of two, lists anywhere."
    def init_state(_tab, :undefined), do: 1
    def add_frag(n), do: {n + 1, Enum.to_list(1..n), [n + 1]}
    def del_frag(n), do: {n - 1, Enum.to_list(1..n), []}
    def key_to_frag_number(_n, key) when is_list(key), do: 99
    def key_to_frag_number(n, key), do: rem(:erlang.phash2(key), n) + 1
    def match_spec_to_frag_numbers(n, _spec), do: Enum.to_list(1..n)
  end

  defmodule Leaky do
    @moduledoc "A hash module that names fragments that are not there."
    def init_state(_tab, :undefined), do: 1
    def add_frag(n), do: {n + 1, [1, 7], [n + 1]}
    def del_frag(n), do: {n - 1, [1], []}
    def key_to_frag_number(_n, _key), do: 1
    def match_spec_to_frag_numbers(_n, _spec), do: [1, 9]
  end

  defmodule Slow do
    @moduledoc "The usual hash, which asks before it adds a fragment while a test is registered."
    alias Magnesia.Strict.FragmentHash
    defdelegate init_state(tab, state), to: FragmentHash
    defdelegate del_frag(state), to: FragmentHash
    defdelegate key_to_frag_number(state, key), to: FragmentHash
    defdelegate match_spec_to_frag_numbers(state, spec), to: FragmentHash

    def add_frag(state) do
      test = Process.whereis(:fragments_test)

      if test != self() do
        send(test, {:adding, self()})
        receive do: (:go -> :ok)
      end

      FragmentHash.add_frag(state)
    end
  end

  defp within(m, fun), do: m.activity(:transaction, fun, [], :mnesia_frag)

  defp write_all(m, table, keys) do
    within(m, fn -> for key <- keys, do: m.write({table, key, key}) end)
  end

  defp spread(m, table) do
    names = fn -> m.table_info(table, :frag_names) end

    for name <- m.activity(:async_dirty, names, [], :mnesia_frag) do
      {name, Enum.sort(m.dirty_all_keys(name))}
    end
  end

  @keys Enum.to_list(1..60) ++ [:a, "b", {1, 2}, 2.5, [1], 1.0e300, nil, %{a: 1}]

  test "rows lie in the fragments that they lie in there, through growth and back" do
    for type <- [:set, :ordered_set, :bag] do
      same(fn m -> m.create_table(type, type: type, frag_properties: [node_pool: [node()]]) end)
      same(fn m -> write_all(m, type, @keys) end)

      for _ <- 1..6 do
        same(fn m -> m.change_table_frag(type, {:add_frag, [node()]}) end)
        same(fn m -> {spread(m, type), m.table_info(type, :frag_properties)} end)
      end

      for _ <- 1..7 do
        same(fn m -> m.change_table_frag(type, :del_frag) end)
        same(fn m -> {spread(m, type), m.table_info(type, :frag_properties)} end)
      end
    end
  end

  test "a table of the old hash function is served" do
    state = {:hash_state, 4, 1, 2}

    for fun <- [:phash, :phash2] do
      state = if fun == :phash, do: state, else: Tuple.insert_at(state, 4, :phash2)
      hash = :mnesia_frag_hash
      ours = Magnesia.Strict.FragmentHash

      for key <- @keys do
        assert ours.key_to_frag_number(state, key) == hash.key_to_frag_number(state, key)
      end

      assert ours.add_frag(state) == hash.add_frag(state)
      assert ours.del_frag(state) == hash.del_frag(state)
    end
  end

  test "hash modules of one's own are asked, and refused when they answer nonsense" do
    properties = [node_pool: [node()], hash_module: Parity]
    same(fn m -> m.create_table(:f, frag_properties: properties) end)
    same(fn m -> write_all(m, :f, 1..50) end)

    for change <- [{:add_frag, [node()]}, {:add_frag, [node()]}, :del_frag] do
      same(fn m -> m.change_table_frag(:f, change) end)
      same(fn m -> {spread(m, :f), within(m, fn -> m.read(:f, 17) end)} end)
    end

    same(fn m -> within(m, fn -> m.read(:f, [1]) end) end)
    properties = [node_pool: [node()], hash_module: Leaky]
    same(fn m -> m.create_table(:g, frag_properties: properties) end)
    same(fn m -> m.change_table_frag(:g, {:add_frag, [node()]}) end)
    same(fn m -> within(m, fn -> m.match_object({:g, :_, :_}) end) end)
    same(fn m -> m.table_info(:g, :frag_properties) end)
  end

  test "tables that follow another's fragments change with it" do
    same(fn m -> m.create_table(:f, frag_properties: [n_fragments: 3, node_pool: [node()]]) end)

    same(fn m ->
      m.create_table(:g, attributes: [:k, :owner], frag_properties: [foreign_key: {:f, :owner}])
    end)

    same(fn m -> within(m, fn -> for n <- 1..40, do: m.write({:g, n, rem(n, 9)}) end) end)

    for change <- [{:add_frag, [node()]}, :del_frag, :del_frag, {:add_node, :x@y}] do
      same(fn m -> m.change_table_frag(:g, change) end)
      same(fn m -> m.change_table_frag(:f, change) end)
      same(fn m -> {spread(m, :f), spread(m, :g), m.table_info(:g, :frag_properties)} end)
    end

    # The value that decides stands beside the table where only the key is given.
    same(fn m -> within(m, fn -> {m.read({{:g, 3}, 12}), m.read({{:f, 3}, 12})} end) end)
    same(fn m -> m.delete_table(:f) end)
    same(fn m -> {m.delete_table(:g), m.delete_table(:f), m.system_info(:tables)} end)
  end

  test "what is told of a fragmented table besides is told as there" do
    same(fn m -> m.create_table(:f, frag_properties: [n_fragments: 3, node_pool: [node()]]) end)

    for name <- [:f, :f_frag2, :s] do
      same(fn m -> m.table_info(name, :frag_hash) end)
      same(fn m -> Enum.sort(for({item, _} <- m.table_info(name, :all), do: item)) end)
    end

    # A node that leaves the database leaves the pools.
    same(fn m -> m.add_table_copy(:schema, :x@y, :ram_copies) end)
    same(fn m -> m.change_table_frag(:f, {:add_node, :x@y}) end)
    same(fn m -> {m.table_info(:f, :frag_properties), m.del_table_copy(:schema, :x@y)} end)
    same(fn m -> {m.table_info(:f, :frag_properties), elem(m.table_info(:f, :version), 0)} end)
  end

  test "a cursor goes from fragment to fragment, with own writes" do
    same(fn m -> m.create_table(:f, frag_properties: [n_fragments: 3, node_pool: [node()]]) end)
    same(fn m -> write_all(m, :f, 1..30) end)

    same(fn m ->
      within(m, fn ->
        m.write({:f, 100, :own})
        m.delete({:f, 7})
        spec = [{{:f, :"$1", :_}, [{:>, :"$1", 5}], [:"$_"]}]
        Enum.sort(gather(m, m.select(:f, spec, 4, :read)))
      end)
    end)

    same(fn m ->
      within(m, fn -> gather(m, m.select(:f, [{{:f, 9, :_}, [], [:"$_"]}], 4, :read)) end)
    end)
  end

  defp gather(_m, :"$end_of_table"), do: []
  defp gather(m, {rows, more}), do: rows ++ gather(m, m.select(more))

  test "properties as guides write them get what was meant" do
    flat = [{:node_pool, [node()], :n_fragments, 3}]
    assert {:atomic, :ok} = :magnesia.create_table(:f, frag_properties: flat)
    names = fn -> :magnesia.table_info(:f, :frag_names) end
    assert [:f, :f_frag2, :f_frag3] == :magnesia.activity(:ets, names, [], :mnesia_frag)

    # Node.list() of a lone node, and a storage for the whole table.
    flat = [{:node_pool, [], :n_fragments, 2}]
    options = [ram_copies: [node()], frag_properties: flat]
    assert {:atomic, :ok} = :magnesia.create_table(:g, options)
    assert :magnesia.table_info(:g_frag2, :ram_copies) == [node()]

    # Not flat, and so wrong as it always was.
    same(fn m -> m.create_table(:h, frag_properties: [{:node_pool, [node()], :bad, 2}]) end)
    same(fn m -> m.create_table(:h, frag_properties: [{:node_pool, [node()], :n_fragments}]) end)
  end

  # The reader is the oldest transaction and the holder the youngest, so that both the change and
  # the reader wait for the holder, the change first.
  test "a transaction that waited for fragments which changed meanwhile runs again" do
    Process.register(self(), :fragments_test)
    properties = [node_pool: [node()], hash_module: Slow]
    {:atomic, :ok} = :magnesia.create_table(:f, frag_properties: properties)
    write_all(:magnesia, :f, 1..50)
    {:ok, old} = Magnesia.Strict.Fragments.fetch(:f)
    {new, [1], [1, 2]} = Magnesia.Strict.FragmentLayout.split(old)
    moving = Enum.find(1..50, &(Magnesia.Strict.Fragments.number(new, &1) == 2))

    reader = paused(fn -> :magnesia.read(:f, moving) end)
    change = Task.async(fn -> :magnesia.change_table_frag(:f, {:add_frag, [node()]}) end)
    assert_receive {:adding, changing}, 10_000
    holder = paused(fn -> :magnesia.write_lock_table(:f) end)
    run(holder)
    until(fn -> :magnesia.system_info(:held_locks) |> Enum.any?(&match?({{:f, _}, _, _}, &1)) end)
    send(changing, :go)
    until(fn -> length(:magnesia.system_info(:lock_queue)) == 1 end)
    run(reader)
    until(fn -> length(:magnesia.system_info(:lock_queue)) == 2 end)
    assert :ok = finish(holder)
    assert Task.await(change, 30_000) == {:atomic, :ok}
    assert [{:f, ^moving, ^moving}] = finish(reader)
  end

  # A transaction that waits before it does something, and again after it.
  defp paused(fun) do
    me = self()

    task =
      Task.async(fn ->
        within(:magnesia, fn ->
          unless Process.put(:begun, true) do
            send(me, {:begun, self()})
            receive do: (:run -> :ok)
          end

          answer = fun.()

          unless Process.get(:finished),
            do: receive(do: (:finish -> Process.put(:finished, true)))

          answer
        end)
      end)

    pid = task.pid
    assert_receive {:begun, ^pid}, 10_000
    task
  end

  defp run(task), do: send(task.pid, :run)

  defp finish(task) do
    send(task.pid, :finish)
    Task.await(task, 30_000)
  end

  describe "after a crash" do
    setup do
      stop()
      dir = Path.join(System.tmp_dir!(), "magnesia-frag-#{:erlang.unique_integer([:positive])}")
      Application.put_env(:magnesia, :dir, String.to_charlist(dir))
      :ok = :magnesia.create_schema([node()])
      :ok = :magnesia.start()
      on_exit(fn -> :magnesia.stop() && File.rm_rf!(dir) end)
      properties = [n_fragments: 2, n_disc_copies: 1, node_pool: [node()]]
      {:atomic, :ok} = :magnesia.create_table(:f, frag_properties: properties)
      write_all(:magnesia, :f, 1..60)
      :ok
    end

    test "copies of rows in the wrong fragment are removed and a fragment too many is deleted" do
      expected = spread(:magnesia, :f)
      # As a move leaves it that has copied and not yet put the new hash in force.
      {:ok, base} = Definition.fetch(:f)
      :ok = Magnesia.Strict.Alteration.define(%{base | moving: [1, 3]})
      {:ok, second} = Definition.fetch(:f_frag2)
      third = %{second | name: :f_frag3}
      :ok = Magnesia.Strict.Schema.create_copy(third)
      for key <- 1..9, do: :magnesia.dirty_write(:f_frag3, {:f, key, key})
      [{:f_frag2, [stray | _]}] = tl(expected)
      :ok = :magnesia.dirty_write(:f, {:f, stray, stray})
      again()
      assert spread(:magnesia, :f) == expected
      assert :f_frag3 not in :magnesia.system_info(:tables)
      assert {:ok, %{moving: []}} = Definition.fetch(:f)
    end

    test "rows that were moved and not yet removed are removed" do
      {:atomic, :ok} = :magnesia.change_table_frag(:f, {:add_frag, [node()]})
      [{:f, _}, _, {:f_frag3, [moved | _]}] = expected = spread(:magnesia, :f)
      {:ok, base} = Definition.fetch(:f)
      :ok = Magnesia.Strict.Alteration.define(%{base | moving: [1, 3]})
      :ok = :magnesia.dirty_write(:f, {:f, moved, moved})
      again()
      assert spread(:magnesia, :f) == expected
    end

    test "fragments without a base table are deleted" do
      {:ok, base} = Definition.fetch(:f)
      :ok = Magnesia.Strict.Schema.delete(base)
      again()
      assert :magnesia.system_info(:tables) == [:schema]
    end

    defp again do
      :stopped = :magnesia.stop()
      :ok = :magnesia.start()
      :ok = :magnesia.wait_for_tables([:schema], 10_000)
    end
  end
end
