# Quirks of stock Mnesia, section P: a node with a schema on disc. Literals only: no result is
# computed here.
[
  %{
    number: "P2",
    kind: :contract,
    setup: :disc,
    title: ~S"""
    create_schema twice answers already_exists
    """,
    run: ~S"""
    mnesia:create_schema([node()])
    """,
    gives: ~S"""
    {error,{'n@h',{already_exists,'n@h'}}}
    """
  },
  %{
    number: "P3",
    kind: :contract,
    setup: :disc,
    title: ~S"""
    a bag rewrite keeps its place in a disc_copies table, moves to the tail in disc_only; both
    orders survive a restart
    """,
    run: ~S"""
    mnesia:dirty_write({dcb,1,c}), mnesia:dirty_write({dob,1,c}), V=fun(T)-> [X||{_,_,
    X}<-mnesia:dirty_read(T,1)] end, A={V(dcb),V(dob)}, Restart(), {A,{V(dcb),V(dob)}}
    """,
    gives: ~S"""
    {{[c,a,b],[a,b,c]},{[c,a,b],[a,b,c]}}
    """
  },
  %{
    number: "P4",
    kind: :wart,
    setup: :disc,
    title: ~S"""
    disc_only: next from an absent key gives a value, not badarg
    """,
    run: ~S"""
    catch mnesia:dirty_next(doo,99)
    """,
    gives: ~S"""
    1.0
    """,
    normal: ~S"""
    fun(V) -> is_number(V) orelse V =:= '$end_of_table' end
    """
  },
  %{
    number: "P5",
    kind: :contract,
    setup: :disc,
    title: ~S"""
    disc_only: last is first
    """,
    run: ~S"""
    mnesia:dirty_write({doo,2,x}), mnesia:dirty_write({doo,3,x}),
    mnesia:dirty_first(doo) =:= mnesia:dirty_last(doo)
    """,
    gives: ~S"""
    true
    """
  },
  %{
    number: "P6",
    kind: :contract,
    setup: :disc,
    title: ~S"""
    disc_only: slot past the end is the end of the table, never badarg
    """,
    run: ~S"""
    mnesia:dirty_slot(doo,100000)
    """,
    gives: ~S"""
    '$end_of_table'
    """
  },
  %{
    number: "P8",
    kind: :shape,
    setup: :disc,
    title: ~S"""
    ordered_set cannot be disc_only, at create and at type change
    """,
    run: ~S"""
    {mnesia:change_table_copy_type(dco,node(),disc_only_copies), mnesia:create_table(x1,[{type,
    ordered_set},{disc_only_copies,[node()]}])}
    """,
    gives: ~S"""
    {{aborted,{bad_type,dco,{not_supported,ordered_set,disc_only_copies}}},{aborted,{bad_type,
    x1,{not_supported,ordered_set,disc_only_copies}}}}
    """
  },
  %{
    number: "P10",
    kind: :contract,
    setup: :disc,
    title: ~S"""
    dump_tables on a ram table saves an image that is reloaded at start; later ram writes are
    lost
    """,
    run: ~S"""
    R=mnesia:dump_tables([rc]), mnesia:dirty_write({rc,2,x}), Restart(), {R,
    mnesia:dirty_all_keys(rc)}
    """,
    gives: ~S"""
    {{atomic,ok},[1]}
    """
  },
  %{
    number: "P11",
    kind: :wart,
    setup: :disc,
    title: ~S"""
    a dumped ram table can no longer become disc_copies
    """,
    run: ~S"""
    mnesia:dump_tables([rc]), mnesia:change_table_copy_type(rc,node(),disc_copies)
    """,
    gives: ~S"""
    {aborted,{combine_error,rc,'n@h',"Table dump exists"}}
    """
  },
  %{
    number: "P12",
    kind: :contract,
    setup: :disc,
    title: ~S"""
    after wait_for_tables a restarted table is readable
    """,
    run: ~S"""
    mnesia:stop(), mnesia:start(), mnesia:wait_for_tables([dc],5000), mnesia:dirty_read(dc,1)
    """,
    gives: ~S"""
    [{dc,1,b}]
    """
  },
  %{
    number: "P13",
    kind: :shape,
    setup: :disc,
    title: ~S"""
    the schema cannot go back to ram while disc tables exist
    """,
    run: ~S"""
    {aborted,{Text,Ts,N}}=mnesia:change_table_copy_type(schema,node(),ram_copies), {Text,
    lists:sort(Ts),N}
    """,
    gives: ~S"""
    {"Disc resident tables",[dc,dcb,dco,dob,doo],'n@h'}
    """
  },
  %{
    number: "P14",
    kind: :shape,
    setup: :disc,
    title: ~S"""
    stopped node: reads
    """,
    run: ~S"""
    mnesia:stop(), catch mnesia:dirty_read(dc,1)
    """,
    gives: ~S"""
    {'EXIT',{aborted,{no_exists,[dc,1]}}}
    """
  },
  %{
    number: "P15",
    kind: :shape,
    setup: :disc,
    title: ~S"""
    stopped node: transaction, create_table
    """,
    run: ~S"""
    mnesia:stop(), {mnesia:transaction(fun() -> ok end), mnesia:create_table(zz,[])}
    """,
    gives: ~S"""
    {{aborted,{node_not_running,'n@h'}},{aborted,{node_not_running,'n@h'}}}
    """
  },
  %{
    number: "P16",
    kind: :shape,
    setup: :disc,
    title: ~S"""
    stopped node: wait_for_tables, change_config, dump_log
    """,
    run: ~S"""
    mnesia:stop(), {mnesia:wait_for_tables([dc],10), mnesia:change_config(extra_db_nodes,[]),
    mnesia:dump_log()}
    """,
    gives: ~S"""
    {{error,{node_not_running,'n@h'}},{error,{node_not_running,'n@h'}},{error,{node_not_running,
    'n@h'}}}
    """
  },
  %{
    number: "P17",
    kind: :shape,
    setup: :disc,
    title: ~S"""
    stopped node: some system_info items still answer
    """,
    run: ~S"""
    mnesia:stop(), {[mnesia:system_info(I) || I <- [is_running,use_dir,db_nodes,
    running_db_nodes]], is_list(mnesia:system_info(version)),
    mnesia:system_info(directory) =:= Dir, catch mnesia:system_info(tables)}
    """,
    gives: ~S"""
    {[no,true,['n@h'],[]],true,true,{'EXIT',{aborted,{node_not_running,'n@h'}}}}
    """
  },
  %{
    number: "P18",
    kind: :contract,
    setup: :disc,
    title: ~S"""
    stop is idempotent and answers an atom of its own
    """,
    run: ~S"""
    {mnesia:stop(), mnesia:stop()}
    """,
    gives: ~S"""
    {stopped,stopped}
    """
  },
  %{
    number: "P29",
    kind: :shape,
    setup: :disc,
    title: ~S"""
    delete_schema needs the node stopped
    """,
    run: ~S"""
    mnesia:delete_schema([node()])
    """,
    gives: ~S"""
    {error,{"Mnesia is not stopped everywhere",['n@h']}}
    """
  },
  %{
    number: "P30",
    kind: :wart,
    setup: :disc,
    title: ~S"""
    making the schema itself read_only succeeds and locks the node out of every later schema
    change
    """,
    run: ~S"""
    {mnesia:change_table_access_mode(schema,read_only), mnesia:create_table(x,[])}
    """,
    gives: ~S"""
    {{atomic,ok},{aborted,{no_exists,schema}}}
    """
  },
  %{
    number: "P31",
    kind: :wart,
    setup: :disc,
    title: ~S"""
    a database in memory moves to a directory that holds one already: what was there is lost
    """,
    run: ~S"""
    Other=Dir++".other", [mnesia:delete_table(T)||T<-mnesia:system_info(tables),T=/=schema],
    mnesia:create_table(kept,[{disc_copies,[node()]}]), os:cmd("cp -r '"++Dir++"' '"++Other++
    "'"), mnesia:delete_table(kept), A=mnesia:change_table_copy_type(schema,node(),ram_copies),
    os:cmd("mkdir -p '"++Dir++"'; cp -r '"++Other++"'/. '"++Dir++"'; rm -r '"++Other++"'"), {A,
    element(1,mnesia:change_table_copy_type(schema,node(),disc_copies))}
    """,
    gives: ~S"""
    {{atomic,ok},atomic}
    """
  }
]
