# Quirks of stock Mnesia, section E: What gets locked. Literals only: no result is computed
# here.
[
  %{
    number: 46,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A spec of ONE clause with a bound key takes a record lock; a guard on the key, two clauses,
    or a partly bound key take the whole table.
    """,
    run: ~S"""
    L=fun(F)-> {atomic,R}=Tx(fun()-> F(), [element(2,element(1,X))||
    X<-mnesia:system_info(held_locks)] end), R end, [L(fun()->mnesia:select(s,[{{s,1,'_'},[],
    ['$_']}]) end), L(fun()->mnesia:select(s,[{{s,'$1','_'},[{'==','$1',1}],['$_']}]) end),
    L(fun()->mnesia:select(s,[{{s,1,'_'},[],['$_']},{{s,2,'_'},[],['$_']}]) end), L(fun()->
    mnesia:match_object({s,{1,'_'},'_'}) end)]
    """,
    gives: ~S"""
    [[1],['______WHOLETABLE_____'],['______WHOLETABLE_____'],['______WHOLETABLE_____']]
    """
  },
  %{
    number: 47,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    first/next/last/prev, all_keys, foldl, index_read and index_match_object read-lock the whole
    table (index_match_object even with a bound key).
    """,
    run: ~S"""
    L=fun(F)-> {atomic,R}=Tx(fun()-> F(), [X||{X,_,_}<-mnesia:system_info(held_locks)] end),
    R end, [L(fun()->mnesia:first(s) end), L(fun()->mnesia:all_keys(s) end), L(fun()->
    mnesia:index_read(i,x,v) end), L(fun()->mnesia:index_match_object({i,1,x,'_'},v) end),
    L(fun()->mnesia:foldl(fun(_,A)->A end,0,s) end)]
    """,
    gives: ~S"""
    [[{s,'______WHOLETABLE_____'}],[{s,'______WHOLETABLE_____'}],[{i,'______WHOLETABLE_____'}],
    [{i,'______WHOLETABLE_____'}],[{s,'______WHOLETABLE_____'}]]
    """
  },
  %{
    number: 48,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A sticky write shows up as the record lock plus a pseudo-record for the stick; table locks
    use a reserved pseudo-key.
    """,
    run: ~S"""
    Tx(fun()-> mnesia:s_write({s,2,a}), [{K,M}||{K,M,_}<-mnesia:system_info(held_locks)] end)
    """,
    gives: ~S"""
    {atomic,[{{s,2},write},{{s,'______STICK_____'},write},{{s,'______WHOLETABLE_____'},read}]}
    """,
    normal: ~S"""
    fun({atomic,L}) -> {atomic, lists:sort(L)} end
    """
  },
  %{
    number: 49,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    lock/2 and the table lock helpers return differently: nodes for write, ok for read.
    """,
    run: ~S"""
    {Tx(fun()->mnesia:lock({table,s},read) end), Tx(fun()->mnesia:lock({table,s},write) end),
    Tx(fun()->mnesia:lock({global,anything,[node()]},write) end), Tx(fun()->
    mnesia:write_lock_table(s) end), Tx(fun()->mnesia:lock(s,read) end), Tx(fun()->
    mnesia:lock({table,s},foo) end)}
    """,
    gives: ~S"""
    {{atomic,ok},{atomic,['n@h']},{atomic,['n@h']},{atomic,ok},{aborted,{bad_type,s}},{aborted,
    {bad_type,s,foo}}}
    """
  },
  %{
    number: 50,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Locks taken by an aborted inner transaction stay held by the outer one.
    """,
    run: ~S"""
    Tx(fun()-> Tx(fun()-> mnesia:wread({s,1}), mnesia:abort(x) end), [{K,M}||{K,M,
    _}<-mnesia:system_info(held_locks)] end)
    """,
    gives: ~S"""
    {atomic,[{{s,1},write}]}
    """
  },
  %{
    number: 144,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    An aborted inner transaction forgets which locks it asked for although they stay held: lock/2
    answers for such a record as for a new one, and a record of a table that was locked there is
    locked once more.
    """,
    run: ~S"""
    {Tx(fun()-> Tx(fun()-> mnesia:wread({s,1}), mnesia:abort(x) end),
    mnesia:lock({record,s,1},write) end), Tx(fun()-> Tx(fun()-> mnesia:write_lock_table(s),
    mnesia:abort(x) end), mnesia:wread({s,1}), lists:sort([{K,M}||{K,M,
    _}<-mnesia:system_info(held_locks)]) end)}
    """,
    gives: ~S"""
    {{atomic,['n@h']},{atomic,[{{s,1},write},{{s,'______WHOLETABLE_____'},write}]}}
    """
  }
]
