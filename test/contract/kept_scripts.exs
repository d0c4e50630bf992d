# Random scripts that once told the two modules apart, shrunk: they are run before any new ones.
transaction = fn operations -> {:activity, {:transaction, []}, operations, {:return, :ok}} end
aborted = fn operations -> {:activity, {:transaction, []}, operations, {:abort, :x}} end
ets = fn operations -> {:activity, {:ets, []}, operations, {:return, :ok}} end
call = fn function, arguments -> {:call, function, arguments} end
global = fn who, kind -> {:step, who, call.(:lock, [{:global, :g, [node()]}, kind])} end
write = fn table, record -> {:call, :dirty_write, [table, record]} end
all = [{:_, [], [:"$_"]}]

zeros = fn table ->
  for value <- [0.0, -0.0, {1, -0.0}, [[0.0]]],
      asked <- [value, 0.0, -0.0, {1, 0.0}, [[-0.0]]],
      step <- [
        write.(table, {table, 1, value, 2}),
        call.(:dirty_index_read, [table, asked, :v]),
        transaction.([call.(:index_read, [table, asked, :v])]),
        call.(:dirty_delete, [table, 1])
      ],
      do: step
end

[
  # An index tells zeros by their sign, whole or in parts.
  {:data, Enum.flat_map([:i, :ib], zeros)},
  # Rows of a bag's key come as they were inserted, though an index would find them by value.
  {:data,
   [
     write.(:ib, {:ib, 4, "text", 1}),
     write.(:ib, {:ib, 4, 3, 2}),
     transaction.([
       call.(:select, [:ib, [{{:ib, :"$1", :"$2", :_}, [{:>=, :"$2", 2.0}], [:"$_"]}]]),
       call.(:select, [
         :ib,
         [{{:_, :_, :"$1", :_}, [{:orelse, {:==, :"$1", 3}, {:==, :"$1", "text"}}], [:"$_"]}]
       ])
     ])
   ]},
  # Nested commits count.
  {:data, [transaction.([transaction.([])])]},
  # What an unindexed position answers hangs on the locks that the transaction has asked for.
  {:data,
   [
     transaction.([
       {:caught, call.(:next, [:s, :b])},
       call.(:select, [:s, all, :write]),
       call.(:index_read, [:s, 2, 3])
     ])
   ]},
  {:data,
   [transaction.([aborted.([call.(:select, [:rn, all])]), call.(:index_read, [:rn, 2, 3])])]},
  {:data,
   [
     transaction.([
       aborted.([call.(:select, [:i, all, :write])]),
       call.(:lock, [{:record, :i, -1}, :write])
     ])
   ]},
  # Which spelling of its key a counter leaves.
  {:data,
   [
     write.(:o, {:o, 2.0, 2}),
     call.(:dirty_update_counter, [{:o, 2}, 1]),
     call.(:dirty_all_keys, [:o])
   ]},
  {:data,
   [
     write.(:o, {:o, 3, :text}),
     call.(:dirty_update_counter, [:o, 3.0, 5]),
     call.(:dirty_all_keys, [:o])
   ]},
  {:data,
   [
     write.(:o, {:o, 3, -5}),
     call.(:dirty_update_counter, [:o, 3.0, 0]),
     call.(:dirty_all_keys, [:o])
   ]},
  # A map in the place of the key is a key.
  {:data, [write.(:s, {:s, %{1 => 2}, false}), call.(:dirty_match_object, [{:s, %{}, :_}])]},
  {:data, [write.(:s, {:s, %{1 => 2}, 3}), call.(:dirty_match_object, [{:s, %{1 => 2}, :_}])]},
  {:data,
   [
     write.(:o, {:o, %{a: 1}, 4}),
     call.(:dirty_select, [:o, [{{:o, %{}, :_}, [], [:"$_"]}]]),
     call.(:dirty_select, [:o, [{{:o, %{}, :_}, [], [:"$_"]}, {{:o, :"$1", 5}, [], [:"$_"]}]])
   ]},
  # The order of a bag's objects read by index.
  {:data,
   [
     write.(:ib, {:ib, 1, :b, 1}),
     write.(:ib, {:ib, 1, :b, 2}),
     call.(:dirty_index_read, [:ib, :b, 3]),
     transaction.([call.(:index_read, [:ib, :b, 3])])
   ]},
  # Indexes in the reverse of their declared order.
  {:data, [call.(:table_info, [:ii, :index])]},
  # The record is looked at before the access mode.
  {:schema,
   [
     call.(:create_table, [:t1, [attributes: [:k, :v, :w], access_mode: :read_only]]),
     call.(:dirty_write, [:t1, {:t1, 1, 2}]),
     call.(:dirty_write, [:t1, {:t1, 1, 2, 3}])
   ]},
  {:schema,
   [
     call.(:create_table, [:t1, []]),
     call.(:transform_table, [:t1, :ignore, [:k, :v, :w]]),
     call.(:table_info, [:t1, :attributes])
   ]},
  # An ets activity in a transaction is that transaction.
  {:data, [transaction.([ets.([call.(:write, [{:i, :a, 1, 4}])])])]},
  # Who waits in which queue, and who passes it by.
  {:duel,
   [
     {:step, :b, call.(:read, [:s, :x])},
     {:step, :a, call.(:write, [{:s, :x, 1}])},
     {:step, :b, call.(:write, [{:s, :x, 2}])},
     {:step, :b, :commit},
     {:step, :a, :commit}
   ]},
  {:duel,
   [
     {:step, :b, call.(:write, [{:s, :x, 1}])},
     {:step, :a, call.(:wread, [{:s, :x}])},
     {:step, :b, call.(:write_lock_table, [:s])},
     {:step, :b, :commit},
     {:step, :a, :commit}
   ]},
  {:duel,
   [
     {:step, :b, call.(:wread, [{:s, :y}])},
     {:step, :a, call.(:wread, [{:s, :y}])},
     {:step, :b, call.(:read_lock_table, [:s])},
     {:step, :b, {:abort, :x}},
     {:step, :a, :commit}
   ]},
  {:duel,
   [
     {:step, :a, call.(:write_lock_table, [:o])},
     {:step, :b, call.(:read_lock_table, [:o])},
     {:step, :a, :kill},
     {:step, :b, :commit}
   ]},
  {:duel, [{:step, :b, call.(:lock, [{:global, :g, [node()]}, :write])}]},
  # A term is asked for again although it is held.
  {:duel, [global.(:a, :write), global.(:a, :read)]},
  {:duel, [global.(:b, :read), global.(:a, :write), global.(:b, :read)]},
  {:duel, [global.(:b, :write), global.(:a, :read), global.(:b, :write), global.(:b, :read)]},
  # A table that is stuck to the node.
  {:duel,
   [
     {:step, :a, call.(:s_write, [{:s, :y, 4}])},
     {:step, :a, :commit},
     {:step, :b, call.(:wread, [{:s, :x}])}
   ]},
  {:duel,
   [{:step, :a, call.(:s_write, [{:s, :y, 4}])}, {:step, :b, call.(:s_write, [{:s, :x, 4}])}]},
  {:duel, [{:step, :b, call.(:s_write, [{:s, :x, 4}])}, {:step, :a, call.(:wread, [{:s, :y}])}]},
  {:data, [transaction.([call.(:lock, [{:record, :s, 1}, :sticky_write])])]},
  # Keys that are equal numbers have one lock in stock Mnesia's table of locks.
  {:data,
   [
     transaction.([
       call.(:write, [{:b, 1.0, :a}]),
       call.(:wread, [{:b, 1}]),
       call.(:system_info, [:held_locks])
     ])
   ]},
  # An integer that a match spec leaves in the form of a larger one.
  {:data,
   [
     write.(:s, {:s, 1, -576_460_752_303_423_488.0}),
     call.(:dirty_select, [:s, [{{:s, :_, :"$1"}, [], [{:round, :"$1"}]}]])
   ]},
  # Rows that look like a stack.
  {:data,
   [
     write.(:i, {:i, :a, 1, []}),
     transaction.([{:chunks, :i, all, 1, :read, []}])
   ]}
]
