# Quirks of stock Mnesia, section M: Administration. Literals only: no result is computed here.
[
  %{
    number: 121,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    wait_for_tables with unknown tables simply times out on them; a non-list is badarg; timeout
    0 works for loaded tables.
    """,
    run: ~S"""
    {mnesia:wait_for_tables([s,nosuch],50), mnesia:wait_for_tables(s,50),
    mnesia:wait_for_tables([],0), mnesia:wait_for_tables([s],0)}
    """,
    gives: ~S"""
    {{timeout,[nosuch]},{error,{badarg,s,50}},ok,ok}
    """
  },
  %{
    number: 122,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    change_config(extra_db_nodes, []) and a list of unreachable nodes both answer {ok, []}.
    """,
    run: ~S"""
    {mnesia:change_config(extra_db_nodes,[]), mnesia:change_config(extra_db_nodes,
    [nobody@nowhere]), mnesia:change_config(extra_db_nodes,foo), mnesia:change_config(foo,1)}
    """,
    gives: ~S"""
    {{ok,[]},{ok,[]},{error,{badarg,extra_db_nodes}},{error,{badarg,foo}}}
    """
  },
  %{
    number: 123,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    force_load_table answers the atom yes; set_master_nodes accepts only nodes holding a copy.
    """,
    run: ~S"""
    {mnesia:force_load_table(s), mnesia:force_load_table(nosuch), mnesia:set_master_nodes(s,
    [nobody@nowhere]), mnesia:set_master_nodes(s,[node()]), mnesia:set_master_nodes(s,[])}
    """,
    gives: ~S"""
    {yes,{error,{no_exists,nosuch}},{error,{no_exists,s,[nobody@nowhere]}},ok,ok}
    """
  },
  %{
    number: 124,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    dump_tables of a ram table on a ram schema aborts; dump_log answers dumped; sync_log without
    a log is an error.
    """,
    run: ~S"""
    {mnesia:dump_tables([s]), mnesia:dump_log(), mnesia:sync_log()}
    """,
    gives: ~S"""
    {{aborted,{has_no_disc,'n@h'}},dumped,{error,no_such_log}}
    """
  },
  %{
    number: 125,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    create_schema while running, delete_schema while running.
    """,
    run: ~S"""
    {mnesia:create_schema([node()]), mnesia:delete_schema([node()]),
    mnesia:create_schema([nobody@nowhere]), mnesia:create_schema(foo)}
    """,
    gives: ~S"""
    {{error,{'n@h',{already_exists,'n@h'}}},{error,{"Mnesia is not stopped everywhere",
    ['n@h']}},{error,{nobody@nowhere,{"All nodes not running",nobody@nowhere,nodedown}}},{error,
    {badarg,foo}}}
    """
  },
  %{
    number: 126,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    set_debug_level returns the OLD level, or error bad_type with the config name.
    """,
    run: ~S"""
    {mnesia:set_debug_level(none), mnesia:set_debug_level(foo)}
    """,
    gives: ~S"""
    {none,{error,{bad_type,debug,foo}}}
    """
  },
  %{
    number: 127,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    error_description unwraps aborted/error/EXIT, replaces the leading atom of a tuple and
    leaves unknown terms as they are.
    """,
    run: ~S"""
    {mnesia:error_description({aborted,{no_exists,s}}), mnesia:error_description(foo),
    mnesia:error_description({bad_type,x})}
    """,
    gives: ~S"""
    {{"Tried to perform op on non-existing (non alive) item",s},foo,
    {"Bad type on some provided arguments",x}}
    """
  },
  %{
    number: 128,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    dirty_slot runs to the slot count, then '$end_of_table' once, then badarg.
    """,
    run: ~S"""
    mnesia:dirty_write({o,1,a}), {mnesia:dirty_slot(o,0), mnesia:dirty_slot(o,1),
    catch mnesia:dirty_slot(o,2)}
    """,
    gives: ~S"""
    {[{o,1,a}],'$end_of_table',{'EXIT',{aborted,{badarg,[o,2]}}}}
    """
  },
  %{
    number: 129,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    mnesia:start on a running node is harmless and answers ok.
    """,
    run: ~S"""
    {mnesia:start(), mnesia:system_info(is_running)}
    """,
    gives: ~S"""
    {ok,yes}
    """
  }
]
