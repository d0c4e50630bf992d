# Quirks of stock Mnesia, section B: Bags. Literals only: no result is computed here.
[
  %{
    number: 11,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Reading a key of a ram bag gives insertion order; rewriting an object that is already there
    is a no-op that keeps its place.
    """,
    run: ~S"""
    [mnesia:dirty_write({b,1,X})||X<-[c,a,b,c]], mnesia:dirty_read(b,1)
    """,
    gives: ~S"""
    [{b,1,c},{b,1,a},{b,1,b}]
    """
  },
  %{
    number: 12,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Inside a transaction the same rewrite moves the object to the tail of the read; the
    committed order is untouched.
    """,
    run: ~S"""
    [mnesia:dirty_write({b,1,X})||X<-[c,a,b]], {Tx(fun()-> mnesia:write({b,1,c}), mnesia:read(b,
    1) end), mnesia:dirty_read(b,1)}
    """,
    gives: ~S"""
    {{atomic,[{b,1,a},{b,1,b},{b,1,c}]},[{b,1,c},{b,1,a},{b,1,b}]}
    """
  },
  %{
    number: 13,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    `delete` of the key followed by writes: only the later writes remain, in write order, both
    inside and after commit.
    """,
    run: ~S"""
    [mnesia:dirty_write({b,1,X})||X<-[c,a,b]], {Tx(fun()-> mnesia:delete({b,1}),
    mnesia:write({b,1,z}), mnesia:write({b,1,a}), mnesia:read(b,1) end), mnesia:dirty_read(b,
    1)}
    """,
    gives: ~S"""
    {{atomic,[{b,1,z},{b,1,a}]},[{b,1,z},{b,1,a}]}
    """
  },
  %{
    number: 14,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    `delete_object` then rewrite of the same object really moves it to the tail, also after
    commit.
    """,
    run: ~S"""
    [mnesia:dirty_write({b,1,X})||X<-[c,a,b]], {Tx(fun()-> mnesia:delete_object({b,1,c}),
    mnesia:write({b,1,c}), mnesia:read(b,1) end), mnesia:dirty_read(b,1)}
    """,
    gives: ~S"""
    {{atomic,[{b,1,a},{b,1,b},{b,1,c}]},[{b,1,a},{b,1,b},{b,1,c}]}
    """
  },
  %{
    number: 15,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    `foldl` over a bag visits ALL objects of a key once PER OWN WRITE to that key (a real stock
    defect): one own write is fine, two double it.
    """,
    run: ~S"""
    [mnesia:dirty_write({b,1,X})||X<-[c,a]], {Tx(fun()-> mnesia:write({b,1,z}),
    mnesia:foldl(fun(R,A)->[element(3,R)|A] end,[],b) end), mnesia:clear_table(b), Tx(fun()->
    mnesia:write({b,1,y}), mnesia:write({b,1,z}), mnesia:foldl(fun(R,A)->[element(3,R)|A] end,
    [],b) end)}
    """,
    gives: ~S"""
    {{atomic,[z,a,c]},{atomic,ok},{atomic,[z,y,z,y]}}
    """
  },
  %{
    number: 16,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    Walking a bag with first/next: an own write to an existing key makes the walk lose the
    transaction's other new keys (they are still in all_keys).
    """,
    run: ~S"""
    mnesia:dirty_write({b,1,c}), {Tx(fun()-> mnesia:write({b,2,q}), K=mnesia:first(b), {K,
    mnesia:next(b,K), mnesia:all_keys(b)} end), mnesia:clear_table(b), mnesia:dirty_write({b,1,
    c}), Tx(fun()-> mnesia:write({b,1,p}), mnesia:write({b,2,q}), K=mnesia:first(b), {K,
    mnesia:next(b,K), lists:sort(mnesia:all_keys(b))} end)}
    """,
    gives: ~S"""
    {{atomic,{1,2,[2,1]}},{atomic,ok},ok,{atomic,{1,'$end_of_table',[1,2]}}}
    """,
    normal: ~S"""
    fun({{atomic,{A,B,L}},X,Y,{atomic,{P,_,M}}}) -> {lists:sort([A,B]), lists:sort(L), X, Y, P,
    M} end
    """
  },
  %{
    number: 17,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    `all_keys` has no duplicates even though a bag has several objects per key.
    """,
    run: ~S"""
    [mnesia:dirty_write({b,1,X})||X<-[c,a,b]], {mnesia:dirty_all_keys(b), Tx(fun()->
    mnesia:all_keys(b) end)}
    """,
    gives: ~S"""
    {[1],{atomic,[1]}}
    """
  },
  %{
    number: 18,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    `select`/`match_object` on a bag with own writes puts the own objects before stored ones
    (the opposite of `read`).
    """,
    run: ~S"""
    [mnesia:dirty_write({b,1,X})||X<-[c,a,b]], Tx(fun()-> mnesia:write({b,1,z}), {mnesia:read(b,
    1), mnesia:match_object({b,1,'_'})} end)
    """,
    gives: ~S"""
    {atomic,{[{b,1,c},{b,1,a},{b,1,b},{b,1,z}],[{b,1,z},{b,1,c},{b,1,a},{b,1,b}]}}
    """
  },
  %{
    number: 19,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A deleted own object of a bag: delete_object of an object written in the same transaction
    removes only it.
    """,
    run: ~S"""
    mnesia:dirty_write({b,1,c}), {Tx(fun()-> mnesia:write({b,1,z}), mnesia:delete_object({b,1,
    z}), mnesia:read(b,1) end), mnesia:dirty_read(b,1)}
    """,
    gives: ~S"""
    {{atomic,[{b,1,c}]},[{b,1,c}]}
    """
  },
  %{
    number: 165,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    A map in an object to delete, its key apart, is a pattern: of a bag all objects of the key go
    whose map holds as much, of a set the row.
    """,
    run: ~S"""
    [mnesia:dirty_write({b,1,V})||V<-[#{},#{a=>1},x]], mnesia:dirty_write({s,1,#{a=>1}}),
    {mnesia:dirty_delete_object({b,1,#{}}), Tx(fun()->mnesia:delete_object({s,1,#{}}) end),
    mnesia:dirty_read(b,1), mnesia:dirty_read(s,1)}
    """,
    gives: ~S"""
    {ok,{atomic,ok},[{b,1,x}],[]}
    """
  }
]
