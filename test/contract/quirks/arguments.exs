# Quirks of stock Mnesia, section H: Bad arguments. Literals only: no result is computed here.
[
  %{
    number: 73,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Wrong arity, wrong tag, non-record: bad_type carries the whole record; an unknown tag with
    write/1 is no_exists of the tag, with write/3 bad_type of the record.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:write({s,1}) end), Tx(fun()-> mnesia:write({s,1,2,3}) end), Tx(fun()->
    mnesia:write({wrong,1,2}) end), Tx(fun()-> mnesia:write(s,{wrong,1,2},write) end),
    Tx(fun()-> mnesia:write(atom) end), Tx(fun()-> mnesia:write({}) end), Tx(fun()->
    mnesia:write(s,{s,1,2},read) end)}
    """,
    gives: ~S"""
    {{aborted,{bad_type,{s,1}}},{aborted,{bad_type,{s,1,2,3}}},{aborted,{no_exists,wrong}},
    {aborted,{bad_type,{wrong,1,2}}},{aborted,{bad_type,atom}},{aborted,{bad_type,{}}},{aborted,
    {bad_type,s,read}}}
    """
  },
  %{
    number: 74,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    The same mistakes with dirty calls exit instead, same reasons.
    """,
    run: ~S"""
    {catch mnesia:dirty_write({s,1}), catch mnesia:dirty_write({wrong,1,2}),
    catch mnesia:dirty_write(s,{wrong,1,2})}
    """,
    gives: ~S"""
    {{'EXIT',{aborted,{bad_type,{s,1}}}},{'EXIT',{aborted,{no_exists,wrong}}},{'EXIT',{aborted,
    {bad_type,{wrong,1,2}}}}}
    """
  },
  %{
    number: 75,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    A missing table has a different reason in almost every call.
    """,
    run: ~S"""
    {catch mnesia:dirty_read(nosuch,1), catch mnesia:dirty_delete(nosuch,1),
    catch mnesia:dirty_first(nosuch), catch mnesia:dirty_all_keys(nosuch),
    catch mnesia:dirty_select(nosuch,[]), catch mnesia:dirty_write({nosuch,1,2}),
    catch mnesia:dirty_index_read(nosuch,1,2)}
    """,
    gives: ~S"""
    {{'EXIT',{aborted,{no_exists,[nosuch,1]}}},{'EXIT',{aborted,{no_exists,{nosuch,
    where_to_commit}}}},{'EXIT',{aborted,{no_exists,[nosuch]}}},{'EXIT',{aborted,{no_exists,
    nosuch}}},{'EXIT',{aborted,{no_exists,[nosuch,[]]}}},{'EXIT',{aborted,{no_exists,nosuch}}},
    {'EXIT',{aborted,{no_exists,[nosuch,1,2]}}}}
    """
  },
  %{
    number: 76,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    ... and in transactions.
    """,
    run: ~S"""
    [element(2,Tx(F))||F<-[fun()->mnesia:read(nosuch,1) end, fun()->mnesia:first(nosuch) end,
    fun()->mnesia:all_keys(nosuch) end, fun()->mnesia:match_object({nosuch,1,2}) end, fun()->
    mnesia:write({nosuch,1,2}) end, fun()->mnesia:index_read(nosuch,1,v) end, fun()->
    mnesia:foldl(fun(_,A)->A end,0,nosuch) end, fun()->mnesia:lock({table,nosuch},read) end]]
    """,
    gives: ~S"""
    [{no_exists,nosuch},{no_exists,nosuch},{no_exists,{nosuch,wild_pattern}},{no_exists,nosuch},
    {no_exists,nosuch},{no_exists,{nosuch,attributes}},{no_exists,nosuch},{no_exists,nosuch}]
    """
  },
  %{
    number: 77,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    match_object with an explicit table: a wrong tag or a wrong arity above 2 is just an empty
    result, a wildcard tag matches, and only a tuple of fewer than 3 elements is an error.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,a}), {Tx(fun()->mnesia:match_object(s,{wrong,'_','_'},read) end),
    Tx(fun()->mnesia:match_object(s,{s,1,'_','_'},read) end), mnesia:dirty_match_object(s,{'_',
    '_','_'}), Tx(fun()->mnesia:match_object(s,{s,'_'},read) end),
    catch mnesia:dirty_match_object(s,{s,'_'})}
    """,
    gives: ~S"""
    {{atomic,[]},{atomic,[]},[{s,1,a}],{aborted,{bad_type,s,{s,'_'}}},{'EXIT',{aborted,
    {bad_type,s,{s,'_'}}}}}
    """
  },
  %{
    number: 78,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    delete_object/3 with a record of the wrong tag is silently ok.
    """,
    run: ~S"""
    {Tx(fun()->mnesia:delete_object(s,{wrong,1,2},write) end), Tx(fun()->
    mnesia:delete_object({wrong,1,2}) end)}
    """,
    gives: ~S"""
    {{atomic,ok},{aborted,{no_exists,wrong}}}
    """
  },
  %{
    number: 79,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    A table whose record_name differs from its name: one-argument calls take the tag as the
    table name (no_exists), and a row tagged with the table name is bad_type.
    """,
    run: ~S"""
    mnesia:create_table(rn,[{record_name,person},{attributes,[k,v]}]), {Tx(fun()->
    mnesia:write({person,1,a}) end), Tx(fun()->mnesia:write(rn,{person,1,a},write) end),
    Tx(fun()->mnesia:write({rn,1,a}) end), mnesia:dirty_read(rn,1)}
    """,
    gives: ~S"""
    {{aborted,{no_exists,person}},{atomic,ok},{aborted,{bad_type,{rn,1,a}}},[{person,1,a}]}
    """
  },
  %{
    number: 80,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    table_info on a missing table: size and memory answer 0, every other item exits no_exists
    triple.
    """,
    run: ~S"""
    {mnesia:table_info(nosuch,size), mnesia:table_info(nosuch,memory),
    catch mnesia:table_info(nosuch,type), catch mnesia:table_info(s,bogus),
    catch mnesia:table_info("x",size)}
    """,
    gives: ~S"""
    {0,0,{'EXIT',{aborted,{no_exists,nosuch,type}}},{'EXIT',{aborted,{no_exists,s,bogus}}},
    {'EXIT',{aborted,{bad_type,"x"}}}}
    """
  },
  %{
    number: 81,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    system_info of an unknown item exits with badarg.
    """,
    run: ~S"""
    catch mnesia:system_info(bogus)
    """,
    gives: ~S"""
    {'EXIT',{aborted,{badarg,bogus}}}
    """
  }
]
