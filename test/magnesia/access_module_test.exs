defmodule Magnesia.AccessModuleTest do
  @moduledoc """
  Access modules of a user's, written once and compiled for `:mnesia` and for `:magnesia`: every
  call of an activity goes through them and answers as it does there. And what Mnesia exports for
  its own access modules and other nodes.
  """

  use ExUnit.Case, async: false

  import Magnesia.Pair

  @moduletag capture_log: true

  @callbacks [
    lock: 4,
    write: 5,
    delete: 5,
    delete_object: 5,
    read: 5,
    match_object: 5,
    all_keys: 4,
    select: 5,
    select: 6,
    select_cont: 3,
    index_match_object: 6,
    index_read: 6,
    foldl: 6,
    foldr: 6,
    table_info: 4,
    first: 3,
    next: 4,
    prev: 4,
    last: 3,
    clear_table: 4
  ]

  for subject <- [:mnesia, :magnesia], callbacks = @callbacks do
    # Notes the calls and passes them on.
    defmodule Module.concat(__MODULE__, "Noting_#{subject}") do
      @moduledoc false
      for {name, arity} <- callbacks do
        arguments = Macro.generate_arguments(arity, __MODULE__)

        def unquote(name)(unquote_splicing(arguments)) do
          Process.put(:noted, [{unquote(name), unquote(arity)} | Process.get(:noted, [])])
          unquote(subject).unquote(name)(unquote_splicing(arguments))
        end
      end
    end

    # One table for many tenants: keys are pairs of the process's tenant and the caller's key.
    defmodule Module.concat(__MODULE__, "Tenants_#{subject}") do
      @moduledoc false
      def write(tid, ts, tab, row, lock) do
        unquote(subject).write(tid, ts, tab, put_elem(row, 1, own(elem(row, 1))), lock)
      end

      def read(tid, ts, tab, key, lock) do
        for row <- unquote(subject).read(tid, ts, tab, own(key), lock), do: bare(row)
      end

      def delete(tid, ts, tab, key, lock) do
        unquote(subject).delete(tid, ts, tab, own(key), lock)
      end

      def match_object(tid, ts, tab, pattern, lock) do
        pattern = put_elem(pattern, 1, own(elem(pattern, 1)))
        rows = unquote(subject).match_object(tid, ts, tab, pattern, lock)
        Enum.map(rows, &bare/1)
      end

      def foldl(tid, ts, fun, acc, tab, lock) do
        mine = fn row, acc ->
          if elem(elem(row, 1), 0) == Process.get(:tenant), do: fun.(bare(row), acc), else: acc
        end

        unquote(subject).foldl(tid, ts, mine, acc, tab, lock)
      end

      defp own(key), do: {Process.get(:tenant), key}
      defp bare(row), do: put_elem(row, 1, elem(elem(row, 1), 1))
    end

    # Selects by itself, with what Mnesia's own access module for fragments uses.
    defmodule Module.concat(__MODULE__, "Selecting_#{subject}") do
      @moduledoc false
      def write(tid, ts, tab, row, lock), do: unquote(subject).write(tid, ts, tab, row, lock)
      def delete(tid, ts, tab, key, lock), do: unquote(subject).delete(tid, ts, tab, key, lock)

      def select(tid, ts, tab, spec, lock) do
        stored = fn spec -> unquote(subject).dirty_select(tab, spec) end
        unquote(subject).fun_select(tid, ts, tab, spec, lock, tab, stored)
      end

      def select(tid, ts, tab, spec, limit, lock) do
        kind = :ram_copies
        first = fn spec -> unquote(subject).dirty_sel_init(node(), tab, spec, limit, kind) end
        unquote(subject).fun_select(tid, ts, tab, spec, lock, tab, first, limit, node(), kind)
      end

      def select_cont(tid, ts, cont), do: unquote(subject).select_cont(tid, ts, cont)
    end
  end

  defp module(kind, subject), do: Module.concat(__MODULE__, "#{kind}_#{subject}")

  setup do
    fresh()
    on_exit(&stop/0)

    for m <- [:mnesia, :magnesia], n <- 1..9 do
      m.dirty_write({:s, n, rem(n, 3)})
      m.dirty_write({:o, n, rem(n, 3)})
      m.dirty_write({:i, n, rem(n, 3), n})
    end

    :ok
  end

  @everything [{:_, [], [:"$_"]}]

  # A call in an activity and the callbacks that it makes.
  @calls [
    {[lock: 4], quote(do: m.lock({:table, :s}, :read))},
    {[lock: 4], quote(do: m.lock({:global, :x, [node()]}, :write))},
    {[lock: 4], quote(do: m.read_lock_table(:s))},
    {[lock: 4], quote(do: m.write_lock_table(:s))},
    {[lock: 4], quote(do: m.lock_table(:s, :read))},
    {[write: 5], quote(do: m.write({:s, 20, 1}))},
    {[write: 5], quote(do: m.write(:s, {:s, 21, 1}, :sticky_write))},
    {[write: 5], quote(do: m.s_write({:s, 22, 1}))},
    {[delete: 5], quote(do: m.delete({:s, 1}))},
    {[delete: 5], quote(do: m.s_delete({:s, 2}))},
    {[delete: 5], quote(do: m.delete(:s, 3, :write))},
    {[delete_object: 5], quote(do: m.delete_object({:s, 4, 1}))},
    {[delete_object: 5], quote(do: m.s_delete_object({:s, 5, 2}))},
    {[delete_object: 5], quote(do: m.delete_object(:s, {:s, 6, 0}, :write))},
    {[read: 5], quote(do: m.read({:s, 7}))},
    {[read: 5], quote(do: m.read(:s, 7))},
    {[read: 5], quote(do: m.wread({:s, 7}))},
    {[read: 5], quote(do: m.read(:s, 7, :write))},
    {[match_object: 5], quote(do: Enum.sort(m.match_object({:s, :_, 1})))},
    {[match_object: 5], quote(do: Enum.sort(m.match_object(:s, {:s, :_, 1}, :read)))},
    {[select: 5], quote(do: Enum.sort(m.select(:s, unquote(Macro.escape(@everything)))))},
    {[select: 5], quote(do: Enum.sort(m.select(:s, unquote(Macro.escape(@everything)), :read)))},
    {[select: 6], quote(do: rows(m.select(:s, unquote(Macro.escape(@everything)), 50, :read)))},
    {[select: 6, select_cont: 3],
     quote(do: m.select(elem(m.select(:o, unquote(Macro.escape(@everything)), 50, :read), 1)))},
    {[all_keys: 4], quote(do: Enum.sort(m.all_keys(:s)))},
    {[index_match_object: 6], quote(do: Enum.sort(m.index_match_object({:i, :_, 1, :_}, :v)))},
    {[index_read: 6], quote(do: Enum.sort(m.index_read(:i, 1, :v)))},
    {[foldl: 6], quote(do: m.foldl(fn row, n -> n + elem(row, 1) end, 0, :s))},
    {[foldl: 6], quote(do: m.foldl(fn row, n -> n + elem(row, 1) end, 0, :s, :write))},
    {[foldr: 6], quote(do: m.foldr(fn row, all -> [row | all] end, [], :o))},
    {[table_info: 4], quote(do: m.table_info(:s, :attributes))},
    {[first: 3], quote(do: m.first(:o))},
    {[last: 3], quote(do: m.last(:o))},
    {[next: 4], quote(do: m.next(:o, 3))},
    {[prev: 4], quote(do: m.prev(:o, 3))},
    {[], quote(do: m.is_transaction())},
    {[], quote(do: m.dirty_read(:s, 1))}
  ]

  for {{noted, call}, number} <- Enum.with_index(@calls) do
    @noted noted
    defp call(unquote(number), var!(m)),
      do:
        unquote(
          Macro.prewalk(call, fn
            {:m, meta, context} when is_atom(context) -> {:m, Keyword.delete(meta, :counter), nil}
            other -> other
          end)
        )

    defp noted(unquote(number)), do: @noted
  end

  defp rows({rows, _more}), do: Enum.sort(rows)

  test "every call of an activity goes through the module, as it does there" do
    for number <- 0..(length(@calls) - 1), kind <- [:transaction, :sync_dirty] do
      for m <- [:mnesia, :magnesia] do
        task =
          Task.async(fn ->
            run = fn -> call(number, m) end
            answer = outcome(fn -> m.activity(kind, run, [], module("Noting", m)) end)
            {answer, Enum.reverse(Process.get(:noted, []))}
          end)

        {answer, calls} = Task.await(task)
        assert {:value, _} = answer
        assert calls == noted(number), inspect({m, number, kind, answer, calls})
      end

      same(fn m -> m.activity(kind, fn -> call(number, m) end, [], module("Noting", m)) end)
    end
  end

  test "clearing a table goes through the module of the activity" do
    same(fn m ->
      run = fn -> m.clear_table(:s) end
      answer = m.activity(:async_dirty, run, [], module("Noting", m))
      {answer, Process.get(:noted), m.table_info(:s, :size)}
    end)
  end

  test "a module that gives every tenant a table of its own works as it does there" do
    same(fn m ->
      for tenant <- [:a, :b] do
        Process.put(:tenant, tenant)

        m.activity(
          :transaction,
          fn ->
            for key <- 1..4, do: m.write({:s, key, {tenant, key}})
            m.delete({:s, 2})
            all = m.foldl(fn {:s, key, value}, all -> [{key, value} | all] end, [], :s)
            {m.read(:s, 1), m.read(:s, 2), m.match_object({:s, 3, :_}), Enum.sort(all)}
          end,
          [],
          module("Tenants", m)
        )
      end
    end)
  end

  test "a module that selects by itself sees own writes as it does there" do
    for table <- [:s, :o], kind <- [:transaction, :async_dirty], limit <- [nil, 2, 50] do
      same(fn m ->
        run = fn ->
          m.write({table, 30, :own})
          m.write({table, 3, :own})
          m.delete({table, 4})
          spec = [{{table, :"$1", :"$2"}, [], [{{:"$1", :"$2"}}]}]

          if limit,
            do: gather(m, m.select(table, spec, limit, :read)),
            else: m.select(table, spec)
        end

        Enum.sort(m.activity(kind, run, [], module("Selecting", m)))
      end)
    end
  end

  defp gather(_m, :"$end_of_table"), do: []
  defp gather(m, {rows, more}), do: rows ++ gather(m, m.select(more))

  test "the access module of the settings is the default" do
    on_exit(fn -> Application.delete_env(:magnesia, :access_module) end)
    Application.put_env(:magnesia, :access_module, module("Noting", :magnesia))
    :magnesia.activity(:transaction, fn -> :magnesia.read(:s, 1) end)
    assert Process.get(:noted) == [read: 5]
    Application.put_env(:magnesia, :access_module, :mnesia_frag)
    {:atomic, :ok} = :magnesia.create_table(:f, frag_properties: [n_fragments: 3])
    :magnesia.activity(:transaction, fn -> for n <- 1..9, do: :magnesia.write({:f, n, n}) end)
    assert :magnesia.activity(:transaction, fn -> length(:magnesia.all_keys(:f)) end) == 9
    assert :magnesia.table_info(:f, :size) < 9
  end

  test "an activity can be put aside and taken up again" do
    same(fn m ->
      m.transaction(fn ->
        state = m.get_activity_id()
        m.write({:s, 1, :own})
        m.put_activity_id(:undefined)
        outside = outcome(fn -> m.read(:s, 1) end)
        m.put_activity_id(state)
        {outside, m.is_transaction(), m.read(:s, 1)}
      end)
    end)
  end

  test "what Mnesia's own modules call on another node is there" do
    for {name, arguments} <- [
          dirty_rpc: [:s, :erlang, :abs, [-1]],
          dirty_rpc: [:s, :erlang, :throw, [:thrown]],
          dirty_rpc: [:s, :erlang, :exit, [:bad]],
          dirty_rpc: [:nosuch, :erlang, :abs, [-1]],
          raw_table_info: [:s, :size],
          raw_table_info: [:nosuch, :size],
          raw_table_info: [:nosuch, :memory],
          remote_dirty_match_object: [:o, {:o, :_, 1}],
          remote_dirty_match_object: [:s, {:s, 1, :_}],
          remote_dirty_select: [:o, @everything],
          has_var: [{:a, :_}]
        ] do
      same(fn m -> apply(m, name, arguments) end)
    end
  end

  test "reading through an SNMP structure is what it is for a table without" do
    for name <- [:snmp_get_row, :snmp_get_next_index, :snmp_get_mnesia_key],
        table <- [:s, :schema, "s"],
        index <- [[1], 1] do
      same(fn m -> apply(m, name, [table, index]) end)
    end

    assert :magnesia.snmp_open_table(:s, key: :integer) == {:aborted, {:obsolete, :s, :snmp}}
    assert :magnesia.snmp_close_table(:s) == {:aborted, {:obsolete, :s, :snmp}}
    same(fn m -> m.transaction(fn -> m.snmp_open_table(:s, key: :integer) end) end)
  end

  test "a backend is refused" do
    refused = {:aborted, {:bad_type, {:backend_type, :mine, __MODULE__}}}
    assert :magnesia.add_backend_type(:mine, __MODULE__) == refused
  end

  test "stopping hard stops" do
    for stop <- [&:magnesia.lkill/0, &:magnesia.kill/0] do
      _ = stop.()
      assert :magnesia.system_info(:is_running) == :no
      assert :magnesia.start() == :ok
    end

    assert :magnesia in :magnesia.ms()
  end
end
