# Quirks of stock Mnesia, section D: select with limit and continuations. Literals only: no
# result is computed here.
[
  %{
    number: 39,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    The limit counts STORED rows per chunk; own rows are swapped in or dropped afterwards, so
    chunks vary in size, and own new rows arrive as a last chunk of their own.
    """,
    run: ~S"""
    [mnesia:dirty_write({s,X,old})||X<-lists:seq(1,7)], Tx(fun()-> mnesia:write({s,100,n}),
    mnesia:delete({s,3}), L=fun L('$end_of_table')->[]; L({R,C})->
    [length(R)|L(mnesia:select(C))] end, L(mnesia:select(s,[{'_',[],['$_']}],3,read)) end)
    """,
    gives: ~S"""
    {atomic,[2,3,1,1]}
    """,
    normal: ~S"""
    fun({atomic,L}) -> {atomic,lists:sum(L),lists:last(L)} end
    """
  },
  %{
    number: 40,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    On an ordered_set the chunks stay in key order overall; own rows are folded into the chunk
    they belong to and may make it longer than the limit.
    """,
    run: ~S"""
    [mnesia:dirty_write({o,X,old})||X<-lists:seq(1,7)], Tx(fun()-> mnesia:write({o,100,n}),
    mnesia:write({o,2.5,n}), mnesia:write({o,2.7,n}), mnesia:delete({o,3}),
    L=fun L('$end_of_table')->[]; L({R,C})->[R|L(mnesia:select(C))] end, L(mnesia:select(o,
    [{{o,'$1','_'},[],['$1']}],3,read)) end)
    """,
    gives: ~S"""
    {atomic,[[1,2,2.5,2.7],[4,5,6],[7],"d"]}
    """
  },
  %{
    number: 41,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Empty table: a bare '$end_of_table', no tuple. Only own rows: one chunk whose continuation
    IS '$end_of_table'.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:select(s,[{'_',[],['$_']}],3,read) end), Tx(fun()-> mnesia:write({s,1,
    a}), mnesia:select(s,[{'_',[],['$_']}],3,read) end)}
    """,
    gives: ~S"""
    {{atomic,'$end_of_table'},{atomic,{[{s,1,a}],'$end_of_table'}}}
    """
  },
  %{
    number: 42,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    select('$end_of_table') is legal and returns itself.
    """,
    run: ~S"""
    Tx(fun()-> mnesia:select('$end_of_table') end)
    """,
    gives: ~S"""
    {atomic,'$end_of_table'}
    """
  },
  %{
    number: 43,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A continuation from another transaction aborts with wrong_transaction, but the same
    continuation works in a dirty activity.
    """,
    run: ~S"""
    [mnesia:dirty_write({s,X,old})||X<-lists:seq(1,7)], {atomic,{_,C}}=Tx(fun()->
    mnesia:select(s,[{'_',[],['$_']}],3,read) end), {Tx(fun()->mnesia:select(C) end),
    length(element(1,mnesia:async_dirty(fun()->mnesia:select(C) end)))}
    """,
    gives: ~S"""
    {{aborted,wrong_transaction},3}
    """
  },
  %{
    number: 44,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Error shapes of select: bad clause -> badarg with argument list; non-list spec -> badarg
    triple in a transaction but bad_type when dirty; limit 0 -> badarg that leaks the storage
    type; bad lock -> bad_type.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:select(s,[{bad}]) end), Tx(fun()-> mnesia:select(s,foo) end),
    catch mnesia:dirty_select(s,foo), Tx(fun()-> mnesia:select(s,[],0,read) end), Tx(fun()->
    mnesia:select(s,[],3,foo) end)}
    """,
    gives: ~S"""
    {{aborted,{badarg,[s,[{bad}]]}},{aborted,{badarg,s,foo}},{'EXIT',{aborted,{bad_type,s,
    foo}}},{aborted,{badarg,[ram_copies,s,[],0]}},{aborted,{bad_type,s,foo}}}
    """
  },
  %{
    number: 45,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    An empty match spec is accepted and yields [].
    """,
    run: ~S"""
    Tx(fun()-> mnesia:select(s,[]) end)
    """,
    gives: ~S"""
    {atomic,[]}
    """
  }
]
