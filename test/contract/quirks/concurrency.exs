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
    C=counters:new(2,[]), S=self(), Until=fun(U,F)-> F() orelse erlang:yield() andalso U(U,F) end,
    P=fun(N,A,B)-> Q=spawn(fun()-> S!Tx(fun()-> counters:add(C,N,1), mnesia:wread({s,A}),
    put(ran,yes)=/=yes andalso begin S!locked, receive go->ok end end, mnesia:wread({s,B}), N end)
    end), receive locked->Q end end, P1=P(1,x,y), P2=P(2,y,x), P1!go, Until(Until,fun()->
    mnesia:system_info(lock_queue)=/=[] end), P2!go, {lists:sort([receive R->R after 5000->
    timeout end||_<-[1,2]]), {counters:get(C,1),counters:get(C,2)}}
    """,
    gives: ~S"""
    {[{atomic,1},{atomic,2}],{1,2}}
    """,
    normal: ~S"""
    fun({R,{A,B}}) -> {R,{A,B > 1}} end
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
    S=self(), R0=mnesia:system_info(transaction_restarts), Until=fun(U,F)-> F() orelse
    erlang:yield() andalso U(U,F) end, P=fun(A,B)-> Q=spawn(fun()-> S!mnesia:transaction(fun()->
    mnesia:wread({s,A}), S!locked, receive go->ok end, mnesia:wread({s,B}), ok end,[],0) end),
    receive locked->Q end end, P1=P(x,y), P2=P(y,x), P1!go, Until(Until,fun()->
    mnesia:system_info(lock_queue)=/=[] end), P2!go, {lists:sort([receive R->R after 5000->
    timeout end||_<-[1,2]]), mnesia:system_info(transaction_restarts)-R0}
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
    C=counters:new(2,[]), S=self(), Until=fun(U,F)-> F() orelse erlang:yield() andalso U(U,F) end,
    Old=spawn(fun()-> S!{old,Tx(fun()-> counters:add(C,1,1), S!begun, receive go->ok end,
    mnesia:wread({s,x}), done end)} end), receive begun->ok end, Young=spawn(fun()->
    S!{young,Tx(fun()-> counters:add(C,2,1), mnesia:wread({s,x}), S!locked, receive go->ok end,
    done end)} end), receive locked->ok end, Old!go, Until(Until,fun()->
    mnesia:system_info(lock_queue)=/=[] end), Young!go, {lists:sort([receive M->M after 5000->
    t end||_<-[1,2]]), counters:get(C,1), counters:get(C,2)}
    """,
    gives: ~S"""
    {[{old,{atomic,done}},{young,{atomic,done}}],1,1}
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
    S=self(), R0=mnesia:system_info(transaction_restarts), Until=fun(U,F)-> F() orelse
    erlang:yield() andalso U(U,F) end, spawn(fun()-> S!Tx(fun()-> mnesia:wread({s,x}), S!locked,
    Until(Until,fun()-> mnesia:system_info(transaction_restarts)>R0 end), a end) end), receive
    locked->ok end, R=Tx(fun()-> mnesia:dirty_update_counter(s,runs,1), mnesia:wread({s,x}), b
    end), {R, receive M->M end, mnesia:dirty_read(s,runs)}
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
    X}->X after 500->still_waiting end, P!stop, {A, is_pid(Q), receive {r,Y}->Y after 5000->
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
    C=counters:new(2,[]), S=self(), Until=fun(U,F)-> F() orelse erlang:yield() andalso U(U,F) end,
    P=fun(N)-> Q=spawn(fun()-> S!Tx(fun()-> counters:add(C,N,1), mnesia:read(s,x),
    put(ran,yes)=/=yes andalso begin S!locked, receive go->ok end end, mnesia:write({s,x,N}), N
    end) end), receive locked->Q end end, P1=P(1), P2=P(2), P1!go, Until(Until,fun()->
    mnesia:system_info(lock_queue)=/=[] end), P2!go, {lists:sort([receive R->R after 5000->
    timeout end||_<-[1,2]]), counters:get(C,1)+counters:get(C,2)>2, mnesia:dirty_read(s,x)}
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
    S=self(), R0=mnesia:system_info(transaction_restarts), Until=fun(U,F)-> F() orelse
    erlang:yield() andalso U(U,F) end, spawn(fun()-> S!Tx(fun()-> mnesia:wread({s,x}), S!locked,
    Until(Until,fun()-> mnesia:system_info(transaction_restarts)>R0 end), a end) end), receive
    locked->ok end, {Tx(fun()-> R=mnesia:read(s,own), mnesia:write({s,own,1}),
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
    X}->X after 5000->blocked end, receive {wr,Y}->Y after 200->blocked end], P!go, {A,
    receive {wr,Z}->Z after 5000->t end}
    """,
    gives: ~S"""
    {[{atomic,[]},blocked],{atomic,ok}}
    """
  }
]
