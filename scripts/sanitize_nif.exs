# The workload of scripts/sanitize_nif: every call of the native library at least once, with terms
# of every kind, processes that die in the middle of transactions and queries, and binaries and
# cursors that outlive their tables. It checks what it gets, and ends with status 1 when a call
# of the library was never made.
#
# ROUNDS sets how often it all is done.

Code.require_file("sanitize_nif_gate.exs", __DIR__)
Code.require_file("sanitize_nif_hot.exs", __DIR__)

defmodule Magnesia.SanitizeNif do
  @rounds String.to_integer(System.get_env("ROUNDS") || "3")
  @native Magnesia.Native

  def run do
    {:ok, _} = Application.ensure_all_started(:magnesia)
    dir = Path.join(System.tmp_dir!(), "magnesia-sanitize-#{System.pid()}")
    :erlang.trace_pattern({@native, :_, :_}, true, [:call_count])
    for round <- 1..@rounds, do: round(round, Path.join(dir, "#{round}"))
    File.rm_rf!(dir)
    report(uncalled())
  end

  defp uncalled do
    for {name, arity} <- @native.module_info(:functions),
        function = {@native, name, arity},
        name not in [:load, :missing, :__info__, :module_info],
        # Questions to ets, asked when it is loaded.
        not String.ends_with?("#{name}", "?"),
        # What the compiler made of parts of functions.
        not String.starts_with?("#{name}", "-"),
        :erlang.trace_info(function, :call_count) == {:call_count, 0},
        do: "#{name}/#{arity}"
  end

  defp report([]), do: IO.puts("sanitize_nif: #{@rounds} rounds, every call was made")

  defp report(names) do
    IO.puts("sanitize_nif: never called: #{Enum.join(names, ", ")}")
    System.halt(1)
  end

  defp round(round, dir) do
    :rand.seed(:exsss, round)
    in_memory(dir <> "-attached")
    on_disk(dir)
    salvage(dir)
    Magnesia.SanitizeNif.Hot.run(dir <> "-hot")
    :ok = :magnesia.delete_schema([node()])
  end

  # A database without a directory, which gets one while it runs.
  defp in_memory(dir) do
    Application.put_env(:magnesia, :dir, String.to_charlist(dir))
    :ok = :magnesia.start()
    tables(:ram_copies)
    work()
    {:atomic, :ok} = :magnesia.change_table_copy_type(:schema, node(), :disc_copies)
    {:atomic, :ok} = :magnesia.change_table_copy_type(:set, node(), :disc_copies)
    {:atomic, :ok} = :magnesia.change_table_copy_type(:set, node(), :ram_copies)
    :dumped = :magnesia.dump_log()
    {:atomic, :ok} = :magnesia.dump_tables([:set])
    {:atomic, :ok} = :magnesia.change_table_copy_type(:schema, node(), :ram_copies)
    :stopped = :magnesia.stop()
  end

  defp on_disk(dir) do
    Application.put_env(:magnesia, :dir, String.to_charlist(dir))
    :ok = :magnesia.create_schema([node()])
    :ok = :magnesia.start()
    tables(:disc_copies)
    {:atomic, :ok} = :magnesia.create_table(:only, disc_only_copies: [node()])
    for n <- 1..50, do: :ok = :magnesia.dirty_write({:only, n, term(n)})
    50 = length(:magnesia.dirty_select(:only, [{:"$1", [], [:"$1"]}]))
    work()
    :ok = :magnesia.sync_log()
    %{} = Magnesia.Engine.log_info()
    :dumped = :magnesia.dump_log()
    {:atomic, _} = :magnesia.sync_transaction(fn -> :magnesia.write({:set, :synced, 1, 2}) end)
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    :ok = :magnesia.wait_for_tables([:set, :ordered, :bag, :only], 60_000)
    [{:set, :synced, 1, 2}] = :magnesia.dirty_read(:set, :synced)
    :stopped = :magnesia.stop()
  end

  defp salvage(dir) do
    to = dir <> ".terms"
    # A byte in the middle of a snapshot, so that there is damage to tell of.
    [snapshot | _] = Path.wildcard(Path.join(dir, "*.msnap"))
    bytes = File.read!(snapshot)
    half = div(byte_size(bytes), 2)
    <<left::binary-size(half), byte, right::binary>> = bytes
    File.write!(snapshot, [left, Bitwise.bxor(byte, 1), right])
    {:ok, %{damage: [_ | _]}} = Magnesia.Export.run(dir, to)
    File.write!(snapshot, bytes)
    File.rm!(to)
    {:ok, %{tables: [_ | _]}} = Magnesia.Export.run(dir, to)
  end

  defp tables(storage) do
    for {name, type} <- [set: :set, ordered: :ordered_set, bag: :bag] do
      options = [attributes: [:key, :value, :group], type: type, index: [:group]]
      {:atomic, :ok} = :magnesia.create_table(name, [{storage, [node()]} | options])
    end
  end

  defp work do
    for table <- [:set, :ordered, :bag], do: table(table)
    Magnesia.SanitizeNif.Gate.run()
    outlive()
    alter()
    conflict()
    deaths()
    large()
  end

  # Every shape that a term can have, small and large.
  defp term(n) do
    case rem(n, 12) do
      0 -> n * 0x1000_0000_0000_0000_0000_0000
      1 -> -n
      2 -> n / 3
      3 -> :"atom_#{rem(n, 20)}"
      4 -> String.duplicate("x", n * 7)
      5 -> <<n::11>>
      6 -> %{n => [n], {:a, n} => %{}}
      7 -> [n, {n} | :tail]
      8 -> {self(), make_ref(), &:erlang.send/2}
      9 -> Enum.to_list(1..n)
      10 -> fn -> n end
      11 -> {-(1 <<< 59), 1 <<< 64, -0.0, [], {}, ""}
    end
  end

  defp left <<< right, do: Bitwise.bsl(left, right)

  defp table(name) do
    for n <- 1..300, do: :ok = :magnesia.dirty_write({name, key(n), term(n), rem(n, 5)})
    for n <- 1..300, do: [{^name, _, _, _} | _] = :magnesia.dirty_read(name, key(n))
    walk(name, :magnesia.dirty_first(name), &:magnesia.dirty_next/2)
    walk(name, :magnesia.dirty_last(name), &:magnesia.dirty_prev/2)
    for slot <- 0..4, do: :magnesia.dirty_slot(name, slot)
    60 = length(:magnesia.dirty_index_read(name, 3, :group))
    true = :magnesia.table_info(name, :size) >= 300
    true = :magnesia.table_info(name, :memory) > 0
    queries(name)
    transactions(name)
    for n <- 1..50, do: :ok = :magnesia.dirty_delete(name, key(n))

    for n <- 51..60, record <- :magnesia.dirty_read(name, key(n)) do
      :ok = :magnesia.dirty_delete_object(record)
    end
  end

  defp key(n) do
    case rem(n, 4) do
      0 -> n
      1 -> {:key, n, "binary #{n}"}
      2 -> "a key of bytes that is longer than what goes inline #{n}"
      3 -> [n, n * 1.0]
    end
  end

  defp walk(_name, :"$end_of_table", _next), do: :ok
  defp walk(name, key, next), do: walk(name, next.(name, key), next)

  defp queries(name) do
    guarded = [{{name, :"$1", :"$2", :"$3"}, [{:>, :"$3", 1}], [{{:"$1", [:"$2" | :"$3"]}}]}]
    180 = length(:magnesia.dirty_select(name, guarded))
    60 = length(:magnesia.dirty_match_object({name, :_, :_, 3}))
    [_] = :magnesia.dirty_match_object({name, key(7), :_, :_})

    {:atomic, 300} =
      :magnesia.transaction(fn ->
        chunks(:magnesia.select(name, [{{name, :_, :_, :_}, [], [:"$_"]}], 17, :read), 0)
      end)

    {:atomic, 300} =
      :magnesia.transaction(fn -> :magnesia.foldl(fn _, sum -> sum + 1 end, 0, name) end)

    broken = [{{name, :_}, [{:no_such_guard}], [:"$_"]}]
    {:EXIT, _} = catch_exit(fn -> :magnesia.dirty_select(name, broken) end)
  end

  defp catch_exit(fun) do
    fun.()
  catch
    :exit, reason -> {:EXIT, reason}
    :error, reason -> {:EXIT, reason}
  end

  defp chunks(:"$end_of_table", sum), do: sum
  defp chunks({rows, more}, sum), do: chunks(:magnesia.select(more), sum + length(rows))

  defp transactions(name) do
    {:atomic, :ok} =
      :magnesia.transaction(fn ->
        for n <- 1..40, do: :ok = :magnesia.write({name, {:own, n}, term(n), :own})
        [_ | _] = :magnesia.read(name, {:own, 1})
        40 = length(:magnesia.index_read(name, :own, :group))
        :ok = :magnesia.delete({name, {:own, 1}})
        [record | _] = :magnesia.wread({name, {:own, 2}})
        :ok = :magnesia.delete_object(record)
        {:aborted, :inner} = :magnesia.transaction(fn -> inner(name) end)
        {:atomic, _} = :magnesia.transaction(fn -> :magnesia.write({name, {:own, 3}, 1, 2}) end)
        true = length(:magnesia.all_keys(name)) > 300
        [_ | _] = :magnesia.match_object({name, {:own, 5}, :_, :_})
        [_ | _] = :magnesia.select(name, [{{name, {:own, :"$1"}, :_, :own}, [], [:"$1"]}])
        _ = :magnesia.first(name)
        _ = :magnesia.foldl(fn _, sum -> sum + 1 end, 0, name)
        :magnesia.read_lock_table(name)
        :magnesia.write_lock_table(name)
        [_ | _] = :magnesia.system_info(:held_locks)
        :ok
      end)

    own_key(name)
    {:aborted, :outer} = :magnesia.transaction(fn -> inner(name, :outer) end)
    _ = :magnesia.system_info(:transaction_commits)
    for n <- 4..40, do: :ok = :magnesia.dirty_delete(name, {:own, n})
    :magnesia.dirty_delete(name, {:own, 3})
  end

  # By the gate: what nothing else calls, or only when transactions meet in a certain way.
  defp own_key(name) do
    context = Magnesia.Engine.tx_new()
    true = is_integer(Magnesia.Engine.tx_begin(context))
    :ok = Magnesia.Engine.tx_write(context, name, {name, :key, 1, 2}, :write)
    [_ | _] = Magnesia.Engine.tx_own_key(context, name, :key)
    for n <- 1..1500, do: Magnesia.Engine.tx_write(context, name, {name, n, 1, 2}, :write)
    :ok = Magnesia.Engine.tx_restart(context, 0)
    [] = Magnesia.Engine.tx_own(context, name)
    :ok = Magnesia.Engine.tx_abort(context)
  end

  defp inner(name, reason \\ :inner) do
    :magnesia.write({name, :inner, make_ref(), 0})
    :magnesia.abort(reason)
  end

  # Binaries and cursors that live longer than the rows and the table they are of.
  defp outlive do
    {:atomic, :ok} = :magnesia.create_table(:gone, attributes: [:key, :value])
    {:atomic, :ok} = :magnesia.create_table(:count, attributes: [:key, :value])
    bytes = :crypto.strong_rand_bytes(100_000)
    for n <- 1..30, do: :ok = :magnesia.dirty_write({:gone, n, bytes})
    held = for n <- 1..30, [{:gone, _, held}] = :magnesia.dirty_read(:gone, n), do: held
    parts = for <<part::binary-size(1000) <- hd(held)>>, do: part
    everything = [{:_, [], [:"$_"]}]
    {:more, [_ | _], cursor} = Magnesia.Engine.select_chunk(:gone, everything, 5)
    :gone = Magnesia.Engine.cursor_table(cursor)
    for n <- 1..20, do: true = :magnesia.dirty_update_counter(:count, :n, 2) == 2 * n
    {:atomic, :ok} = :magnesia.clear_table(:gone)
    {:atomic, :ok} = :magnesia.delete_table(:gone)
    {:atomic, :ok} = :magnesia.delete_table(:count)
    _ = Magnesia.Engine.select_chunk_more(cursor, 5)
    true = Enum.all?(held, &(&1 == bytes))
    true = IO.iodata_to_binary(parts) == bytes
    :erlang.garbage_collect()
  end

  defp alter do
    {:atomic, :ok} = :magnesia.add_table_index(:ordered, :value)
    {:atomic, :ok} = :magnesia.del_table_index(:ordered, :value)
    {:atomic, :ok} = :magnesia.change_table_access_mode(:set, :read_only)
    {:aborted, _} = :magnesia.transaction(fn -> :magnesia.write({:set, 1, 2, 3}) end)
    {:atomic, :ok} = :magnesia.change_table_access_mode(:set, :read_write)
    swap = fn {name, key, value, group} -> {name, key, group, value} end
    attributes = [:key, :value, :group]
    {:atomic, :ok} = :magnesia.transform_table(:ordered, swap, attributes)
    {:atomic, :ok} = :magnesia.transform_table(:ordered, swap, attributes)
    {:aborted, _} = :magnesia.transform_table(:ordered, fn _ -> :no_record end, attributes)
    {:atomic, :ok} = :magnesia.create_table(:shape, attributes: [:key, :value])
    {:atomic, :ok} = :magnesia.transform_table(:shape, :ignore, [:key, :value, :more])
    {:atomic, :ok} = :magnesia.delete_table(:shape)
  end

  # Transactions that wait for each other, and restart.
  defp conflict do
    increments =
      for _ <- 1..4 do
        Task.async(fn ->
          for _ <- 1..10, do: {:atomic, _} = :magnesia.transaction(&increment/0)
        end)
      end

    _ = :magnesia.system_info(:lock_queue)
    Task.await_many(increments, 300_000)
    [{:set, :sum, sum, _}] = :magnesia.dirty_read(:set, :sum)
    0 = rem(sum, 40)
  end

  defp increment do
    sum =
      case :magnesia.read(:set, :sum) do
        [{:set, :sum, sum, _}] -> sum
        [] -> 0
      end

    :erlang.yield()
    :magnesia.write({:set, :sum, sum + 1, 0})
  end

  # Processes killed while they hold locks, own writes and cursors.
  defp deaths do
    parent = self()

    for n <- 1..20 do
      {pid, ref} = spawn_monitor(fn -> :magnesia.transaction(fn -> hold(n, parent) end) end)
      receive do: ({:holding, ^pid} -> Process.exit(pid, :kill))
      receive do: ({:DOWN, ^ref, _, _, _} -> :ok)
    end

    {:atomic, _} = :magnesia.transaction(fn -> :magnesia.write_lock_table(:set) end)
  end

  defp hold(n, parent) do
    :magnesia.write({:set, {:held, n}, term(n), String.duplicate("held", 100)})
    :magnesia.select(:set, [{:_, [], [:"$_"]}], 3, :read)
    send(parent, {:holding, self()})
    receive do: (:never -> :ok)
  end

  # What is too much for an ordinary scheduler.
  defp large do
    for n <- 1..1200, do: :magnesia.dirty_write({:bag, :many, n, :many})
    1200 = length(:magnesia.dirty_read(:bag, :many))
    {:atomic, 1200} = :magnesia.transaction(fn -> length(:magnesia.read(:bag, :many)) end)
    1200 = length(:magnesia.dirty_index_read(:bag, :many, :group))
    1200 = length(:magnesia.dirty_select(:bag, [{{:bag, :many, :"$1", :_}, [], [:"$1"]}]))
    ids = [{{:set, :"$1", :_, :_}, [], [:"$1"]}]

    {:atomic, true} =
      :magnesia.transaction(fn ->
        for n <- 1..1500, do: :magnesia.write({:set, {:large, n}, n, :large})
        {:aborted, :inner} = :magnesia.transaction(fn -> inner(:set) end)
        within = fn -> :magnesia.write({:set, {:large, 1}, :within, :large}) end
        {:atomic, :ok} = :magnesia.transaction(within)
        length(:magnesia.select(:set, ids)) > 1500
      end)

    {:aborted, :large} =
      :magnesia.transaction(fn ->
        for n <- 1..1500, do: :magnesia.delete({:set, {:large, n}})
        :magnesia.abort(:large)
      end)

    true = length(:magnesia.dirty_select(:set, ids)) > 1500
    :magnesia.dirty_delete(:bag, :many)
  end
end

Magnesia.SanitizeNif.run()
