# Quirks of stock Mnesia, section K: Table definition. Literals only: no result is computed
# here.
[
  %{
    number: 95,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Defaults: attributes are [key,val], storage is a ram copy on the local node, and at least
    two attributes are required.
    """,
    run: ~S"""
    {mnesia:create_table(t1,[]), mnesia:table_info(t1,attributes), mnesia:table_info(t1,
    ram_copies), mnesia:create_table(t2,[{attributes,[k]}]), mnesia:create_table(t3,
    [{attributes,[k,k]}])}
    """,
    gives: ~S"""
    {{atomic,ok},[key,val],['n@h'],{aborted,{bad_type,t2,{attributes,[k]}}},{aborted,
    {combine_error,t3,{attributes,[k,k]}}}}
    """
  },
  %{
    number: 96,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    disc copies on a node whose schema is in ram: bad_type naming table, storage and node.
    """,
    run: ~S"""
    mnesia:create_table(t1,[{disc_copies,[node()]}])
    """,
    gives: ~S"""
    {aborted,{bad_type,t1,disc_copies,'n@h'}}
    """
  },
  %{
    number: 97,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    An EMPTY replica list is ignored: the table silently becomes a local ram copy.
    """,
    run: ~S"""
    {mnesia:create_table(t1,[{disc_copies,[]}]), mnesia:table_info(t1,storage_type),
    mnesia:table_info(t1,ram_copies)}
    """,
    gives: ~S"""
    {{atomic,ok},ram_copies,['n@h']}
    """
  },
  %{
    number: 98,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    A ram replica on a node that is not part of the cluster is accepted at create time.
    """,
    run: ~S"""
    {mnesia:create_table(t4,[{ram_copies,[nobody@nowhere]}]), mnesia:table_info(t4,
    where_to_read), catch mnesia:dirty_write({t4,1,2}), catch mnesia:dirty_read(t4,1)}
    """,
    gives: ~S"""
    {{atomic,ok},nowhere,{'EXIT',{aborted,{no_exists,t4}}},{'EXIT',{aborted,{no_exists,[t4,
    1]}}}}
    """
  },
  %{
    number: 99,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    The same node in two storage lists is combine_error; a bare node instead of a list is
    bad_type.
    """,
    run: ~S"""
    {mnesia:create_table(t5,[{ram_copies,[node()]},{disc_copies,[node()]}]),
    mnesia:create_table(t7,[{ram_copies,node()}])}
    """,
    gives: ~S"""
    {{aborted,{combine_error,t5,['n@h','n@h']}},{aborted,{bad_type,t7,{ram_copies,'n@h'}}}}
    """
  },
  %{
    number: 100,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Unknown option, bare atom option, duplicate option, non-atom name, unsupported type.
    """,
    run: ~S"""
    {mnesia:create_table(t6,[{bogus,1}]), mnesia:create_table(t7,[bogus]),
    mnesia:create_table(t8,[{type,set},{type,bag}]), mnesia:create_table("t9",[]),
    mnesia:create_table(t9,[{type,duplicate_bag}])}
    """,
    gives: ~S"""
    {{aborted,{badarg,t6,bogus}},{aborted,{badarg,t7,[bogus]}},{aborted,{badarg,t8,
    "Duplicate keys",[name,type,type]}},{aborted,{bad_type,"t9"}},{aborted,{bad_type,t9,{type,
    duplicate_bag}}}}
    """
  },
  %{
    number: 101,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    create_table/1 needs {name,_} in the list; existing names abort with already_exists.
    """,
    run: ~S"""
    {mnesia:create_table([{name,t10}]), mnesia:create_table([]), mnesia:create_table(s,[]),
    mnesia:create_table(schema,[])}
    """,
    gives: ~S"""
    {{atomic,ok},{aborted,{badarg,[]}},{aborted,{already_exists,s}},{aborted,{already_exists,
    schema}}}
    """
  },
  %{
    number: 102,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    load_order accepts negative integers although documented as non-negative.
    """,
    run: ~S"""
    {mnesia:create_table(t2,[{load_order,-1}]), mnesia:create_table(t3,[{load_order,x}])}
    """,
    gives: ~S"""
    {{atomic,ok},{aborted,{bad_type,t3,{load_order,x}}}}
    """
  },
  %{
    number: 103,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    storage_properties are handed to ets as they are: forbidden names give badarg, unknown ones
    a system_limit abort.
    """,
    run: ~S"""
    {mnesia:create_table(t1,[{storage_properties,[{ets,[compressed]}]}]),
    mnesia:create_table(t2,[{storage_properties,[{ets,[{foo,1}]}]}]), mnesia:create_table(t4,
    [{storage_properties,[{ets,[named_table]}]}])}
    """,
    gives: ~S"""
    {{atomic,ok},{aborted,{system_limit,t2,{"Failed to create ets table",badarg}}},{aborted,
    {badarg,t4,named_table}}}
    """
  },
  %{
    number: 104,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    A read_only table answers every write, and delete_table and clear_table, with no_exists.
    """,
    run: ~S"""
    mnesia:create_table(ro,[{access_mode,read_only}]), {Tx(fun()->mnesia:write({ro,1,a}) end),
    mnesia:delete_table(ro), mnesia:clear_table(ro), Tx(fun()->mnesia:wread({ro,1}) end),
    mnesia:change_table_access_mode(ro,read_only), mnesia:change_table_access_mode(ro,
    read_write), mnesia:delete_table(ro)}
    """,
    gives: ~S"""
    {{aborted,{no_exists,ro}},{aborted,{no_exists,ro}},{aborted,{no_exists,ro}},{aborted,
    {no_exists,ro}},{aborted,{already_exists,ro,read_only}},{atomic,ok},{atomic,ok}}
    """
  },
  %{
    number: 105,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Setting the access mode that is already set aborts; setting the majority that is already set
    is ok; a non-boolean majority is a function_clause error.
    """,
    run: ~S"""
    {mnesia:change_table_access_mode(s,read_write), mnesia:change_table_majority(s,false),
    element(1,element(2,(catch mnesia:change_table_majority(s,x))))}
    """,
    gives: ~S"""
    {{aborted,{already_exists,s,read_write}},{atomic,ok},function_clause}
    """
  },
  %{
    number: 106,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    transform_table: ignore only renames attributes; the fun is validated per row; anything else
    than a 1-fun or ignore is bad_type; the key may not change.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,a}), {mnesia:transform_table(s,ignore,[k,v,w]), mnesia:table_info(s,
    arity), mnesia:dirty_read(s,1), mnesia:transform_table(s,false,[k,v]), element(1,element(2,
    mnesia:transform_table(s,fun({s,K,V})->{s,K+1,V,n} end,[k,v,w])))}
    """,
    gives: ~S"""
    {{atomic,ok},4,[{s,1,a}],{aborted,{bad_type,s,false,[k,v],s}},"Bad transform function"}
    """
  },
  %{
    number: 107,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    transform_table on a missing table EXITS (not an aborted return).
    """,
    run: ~S"""
    catch mnesia:transform_table(nosuch,ignore,[a,b])
    """,
    gives: ~S"""
    {'EXIT',{aborted,{no_exists,{nosuch,record_name}}}}
    """
  },
  %{
    number: 108,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Removing the last replica deletes the table.
    """,
    run: ~S"""
    {mnesia:del_table_copy(s,node()), lists:member(s,mnesia:system_info(tables)),
    mnesia:del_table_copy(schema,node())}
    """,
    gives: ~S"""
    {{atomic,ok},false,{aborted,{combine_error,schema,"Last replica"}}}
    """
  },
  %{
    number: 109,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Copy operations: same copy twice, storage unchanged, disc on a ram schema, unknown table.
    """,
    run: ~S"""
    {mnesia:add_table_copy(s,node(),ram_copies), mnesia:change_table_copy_type(s,node(),
    ram_copies), mnesia:change_table_copy_type(s,node(),disc_copies),
    mnesia:add_table_copy(nosuch,node(),ram_copies), mnesia:move_table_copy(s,node(),x@y)}
    """,
    gives: ~S"""
    {{aborted,{already_exists,s,'n@h'}},{aborted,{already_exists,s,'n@h',ram_copies}},{aborted,
    {has_no_disc,'n@h'}},{aborted,{no_exists,{nosuch,cstruct}}},{aborted,{not_active,schema,
    x@y}}}
    """
  },
  %{
    number: 110,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Table properties: reading a missing one exits, deleting a missing one is ok, a non-tuple is
    bad_type.
    """,
    run: ~S"""
    {mnesia:write_table_property(s,{p,1}), mnesia:read_table_property(s,p),
    catch mnesia:read_table_property(s,q), mnesia:delete_table_property(s,q),
    mnesia:write_table_property(s,x)}
    """,
    gives: ~S"""
    {{atomic,ok},{p,1},{'EXIT',{aborted,{no_exists,{s,user_property,q}}}},{atomic,ok},{aborted,
    {bad_type,s,x}}}
    """
  },
  %{
    number: 111,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    The schema table refuses ordinary writes in a transaction and dirty.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:write({schema,x,[]}) end), catch mnesia:dirty_write({schema,x,[]}),
    Tx(fun()-> mnesia:delete({schema,s}) end)}
    """,
    gives: ~S"""
    {{aborted,{bad_type,schema,{schema,x,[]},write}},{'EXIT',{aborted,{bad_type,schema,{schema,
    x,[]}}}},{aborted,{bad_type,schema}}}
    """
  },
  %{
    number: 145,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    transform_table of a bag: when the fun changes a row of a key, the key's rows that it leaves
    as they are get lost; when it changes none, what it says to delete stays.
    """,
    run: ~S"""
    Fill=fun()-> mnesia:clear_table(b), [mnesia:dirty_write({b,1,X})||X<-[x,y,z]] end, Try=fun(F)->
    Fill(), mnesia:transform_table(b,F,[k,v]), mnesia:dirty_read(b,1) end, {Try(fun({b,K,y})-> {b,
    K,new}; (R)-> R end), Try(fun({b,_,y})-> delete; (R)-> R end)}
    """,
    gives: ~S"""
    {[{b,1,new}],[{b,1,x},{b,1,y},{b,1,z}]}
    """
  },
  %{
    number: 146,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    transform_table of a bag keeps the order of a key's rows; rows that become the same are one,
    in the first one's place.
    """,
    run: ~S"""
    [mnesia:dirty_write({b,1,X})||X<-[1,2,3,4]], A=mnesia:transform_table(b,fun({b,K,V})-> {b,K,{V}}
    end,[k,v]), B=mnesia:dirty_read(b,1), mnesia:transform_table(b,fun({b,K,{V}})-> {b,K,
    {odd,V rem 2}} end,[k,v]), {A,B,mnesia:dirty_read(b,1)}
    """,
    gives: ~S"""
    {{atomic,ok},[{b,1,{1}},{b,1,{2}},{b,1,{3}},{b,1,{4}}],[{b,1,{odd,1}},{b,1,{odd,0}}]}
    """
  }
]
