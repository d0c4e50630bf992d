defmodule Magnesia.RestoreTest do
  @moduledoc """
  Restores and traversals: what the options do, what is refused, and that a backup that is damaged
  anywhere is named with the place and changes nothing. Fallbacks, used and not.
  """

  use Magnesia.DatabaseCase, async: false

  defmodule Odd do
    @moduledoc "A backup module whose backups have no header."
    def open_read(place), do: {:ok, place}
    def read(place), do: {:ok, place, [:no_header]}
    def close_read(place), do: {:ok, place}
  end

  defmodule Endless do
    @moduledoc "A backup module that answers one process, and to others never at the place named."
    def open_read({asker, never, test}), do: at(:open_read, {asker, never, test, :header})
    def read(state), do: at(:read, state)
    def close_read(state), do: at(:close_read, state)

    defp at(never, {asker, never, test, _next}) when self() != asker do
      send(test, {:waits, never, self()})

      receive do
        :never -> :ok
      end
    end

    defp at(:read, {asker, never, test, :header}) do
      items = [Magnesia.Strict.Traversal.header(), {:schema, :a, []}, {:a, 1, :new}]
      {:ok, {asker, never, test, :end}, items}
    end

    defp at(:read, state), do: {:ok, state, []}
    defp at(_other, state), do: {:ok, state}
  end

  @moduletag :disc
  @moduletag capture_log: true
  @moduletag timeout: 240_000

  setup %{dir: dir} do
    on_exit(fn -> for path <- Path.wildcard(dir <> ".bup*"), do: File.rm!(path) end)

    for name <- [:a, :b, :c] do
      {:atomic, :ok} = :magnesia.create_table(name, disc_copies: [node()], index: [:val])
      for n <- 1..40, do: :magnesia.dirty_write({name, n, :saved})
    end

    bup = String.to_charlist(dir <> ".bup")
    :ok = :magnesia.backup(bup)
    {:ok, bup: bup}
  end

  defp change do
    for name <- [:a, :b, :c] do
      :magnesia.dirty_write({name, 1, :changed})
      :magnesia.dirty_delete({name, 2})
      :magnesia.dirty_write({name, 99, :new})
    end
  end

  defp state(name) do
    for key <- [1, 2, 99], do: for({_, _, value} <- :magnesia.dirty_read(name, key), do: value)
  end

  @changed [[:changed], [], [:new]]
  @cleared [[:saved], [:saved], []]
  @kept [[:saved], [:saved], [:new]]

  test "each option does with a table what it says", %{bup: bup} do
    change()
    assert {:atomic, [:a]} = :magnesia.restore(bup, clear_tables: [:a], default_op: :skip_tables)
    assert Enum.map([:a, :b, :c], &state/1) == [@cleared, @changed, @changed]
    assert {:atomic, tables} = :magnesia.restore(bup, keep_tables: [:b], skip_tables: [:a])
    assert Enum.sort(tables) == [:b, :c]
    assert Enum.map([:a, :b, :c], &state/1) == [@cleared, @kept, @cleared]
    assert :magnesia.dirty_index_read(:b, :new, :val) == [{:b, 99, :new}]
    assert length(:magnesia.dirty_index_read(:b, :saved, :val)) == 40
    {:atomic, :ok} = :magnesia.delete_table(:c)
    {:atomic, :ok} = :magnesia.del_table_index(:a, :val)
    before = :magnesia.table_info(:a, :cookie)
    assert {:aborted, {:no_exists, :c}} = :magnesia.restore(bup, [])
    assert {:atomic, _} = :magnesia.restore(bup, recreate_tables: [:a, :c])
    assert Enum.map([:a, :b, :c], &state/1) == [@cleared, @cleared, @cleared]
    assert :magnesia.table_info(:a, :index) == [3]
    assert :magnesia.table_info(:a, :cookie) != before
  end

  for never <- [:open_read, :read, :close_read] do
    test "a module whose #{never} never returns does not hold up the stop" do
      {test, never} = {self(), unquote(never)}

      restoring = Task.async(fn -> :magnesia.restore({self(), never, test}, module: Endless) end)

      assert_receive {:waits, ^never, waiting}, 30_000
      monitor = Process.monitor(waiting)
      stopping = Task.async(fn -> :magnesia.stop() end)
      assert {:ok, :stopped} = Task.yield(stopping, 30_000) || Task.shutdown(stopping)
      assert Task.await(restoring) == {:aborted, {:node_not_running, node()}}
      assert_receive {:DOWN, ^monitor, :process, ^waiting, :killed}, 30_000
      :ok = :magnesia.start()
      :ok = :magnesia.wait_for_tables([:a], 30_000)
      assert :magnesia.dirty_read(:a, 1) == [{:a, 1, :saved}]
    end
  end

  test "options that are none are named", %{bup: bup} do
    assert {:aborted, {:badarg, {:foo, 1}}} = :magnesia.restore(bup, foo: 1)
    assert {:aborted, {:badarg, :foo}} = :magnesia.restore(bup, :foo)
    assert {:aborted, {:badarg, {:bad_default_op, 1}}} = :magnesia.restore(bup, default_op: 1)

    assert {:aborted, {:badarg, {:clear_tables, :schema}}} =
             :magnesia.restore(bup, clear_tables: [:schema])

    assert {:atomic, {:aborted, :nested_transaction}} =
             :magnesia.transaction(fn -> :magnesia.restore(bup, []) end)
  end

  test "damage at any item is named and changes nothing", %{bup: bup} do
    change()
    bytes = File.read!(bup)
    places = places(bytes, 8)
    assert length(places) == 1 + 4 + 3 * 40

    for {place, number} <- Enum.with_index(places) do
      <<before::binary-size(place), head::binary-6, byte, rest::binary>> = bytes
      File.write!(bup, [before, head, Bitwise.bxor(byte, 0x40), rest])
      refused(bup, place, number)
      # Cut inside the item.
      File.write!(bup, binary_part(bytes, 0, place + 9))
      refused(bup, place, number)
      # A term that is none.
      <<before::binary-size(place), head::binary-8, _version, rest::binary>> = bytes
      File.write!(bup, [before, head, 7, rest])
      refused(bup, place, number)
    end

    assert Enum.map([:a, :b, :c], &state/1) == [@changed, @changed, @changed]
    assert Path.wildcard(to_string(bup) <> ".*") == []
  end

  defp places(bytes, place) when place == byte_size(bytes), do: []

  defp places(bytes, place) do
    <<_::binary-size(place), size::32, _rest::binary>> = bytes
    [place | places(bytes, place + 8 + size)]
  end

  defp refused(bup, place, number) do
    assert {:aborted, {:damaged, text}} = :magnesia.restore(bup, [])
    assert text =~ "#{bup}: byte #{place}: "
    assert text =~ "the #{number} items before it are whole"

    assert {:error, {~c"Backup traversal failed", {:damaged, ^text}}} =
             :magnesia.traverse_backup(bup, bup ++ ~c".2", &{[&1], &2}, nil)

    assert {:error, {~c"Cannot install fallback", {:damaged, ^text}}} =
             :magnesia.install_fallback(bup)

    refute :magnesia.system_info(:fallback_activated)
  end

  test "files that are no backups are told apart", %{bup: bup, dir: dir} do
    bytes = File.read!(bup)
    File.write!(bup, "something else altogether")
    assert {:aborted, {:not_a_log_file, ^bup}} = :magnesia.restore(bup, [])
    File.write!(bup, <<1, 2, 3, 4, 6, 7, 8, 9>> <> binary_part(bytes, 8, byte_size(bytes) - 8))
    assert {:aborted, {:need_repair, ^bup}} = :magnesia.restore(bup, [])
    assert {:aborted, :enoent} = :magnesia.restore(bup ++ ~c".none", [])
    assert {:aborted, :eisdir} = :magnesia.restore(dir, [])
    # A backup needs its header.
    assert {:error, {~c"Backup traversal failed", {text, :no_header}}} =
             :magnesia.traverse_backup(:tape, Odd, :none, :read_only, &{[&1], &2}, 0)

    assert text == ~c"Missing header. Cannot be used as backup."
  end

  test "a record that does not fit is named, and nothing is restored", %{bup: bup} do
    change()
    other = bup ++ ~c".2"

    longer = fn item, n ->
      {[if(item == {:b, 7, :saved}, do: {:b, 7, 1, 2}, else: item)], n + 1}
    end

    {:ok, 124} = :magnesia.traverse_backup(bup, other, longer, 0)
    assert {:aborted, {:bad_type, text}} = :magnesia.restore(other, [])
    assert text =~ "#{other}: byte "
    assert Enum.map([:a, :b, :c], &state/1) == [@changed, @changed, @changed]
  end

  test "a fallback is used once, unless it is taken back or ignored", %{bup: bup, dir: dir} do
    change()
    assert :ok = :magnesia.install_fallback(bup)
    refusal = {:error, {~c"Cannot install fallback", {:already_exists, node()}}}
    assert :magnesia.install_fallback(bup) == refusal
    assert :ok = :magnesia.uninstall_fallback()
    assert {:error, :enoent} = :magnesia.uninstall_fallback()
    assert :ok = :magnesia.install_fallback(bup)
    # Tables may still be made; they go when the fallback is used.
    {:atomic, :ok} = :magnesia.create_table(:late, disc_copies: [node()])
    Application.put_env(:magnesia, :ignore_fallback_at_startup, true)
    restart()
    Application.delete_env(:magnesia, :ignore_fallback_at_startup)
    assert :magnesia.system_info(:fallback_activated)
    assert state(:a) == @changed
    file = Path.join(dir, "FALLBACK.BUP")
    kept = File.read!(file)
    restart()
    refute File.exists?(file)
    assert Enum.map([:a, :b, :c], &state/1) == [@cleared, @cleared, @cleared]
    refute :late in :magnesia.system_info(:tables)
    # A VM that died before it removed the fallback has used it again: the same.
    :stopped = :magnesia.stop()
    File.write!(file, kept)
    :ok = :magnesia.start()
    assert Enum.map([:a, :b, :c], &state/1) == [@cleared, @cleared, @cleared]
  end

  test "a fallback takes the place of a damaged or missing database", %{bup: bup, dir: dir} do
    change()
    :ok = :magnesia.install_fallback(bup)
    :stopped = :magnesia.stop()
    for file <- Path.wildcard(Path.join(dir, "*.mlog")), do: File.write!(file, "rubbish")
    :ok = :magnesia.start()
    assert state(:b) == @cleared
    :stopped = :magnesia.stop()
    File.rm_rf!(dir)
    assert :ok = :magnesia.install_fallback(bup)
    :ok = :magnesia.start()
    assert state(:c) == @cleared
    assert :magnesia.system_info(:use_dir)
    # A fallback that is damaged is not used, and the database stays.
    :magnesia.dirty_write({:a, 1, :stays})
    :ok = :magnesia.install_fallback(bup)
    :stopped = :magnesia.stop()
    file = Path.join(dir, "FALLBACK.BUP")
    bytes = File.read!(file)
    File.write!(file, binary_part(bytes, 0, byte_size(bytes) - 3))
    assert {:error, {~c"Cannot start from fallback", {:damaged, text}}} = :magnesia.start()
    assert text =~ "FALLBACK.BUP: byte "
    :ok = :magnesia.uninstall_fallback()
    :ok = :magnesia.start()
    assert [{:a, 1, :stays}] = :magnesia.dirty_read(:a, 1)
  end

  defp restart do
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
  end
end
