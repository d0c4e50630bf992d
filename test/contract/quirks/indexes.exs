# Quirks of stock Mnesia, section J: Indexes. Literals only: no result is computed here.
[
  %{
    number: 86,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Attribute name and tuple position are interchangeable (position counts the tag); table_info
    shows positions.
    """,
    run: ~S"""
    mnesia:dirty_write({i,a,red,1}), {mnesia:dirty_index_read(i,red,v),
    mnesia:dirty_index_read(i,red,3), mnesia:table_info(i,index)}
    """,
    gives: ~S"""
    {[{i,a,red,1}],[{i,a,red,1}],[3]}
    """
  },
  %{
    number: 87,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Unindexed position: dirty gives badarg with the position, transaction gives no_exists with
    an index tag; unknown attribute is bad_type in both.
    """,
    run: ~S"""
    {catch mnesia:dirty_index_read(i,red,w), Tx(fun()->mnesia:index_read(i,red,w) end),
    catch mnesia:dirty_index_read(i,red,zz), Tx(fun()->mnesia:index_read(i,red,zz) end),
    Tx(fun()->mnesia:index_read(i,red,k) end)}
    """,
    gives: ~S"""
    {{'EXIT',{aborted,{badarg,[i,red,4]}}},{aborted,{no_exists,i,{index,[4]}}},{'EXIT',{aborted,
    {bad_type,zz}}},{aborted,{bad_type,zz}},{aborted,{no_exists,i,{index,[2]}}}}
    """
  },
  %{
    number: 88,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    index_read refuses '_' in a transaction; index_match_object requires the indexed position to
    be bound (in both contexts), except that it accepts a variable there when the KEY is bound.
    """,
    run: ~S"""
    mnesia:dirty_write({i,a,red,1}), {Tx(fun()->mnesia:index_read(i,'_',v) end), Tx(fun()->
    mnesia:index_match_object({i,a,'_','_'},v) end), Tx(fun()->mnesia:index_match_object({i,'_',
    red,'_'},w) end), catch mnesia:dirty_index_match_object({i,'_','_','_'},v)}
    """,
    gives: ~S"""
    {{aborted,{bad_type,i,v,'_'}},{atomic,[{i,a,red,1}]},{aborted,{bad_type,i,w,'_'}},{'EXIT',
    {aborted,{bad_type,i,v,'_'}}}}
    """
  },
  %{
    number: 89,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    index_read merges own writes and deletes; own rows come first on a set, in key order on an
    ordered_set.
    """,
    run: ~S"""
    mnesia:dirty_write({i,a,red,1}), mnesia:dirty_write({i,b,red,1}), mnesia:dirty_write({io,a,
    red,1}), mnesia:dirty_write({io,c,red,1}), Tx(fun()-> mnesia:write({i,c,red,1}),
    mnesia:write({i,a,blue,1}), mnesia:write({io,b,red,1}), {[element(2,R)||
    R<-mnesia:index_read(i,red,v)], [element(2,R)||R<-mnesia:index_read(io,red,v)]} end)
    """,
    gives: ~S"""
    {atomic,{[c,b],[a,b,c]}}
    """,
    normal: ~S"""
    fun({atomic,{A,B}}) -> {atomic,{lists:sort(A),B}} end
    """
  },
  %{
    number: 90,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A bag index keeps the key while any object of it still carries the value.
    """,
    run: ~S"""
    [mnesia:dirty_write(R)||R<-[{ib,1,red,x},{ib,1,red,y},{ib,1,blue,z}]],
    mnesia:dirty_delete_object({ib,1,red,x}), {mnesia:dirty_index_read(ib,red,v),
    mnesia:dirty_index_read(ib,blue,v)}
    """,
    gives: ~S"""
    {[{ib,1,red,y}],[{ib,1,blue,z}]}
    """
  },
  %{
    number: 91,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Adding an index twice (by name or position) is already_exists with the position; key
    position and out-of-range are bad_type; unknown name is bad_type of the bare name; removing
    a missing one is no_exists.
    """,
    run: ~S"""
    {mnesia:add_table_index(s,v), mnesia:add_table_index(s,v), mnesia:add_table_index(s,3),
    mnesia:add_table_index(s,k), mnesia:add_table_index(s,zz), mnesia:del_table_index(s,v),
    mnesia:del_table_index(s,v)}
    """,
    gives: ~S"""
    {{atomic,ok},{aborted,{already_exists,s,3}},{aborted,{already_exists,s,3}},{aborted,
    {bad_type,s,{index,[2]}}},{aborted,{bad_type,zz}},{atomic,ok},{aborted,{no_exists,s,3}}}
    """
  },
  %{
    number: 92,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    Indexing at creation tolerates the same attribute listed twice.
    """,
    run: ~S"""
    {mnesia:create_table(t3,[{index,[val,val]}]), mnesia:table_info(t3,index)}
    """,
    gives: ~S"""
    {{atomic,ok},[3,3]}
    """
  },
  %{
    number: 93,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    transform_table keeps index POSITIONS: after reordering attributes the index follows the
    tuple slot, not the name, and is not rebuilt.
    """,
    run: ~S"""
    mnesia:dirty_write({i,1,red,x}), {mnesia:transform_table(i,fun({i,K,V,W})->{i,K,W,V} end,[k,
    w,v]), mnesia:table_info(i,index), mnesia:dirty_index_read(i,x,w),
    catch mnesia:dirty_index_read(i,red,v)}
    """,
    gives: ~S"""
    {{atomic,ok},[3],[{i,1,x,red}],{'EXIT',{aborted,{badarg,[i,red,4]}}}}
    """
  },
  %{
    number: 94,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    Writes under an `ets` activity skip index maintenance and subscribers, and skip arity checks
    beyond the first three elements.
    """,
    run: ~S"""
    mnesia:ets(fun()-> mnesia:write({i,1,red,x}), mnesia:write({i,2,red}), mnesia:write({i,3,
    red,x,y}) end), {mnesia:dirty_index_read(i,red,v), length(mnesia:dirty_all_keys(i)),
    lists:sort([K || K <- [1,2,3], mnesia:dirty_read(i,K) =/= []])}
    """,
    gives: ~S"""
    {[],1,[1,2,3]}
    """
  }
]
