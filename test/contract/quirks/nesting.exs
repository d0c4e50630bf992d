# Quirks of stock Mnesia, section G: Nesting. Literals only: no result is computed here.
[
  %{
    number: 66,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    An inner abort rolls back only the inner writes and returns a value; the outer goes on.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:write({s,1,outer}), R=Tx(fun()-> mnesia:write({s,1,inner}),
    mnesia:write({s,2,inner}), mnesia:abort(x) end), {R, mnesia:read(s,1), mnesia:read(s,
    2)} end), mnesia:dirty_all_keys(s)}
    """,
    gives: ~S"""
    {{atomic,{{aborted,x},[{s,1,outer}],[]}},[1]}
    """
  },
  %{
    number: 67,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    An inner commit is provisional: it disappears if the outer aborts.
    """,
    run: ~S"""
    {Tx(fun()-> Tx(fun()-> mnesia:write({s,1,inner}) end), mnesia:abort(outer) end),
    mnesia:dirty_read(s,1)}
    """,
    gives: ~S"""
    {{aborted,outer},[]}
    """
  },
  %{
    number: 68,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Inner and outer share one transaction id (the nesting level lives in the store), so locks
    are not per level.
    """,
    run: ~S"""
    Tx(fun()-> {_,A,_}=mnesia:get_activity_id(), Tx(fun()-> {_,B,_}=mnesia:get_activity_id(),
    A==B end) end)
    """,
    gives: ~S"""
    {atomic,{atomic,true}}
    """
  },
  %{
    number: 69,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    `activity(transaction, ...)` nested inside a transaction exits on inner abort, so it takes
    the outer one down unless caught.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:activity(transaction,fun()-> mnesia:abort(inner) end) end), Tx(fun()->
    catch mnesia:activity(transaction,fun()-> mnesia:abort(inner) end), outer_ok end)}
    """,
    gives: ~S"""
    {{aborted,inner},{atomic,outer_ok}}
    """
  },
  %{
    number: 70,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    async_dirty/sync_dirty/ets nested in a transaction are NOT dirty: the call inherits the
    transaction.
    """,
    run: ~S"""
    {Tx(fun()-> mnesia:async_dirty(fun()-> mnesia:write({s,2,d}), {mnesia:is_transaction(),
    mnesia:dirty_read(s,2)} end) end), Tx(fun()-> mnesia:ets(fun()-> mnesia:write({s,3,
    e}) end), mnesia:abort(x) end), mnesia:dirty_all_keys(s)}
    """,
    gives: ~S"""
    {{atomic,{true,[]}},{aborted,x},[2]}
    """
  },
  %{
    number: 71,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    A transaction nested inside a dirty activity is a real top-level transaction, and the dirty
    context returns afterwards.
    """,
    run: ~S"""
    mnesia:async_dirty(fun()-> {Tx(fun()-> mnesia:write({s,1,a}), mnesia:is_transaction() end),
    mnesia:is_transaction(), mnesia:read(s,1)} end)
    """,
    gives: ~S"""
    {{atomic,true},false,[{s,1,a}]}
    """
  },
  %{
    number: 72,
    kind: :contract,
    setup: :ram,
    title: ~S"""
    Schema operations inside a transaction are refused as a RETURN value (the outer still
    commits); clear_table alone aborts the outer.
    """,
    run: ~S"""
    {Tx(fun()-> {mnesia:create_table(zz,[]), mnesia:add_table_index(s,v)} end), Tx(fun()->
    mnesia:write({s,1,a}), mnesia:clear_table(s), not_reached end)}
    """,
    gives: ~S"""
    {{atomic,{{aborted,nested_transaction},{aborted,nested_transaction}}},{aborted,
    nested_transaction}}
    """
  }
]
