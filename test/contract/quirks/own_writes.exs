# Quirks of stock Mnesia, section C: Own writes inside a transaction. Literals only: no result
# is computed here.
[
  %{
    number: 20,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    `read` sees own writes and own deletes.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,a}), Tx(fun()-> mnesia:write({s,1,b}), A=mnesia:read(s,1),
    mnesia:delete({s,1}), {A, mnesia:read(s,1)} end)
    """,
    gives: ~S"""
    {atomic,{[{s,1,b}],[]}}
    """
  },
  %{
    number: 21,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    `select`, `match_object` and `all_keys` on a set put own rows FIRST, the rest in table order
    after.
    """,
    run: ~S"""
    [mnesia:dirty_write({s,X,old})||X<-[1,2,3]], Tx(fun()-> mnesia:write({s,2,new}),
    mnesia:write({s,9,new}), mnesia:delete({s,3}), {mnesia:select(s,[{'_',[],['$_']}]),
    mnesia:all_keys(s)} end)
    """,
    gives: ~S"""
    {atomic,{[{s,2,new},{s,9,new},{s,1,old}],[2,9,1]}}
    """,
    normal: ~S"""
    fun({atomic,{R,K}}) -> {atomic,{lists:sort(lists:sublist(R,2)), lists:nthtail(2,R),
    lists:sort(lists:sublist(K,2)), lists:nthtail(2,K)}} end
    """
  },
  %{
    number: 22,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    `foldl` on a set does the reverse: stored keys first (own versions substituted), own new
    keys last.
    """,
    run: ~S"""
    [mnesia:dirty_write({s,X,old})||X<-[1,2,3]], Tx(fun()-> mnesia:write({s,a0,n}),
    mnesia:write({s,1,upd}), lists:reverse(mnesia:foldl(fun(R,A)->[R|A] end,[],s)) end)
    """,
    gives: ~S"""
    {atomic,[{s,3,old},{s,2,old},{s,1,upd},{s,a0,n}]}
    """,
    normal: ~S"""
    fun({atomic,[A,B,C,D]}) -> {atomic,lists:sort([A,B,C]),D} end
    """
  },
  %{
    number: 23,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    On an ordered_set, own rows are merged into key order.
    """,
    run: ~S"""
    [mnesia:dirty_write({o,X,old})||X<-[1,3,5]], Tx(fun()-> mnesia:write({o,4,new}),
    mnesia:write({o,0,new}), mnesia:write({o,3,upd}), mnesia:delete({o,5}), mnesia:select(o,
    [{'_',[],['$_']}]) end)
    """,
    gives: ~S"""
    {atomic,[{o,0,new},{o,1,old},{o,3,upd},{o,4,new}]}
    """
  },
  %{
    number: 24,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    The merge works on whole rows before projection, so a projected result stays in key order
    too.
    """,
    run: ~S"""
    [mnesia:dirty_write({o,X,old})||X<-[1,3,5]], Tx(fun()-> mnesia:write({o,4,new}),
    mnesia:select(o,[{{o,'$1','$2'},[],[{{'$2','$1'}}]}]) end)
    """,
    gives: ~S"""
    {atomic,[{old,1},{old,3},{new,4},{old,5}]}
    """
  },
  %{
    number: 25,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A stored row that matched is dropped from the result when the own version no longer matches.
    """,
    run: ~S"""
    [mnesia:dirty_write({o,X,old})||X<-[1,3,5]], Tx(fun()-> mnesia:write({o,3,new}),
    mnesia:select(o,[{{o,'$1',old},[],['$1']}]) end)
    """,
    gives: ~S"""
    {atomic,[1,5]}
    """
  },
  %{
    number: 26,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    first/next/prev/last on an ordered_set merge own writes and skip own deletes; next/prev
    accept keys that are in neither.
    """,
    run: ~S"""
    [mnesia:dirty_write({o,X,old})||X<-[1,3,5]], Tx(fun()-> mnesia:write({o,4,n}),
    mnesia:write({o,0,n}), mnesia:write({o,9,n}), mnesia:delete({o,3}), {mnesia:first(o),
    mnesia:next(o,1), mnesia:next(o,4), mnesia:next(o,2), mnesia:prev(o,2),
    mnesia:last(o)} end)
    """,
    gives: ~S"""
    {atomic,{0,4,5,4,1,9}}
    """
  },
  %{
    number: 27,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    BUT if the transaction deletes the stored first (or last) key, `first` (`last`) steps past
    it and ignores a smaller (larger) own key, so it disagrees with all_keys.
    """,
    run: ~S"""
    [mnesia:dirty_write({o,X,old})||X<-[1,3,5]], Tx(fun()-> mnesia:delete({o,1}),
    mnesia:write({o,0,n}), mnesia:delete({o,5}), mnesia:write({o,9,n}), {mnesia:first(o),
    mnesia:last(o), mnesia:all_keys(o)} end)
    """,
    gives: ~S"""
    {atomic,{3,3,[0,3,9]}}
    """
  },
  %{
    number: 28,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    On a set, walking gives stored keys first, own new keys afterwards; `last` equals `first`
    and `prev` equals `next`.
    """,
    run: ~S"""
    [mnesia:dirty_write({s,X,old})||X<-[1,2,3]], Tx(fun()-> mnesia:write({s,own,n}),
    W=fun W('$end_of_table',A)->lists:reverse(A); W(K,A)->W(mnesia:next(s,K),[K|A]) end,
    {W(mnesia:first(s),[]), mnesia:dirty_first(s)==mnesia:dirty_last(s), mnesia:dirty_next(s,
    1)==mnesia:dirty_prev(s,1)} end)
    """,
    gives: ~S"""
    {atomic,{[3,2,1,own],true,true}}
    """,
    normal: ~S"""
    fun({atomic,{[A,B,C,D],X,Y}}) -> {atomic,{lists:sort([A,B,C]),D,X,Y}} end
    """
  },
  %{
    number: 29,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Stepping from an unknown key: badarg on a set, positional on an ordered_set.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,a}), mnesia:dirty_write({o,1,a}), {catch mnesia:dirty_next(s,77),
    Tx(fun()-> mnesia:next(s,77) end), mnesia:dirty_next(o,0), mnesia:dirty_next(o,77)}
    """,
    gives: ~S"""
    {{'EXIT',{aborted,{badarg,[s,77]}}},{aborted,{badarg,[s,77]}},1,'$end_of_table'}
    """
  },
  %{
    number: 30,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Stepping from a key the transaction itself deleted is allowed (the stored table still has
    it).
    """,
    run: ~S"""
    [mnesia:dirty_write({s,X,old})||X<-[1,2,3]], F=mnesia:dirty_first(s), Tx(fun()->
    mnesia:delete({s,F}), is_integer(mnesia:next(s,F)) end)
    """,
    gives: ~S"""
    {atomic,true}
    """
  },
  %{
    number: 31,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    foldl works from a key snapshot: rows written by the folding fun are not visited.
    """,
    run: ~S"""
    [mnesia:dirty_write({o,X,old})||X<-[1,3,5]], Tx(fun()-> lists:reverse(mnesia:foldl(fun({_,K,
    _},A)-> mnesia:write({o,K+10,n}), [K|A] end,[],o)) end)
    """,
    gives: ~S"""
    {atomic,[1,3,5]}
    """
  },
  %{
    number: 32,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    foldl/foldr on an ordered_set follow / reverse key order, own rows merged in.
    """,
    run: ~S"""
    [mnesia:dirty_write({o,X,old})||X<-[1,3,5]], Tx(fun()-> mnesia:write({o,4,n}),
    {mnesia:foldl(fun(R,A)->A++[element(2,R)] end,[],o), mnesia:foldr(fun(R,A)->A++[element(2,
    R)] end,[],o)} end)
    """,
    gives: ~S"""
    {atomic,{[1,3,4,5],[5,4,3,1]}}
    """
  },
  %{
    number: 33,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    delete_object compares exactly and is silent when the object differs from the current (own
    or stored) one.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,a}), Tx(fun()-> mnesia:delete_object({s,1,zz}), A=mnesia:read(s,1),
    mnesia:write({s,1,b}), mnesia:delete_object({s,1,a}), B=mnesia:read(s,1),
    mnesia:delete_object({s,1,b}), {A,B,mnesia:read(s,1)} end)
    """,
    gives: ~S"""
    {atomic,{[{s,1,a}],[{s,1,b}],[]}}
    """
  },
  %{
    number: 34,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    delete_object refuses a record that contains a match variable anywhere, in every context.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:delete_object({s,1,'_'}) end), catch mnesia:dirty_delete_object({s,'$1',
    a})}
    """,
    gives: ~S"""
    {{aborted,{bad_type,s,{s,1,'_'}}},{'EXIT',{aborted,{bad_type,s,{s,'$1',a}}}}}
    """
  },
  %{
    number: 35,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Writing and deleting match variables is otherwise allowed: they are ordinary atoms as data,
    so delete of key '_' deletes only that key.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,a}), {Tx(fun()-> mnesia:write({s,'_','$1'}), mnesia:read(s,
    '_') end), Tx(fun()-> mnesia:delete({s,'_'}) end), mnesia:dirty_all_keys(s)}
    """,
    gives: ~S"""
    {{atomic,[{s,'_','$1'}]},{atomic,ok},[1]}
    """
  },
  %{
    number: 36,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Dirty calls inside a transaction bypass the store: a dirty read misses own writes, a dirty
    write lands at once and survives the abort.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:write({s,1,a}), R=mnesia:dirty_read(s,1), mnesia:dirty_write({s,5,d}),
    mnesia:abort({seen,R,mnesia:read(s,5)}) end), mnesia:dirty_all_keys(s)}
    """,
    gives: ~S"""
    {{aborted,{seen,[],[{s,5,d}]}},[5]}
    """
  },
  %{
    number: 37,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A dirty write under a key the transaction has written is overwritten at commit.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:write({s,1,tx}), mnesia:dirty_write({s,1,dirty}), mnesia:read(s,1) end),
    mnesia:dirty_read(s,1)}
    """,
    gives: ~S"""
    {{atomic,[{s,1,tx}]},[{s,1,tx}]}
    """
  },
  %{
    number: 38,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    No first-writer check: a transaction that already read a row does not notice a dirty write
    and overwrites it.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,0}), {Tx(fun()-> [{s,1,N}]=mnesia:wread({s,1}),
    mnesia:dirty_write({s,1,50}), mnesia:write({s,1,N+1}) end), mnesia:dirty_read(s,1)}
    """,
    gives: ~S"""
    {{atomic,ok},[{s,1,1}]}
    """
  },
  %{
    number: 148,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    On a set, next and prev crash where the stored keys end, if the transaction wrote a key that is
    the same number, of the other kind, as the one they step from.
    """,
    run: ~S"""
    mnesia:dirty_write({s,4,old}), Step=fun(Op)-> case Tx(fun()-> mnesia:write({s,4.0,n}),
    mnesia:Op(s,4) end) of {aborted,{Reason,_Stack}}-> Reason; Other-> Other end end, {Step(next),
    Step(prev)}
    """,
    gives: ~S"""
    {{case_clause,[4.0]},{case_clause,[4.0]}}
    """
  }
]
