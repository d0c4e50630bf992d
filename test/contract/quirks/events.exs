# Quirks of stock Mnesia, section L: Events. Literals only: no result is computed here.
[
  %{
    number: 112,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Simple events: write, delete by key, delete_object; deletes of absent keys are reported too.
    """,
    run: ~S"""
    mnesia:subscribe({table,s,simple}), mnesia:dirty_write({s,1,a}), mnesia:dirty_delete({s,1}),
    mnesia:dirty_delete({s,1}), mnesia:dirty_delete_object({s,2,x}),
    [setelement(3,E,d) || {_,E} <- Flush()]
    """,
    gives: ~S"""
    [{write,{s,1,a},d},{delete,{s,1},d},{delete,{s,1},d},{delete_object,{s,2,x},d}]
    """
  },
  %{
    number: 113,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Detailed events carry old rows; for delete_object the "old rows" field is the given object
    even when it was never there; for a bag write it is all rows of the key.
    """,
    run: ~S"""
    mnesia:subscribe({table,s,detailed}), mnesia:subscribe({table,b,detailed}),
    mnesia:dirty_write({s,1,a}), mnesia:dirty_write({s,1,b}), mnesia:dirty_delete_object({s,1,zz}),
    mnesia:dirty_delete({s,1}), mnesia:dirty_write({b,1,x}), mnesia:dirty_write({b,1,y}),
    [setelement(5,E,d) || {_,E} <- Flush()]
    """,
    gives: ~S"""
    [{write,s,{s,1,a},[],d},{write,s,{s,1,b},[{s,1,a}],d},{delete,s,{s,1,zz},[{s,1,zz}],d},
    {delete,s,{s,1},[{s,1,b}],d},{write,b,{b,1,x},[],d},{write,b,{b,1,y},[{b,1,x}],d}]
    """
  },
  %{
    number: 114,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A transaction's events collapse per key: only the last write of a set key is reported, at
    commit; an aborted one reports nothing.
    """,
    run: ~S"""
    mnesia:subscribe({table,s,simple}), Tx(fun() -> mnesia:write({s,1,a}), mnesia:write({s,1,b})
    end), Tx(fun() -> mnesia:write({s,2,a}), mnesia:abort(x) end),
    [E || {_,{K,E,_}} <- Flush(), K == write]
    """,
    gives: ~S"""
    [{s,1,b}]
    """
  },
  %{
    number: 115,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    clear_table reports to the table's subscribers as a delete and a write of the schema row, not
    row by row.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,a}), mnesia:subscribe({table,s,simple}), mnesia:clear_table(s),
    [{K,element(1,E),element(2,E)} || {_,{K,E,_}} <- Flush()]
    """,
    gives: ~S"""
    [{delete,schema,s},{write,schema,s}]
    """
  },
  %{
    number: 116,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A process holds one subscription per table: a second one is refused in either kind;
    unsubscribing what is not subscribed is ok, in either kind.
    """,
    run: ~S"""
    {mnesia:subscribe({table,s}), mnesia:subscribe({table,s,simple}),
    mnesia:subscribe({table,s,detailed}), mnesia:unsubscribe({table,s}),
    mnesia:unsubscribe({table,s,simple})}
    """,
    gives: ~S"""
    {{ok,'n@h'},{error,{already_exists,{table,s,simple}}},
    {error,{already_exists,{table,s,detailed}}},{ok,'n@h'},{ok,'n@h'}}
    """
  },
  %{
    number: 117,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Subscribing to an unknown table, category or detail level; unsubscribing from an unknown table.
    """,
    run: ~S"""
    {mnesia:subscribe({table,nosuch}), mnesia:subscribe(bogus), mnesia:subscribe({table,s,foo}),
    mnesia:unsubscribe({table,nosuch}), mnesia:unsubscribe(bogus), mnesia:subscribe({table,1})}
    """,
    gives: ~S"""
    {{error,{no_exists,nosuch}},{error,{badarg,bogus}},{error,{badarg,{table,s,foo}}},
    {error,badarg},{error,{badarg,bogus}},{error,{no_exists,1}}}
    """
  },
  %{
    number: 118,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    The activity stream sends one event per committed transaction that wrote; read-only, aborted
    and dirty activities send nothing.
    """,
    run: ~S"""
    mnesia:subscribe(activity), Tx(fun() -> mnesia:read(s,1) end), Tx(fun() -> mnesia:write({s,1,
    a}) end), Tx(fun() -> mnesia:abort(x) end), mnesia:async_dirty(fun() -> mnesia:write({s,1,2})
    end), [{A,K,element(1,B)} || {A,{K,B}} <- Flush()]
    """,
    gives: ~S"""
    [{mnesia_activity_event,complete,tid}]
    """
  },
  %{
    number: 119,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Creating a table while subscribed to schema events delivers the schema row write twice.
    """,
    run: ~S"""
    mnesia:subscribe({table,schema,simple}), mnesia:create_table(zz1,[]), mnesia:delete_table(zz1),
    [{K,element(1,E),element(2,E)} || {_,{K,E,_}} <- Flush()]
    """,
    gives: ~S"""
    [{write,schema,zz1},{write,schema,zz1},{delete,schema,zz1}]
    """
  },
  %{
    number: 120,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Deleting a subscribed table sends nothing to its subscribers, and a table of that name that
    comes after it has none.
    """,
    run: ~S"""
    mnesia:subscribe({table,s,simple}), mnesia:delete_table(s), mnesia:create_table(s,[]),
    mnesia:dirty_write({s,1,1}), {Flush(), mnesia:table_info(s,subscribers)}
    """,
    gives: ~S"""
    {[],[]}
    """
  },
  %{
    number: 155,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A counter is told of as the write of its new row; its old row is the one before the addition,
    and there is none where it starts anew or would be below zero.
    """,
    run: ~S"""
    mnesia:subscribe({table,o,detailed}), mnesia:dirty_update_counter(o,1,5),
    mnesia:dirty_update_counter(o,1.0,2), mnesia:dirty_update_counter(o,1,-9),
    mnesia:dirty_write({o,2,text}), mnesia:dirty_update_counter(o,2,-1),
    [setelement(5,E,d) || {_,E} <- Flush()]
    """,
    gives: ~S"""
    [{write,o,{o,1,5},[],d},{write,o,{o,1.0,7},[{o,1.0,5}],d},{write,o,{o,1,0},[],d},
    {write,o,{o,2,text},[],d},{write,o,{o,2,0},[],d}]
    """
  },
  %{
    number: 156,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Simple events name the table where the record's name is another; detailed ones keep the
    record's own, but not in a key.
    """,
    run: ~S"""
    mnesia:create_table(r,[{record_name,person}]), mnesia:create_table(t,[{record_name,person}]),
    mnesia:subscribe({table,r,simple}), mnesia:subscribe({table,t,detailed}),
    [{mnesia:dirty_write(T,{person,1,a}), mnesia:dirty_delete_object(T,{person,1,a}),
    mnesia:dirty_delete(T,1)} || T <- [r,t]], [setelement(size(E),E,d) || {_,E} <- Flush()]
    """,
    gives: ~S"""
    [{write,{r,1,a},d},{delete_object,{r,1,a},d},{delete,{r,1},d},{write,t,{person,1,a},[],d},
    {delete,t,{person,1,a},[{person,1,a}],d},{delete,t,{t,1},[],d}]
    """
  },
  %{
    number: 157,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A bag's operations are told of one by one, each with the rows that those before it left; the
    transaction's own end comes after its rows.
    """,
    run: ~S"""
    mnesia:dirty_write({b,1,1}), mnesia:subscribe({table,b,detailed}), mnesia:subscribe(activity),
    Tx(fun() -> mnesia:write({b,1,2}), Tx(fun() -> mnesia:write({b,1,3}) end),
    Tx(fun() -> mnesia:write({b,1,4}), mnesia:abort(x) end), mnesia:delete_object({b,1,1}),
    mnesia:write({b,1,5}) end), [setelement(size(E),E,d) || {_,E} <- Flush()]
    """,
    gives: ~S"""
    [{write,b,{b,1,2},[{b,1,1}],d},{write,b,{b,1,3},[{b,1,1},{b,1,2}],d},
    {delete,b,{b,1,1},[{b,1,1}],d},{write,b,{b,1,5},[{b,1,2},{b,1,3}],d},{complete,d}]
    """
  },
  %{
    number: 158,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Schema operations that change a table's version write its schema row once, with the row before
    in a detailed event; a deletion has no old rows there but the atom undefined.
    """,
    run: ~S"""
    mnesia:subscribe({table,schema,detailed}), mnesia:subscribe(activity),
    mnesia:add_table_index(s,v), mnesia:del_table_index(s,v),
    mnesia:change_table_access_mode(s,read_only), mnesia:change_table_access_mode(s,read_write),
    mnesia:write_table_property(s,{a,1}), mnesia:change_table_load_order(s,2),
    mnesia:set_master_nodes(s,[]), mnesia:create_table(s,[]), mnesia:delete_table(s),
    [case E of {O,schema,{schema,T,D},[{schema,T,D2}],_} -> {O,T,[K || {K,V} <- D, K /= version,
    V /= proplists:get_value(K,D2)]}; {O,schema,{schema,T,_},Old,_} -> {O,T,Old};
    {complete,{K,_,_}} -> K end || {_,E} <- Flush()]
    """,
    gives: ~S"""
    [{write,s,[index]},tid,{write,s,[index]},tid,{write,s,[access_mode]},tid,
    {write,s,[access_mode]},tid,{write,s,[user_properties]},tid,{write,s,[load_order]},tid,
    {delete,s,undefined},tid]
    """
  },
  %{
    number: 159,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A transformed table's subscribers get a write of each row that changed, after the schema's.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,a}), mnesia:subscribe({table,s,detailed}),
    mnesia:subscribe({table,schema,simple}),
    mnesia:transform_table(s,fun({s,K,V}) -> {s,K,V,new} end,[k,v,w]),
    mnesia:transform_table(s,ignore,[k,v,x]),
    [case E of {O,{schema,T,_},_} -> {O,T}; _ -> setelement(size(E),E,d) end || {_,E} <- Flush()]
    """,
    gives: ~S"""
    [{write,s},{write,s,{s,1,a,new},[{s,1,a}],d},{write,s}]
    """
  },
  %{
    number: 160,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Subscribers are listed last first, of both kinds together; in commit_work apart. A process that
    dies is forgotten.
    """,
    run: ~S"""
    Self = self(), Sub = fun(What) -> P = spawn(fun() -> Self ! {self(), mnesia:subscribe(What)},
    receive stop -> ok end end), receive {P,{ok,_}} -> P end end, mnesia:subscribe({table,s}),
    A = Sub({table,s,detailed}), B = Sub({table,s,simple}), All = mnesia:table_info(s,subscribers),
    [Work] = mnesia:table_info(s,commit_work), Ref = monitor(process,B), B ! stop,
    receive {'DOWN',Ref,_,_,_} -> ok end, mnesia:subscribe(system),
    {All == [B,A,Self], Work == {subscribers,[B,Self],[A]},
    mnesia:table_info(s,subscribers) == [A,Self], tl(mnesia:system_info(subscribers)) == [Self]}
    """,
    gives: ~S"""
    {true,true,true,true}
    """
  },
  %{
    number: 161,
    kind: :contract,
    setup: :disc,
    title: ~S"""
    Stopping tells system subscribers that the node is down, forgets everybody, and leaves the
    subscribers alive and unlinked; subscriptions and reports after it.
    """,
    run: ~S"""
    mnesia:subscribe(system), mnesia:subscribe({table,dc}), mnesia:report_event({a,1}),
    mnesia:stop(), Got = [M || M <- Flush()], Ended = {mnesia:subscribe(system),
    mnesia:subscribe(bogus), mnesia:unsubscribe({table,dc}), mnesia:report_event(b)},
    mnesia:start(), mnesia:wait_for_tables([dc],5000), mnesia:dirty_write({dc,1,1}),
    {Got, Ended, Flush()}
    """,
    gives: ~S"""
    {[{mnesia_system_event,{mnesia_user,{a,1}}},{mnesia_system_event,{mnesia_down,'n@h'}}],
    {{error,{node_not_running,'n@h'}},{error,{badarg,bogus}},{error,{node_not_running,'n@h'}},ok},
    []}
    """
  },
  %{
    number: 162,
    kind: :contract,
    setup: :disc,
    title: ~S"""
    Events of tables on disc, in both orders of storage within a commit: what each key had done to
    it, one table after the other.
    """,
    run: ~S"""
    [mnesia:subscribe({table,T,detailed}) || T <- [dc,doo,dob,rc]],
    Tx(fun() -> mnesia:write({doo,1,n}), mnesia:delete({dob,1}), mnesia:write({dc,1,n}),
    mnesia:write({rc,1,n}) end), mnesia:dirty_delete({dob,1}), mnesia:dirty_update_counter(dc,9,1),
    lists:sort([setelement(5,E,d) || {_,E} <- Flush()])
    """,
    gives: ~S"""
    [{delete,dob,{dob,1},[],d},{delete,dob,{dob,1},[{dob,1,c},{dob,1,a},{dob,1,b}],d},
    {write,dc,{dc,1,n},[{dc,1,b}],d},{write,dc,{dc,9,1},[],d},{write,doo,{doo,1,n},[{doo,1,b}],d},
    {write,rc,{rc,1,n},[{rc,1,b}],d}]
    """
  },
  %{
    number: 163,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    An ets activity tells nobody; a dirty one inside a transaction is that transaction's.
    """,
    run: ~S"""
    mnesia:subscribe({table,s}), mnesia:ets(fun() -> mnesia:write({s,1,a}), mnesia:delete({s,1})
    end), Tx(fun() -> mnesia:async_dirty(fun() -> mnesia:write({s,2,a}) end), mnesia:abort(x) end),
    Tx(fun() -> mnesia:dirty_write({s,3,a}), mnesia:async_dirty(fun() -> mnesia:write({s,4,a})
    end) end), [{R,element(1,Id)} || {_,{write,R,Id}} <- Flush()]
    """,
    gives: ~S"""
    [{{s,3,a},dirty},{{s,4,a},tid}]
    """
  },
  %{
    number: 164,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    The deletion of a record that the table cannot hold, of another length or name, is told of as
    any other.
    """,
    run: ~S"""
    mnesia:subscribe({table,s}), mnesia:dirty_delete_object(s,{s,1,a,b}),
    Tx(fun() -> mnesia:delete_object(s,{s,1,a,b},write) end), length(Flush())
    """,
    gives: ~S"""
    2
    """
  },
  %{
    number: 170,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    A table that could not be made, as there is no directory for it, is told of as deleted.
    """,
    run: ~S"""
    mnesia:subscribe({table,schema}), {aborted,_}=mnesia:create_table(t1,[{disc_copies,[node()]}]),
    [{Verb,element(1,What),element(2,What)} || {_,{Verb,What,_Id}} <- Flush()]
    """,
    gives: ~S"""
    [{delete,schema,t1}]
    """
  }
]
