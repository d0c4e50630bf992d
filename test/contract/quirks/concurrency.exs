# Quirks of stock Mnesia, section O: Concurrency (one node, several processes). Literals only:
# no result is computed here.
[
  %{
    number: 134,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Deadlock avoidance is wait-die by transaction id: of two transactions locking in opposite
    order, the younger is restarted (its fun runs again from the start) and both commit.
    """,
    run: ~S"""
    C=counters:new(2,[]), S=self(), P=fun(N,A,B)-> spawn(fun()-> S!Tx(fun()-> counters:add(C,N,
    1), mnesia:wread({s,A}), timer:sleep(60), mnesia:wread({s,B}), N end) end),
    timer:sleep(20) end, P(1,x,y), P(2,y,x), {lists:sort([receive R->R after 5000->
    timeout end||_<-[1,2]]), {counters:get(C,1),counters:get(C,2)}}
    """,
    gives: ~S"""
    {[{atomic,1},{atomic,2}],{1,2}}
    """
  },
  %{
    number: 135,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    With retries 0 the younger one gives up with reason nomore instead of restarting, and the
    restart counter is not touched.
    """,
    run: ~S"""
    S=self(), R0=mnesia:system_info(transaction_restarts), P=fun(A,B)-> spawn(fun()->
    S!mnesia:transaction(fun()-> mnesia:wread({s,A}), timer:sleep(60), mnesia:wread({s,B}),
    ok end,[],0) end), timer:sleep(20) end, P(x,y), P(y,x), {lists:sort([receive R->
    R after 5000->timeout end||_<-[1,2]]), mnesia:system_info(transaction_restarts)-R0}
    """,
    gives: ~S"""
    {[{aborted,nomore},{atomic,ok}],0}
    """
  },
  %{
    number: 136,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    An OLDER transaction that meets a younger holder simply queues; neither is restarted.
    """,
    run: ~S"""
    C=counters:new(2,[]), S=self(), Old=spawn(fun()-> S!{old,Tx(fun()-> counters:add(C,1,1),
    receive go->ok end, mnesia:wread({s,x}), done end)} end), timer:sleep(20), spawn(fun()->
    S!{young,Tx(fun()-> counters:add(C,2,1), mnesia:wread({s,x}), timer:sleep(80),
    done end)} end), timer:sleep(20), Old!go, {[receive M->M after 3000->t end||_<-[1,2]],
    counters:get(C,1), counters:get(C,2)}
    """,
    gives: ~S"""
    {[{young,{atomic,done}},{old,{atomic,done}}],1,1}
    """
  },
  %{
    number: 137,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    A YOUNGER transaction that meets an older holder is restarted after a short random pause,
    again and again until the lock is free, even without any deadlock; side effects repeat each
    time (count varies by run, here the dirty counter).
    """,
    run: ~S"""
    S=self(), spawn(fun()-> S!Tx(fun()-> mnesia:wread({s,x}), timer:sleep(100), a end) end),
    timer:sleep(20), R=Tx(fun()-> mnesia:dirty_update_counter(s,runs,1), mnesia:wread({s,x}),
    b end), {R, receive M->M end, mnesia:dirty_read(s,runs)}
    """,
    gives: ~S"""
    {{atomic,b},{atomic,a},[{s,runs,4}]}
    """,
    normal: ~S"""
    fun({A,B,[{s,runs,N}]}) -> {A,B,N > 1} end
    """
  },
  %{
    number: 138,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Dirty reads and writes never wait: they see the old row and overwrite under a held write
    lock.
    """,
    run: ~S"""
    S=self(), P=spawn(fun()-> Tx(fun()-> mnesia:write({s,x,tx}), S!locked, receive go->
    ok end end), S!done end), receive locked->ok end, R={mnesia:dirty_read(s,x),
    mnesia:dirty_write({s,x,dirty}), mnesia:dirty_read(s,x)}, P!go, receive done->ok end, {R,
    mnesia:dirty_read(s,x)}
    """,
    gives: ~S"""
    {{[],ok,[{s,x,dirty}]},[{s,x,tx}]}
    """
  },
  %{
    number: 139,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Killing the process of a transaction releases its locks and drops its writes.
    """,
    run: ~S"""
    S=self(), P=spawn(fun()-> Tx(fun()-> mnesia:write({s,x,tx}), S!locked, receive go->
    ok end end) end), receive locked->ok end, exit(P,kill), {Tx(fun()-> mnesia:wread({s,
    x}) end), mnesia:dirty_read(s,x)}
    """,
    gives: ~S"""
    {{atomic,[]},[]}
    """
  },
  %{
    number: 140,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    There is no lock timeout: a waiter waits as long as the holder lives (wrap in a task with
    your own timeout).
    """,
    run: ~S"""
    S=self(), W=spawn(fun()-> receive go->ok end, Tx(fun()-> ok end) end), W!go, P=spawn(fun()->
    Tx(fun()-> mnesia:wread({s,x}), S!locked, receive stop->ok end end) end), receive locked->
    ok end, Q=spawn(fun()-> S!{r,Tx(fun()-> mnesia:wread({s,x}), got end)} end), A=receive {r,
    X}->X after 500->still_waiting end, P!stop, {A, is_pid(Q), receive {r,Y}->Y after 1000->
    t end}
    """,
    gives: ~S"""
    {still_waiting,true,{atomic,got}}
    """
  },
  %{
    number: 141,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Readers share; a read-lock upgrade to write with another older reader present restarts the
    younger.
    """,
    run: ~S"""
    C=counters:new(2,[]), S=self(), P=fun(N)-> spawn(fun()-> S!Tx(fun()-> counters:add(C,N,1),
    [mnesia:read(s,x)], timer:sleep(60), mnesia:write({s,x,N}), N end) end),
    timer:sleep(20) end, P(1), P(2), {[receive R->R after 5000->timeout end||_<-[1,2]],
    counters:get(C,1)+counters:get(C,2)>2, mnesia:dirty_read(s,x)}
    """,
    gives: ~S"""
    {[{atomic,1},{atomic,2}],true,[{s,x,2}]}
    """
  },
  %{
    number: 142,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A restart leaves no trace of the first run's own writes.
    """,
    run: ~S"""
    S=self(), spawn(fun()-> S!Tx(fun()-> mnesia:wread({s,x}), timer:sleep(100), a end) end),
    timer:sleep(20), {Tx(fun()-> R=mnesia:read(s,own), mnesia:write({s,own,1}),
    mnesia:wread({s,x}), R end), receive M->M end}
    """,
    gives: ~S"""
    {{atomic,[]},{atomic,a}}
    """
  },
  %{
    number: 143,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A table read lock blocks writers of any record of it, not readers.
    """,
    run: ~S"""
    S=self(), P=spawn(fun()-> Tx(fun()-> mnesia:read_lock_table(s), S!locked, receive go->
    ok end end), S!done end), receive locked->ok end, spawn(fun()-> S!{rd,Tx(fun()->
    mnesia:read(s,1) end)}, S!{wr,Tx(fun()-> mnesia:write({s,1,a}) end)} end), A=[receive {rd,
    X}->X after 200->blocked end, receive {wr,Y}->Y after 200->blocked end], P!go, {A,
    receive {wr,Z}->Z after 1000->t end}
    """,
    gives: ~S"""
    {[{atomic,[]},blocked],{atomic,ok}}
    """
  }
]
