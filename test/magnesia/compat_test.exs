defmodule Magnesia.CompatTest do
  @moduledoc """
  The drop-in, in VMs of their own: code that was compiled against `:mnesia` runs on Magnesia and
  on stock Mnesia again after that. And the reader of sources: each idiom is found where it is
  written and nothing where it is not.
  """

  use ExUnit.Case, async: true

  alias Magnesia.Compat

  doctest Magnesia.Compat

  @moduletag timeout: 120_000

  # As a dependency has it: compiled before there is anything else than stock Mnesia.
  @dependency """
  -module(dependency).
  -export([fill/0, read/1, engine/0, fragments/0, query/0, fails/0]).
  fill() ->
      {atomic, ok} = mnesia:create_table(person, [{attributes, [id, name]}, {index, [name]}]),
      Rows = [{person, N, N rem 3} || N <- lists:seq(1, 9)],
      mnesia:transaction(fun() -> [mnesia:write(Row) || Row <- Rows] end).
  read(Key) -> {mnesia:dirty_read(person, Key), mnesia:dirty_index_read(person, 2, name)}.
  engine() -> {mnesia:system_info(is_running), whereis(mnesia_tm) =/= undefined,
               lists:keymember(mnesia, 1, application:which_applications())}.
  fragments() ->
      Props = [{n_fragments, 3}, {node_pool, [node()]}],
      {atomic, ok} = mnesia:create_table(part, [{frag_properties, Props}]),
      Write = fun() -> [mnesia:write({part, N, N}) || N <- lists:seq(1, 30)] end,
      mnesia:activity(transaction, Write, [], mnesia_frag),
      Sizes = fun() -> mnesia:table_info(part, frag_size) end,
      {mnesia:activity(async_dirty, Sizes, [], mnesia_frag), mnesia:table_info(part, size)}.
  query() ->
      {atomic, All} = mnesia:transaction(fun() -> qlc:eval(mnesia:table(person)) end),
      lists:sort(All).
  fails() ->
      {mnesia:transaction(fun() -> mnesia:abort(no) end), catch mnesia:dirty_read(nosuch, 1)}.
  """

  setup do
    paths = for path <- :code.get_path(), not (to_string(path) =~ ~r"/mix/ebin$"), do: path
    args = Enum.flat_map(paths, &[~c"-pa", &1])
    {:ok, peer, _node} = :peer.start_link(%{connection: 0, args: args})
    {:ok, _} = call(peer, :application, :ensure_all_started, [:logger])
    :ok = call(peer, :logger, :set_primary_config, [:level, :none])
    dir = Path.join(System.tmp_dir!(), "magnesia-compat-#{:erlang.unique_integer([:positive])}")
    :ok = call(peer, Application, :put_env, [:mnesia, :dir, String.to_charlist(dir)])
    {:module, :dependency} = call(peer, :code, :load_binary, [:dependency, ~c"dep", dependency()])
    on_exit(fn -> File.rm_rf!(dir) end)
    %{peer: peer, dir: dir}
  end

  defp call(peer, module, function, arguments \\ []) do
    :peer.call(peer, module, function, arguments, 60_000)
  end

  defp dependency do
    {:ok, tokens, _} = :erl_scan.string(String.to_charlist(@dependency))

    forms =
      for form <- Enum.chunk_by(tokens, &match?({:dot, _}, &1)),
          not match?([{:dot, _} | _], form) do
        {:ok, form} = :erl_parse.parse_form(form ++ [{:dot, 1}])
        form
      end

    {:ok, :dependency, binary} = :compile.forms(forms)
    binary
  end

  test "compiled code runs on Magnesia, and on stock Mnesia again", %{peer: peer} do
    assert :ok = call(peer, Compat, :install)
    assert call(peer, Compat, :installed?)
    assert :ok = call(peer, :mnesia, :start)
    assert {:yes, false, true} = call(peer, :dependency, :engine)
    assert {:atomic, _} = call(peer, :dependency, :fill)
    ours = for f <- [:read, :fragments, :query, :fails], do: {f, used(peer, f)}
    # The rows are Magnesia's, and nothing of stock Mnesia runs.
    assert call(peer, :magnesia, :dirty_read, [:person, 1]) == [{:person, 1, 1}]
    assert :stopped = call(peer, :mnesia, :stop)
    assert call(peer, :magnesia, :system_info, [:is_running]) == :no

    assert :ok = call(peer, Compat, :uninstall)
    refute call(peer, Compat, :installed?)
    assert call(peer, :code, :which, [:mnesia]) |> to_string() =~ "mnesia.beam"
    assert :ok = call(peer, :mnesia, :start)
    assert {:yes, true, true} = call(peer, :dependency, :engine)
    assert {:atomic, _} = call(peer, :dependency, :fill)
    stock = for f <- [:read, :fragments, :query, :fails], do: {f, used(peer, f)}
    assert ours == stock
    :stopped = call(peer, :mnesia, :stop)
  end

  defp used(peer, :read), do: peer |> call(:dependency, :read, [5]) |> sorted()
  defp used(peer, function), do: call(peer, :dependency, function)

  defp sorted({rows, indexed}), do: {rows, Enum.sort(indexed)}

  test "the application starts Magnesia with the settings of :mnesia", %{peer: peer, dir: dir} do
    :ok = call(peer, Compat, :install)
    :ok = call(peer, :mnesia, :create_schema, [[:nonode@nohost]])
    {:ok, started} = call(peer, Application, :ensure_all_started, [:mnesia])
    assert :mnesia in started
    assert call(peer, :mnesia, :system_info, [:directory]) == String.to_charlist(dir)
    {:atomic, :ok} = call(peer, :mnesia, :create_table, [:kept, [disc_copies: [:nonode@nohost]]])
    :ok = call(peer, :mnesia, :dirty_write, [{:kept, 1, :a}])
    :ok = call(peer, Application, :stop, [:mnesia])
    assert call(peer, :mnesia, :system_info, [:is_running]) == :no
    assert :ok = call(peer, :mnesia, :start, [[debug: :verbose]])
    assert call(peer, :mnesia, :dirty_read, [:kept, 1]) == [{:kept, 1, :a}]
    assert call(peer, :mnesia, :system_info, [:debug]) == :verbose
    :stopped = call(peer, :mnesia, :stop)
  end

  test "a stock Mnesia that runs is not torn down unasked", %{peer: peer} do
    :ok = call(peer, :mnesia, :start)
    assert call(peer, Compat, :install) == {:error, {:running, :mnesia}}
    refute call(peer, Compat, :installed?)
    assert :ok = call(peer, Compat, :install, [[stop: true]])
    assert call(peer, Compat, :install) == :ok
    assert call(peer, :erlang, :whereis, [:mnesia_sup]) == :undefined
  end

  test "a sticky module is replaced and is sticky again", %{peer: peer} do
    {:module, _} = call(peer, :code, :load_file, [:mnesia])
    call(peer, :code, :stick_mod, [:mnesia])
    assert :ok = call(peer, Compat, :install)
    assert :ok = call(peer, :mnesia, :start)
    :stopped = call(peer, :mnesia, :stop)
    assert :ok = call(peer, Compat, :uninstall)
    assert call(peer, :code, :is_sticky, [:mnesia])
  end

  test "every function of stock Mnesia that Magnesia serves is there", %{peer: peer} do
    :ok = call(peer, Compat, :install)
    there = call(peer, :mnesia, :module_info, [:exports])
    assert :magnesia.module_info(:exports) -- there == [__info__: 1]
    there = call(peer, :mnesia_frag, :module_info, [:exports])
    assert :magnesia_frag.module_info(:exports) -- there == [__info__: 1]
  end

  test "options are checked" do
    assert_raise ArgumentError, ~r/no option :stopp, did you mean :stop/, fn ->
      Compat.install(stopp: true)
    end
  end

  # Each with the idiom that its last line shows.
  @shown [
    {:added_arity, ":mnesia.dirty_read(:users, \"a@x\", :email)"},
    {:added_arity, "fn -> :mnesia.write(:users, row) end"},
    {:added_arity, "fn -> row |> then(& &1) |> foo() && :mnesia.delete(:users, 1) end"},
    {:added_arity, "fn -> :users |> :mnesia.match_object({:_, 1}) end"},
    {:added_arity, "alias :mnesia, as: Mnesia\nfn -> Mnesia.write(:users, row) end"},
    {:added_arity, "&:mnesia.delete/2"},
    {:added_arity, "@db :mnesia\nfn -> @db.write(:users, row) end"},
    {:not_served, ":mnesia.dirty_write(:a, :b, :c)"},
    {:not_served, ":mnesia.no_such_thing()"},
    {:outside, ":mnesia.read(:users, id)"},
    {:change_config, ":ok = :mnesia.change_config(:extra_db_nodes, [n])"},
    {:stop, ":ok = :mnesia.stop()"},
    {:index_twice, "{:atomic, :ok} = :mnesia.add_table_index(:users, :email)"},
    {:rescued,
     "try do\n  1\n  :mnesia.activity(:transaction, f)\nrescue\n  e -> e\nend"
     |> String.replace("1\n  ", "")},
    {:struct, ":mnesia.dirty_write(%User{id: 1})"},
    {:node_list, ":mnesia.create_table(:a, ram_copies: Node.list())"},
    {:node_list, ":mnesia.create_table(:a, frag_properties: [node_pool: Node.list()])"},
    {:flat_fragments,
     ":mnesia.create_table(:a, frag_properties: [{:node_pool, ns, :n_fragments, 2}])"},
    {:attributes, ":mnesia.create_table(:a, attributes: [\"id\", \"name\"])"},
    {:transform, ":mnesia.transform_table(:a, false, fn row -> row end)"},
    {:transform, ":mnesia.transform_table(:a, [:id], fn row -> row end)"},
    {:datetime,
     "fn -> :mnesia.foldl(fn {_, _, at}, n -> if at > DateTime.utc_now(), do: n end, 0, :a) end"},
    {:datetime, "fn -> :mnesia.foldl(fn r, n -> r.seen_at < cutoff && n end, 0, :a) end"},
    {:no_schema, ":mnesia.create_table(:a, disc_copies: [node()])"},
    {:internal, ":mnesia_lib.val({:a, :size})"},
    {:unique_integer, ":erlang.unique_integer([:operation_id])"},
    {:unreadable, "f = )"}
  ]

  @sound [
    "fn -> :mnesia.write({:users, 1, 2}) end",
    ":mnesia.transaction(fn -> :mnesia.read(:users, 1) end)",
    ":mnesia.create_schema([node()])\n:mnesia.create_table(:a, disc_copies: [node()])",
    ":mnesia.create_table(:a, ram_copies: [node() | Node.list()])",
    ":mnesia.change_table_copy_type(:schema, node(), :disc_copies)\n" <>
      ":mnesia.create_table(:a, disc_copies: [node()])",
    "{:ok, _} = :mnesia.change_config(:extra_db_nodes, [n])",
    ":stopped = :mnesia.stop()",
    "fn -> :mnesia.foldl(fn r, n -> if DateTime.compare(r.at, t) == :gt, do: n end, 0, :a) end",
    "fn -> :mnesia.foldl(fn {_, _, age}, n -> if age > 30, do: n + 1 end, 0, :a) end",
    ":erlang.unique_integer([:positive, :monotonic])",
    ":mnesia.transform_table(:a, :ignore, [:id])",
    "User.write(:users, 1)",
    "Enum.each(rows, &:mnesia.write/1)",
    "def lock(tid, ts, item, kind), do: :mnesia.lock(tid, ts, item, kind)",
    "# :mnesia.stop()"
  ]

  describe "check" do
    setup do
      dir = Path.join(System.tmp_dir!(), "magnesia-check-#{:erlang.unique_integer([:positive])}")
      File.mkdir_p!(dir)
      on_exit(fn -> File.rm_rf!(dir) end)
      %{sources: dir}
    end

    test "finds each idiom at its line, and tells the file", %{sources: dir} do
      for {{idiom, text}, number} <- Enum.with_index(@shown) do
        file = Path.join(dir, "shown_#{number}.ex")
        File.write!(file, "# A line before.\n" <> text <> "\n")
        found = Compat.check(file)
        finding = Enum.find(found, &(&1.idiom == idiom))
        assert finding, inspect({idiom, text, found})
        line = if idiom == :rescued, do: 3, else: length(String.split(text, "\n")) + 1
        assert {finding.file, finding.line} == {file, line}, text
        assert Compat.report([finding]) =~ "#{file}:#{line}: "
      end
    end

    test "says nothing of what is right", %{sources: dir} do
      for {text, number} <- Enum.with_index(@sound) do
        file = Path.join(dir, "sound_#{number}.ex")
        File.write!(file, text)
        assert Compat.check([file]) == [], text
      end
    end

    test "walks a project and leaves out what others wrote", %{sources: dir} do
      for place <- ["lib/a.ex", "deps/x/lib/a.ex", "_build/a.ex", "src/a.erl", "lib/a.txt"] do
        path = Path.join(dir, place)
        File.mkdir_p!(Path.dirname(path))
        text = if path =~ ".erl", do: "f() -> mnesia:write(t, r).", else: ":ok = :mnesia.stop()"
        File.write!(path, text)
      end

      found = for f <- Compat.check(dir), do: {Path.relative_to(f.file, dir), f.line, f.idiom}
      assert found == [{"lib/a.ex", 1, :stop}, {"src/a.erl", 1, :added_arity}]
    end

    test "counts the arguments of Erlang's calls", %{sources: dir} do
      file = Path.join(dir, "a.erl")

      File.write!(file, """
      -module(a).
      f() -> mnesia:transaction(fun() -> mnesia:write({a, 1, [x, y]}), ok end, [], 3).
      g() -> mnesia:write(a, case x of y -> {1, 2} end).
      h() -> mnesia:info(), mnesia:foldl(fun g/2, 0, a), mnesia:read({a, fun() -> 1, 2 end}).
      i() -> mnesia:dirty_write(<<1, 2>>, b, c).
      """)

      found = for f <- Compat.check(file), do: {f.line, f.idiom}
      assert found == [{3, :added_arity}, {5, :not_served}]
    end
  end
end
