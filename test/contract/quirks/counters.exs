# Quirks of stock Mnesia, section I: Counters. Literals only: no result is computed here.
[
  %{
    number: 82,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A missing key starts at the increment, but a negative start, and any negative result, is
    clamped to 0.
    """,
    run: ~S"""
    {mnesia:dirty_update_counter(s,c,5), mnesia:dirty_update_counter({s,c},-2),
    mnesia:dirty_update_counter(s,c,-10), mnesia:dirty_update_counter(s,new,-7)}
    """,
    gives: ~S"""
    {5,3,0,0}
    """
  },
  %{
    number: 83,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A non-integer value under the key is silently replaced by the increment; a non-integer
    increment is bad_type; bag or arity other than 3 is combine_error.
    """,
    run: ~S"""
    mnesia:dirty_write({s,1,text}), {mnesia:dirty_update_counter(s,1,4),
    catch mnesia:dirty_update_counter(s,2,1.5), catch mnesia:dirty_update_counter(i,2,1),
    catch mnesia:dirty_update_counter(b,1,1), mnesia:dirty_update_counter(o,1,1)}
    """,
    gives: ~S"""
    {4,{'EXIT',{aborted,{bad_type,s,1.5}}},{'EXIT',{aborted,{combine_error,i,update_counter}}},
    {'EXIT',{aborted,{combine_error,b,update_counter}}},1}
    """
  },
  %{
    number: 84,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Inside a transaction it is still dirty: it ignores the own write and loses to it at commit.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:write({s,c,100}), {mnesia:dirty_update_counter(s,c,1), mnesia:read(s,
    c)} end), mnesia:dirty_read(s,c)}
    """,
    gives: ~S"""
    {{atomic,{1,[{s,c,100}]}},[{s,c,100}]}
    """
  }
]
