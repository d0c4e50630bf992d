# Quirks of stock Mnesia, section N: Fragmented tables. Literals only: no result is computed here.
[
  %{
    number: 130,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Fragments are ordinary tables named Base, Base_frag2..N and are visible only through the
    mnesia_frag access module; plain calls see the first fragment.
    """,
    run: ~S"""
    mnesia:create_table(f,[{frag_properties,[{n_fragments,3},{node_pool,[node()]}]}]),
    [mnesia:activity(async_dirty,fun()->mnesia:write({f,K,K}) end,[],mnesia_frag)||
    K<-lists:seq(1,20)], {mnesia:table_info(f,size), mnesia:activity(async_dirty,fun()->
    mnesia:table_info(f,size) end,[],mnesia_frag), mnesia:activity(async_dirty,fun()->
    mnesia:table_info(f,frag_size) end,[],mnesia_frag)}
    """,
    gives: ~S"""
    {3,20,[{f,3},{f_frag2,8},{f_frag3,9}]}
    """
  },
  %{
    number: 131,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Reads without the access module silently miss rows of other fragments.
    """,
    run: ~S"""
    mnesia:create_table(f,[{frag_properties,[{n_fragments,3},{node_pool,[node()]}]}]),
    [mnesia:activity(async_dirty,fun()->mnesia:write({f,K,K}) end,[],mnesia_frag)||
    K<-lists:seq(1,20)], {length([K||K<-lists:seq(1,20), mnesia:dirty_read(f,K)=/=[]]),
    length(mnesia:activity(async_dirty,fun()-> mnesia:match_object({f,'_','_'}) end,[],
    mnesia_frag))}
    """,
    gives: ~S"""
    {3,20}
    """
  },
  %{
    number: 132,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    A flat 4-tuple in frag_properties, as guides write it, is refused.
    """,
    run: ~S"""
    mnesia:create_table(g,[{frag_properties,[{node_pool,[node()],n_fragments,2}]}])
    """,
    gives: ~S"""
    {aborted,{badarg,g,[{node_pool,['n@h'],n_fragments,2}]}}
    """
  },
  %{
    number: 133,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    Changing fragmentation of a table that is not fragmented.
    """,
    run: ~S"""
    {mnesia:change_table_frag(s,del_frag), mnesia:change_table_frag(s,{activate,[]}),
    mnesia:change_table_frag(s,deactivate)}
    """,
    gives: ~S"""
    {{aborted,{no_exists,s,frag_properties,frag_hash}},{atomic,ok},{atomic,ok}}
    """
  },
  %{
    number: 150,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    A read lock on a table of more than one fragment crashes through mnesia_frag; a write lock
    answers the nodes.
    """,
    run: ~S"""
    mnesia:create_table(f,[{frag_properties,[{n_fragments,2},{node_pool,[node()]}]}]),
    F=fun(K)-> try mnesia:activity(transaction,fun()-> mnesia:lock({table,f},K) end,[],
    mnesia_frag) catch exit:{aborted,{R,_}}->R end end, {F(read),F(write)}
    """,
    gives: ~S"""
    {badarg,['n@h']}
    """
  },
  %{
    number: 151,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    A query on a fragmented table takes a transaction's operations on any other table for its
    own: deleting a key there hides the row of that key here.
    """,
    run: ~S"""
    mnesia:create_table(f,[{frag_properties,[{n_fragments,2},{node_pool,[node()]}]}]),
    mnesia:activity(transaction,fun()-> mnesia:write({f,1,a}) end,[],mnesia_frag),
    mnesia:activity(transaction,fun()-> mnesia:delete({s,1}), mnesia:match_object({f,'_','_'})
    end,[],mnesia_frag)
    """,
    gives: ~S"""
    []
    """
  },
  %{
    number: 152,
    kind: :wart,
    setup: :ram,
    title: ~S"""
    When a fragment is added, a bag with a foreign key loses the rows that stay behind under a
    key of which another row moves.
    """,
    run: ~S"""
    mnesia:create_table(f,[{frag_properties,[{node_pool,[node()]}]}]),
    mnesia:create_table(h,[{type,bag},{frag_properties,[{foreign_key,{f,val}}]}]),
    mnesia:activity(transaction,fun()-> [mnesia:write({h,1,V})||V<-lists:seq(1,8)] end,[],
    mnesia_frag), mnesia:change_table_frag(f,{add_frag,[node()]}),
    length(mnesia:activity(async_dirty,fun()-> mnesia:match_object({h,'_','_'}) end,[],
    mnesia_frag)) < 8
    """,
    gives: ~S"""
    true
    """
  },
  %{
    number: 153,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Linear hashing on phash2: the sizes of the fragments of a hundred keys, one fragment more at
    a time and back.
    """,
    run: ~S"""
    mnesia:create_table(f,[{frag_properties,[{node_pool,[node()]}]}]),
    [mnesia:activity(async_dirty,fun()->mnesia:write({f,K,K}) end,[],mnesia_frag)||
    K<-lists:seq(1,100)], S=fun(C)-> {atomic,ok}=mnesia:change_table_frag(f,C),
    [N||{_,N}<-mnesia:activity(async_dirty,fun()->mnesia:table_info(f,frag_size) end,[],
    mnesia_frag)] end, A={add_frag,[node()]}, [S(C)||C<-[A,A,A,A,del_frag,del_frag]]
    """,
    gives: ~S"""
    [[47,53],[19,53,28],[19,30,28,23],[10,30,28,23,9],[19,30,28,23],[19,53,28]]
    """
  },
  %{
    number: 154,
    kind: :shape,
    setup: :ram,
    title: ~S"""
    What is refused of a table's fragments.
    """,
    run: ~S"""
    mnesia:create_table(f,[{frag_properties,[{n_fragments,2},{node_pool,[node()]}]}]),
    [mnesia:change_table_frag(f,{activate,[]}), mnesia:change_table_frag(f,deactivate),
    mnesia:change_table_frag(f,{add_frag,[]}), mnesia:change_table_frag(f,{add_node,node()}),
    mnesia:change_table_frag(f,{del_node,x@y}), mnesia:change_table_frag(f,split),
    mnesia:delete_table(f_frag2), mnesia:create_table(k,[{frag_properties,[{node_pool,[]}]}]),
    mnesia:create_table(k,[{frag_properties,[{n_fragments,0}]}]),
    mnesia:create_table(k,[{frag_properties,[{n_fragments,2},{n_ram_copies,2}]}])]
    """,
    gives: ~S"""
    [{aborted,{already_exists,f,{frag_properties,[{base_table,f},{foreign_key,undefined},
    {hash_module,mnesia_frag_hash},{hash_state,{hash_state,2,1,1,phash2}},{n_fragments,2},
    {node_pool,['n@h']}]}}}, {aborted,{combine_error,f,"Too many fragments"}},
    {aborted,{combine_error,f_frag3,"Too few nodes in node_pool"}},
    {aborted,{already_exists,f,'n@h'}}, {aborted,{no_exists,f,x@y}},
    {aborted,{bad_type,f,split}}, {aborted,{no_exists,f_frag2,frag_properties,frag_hash}},
    {aborted,{bad_type,k,{node_pool,[]}}}, {aborted,{bad_type,k,{n_fragments,0}}},
    {aborted,{combine_error,k_frag2,"Too few nodes in node_pool"}}]
    """
  }
]
