# Quirks of stock Mnesia, section A: Key equality and table types. Literals only: no result is
# computed here.
[
  %{
    number: 1,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    `set` keys use exact equality: 1 and 1.0 are two rows.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,a}), mnesia:dirty_write({s,1.0,b}), {mnesia:dirty_read(s,1),
    mnesia:dirty_read(s,1.0), mnesia:table_info(s,size)}
    """,
    gives: ~S"""
    {[{s,1,a}],[{s,1.0,b}],2}
    """
  },
  %{
    number: 2,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    `ordered_set` keys use numeric equality: the second write replaces the row, and the stored
    key becomes the newer representation.
    """,
    run: ~S"""
    mnesia:dirty_write({o,1,a}), mnesia:dirty_write({o,1.0,b}), {mnesia:dirty_read(o,1),
    mnesia:dirty_read(o,1.0), mnesia:table_info(o,size)}
    """,
    gives: ~S"""
    {[{o,1.0,b}],[{o,1.0,b}],1}
    """
  },
  %{
    number: 3,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    `bag` compares both key and whole object exactly.
    """,
    run: ~S"""
    [mnesia:dirty_write(X)||X<-[{b,1,1},{b,1,1.0},{b,1.0,1},{b,1,1}]], {mnesia:dirty_read(b,1),
    mnesia:dirty_read(b,1.0)}
    """,
    gives: ~S"""
    {[{b,1,1},{b,1,1.0}],[{b,1.0,1}]}
    """
  },
  %{
    number: 4,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    The transaction store is keyed exactly even for an ordered_set, so a read with the other
    spelling of the key sees the OLD committed row, while `all_keys` shows only the new
    spelling.
    """,
    run: ~S"""
    mnesia:dirty_write({o,1,a}), Tx(fun()-> mnesia:write({o,1.0,b}), {mnesia:read(o,1),
    mnesia:read(o,1.0), mnesia:all_keys(o)} end)
    """,
    gives: ~S"""
    {atomic,{[{o,1,a}],[{o,1.0,b}],[1.0]}}
    """
  },
  %{
    number: 5,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Same split for delete: deleting 1.0 in a transaction leaves `read(o,1)` answering the row
    until commit; after commit it is gone.
    """,
    run: ~S"""
    mnesia:dirty_write({o,1,a}), {Tx(fun()-> mnesia:delete({o,1.0}), {mnesia:read(o,1),
    mnesia:read(o,1.0)} end), mnesia:dirty_read(o,1)}
    """,
    gives: ~S"""
    {{atomic,{[{o,1,a}],[]}},[]}
    """
  },
  %{
    number: 6,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    Two own writes of 1 and 1.0 in one transaction: `select` shows the FIRST, commit keeps the
    LAST.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:write({o,1,a}), mnesia:write({o,1.0,b}), mnesia:select(o,[{'_',[],
    ['$_']}]) end), mnesia:dirty_all_keys(o)}
    """,
    gives: ~S"""
    {{atomic,[{o,1,a}]},[1.0]}
    """,
    normal: ~S"""
    fun({{atomic,[{o,_,_}]},[_]}) -> one_row end
    """
  },
  %{
    number: 7,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    In an ordered_set a lookup by key is numeric but a pattern is exact: the row is readable by
    1, not matchable by 1.
    """,
    run: ~S"""
    mnesia:dirty_write({o,1.0,b}), {mnesia:dirty_read(o,1), mnesia:dirty_match_object({o,1,
    '_'})}
    """,
    gives: ~S"""
    {[{o,1.0,b}],[]}
    """
  },
  %{
    number: 8,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    On a `set`, a guard `==` finds both number kinds where a bound key finds one.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,a}), mnesia:dirty_write({s,1.0,b}), {mnesia:dirty_match_object({s,1,
    '_'}), lists:sort(mnesia:dirty_select(s,[{{s,'$1','_'},[{'==','$1',1}],['$1']}]))}
    """,
    gives: ~S"""
    {[{s,1,a}],[1.0,1]}
    """,
    normal: ~S"""
    fun({A,L}) -> {A, lists:sort([{is_float(X), X} || X <- L])} end
    """
  },
  %{
    number: 9,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Before OTP 27, 0.0 and -0.0 are the same key in every table type, and in set and ordered_set
    the last write wins; from OTP 27 on the two zeros are different terms under exact equality,
    and one key in an ordered_set alone.
    """,
    run: ~S"""
    [begin mnesia:dirty_write({T,0.0,a}), mnesia:dirty_write({T,-0.0,b}),
    {length(mnesia:dirty_read(T,0.0)), mnesia:table_info(T,size)} end||T<-[s,o,b]]
    """,
    gives: ~S"""
    [{1,1},{1,1},{2,2}]
    """,
    gives_from_27: ~S"""
    [{1,2},{1,1},{1,2}]
    """
  },
  %{
    number: 10,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Default (`ordered`) index lookups stay exact for numbers although the index is held in an
    ordered structure.
    """,
    run: ~S"""
    mnesia:dirty_write({i,a,1,x}), mnesia:dirty_write({i,b,1.0,x}), {mnesia:dirty_index_read(i,
    1,v), mnesia:dirty_index_read(i,1.0,v)}
    """,
    gives: ~S"""
    {[{i,a,1,x}],[{i,b,1.0,x}]}
    """
  },
  %{
    number: 147,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A fun is the same key whichever process made it.
    """,
    run: ~S"""
    Make=fun(X)-> fun(Y)-> {X,Y} end end, Self=self(), spawn(fun()-> Self!{made,Make(1)} end),
    Other=receive {made,F}-> F end, mnesia:dirty_write({s,{Make(1)},a}), mnesia:dirty_write({b,1,
    Make(1)}), mnesia:dirty_write({b,1,Other}), [{_,_,V}]=mnesia:dirty_read(s,{Other}), {V,
    length(mnesia:dirty_read(b,1)), mnesia:dirty_read(s,{Make(2)})}
    """,
    gives: ~S"""
    {a,1,[]}
    """
  }
]
