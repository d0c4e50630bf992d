defmodule Magnesia.Parity.Interpreter do
  @moduledoc """
  Carries out a script against one module and records the outcome of every operation in comparable
  form, with the contents of all tables at the end. It runs in a process of its own, so that
  nothing of one run reaches the next, and must never look at what another module answered.
  """

  alias Magnesia.Parity.{Duel, Hearing, Normal, Order, Script, Subject}

  @type entry :: %{path: [pos_integer], operation: term, mode: Order.mode(), outcome: term}

  @writes [:write, :s_write, :delete, :s_delete, :delete_object, :s_delete_object]
  @walk_limit 60
  @slot_limit 5_000

  @doc "The record of a run on fresh tables; a run past its time ends with a `:hangs` entry."
  @spec run(Script.t(), module, timeout) :: [entry]
  def run(script, subject, timeout \\ 15_000) do
    Subject.reset(subject, thorough: raw?(script))
    caller = self()
    tag = make_ref()
    {pid, monitor} = spawn_monitor(fn -> send(caller, {tag, record(script, subject)}) end)

    receive do
      {^tag, log} ->
        Process.demonitor(monitor, [:flush])
        log

      {:DOWN, ^monitor, :process, ^pid, reason} ->
        [entry([], :process, :exact, {:exit, Normal.term(reason, subject)})]
    after
      timeout -> hung(pid, monitor)
    end
  end

  # A write in an ets activity leaves indexes behind: the tables of the next script are made anew.
  defp raw?(script) do
    script.kind == :duel or
      (Script.any?(script.operations, &match?({:activity, {_, _}, _, _}, &1)) and
         Script.any?(script.operations, fn
           {:activity, {:ets, _}, _, _} -> true
           {:activity, {:activity, :ets}, _, _} -> true
           _ -> false
         end))
  end

  defp hung(pid, monitor) do
    {:dictionary, dictionary} = Process.info(pid, :dictionary)
    Process.exit(pid, :kill)
    Process.demonitor(monitor, [:flush])
    log = Keyword.get(dictionary, :parity_log, [])
    Enum.reverse([entry([], :process, :exact, :hangs) | log])
  end

  defp record(%{kind: :duel} = script, subject), do: Duel.run(script.operations, subject)

  defp record(script, subject) do
    {:ok, device} = StringIO.open("")
    Process.group_leader(self(), device)
    Process.put(:parity_log, [])
    Process.put(:parity_written, [])
    :ok = Hearing.begin(script, subject)
    before = counters(subject)
    perform_all(script.operations, subject, [])
    log(entry([], :counters, :exact, {:value, change(before, counters(subject))}))
    log(entry([], :contents, :exact, {:value, contents(subject)}))
    Enum.reverse(Process.get(:parity_log))
  end

  defp counters(subject) do
    for item <- [:transaction_commits, :transaction_failures, :transaction_restarts] do
      {item, guarded(fn -> subject.system_info(item) end)}
    end
  end

  defp change(before, later) do
    for {{item, {:value, old}}, {item, {:value, new}}} <- Enum.zip(before, later) do
      {item, new - old}
    end
  end

  defp contents(subject), do: Normal.term(Subject.contents(subject), subject)

  defp perform_all(operations, subject, path) do
    operations
    |> Enum.with_index(1)
    |> Enum.each(fn {operation, number} ->
      raw = perform(operation, subject, path ++ [number])
      if Process.get(:parity_depth, 0) > 0, do: pass_on(raw)
    end)
  end

  # An exit inside a fun leaves the fun, unless the script says that it is caught.
  defp pass_on({:value, _value}), do: :ok
  defp pass_on({:caught, _raw}), do: :ok
  defp pass_on({kind, reason, stack}), do: :erlang.raise(kind, reason, stack)

  defp perform({:caught, operation}, subject, path),
    do: {:caught, perform(operation, subject, path)}

  defp perform(operation, subject, path) do
    raw = guarded(fn -> call(operation, subject, path) end)
    note_write(operation)
    mode = mode(operation, subject)
    log(entry(path, label(operation), mode, outcome(raw, subject)))
    if Process.get(:parity_depth, 0) == 0, do: hear(operation, path, subject)
    raw
  end

  defp hear(operation, path, subject) do
    case {Hearing.events(subject), operation} do
      {[], _operation} -> :ok
      # One of two sides moves.
      {_events, {:call, :move_table, _}} -> :ok
      {events, operation} -> log_events(Enum.reject(events, &unmade?(&1, operation)), path)
    end
  end

  defp log_events([], _path), do: :ok
  defp log_events(events, path), do: log(entry(path, :events, :exact, {:value, events}))

  # Quirk 170.
  defp unmade?({keys, 0, _last?}, {:call, :create_table, _}) do
    Enum.all?(keys, &match?([{:delete, {:schema, _}, _}], &1))
  end

  defp unmade?(_events, _operation), do: false

  # A table that was stuck to its node by an earlier script shows fewer locks.
  defp mode({:call, :system_info, [:held_locks]}, _subject) do
    if Process.get(:parity_sticky), do: :shape, else: :locks
  end

  # Chunks after the one that used up the own writes hold whole rows, whatever the query says.
  defp mode({:query, table, _, text, _, _}, _subject) do
    whole? = String.starts_with?(text, "[X ")
    if whole? or table not in written(), do: :multiset, else: :shape
  end

  # A name in the place of a table is that of the table whose fragments are meant.
  defp mode({:call, function, [{_table, _key} | _]}, _subject) when function == :table_info,
    do: :exact

  defp mode(operation, subject) do
    Order.mode(operation, &type(subject, &1), &(&1 in Process.get(:parity_written)))
  end

  defp guarded(fun) do
    {:value, fun.()}
  catch
    kind, reason -> {kind, reason, __STACKTRACE__}
  end

  defp outcome({:value, value}, subject), do: {:value, Normal.term(value, subject)}
  defp outcome({:error, reason, stack}, subject), do: {:error, failure(reason, stack, subject)}
  defp outcome({kind, reason, _stack}, subject), do: {kind, Normal.term(reason, subject)}

  defp failure(reason, stack, subject) do
    {reason, _stack} = Normal.term({reason, tl_safe(stack)}, subject)
    reason
  end

  # An error without a stack is given one, so that it is read as an error of the module.
  defp tl_safe([]), do: [{__MODULE__, :call, 0, []}]
  defp tl_safe(stack), do: stack

  defp call({:call, function, arguments}, subject, _path) do
    apply(subject, function, Enum.map(arguments, &argument/1))
  end

  defp call({:activity, kind, operations, ending}, subject, path) do
    depth = Process.get(:parity_depth, 0)

    fun = fn ->
      Process.put(:parity_depth, depth + 1)
      perform_all(operations, subject, path)
      finish(ending, subject)
    end

    try do
      start_activity(kind, fun, subject)
    after
      Process.put(:parity_depth, depth)
      if depth == 0, do: Process.put(:parity_written, [])
    end
  end

  defp call({:walk, where, direction, table}, subject, _path) do
    {first, next} = steps(where, direction)
    follow(apply(subject, first, [table]), &apply(subject, next, [table, &1]), @walk_limit)
  end

  defp call({:chunks, table, spec, limit, lock, between}, subject, path) do
    chunk = subject.select(table, spec, limit, lock)
    if match?({_, _}, chunk), do: perform_all(between, subject, path)
    gather(chunk, subject, [], [], @walk_limit)
  end

  defp call({:fold, fold, table, nil}, subject, _path) do
    apply(subject, fold, [fn row, rows -> [row | rows] end, [], table])
  end

  defp call({:fold, fold, table, lock}, subject, _path) do
    apply(subject, fold, [fn row, rows -> [row | rows] end, [], table, lock])
  end

  defp call({:slots, table}, subject, _path), do: slots(subject, table, 0, [])

  defp call({:query, table, options, text, value, how}, subject, _path) do
    bindings = :erl_eval.add_binding(:T, subject.table(table, options), :erl_eval.new_bindings())
    bindings = :erl_eval.add_binding(:V, value, bindings)
    handle = :qlc.string_to_handle(String.to_charlist(text <> "."), [], bindings)
    answers(how, handle)
  end

  defp answers(:eval, handle), do: :qlc.eval(handle)

  defp answers(:cursor, handle) do
    case :qlc.cursor(handle) do
      {:qlc_cursor, _} = cursor ->
        first = :qlc.next_answers(cursor, 2)
        rest = :qlc.next_answers(cursor, :all_remaining)
        :ok = :qlc.delete_cursor(cursor)
        first ++ rest

      refused ->
        refused
    end
  end

  defp start_activity({:fragments, kind}, fun, subject) do
    subject.activity(kind, fun, [], :mnesia_frag)
  end

  defp start_activity({:activity, kind}, fun, subject), do: subject.activity(kind, fun)
  defp start_activity({name, more}, fun, subject), do: apply(subject, name, [fun | more])

  defp finish({:return, value}, _subject), do: value
  defp finish({:abort, reason}, subject), do: subject.abort(reason)
  defp finish({:throw, value}, _subject), do: throw(value)
  defp finish({:exit, reason}, _subject), do: exit(reason)
  defp finish({:error, reason}, _subject), do: :erlang.error(reason)

  defp steps(:dirty, :next), do: {:dirty_first, :dirty_next}
  defp steps(:dirty, :prev), do: {:dirty_last, :dirty_prev}
  defp steps(:activity, :next), do: {:first, :next}
  defp steps(:activity, :prev), do: {:last, :prev}

  defp follow(:"$end_of_table", _next, _left), do: []
  defp follow(_key, _next, 0), do: [:"$endless"]
  defp follow(key, next, left), do: [key | follow(next.(key), next, left - 1)]

  # Not a pair: of rows that look like a stack it would be an error with its stack.
  defp gather({rows, _more}, _subject, sizes, found, 0) do
    {:chunks, Enum.reverse([:"$endless" | sizes]), found ++ rows}
  end

  defp gather({rows, more}, subject, sizes, found, left) do
    sizes = [length(rows) | sizes]
    gather(subject.select(more), subject, sizes, found ++ rows, left - 1)
  end

  defp gather(_end, _subject, sizes, found, _left), do: {:chunks, Enum.reverse(sizes), found}

  defp slots(_subject, _table, @slot_limit, found), do: [:"$endless" | found]

  defp slots(subject, table, number, found) do
    case subject.dirty_slot(table, number) do
      :"$end_of_table" -> found
      rows -> slots(subject, table, number + 1, found ++ rows)
    end
  end

  @doc "The fun that a placeholder in a script stands for."
  @spec argument(term) :: term
  def argument({:"$fun", :pad}), do: &Tuple.insert_at(&1, tuple_size(&1), nil)
  def argument({:"$fun", :cut}), do: &Tuple.delete_at(&1, tuple_size(&1) - 1)
  def argument({:"$fun", :same}), do: & &1
  def argument({:"$fun", :crash}), do: fn _row -> :erlang.error(:crash) end
  def argument({:"$fun", :rekey}), do: &put_elem(&1, 1, {:new, elem(&1, 1)})
  def argument({:"$fun", :two}), do: fn first, _second -> first end
  def argument({:"$fun", :collect}), do: fn row, rows -> [row | rows] end
  def argument(literal), do: literal

  defp note_write({:call, function, arguments} = operation) do
    sticky = String.starts_with?("#{function}", "s_") or :sticky_write in arguments
    if sticky, do: Process.put(:parity_sticky, true)
    note_table(operation)
  end

  defp note_write(_operation), do: :ok

  defp note_table({:call, function, [first | _]})
       when function in @writes do
    table = if is_tuple(first) and tuple_size(first) > 0, do: elem(first, 0), else: first
    if Process.get(:parity_depth, 0) > 0, do: Process.put(:parity_written, [table | written()])
  end

  defp note_table(_operation), do: :ok

  defp written, do: Process.get(:parity_written)

  defp type(subject, table) do
    case Script.table(table) do
      {:unknown, _, _, _} -> guarded_type(subject, table)
      {type, _, _, _} -> type
    end
  end

  defp guarded_type(subject, table) do
    subject.table_info(table, :type)
  catch
    _kind, _reason -> :unknown
  end

  defp label({:activity, kind, _operations, ending}), do: {:activity, kind, ending}
  defp label(operation), do: operation

  defp log(entry), do: Process.put(:parity_log, [entry | Process.get(:parity_log)])

  defp entry(path, operation, mode, outcome) do
    %{path: path, operation: operation, mode: mode, outcome: outcome}
  end
end
