# Quirks of stock Mnesia, section F: Aborts, exceptions, return shapes. Literals only: no result
# is computed here.
[
  %{
    number: 51,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Three exception classes, three shapes: exit is bare, throw is wrapped, error carries a
    stack.
    """,
    run: ~S"""
    {aborted,{Er,St}}=Tx(fun()-> erlang:error(e) end), {Tx(fun()-> exit(x) end), Tx(fun()->
    throw(t) end), {Er,is_list(St)}}
    """,
    gives: ~S"""
    {{aborted,x},{aborted,{throw,t}},{e,true}}
    """
  },
  %{
    number: 52,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    exit({aborted,X}) is unwrapped, exactly like abort(X); a thrown {aborted,X} is not.
    """,
    run: ~S"""
    {Tx(fun()-> exit({aborted,x}) end), Tx(fun()-> mnesia:abort(x) end), Tx(fun()->
    throw({aborted,x}) end)}
    """,
    gives: ~S"""
    {{aborted,x},{aborted,x},{aborted,{throw,{aborted,x}}}}
    """
  },
  %{
    number: 53,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    exit(normal) also aborts; RETURNING an EXIT-looking tuple commits.
    """,
    run: ~S"""
    {Tx(fun()-> exit(normal) end), Tx(fun()-> {'EXIT',{aborted,y}} end), Tx(fun()-> {aborted,
    y} end)}
    """,
    gives: ~S"""
    {{aborted,normal},{atomic,{'EXIT',{aborted,y}}},{atomic,{aborted,y}}}
    """
  },
  %{
    number: 54,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Catching an abort inside the fun and going on commits everything, even after an operation
    failed.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:write({s,1,a}), R=(catch mnesia:read(nosuch,1)), mnesia:write({s,2,b}),
    R end), mnesia:dirty_all_keys(s)}
    """,
    gives: ~S"""
    {{atomic,{'EXIT',{aborted,{no_exists,nosuch}}}},[1,2]}
    """,
    normal: ~S"""
    fun({R,K}) -> {R,lists:sort(K)} end
    """
  },
  %{
    number: 55,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    A non-function or a bad retry count is reported as an abort with every argument in it; arity
    mismatch is an ordinary error abort.
    """,
    run: ~S"""
    {aborted,{{badarity,_},_}}=Tx(fun(_)->x end), {Tx(notafun), element(1,element(2,
    mnesia:transaction(fun()->ok end,-1)))}
    """,
    gives: ~S"""
    {{aborted,{badarg,notafun,[],infinity,mnesia}},badarg}
    """
  },
  %{
    number: 56,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    transaction/2 with a list takes it as arguments; with an integer or infinity takes it as
    retries.
    """,
    run: ~S"""
    {mnesia:transaction(fun(A)->A end,[5]), mnesia:transaction(fun()->ok end,3),
    mnesia:transaction(fun()->ok end,infinity), mnesia:transaction(fun(A)->A end,[5],0)}
    """,
    gives: ~S"""
    {{atomic,5},{atomic,ok},{atomic,ok},{atomic,5}}
    """
  },
  %{
    number: 57,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Retries 0 is accepted and means a single run.
    """,
    run: ~S"""
    mnesia:transaction(fun()-> done end,[],0)
    """,
    gives: ~S"""
    {atomic,done}
    """
  },
  %{
    number: 58,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    `activity` unwraps success and turns failure into an exit of {aborted, _}; throws come out
    wrapped.
    """,
    run: ~S"""
    {mnesia:activity(transaction,fun()-> 7 end), catch mnesia:activity(transaction,fun()->
    throw(x) end), catch mnesia:activity(transaction,fun()-> mnesia:abort(x) end)}
    """,
    gives: ~S"""
    {7,{'EXIT',{aborted,{throw,x}}},{'EXIT',{aborted,x}}}
    """
  },
  %{
    number: 59,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    An unknown activity kind RETURNS an aborted tuple instead of exiting.
    """,
    run: ~S"""
    mnesia:activity(bogus,fun()-> ok end)
    """,
    gives: ~S"""
    {aborted,{bad_type,bogus}}
    """
  },
  %{
    number: 60,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Dirty and ets activities pass throw through unchanged and exit for the rest; completed dirty
    writes stay.
    """,
    run: ~S"""
    {catch mnesia:async_dirty(fun()-> mnesia:write({s,1,a}), throw(x) end),
    catch mnesia:sync_dirty(fun()-> mnesia:abort(y) end), catch mnesia:ets(fun()->
    exit(z) end), mnesia:dirty_read(s,1)}
    """,
    gives: ~S"""
    {x,{'EXIT',{aborted,y}},{'EXIT',z},[{s,1,a}]}
    """
  },
  %{
    number: 61,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Outside any activity every activity-level call exits no_transaction, even for a table that
    does not exist.
    """,
    run: ~S"""
    {catch mnesia:read(s,1), catch mnesia:read(nosuch,1), catch mnesia:foldl(fun(_,A)->A end,0,
    s), catch mnesia:lock({table,s},read)}
    """,
    gives: ~S"""
    {{'EXIT',{aborted,no_transaction}},{'EXIT',{aborted,no_transaction}},{'EXIT',{aborted,
    no_transaction}},{'EXIT',{aborted,no_transaction}}}
    """
  },
  %{
    number: 62,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    mnesia:abort outside any activity is just exit({aborted,_}).
    """,
    run: ~S"""
    catch mnesia:abort(x)
    """,
    gives: ~S"""
    {'EXIT',{aborted,x}}
    """
  },
  %{
    number: 63,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    The activity belongs to the process: a process spawned in the fun is outside the
    transaction.
    """,
    run: ~S"""
    Tx(fun()-> S=self(), spawn(fun()-> S!{r,catch mnesia:read(s,1)} end), receive {r,X}->
    X end end)
    """,
    gives: ~S"""
    {atomic,{'EXIT',{aborted,no_transaction}}}
    """
  },
  %{
    number: 64,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    is_transaction is true only under (sync_)transaction.
    """,
    run: ~S"""
    {mnesia:is_transaction(), Tx(fun mnesia:is_transaction/0),
    mnesia:async_dirty(fun mnesia:is_transaction/0), mnesia:ets(fun mnesia:is_transaction/0)}
    """,
    gives: ~S"""
    {false,{atomic,true},false,false}
    """
  },
  %{
    number: 65,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    The access module is never checked up front: an unknown module matters only when an
    operation calls into it.
    """,
    run: ~S"""
    {aborted,{undef,[{M,F,_,_}|_]}}=(catch try mnesia:activity(transaction,fun()->
    mnesia:read(s,1) end,[],nosuchmod) catch exit:R->R end), {mnesia:activity(transaction,
    fun()-> ok end,[],nosuchmod), {M,F}}
    """,
    gives: ~S"""
    {ok,{nosuchmod,read}}
    """
  }
]
