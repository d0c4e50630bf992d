# Quirks of stock Mnesia, section P: checkpoints, backups, fallbacks and texts. Literals only: no
# result is computed here.
[
  %{
    number: "P19",
    kind: :contract,
    setup: :disc,
    title: ~S"""
    a named checkpoint twice; deactivated twice
    """,
    run: ~S"""
    A=[{name,cp},{max,[dc]}], {mnesia:activate_checkpoint(A), mnesia:activate_checkpoint(A),
    mnesia:system_info(checkpoints), mnesia:table_info(dc,checkpoints),
    mnesia:deactivate_checkpoint(cp), mnesia:deactivate_checkpoint(cp)}
    """,
    gives: ~S"""
    {{ok,cp,['n@h']},{error,{already_exists,cp}},[cp],[cp],ok,{error,{no_exists,cp}}}
    """
  },
  %{
    number: "P20",
    kind: :shape,
    setup: :disc,
    title: ~S"""
    an unnamed checkpoint gets a generated name
    """,
    run: ~S"""
    mnesia:activate_checkpoint([{max,[dc]}])
    """,
    gives: ~S"""
    {ok,{1,'n@h'},['n@h']}
    """,
    normal: ~S"""
    fun({ok,{N,_},[_]}) -> is_integer(N) end
    """
  },
  %{
    number: "P21",
    kind: :shape,
    setup: :disc,
    title: ~S"""
    checkpoints of no table, of an unknown one, of one twice; options that are none
    """,
    run: ~S"""
    C=fun(A)-> mnesia:activate_checkpoint([{name,q}|A]) end, {C([]), C([{max,[nosuch]}]),
    C([{min,[dc]},{max,[dc]}]), C([{max,[dc]},{ram_overrides_dump,[rc]}]), C([{max,[dc]},
    {ram_overrides_dump,[dc]}]), C([foo]), C([{allow_remote,7}]), mnesia:activate_checkpoint(foo)}
    """,
    gives: ~S"""
    {{error,{combine_error,q,[{min,[]},{max,[]}]}},
    {error,{"Cannot prepare checkpoint (replica not available)",[nosuch,q]}},
    {error,{combine_error,q,[{min,[dc]},{max,[dc]}]}},
    {error,{combine_error,q,[{ram_overrides_dump,[rc]},{min,[rc]}]}},
    {error,{combine_error,q,[{ram_overrides_dump,[dc]},{min,[dc]}]}},
    {error,{badarg,foo}},{error,{badarg,{allow_remote,7}}},{error,{badarg,foo}}}
    """
  },
  %{
    number: "P22",
    kind: :contract,
    setup: :disc,
    title: ~S"""
    restore answers the tables that it restored, and does with each what the options say
    """,
    run: ~S"""
    F=Dir++"/b", ok=mnesia:backup(F), mnesia:dirty_write({dc,1,z}), mnesia:dirty_write({dc,9,z}),
    mnesia:dirty_write({doo,1,z}), R=fun(O)-> {mnesia:restore(F,O), mnesia:dirty_read(dc,1),
    mnesia:dirty_read(dc,9), mnesia:dirty_read(doo,1)} end, {R([{default_op,skip_tables}]),
    R([{default_op,skip_tables},{keep_tables,[dc]}]), R([{default_op,skip_tables},
    {clear_tables,[dc]}]), R([{default_op,skip_tables},{recreate_tables,[doo]}])}
    """,
    gives: ~S"""
    {{{atomic,[]},[{dc,1,z}],[{dc,9,z}],[{doo,1,z}]},
    {{atomic,[dc]},[{dc,1,b}],[{dc,9,z}],[{doo,1,z}]},
    {{atomic,[dc]},[{dc,1,b}],[],[{doo,1,z}]},
    {{atomic,[doo]},[{dc,1,b}],[],[{doo,1,b}]}}
    """
  },
  %{
    number: "P23",
    kind: :shape,
    setup: :disc,
    title: ~S"""
    what backup, restore and traverse_backup refuse
    """,
    run: ~S"""
    F=Dir++"/b", ok=mnesia:backup(F), N="/nonexistent/b", G=fun(I,A)-> {I,A} end, {
    mnesia:restore(N,[]), mnesia:restore(F,[{foo,x}]), mnesia:restore(F,foo),
    mnesia:restore(F,[{default_op,x}]), mnesia:restore(F,[{clear_tables,[schema]}]),
    Tx(fun()-> mnesia:restore(F,[]) end), mnesia:backup(N), mnesia:backup(F,[{foo,x}]),
    mnesia:backup_checkpoint(cp,F++"2"), mnesia:traverse_backup(N,mnesia_backup,x,read_only,G,0),
    mnesia:traverse_backup(F,N,G,0),
    case mnesia:traverse_backup(F,mnesia_backup,x,read_only,G,0) of {error,{_,{Why,_}}} -> Why end}
    """,
    gives: ~S"""
    {{aborted,enoent},{aborted,{badarg,{foo,x}}},{aborted,{badarg,foo}},
    {aborted,{badarg,{bad_default_op,x}}},{aborted,{badarg,{clear_tables,schema}}},
    {atomic,{aborted,nested_transaction}},
    {error,{'EXIT',{error,{file_error,"/nonexistent/b.BUPTMP",enoent}}}},
    {error,{badarg,{foo,x}}},{error,{'EXIT',{error,{error,{no_exists,cp}}}}},
    {error,{"Backup traversal failed",enoent}},
    {error,{file_error,"/nonexistent/b.BUPTMP",enoent}},"Fun must return a list"}
    """
  },
  %{
    number: "P24",
    kind: :contract,
    setup: :disc,
    title: ~S"""
    a backup has the definitions first, then the rows of each table; what the fun makes of it is
    written
    """,
    run: ~S"""
    F=Dir++"/b", G=Dir++"/c", ok=mnesia:backup(F), Seen=fun(P)-> {ok,L}=mnesia:traverse_backup(P,
    mnesia_backup,x,read_only,fun(I,A)-> {[I],[element(1,I)|A]} end,[]), lists:reverse(L) end,
    S=Seen(F), {ok,n}=mnesia:traverse_backup(F,G,fun(I,A) when element(1,I)=:=dc -> {[],A};
    (I,A)-> {[I],A} end,n), T=Seen(G), {length([X||X<-S,X=:=schema]), lists:takewhile(fun(X)->
    X=:=schema end,S)=:=[X||X<-S,X=:=schema], lists:sort(S)--T, lists:sort(T)--S}
    """,
    gives: ~S"""
    {7,true,[dc],[]}
    """
  },
  %{
    number: "P25",
    kind: :contract,
    setup: :disc,
    title: ~S"""
    a fallback twice, taken back twice; used by the next start, with tables made meanwhile gone
    """,
    run: ~S"""
    F=Dir++"/b", ok=mnesia:backup(F), A={mnesia:install_fallback(F), mnesia:install_fallback(F),
    mnesia:system_info(fallback_activated), mnesia:uninstall_fallback(),
    mnesia:uninstall_fallback(), mnesia:install_fallback(F,[{foo,x}]),
    mnesia:install_fallback(F,7), mnesia:install_fallback("/nonexistent/b")},
    ok=mnesia:install_fallback(F,[{scope,local}]), {atomic,ok}=mnesia:create_table(q9,
    [{disc_copies,[node()]}]), mnesia:dirty_write({dc,1,z}), mnesia:dirty_write({dob,1,z}),
    Restart(), {A, mnesia:dirty_read(dc,1), mnesia:dirty_read(dob,1),
    lists:member(q9,mnesia:system_info(tables)), mnesia:system_info(fallback_activated)}
    """,
    gives: ~S"""
    {{ok,{error,{"Cannot install fallback",{already_exists,'n@h'}}},true,ok,{error,enoent},
    {error,{badarg,{foo,x}}},{error,{badarg,7}},{error,{"Cannot install fallback",enoent}}},
    [{dc,1,b}],[{dob,1,c},{dob,1,a},{dob,1,b}],false,false}
    """
  },
  %{
    number: "P27",
    kind: :wart,
    setup: :disc,
    title: ~S"""
    a backup of a table in memory has what was dumped of it, a checkpoint that overrides the dump
    what is there
    """,
    run: ~S"""
    F=Dir++"/b", L=fun()-> {ok,A}=mnesia:traverse_backup(F,mnesia_backup,x,read_only,fun(I,A)
    when element(1,I)=:=rc, tuple_size(I)=:=3 -> {[I],[I|A]}; (I,A)-> {[I],A} end,[]), A end,
    ok=mnesia:backup(F), A=L(), {atomic,ok}=mnesia:dump_tables([rc]),
    mnesia:dirty_write({rc,1,z}), ok=mnesia:backup(F), B=L(), {ok,N,_}=mnesia:activate_checkpoint([{max,[rc]},
    {ram_overrides_dump,true}]), ok=mnesia:backup_checkpoint(N,F), {A,B,L()}
    """,
    gives: ~S"""
    {[],[{rc,1,b}],[{rc,1,z}]}
    """
  }
]
