defmodule :magnesia do
  @moduledoc """
  Mnesia's functions on the Magnesia engine: the same names, arguments, returns and exits.

  `:mnesia.f(args)` becomes `:magnesia.f(args)` and nothing else changes. Added are the arities
  that people write and Mnesia leaves undefined: `write/2`, `delete/2`, `match_object/2` with a
  pattern without its tag, and `dirty_read/3` by an indexed attribute.

  A call that fails in an activity exits with `{:aborted, reason}`, which a transaction turns
  into its return value. Functions whose first arguments are an activity's id and store are
  those that an access module calls back. This module sorts calls to the rooms that do the
  work; it holds no state and makes no decision of its own.

      iex> :magnesia.create_table(:city, attributes: [:name, :country])
      {:atomic, :ok}
      iex> :magnesia.transaction(fn ->
      ...>   :magnesia.write({:city, "Oslo", :no})
      ...>   :magnesia.read(:city, "Oslo")
      ...> end)
      {:atomic, [{:city, "Oslo", :no}]}
      iex> :magnesia.dirty_all_keys(:city)
      ["Oslo"]
      iex> :magnesia.delete_table(:city)
      {:atomic, :ok}
  """

  use Magnesia.Strict.Surface
  use Magnesia.Strict.AccessSurface
  use Magnesia.Strict.BackupSurface

  alias Magnesia.Engine
  alias Magnesia.Strict.Activity
  alias Magnesia.Strict.Chunks
  alias Magnesia.Strict.Dirty
  alias Magnesia.Strict.Failure
  alias Magnesia.Strict.Fold
  alias Magnesia.Strict.Index
  alias Magnesia.Strict.Locks
  alias Magnesia.Strict.Pattern
  alias Magnesia.Strict.Reads
  alias Magnesia.Strict.Selection
  alias Magnesia.Strict.Walk
  alias Magnesia.Strict.Writes

  @state :magnesia_activity_state

  @typedoc "A table's name."
  @type table :: atom()
  @typedoc "A row: the table's record name, the key, the other attributes."
  @type record :: tuple()
  @typedoc "An attribute's name or its position in the record (the key's is 2)."
  @type index_attr :: atom() | pos_integer()
  @typedoc "What a read may lock with."
  @type lock_kind :: :read | :write | :sticky_write
  @typedoc "What a write may lock with."
  @type write_lock :: :write | :sticky_write
  @typedoc "A transaction's outcome."
  @type outcome :: {:atomic, term()} | {:aborted, term()}
  @typedoc "How often a transaction may run."
  @type retries :: non_neg_integer() | :infinity
  @typedoc "A kind of activity."
  @type activity ::
          :transaction
          | {:transaction, retries()}
          | :sync_transaction
          | {:sync_transaction, retries()}
          | :async_dirty
          | :sync_dirty
          | :ets
  @typedoc "An activity's id."
  @type id :: tuple()
  @typedoc "An activity's store."
  @type store :: term()

  defguardp is_table(tab) when is_atom(tab) and tab != :schema
  defguardp is_record(record) when is_tuple(record) and tuple_size(record) > 2

  # Activities

  @doc """
  Runs a fun as a transaction.

      iex> :magnesia.transaction(fn -> :done end)
      {:atomic, :done}
      iex> :magnesia.transaction(fn -> :magnesia.abort(:no) end)
      {:aborted, :no}
  """
  @spec transaction((() -> term())) :: outcome()
  def transaction(fun) do
    Activity.transaction(:erlang.get(@state), fun, [], :infinity, :magnesia, false)
  end

  @doc "Runs a fun as a transaction, with arguments (a list) or at most so many times."
  @spec transaction(fun(), list() | retries()) :: outcome()
  def transaction(fun, retries) when is_integer(retries) and retries >= 0 do
    Activity.transaction(:erlang.get(@state), fun, [], retries, :magnesia, false)
  end

  def transaction(fun, :infinity), do: transaction(fun)

  def transaction(fun, args) do
    Activity.transaction(:erlang.get(@state), fun, args, :infinity, :magnesia, false)
  end

  @doc "Runs a fun with arguments as a transaction, at most `retries` times."
  @spec transaction(fun(), list(), retries()) :: outcome()
  def transaction(fun, args, retries) do
    Activity.transaction(:erlang.get(@state), fun, args, retries, :magnesia, false)
  end

  @doc "As `transaction/1`, and waits until the commit is safe on the disk."
  @spec sync_transaction((() -> term())) :: outcome()
  def sync_transaction(fun) do
    Activity.transaction(:erlang.get(@state), fun, [], :infinity, :magnesia, true)
  end

  @doc "As `transaction/2`, and waits until the commit is safe on the disk."
  @spec sync_transaction(fun(), list() | retries()) :: outcome()
  def sync_transaction(fun, retries) when is_integer(retries) and retries >= 0 do
    Activity.transaction(:erlang.get(@state), fun, [], retries, :magnesia, true)
  end

  def sync_transaction(fun, :infinity), do: sync_transaction(fun)

  def sync_transaction(fun, args) do
    Activity.transaction(:erlang.get(@state), fun, args, :infinity, :magnesia, true)
  end

  @doc "As `transaction/3`, and waits until the commit is safe on the disk."
  @spec sync_transaction(fun(), list(), retries()) :: outcome()
  def sync_transaction(fun, args, retries) do
    Activity.transaction(:erlang.get(@state), fun, args, retries, :magnesia, true)
  end

  @doc "Runs a fun in which every operation is dirty."
  @spec async_dirty(fun(), list()) :: term()
  def async_dirty(fun, args \\ []) do
    Activity.dirty(:erlang.get(@state), fun, args, :async_dirty, :magnesia)
  end

  @doc "As `async_dirty/2`; on one node the two do the same."
  @spec sync_dirty(fun(), list()) :: term()
  def sync_dirty(fun, args \\ []) do
    Activity.dirty(:erlang.get(@state), fun, args, :sync_dirty, :magnesia)
  end

  @doc "Runs a fun on tables in memory; a table that is not there is a `badarg`."
  @spec ets(fun(), list()) :: term()
  def ets(fun, args \\ []) do
    Activity.dirty(:erlang.get(@state), fun, args, :ets, :magnesia)
  end

  @doc "Runs a fun in a kind of activity and answers its value."
  @spec activity(activity(), fun()) :: term()
  def activity(kind, fun), do: activity(kind, fun, [])

  @doc "As `activity/2`, with arguments (a list) or an access module."
  @spec activity(activity(), fun(), list() | module()) :: term()
  def activity(kind, fun, args) when is_list(args) do
    Activity.activity(
      kind,
      fun,
      args,
      Application.get_env(:magnesia, :access_module, :magnesia)
    )
  end

  def activity(kind, fun, mod), do: Activity.activity(kind, fun, [], mod)

  @doc "As `activity/2`, with arguments and an access module."
  @spec activity(activity(), fun(), list(), module()) :: term()
  def activity(kind, fun, args, mod), do: Activity.activity(kind, fun, args, mod)

  @doc "Ends the activity with a reason."
  @spec abort(term()) :: no_return()
  def abort(reason), do: Failure.abort(reason)

  @doc """
  Tells whether the process is in a transaction.

      iex> :magnesia.is_transaction()
      false
  """
  @spec is_transaction() :: boolean()
  def is_transaction, do: match?({_, {:tid, _, _}, _}, :erlang.get(@state))

  @doc "The activity that the process is in, or `:undefined`."
  @spec get_activity_id() :: {module(), id(), store()} | :undefined
  def get_activity_id, do: :erlang.get(@state)

  @doc "Puts the process into an activity, or with `:undefined` out of it."
  @spec put_activity_id({module(), id(), store()} | :undefined) :: term()
  def put_activity_id(state), do: Activity.put_state(state)

  # Locks

  @doc "Locks a record, a table or a name of one's own."
  @spec lock(Locks.item(), Locks.kind()) :: term()
  def lock(item, kind) do
    case :erlang.get(@state) do
      {:magnesia, tid, ts} -> Locks.lock(tid, ts, item, kind)
      {mod, tid, ts} -> mod.lock(tid, ts, item, kind)
      _ -> abort(:no_transaction)
    end
  end

  @doc "Locks in a given activity."
  @spec lock(id(), store(), Locks.item(), Locks.kind()) :: term()
  def lock(tid, ts, item, kind), do: Locks.lock(tid, ts, item, kind)

  @doc "Locks a whole table."
  @spec lock_table(table(), Locks.kind()) :: term()
  def lock_table(tab, kind), do: lock({:table, tab}, kind)

  @doc "Locks a whole table for reading."
  @spec read_lock_table(table()) :: :ok
  def read_lock_table(tab), do: hold_table(tab, :read)

  @doc "Locks a whole table for writing."
  @spec write_lock_table(table()) :: :ok
  def write_lock_table(tab), do: hold_table(tab, :write)

  defp hold_table(tab, kind) do
    case :erlang.get(@state) do
      {:magnesia, {:tid, _, _}, ctx} when is_atom(tab) -> Locks.hold_table(ctx, tab, kind)
      _ -> lock({:table, tab}, kind)
    end

    :ok
  end

  # Reads

  @doc "Reads a key given as `{table, key}`."
  @spec read({table(), term()}) :: [record()]
  def read({tab, key}), do: read(tab, key)
  def read(oid), do: abort({:bad_type, oid})

  @doc "Reads a key under a read lock."
  @spec read(table(), term()) :: [record()]
  def read(tab, key) do
    case :erlang.get(@state) do
      {:magnesia, {:tid, _, _}, ctx} when is_table(tab) ->
        case Engine.tx_read(ctx, tab, key, :read) do
          rows when is_list(rows) -> rows
          delayed -> Reads.settle(delayed, ctx, tab, key, :read)
        end

      state ->
        Reads.read(state, tab, key, :read)
    end
  end

  @doc "Reads a key given as `{table, key}` under a write lock."
  @spec wread({table(), term()}) :: [record()]
  def wread({tab, key}), do: read(tab, key, :write)
  def wread(oid), do: abort({:bad_type, oid})

  @doc "Reads a key under a lock of one's choice."
  @spec read(table(), term(), lock_kind()) :: [record()]
  def read(tab, key, lock), do: Reads.read(:erlang.get(@state), tab, key, lock)

  @doc "Reads in a given activity."
  @spec read(id(), store(), table(), term(), lock_kind()) :: [record()]
  def read(tid, ts, tab, key, lock), do: Reads.read(tid, ts, tab, key, lock)

  @doc "The rows that a pattern matches; the table is the pattern's tag."
  @spec match_object(record()) :: [record()]
  def match_object(pattern) when is_record(pattern) do
    Selection.match_object(:erlang.get(@state), elem(pattern, 0), pattern, :read)
  end

  def match_object(pattern), do: abort({:bad_type, pattern})

  @doc "The rows that a pattern matches, written with or without its tag."
  @spec match_object(table(), tuple()) :: [record()]
  def match_object(tab, pattern) do
    match_object(tab, Pattern.with_tag(tab, pattern), :read)
  end

  @doc "The rows that a pattern matches, under a lock."
  @spec match_object(table(), record(), lock_kind()) :: [record()]
  def match_object(tab, pattern, lock) do
    Selection.match_object(:erlang.get(@state), tab, pattern, lock)
  end

  @doc "Matches in a given activity."
  @spec match_object(id(), store(), table(), record(), lock_kind()) :: [record()]
  def match_object(tid, ts, tab, pattern, lock) do
    Selection.match_object(tid, ts, tab, pattern, lock)
  end

  @doc "The next chunk of a `select/4`."
  @spec select(Chunks.continuation()) :: Chunks.chunk()
  def select(cont), do: Chunks.continue(:erlang.get(@state), cont)

  @doc "The results of a match specification under a read lock."
  @spec select(table(), list()) :: list()
  def select(tab, spec), do: Selection.select(:erlang.get(@state), tab, spec, :read)

  @doc "The results of a match specification under a lock of one's choice."
  @spec select(table(), list(), lock_kind()) :: list()
  def select(tab, spec, lock), do: Selection.select(:erlang.get(@state), tab, spec, lock)

  @doc "The first chunk of a match specification's results."
  @spec select(table(), list(), integer(), lock_kind()) :: Chunks.chunk()
  def select(tab, spec, limit, lock) do
    Chunks.select(:erlang.get(@state), tab, spec, limit, lock)
  end

  @doc "Selects in a given activity."
  @spec select(id(), store(), table(), list(), lock_kind() | :none) :: list()
  def select(tid, ts, tab, spec, lock), do: Selection.select(tid, ts, tab, spec, lock)

  @doc "Selects a first chunk in a given activity."
  @spec select(id(), store(), table(), list(), integer(), lock_kind()) :: Chunks.chunk()
  def select(tid, ts, tab, spec, limit, lock) do
    Chunks.select(tid, ts, tab, spec, limit, lock)
  end

  @doc "Selects the next chunk in a given activity."
  @spec select_cont(id(), store(), Chunks.continuation()) :: Chunks.chunk()
  def select_cont(tid, ts, cont), do: Chunks.continue(tid, ts, cont)

  @doc "All keys of a table, each once."
  @spec all_keys(table()) :: [term()]
  def all_keys(tab), do: Selection.all_keys(:erlang.get(@state), tab)

  @doc "All keys in a given activity."
  @spec all_keys(id(), store(), table(), lock_kind()) :: [term()]
  def all_keys(tid, ts, tab, lock), do: Selection.all_keys(tid, ts, tab, lock)

  @doc "The rows with a value in an indexed attribute."
  @spec index_read(table(), term(), index_attr()) :: [record()]
  def index_read(tab, value, attr), do: Index.read(:erlang.get(@state), tab, value, attr)

  @doc "Reads by index in a given activity."
  @spec index_read(id(), store(), table(), term(), index_attr(), lock_kind()) :: [record()]
  def index_read(tid, ts, tab, value, attr, lock) do
    Index.read(tid, ts, tab, value, attr, lock)
  end

  @doc "The rows that a pattern matches, through an index."
  @spec index_match_object(record(), index_attr()) :: [record()]
  def index_match_object(pattern, attr) when is_record(pattern) do
    index_match_object(elem(pattern, 0), pattern, attr, :read)
  end

  def index_match_object(pattern, _attr), do: abort({:bad_type, pattern})

  @doc "The rows that a pattern matches, through an index and under a lock."
  @spec index_match_object(table(), record(), index_attr(), lock_kind()) :: [record()]
  def index_match_object(tab, pattern, attr, lock) do
    Index.match_object(:erlang.get(@state), tab, pattern, attr, lock)
  end

  @doc "Matches through an index in a given activity."
  @spec index_match_object(id(), store(), table(), record(), index_attr(), lock_kind()) ::
          [record()]
  def index_match_object(tid, ts, tab, pattern, attr, lock) do
    Index.match_object(tid, ts, tab, pattern, attr, lock)
  end

  @doc "The first key."
  @spec first(table()) :: term()
  def first(tab) do
    case :erlang.get(@state) do
      {:magnesia, tid, ts} -> Walk.first(tid, ts, tab)
      {mod, tid, ts} -> mod.first(tid, ts, tab)
      _ -> abort(:no_transaction)
    end
  end

  @doc "The first key in a given activity."
  @spec first(id(), store(), table()) :: term()
  def first(tid, ts, tab), do: Walk.first(tid, ts, tab)

  @doc "The last key."
  @spec last(table()) :: term()
  def last(tab) do
    case :erlang.get(@state) do
      {:magnesia, tid, ts} -> Walk.last(tid, ts, tab)
      {mod, tid, ts} -> mod.last(tid, ts, tab)
      _ -> abort(:no_transaction)
    end
  end

  @doc "The last key in a given activity."
  @spec last(id(), store(), table()) :: term()
  def last(tid, ts, tab), do: Walk.last(tid, ts, tab)

  @doc "The key after another."
  @spec next(table(), term()) :: term()
  def next(tab, key) do
    case :erlang.get(@state) do
      {:magnesia, tid, ts} -> Walk.next(tid, ts, tab, key)
      {mod, tid, ts} -> mod.next(tid, ts, tab, key)
      _ -> abort(:no_transaction)
    end
  end

  @doc "The key after another in a given activity."
  @spec next(id(), store(), table(), term()) :: term()
  def next(tid, ts, tab, key), do: Walk.next(tid, ts, tab, key)

  @doc "The key before another."
  @spec prev(table(), term()) :: term()
  def prev(tab, key) do
    case :erlang.get(@state) do
      {:magnesia, tid, ts} -> Walk.prev(tid, ts, tab, key)
      {mod, tid, ts} -> mod.prev(tid, ts, tab, key)
      _ -> abort(:no_transaction)
    end
  end

  @doc "The key before another in a given activity."
  @spec prev(id(), store(), table(), term()) :: term()
  def prev(tid, ts, tab, key), do: Walk.prev(tid, ts, tab, key)

  @doc "Folds over a table's rows."
  @spec foldl((record(), term() -> term()), term(), table()) :: term()
  def foldl(fun, acc, tab), do: foldl(fun, acc, tab, :read)

  @doc "Folds over a table's rows under a lock."
  @spec foldl((record(), term() -> term()), term(), table(), lock_kind()) :: term()
  def foldl(fun, acc, tab, lock) when is_function(fun) do
    Fold.fold(:erlang.get(@state), :foldl, fun, acc, tab, lock)
  end

  @doc "Folds in a given activity."
  @spec foldl(id(), store(), (record(), term() -> term()), term(), table(), lock_kind()) ::
          term()
  def foldl(tid, ts, fun, acc, tab, lock) do
    Fold.fold(:foldl, tid, ts, fun, acc, tab, lock)
  end

  @doc "Folds over a table's rows, from the last key of an ordered set to the first."
  @spec foldr((record(), term() -> term()), term(), table()) :: term()
  def foldr(fun, acc, tab), do: foldr(fun, acc, tab, :read)

  @doc "As `foldr/3`, under a lock."
  @spec foldr((record(), term() -> term()), term(), table(), lock_kind()) :: term()
  def foldr(fun, acc, tab, lock) when is_function(fun) do
    Fold.fold(:erlang.get(@state), :foldr, fun, acc, tab, lock)
  end

  @doc "As `foldr/3`, in a given activity."
  @spec foldr(id(), store(), (record(), term() -> term()), term(), table(), lock_kind()) ::
          term()
  def foldr(tid, ts, fun, acc, tab, lock) do
    Fold.fold(:foldr, tid, ts, fun, acc, tab, lock)
  end

  # Writes

  @doc "Writes a record into the table of its tag."
  @spec write(record()) :: :ok
  def write(record) when is_record(record), do: write(elem(record, 0), record, :write)
  def write(record), do: abort({:bad_type, record})

  @doc "Writes a record into a table."
  @spec write(table(), record()) :: :ok
  def write(tab, record), do: write(tab, record, :write)

  @doc "Writes a record into the table of its tag, under a sticky lock."
  @spec s_write(record()) :: :ok
  def s_write(record) when is_record(record), do: write(elem(record, 0), record, :sticky_write)

  @doc "Writes a record into a table under a lock."
  @spec write(table(), record(), write_lock()) :: :ok
  def write(tab, record, lock) do
    case :erlang.get(@state) do
      {:magnesia, {:tid, _, _}, ctx}
      when lock == :write and is_table(tab) and is_record(record) ->
        case Engine.tx_write(ctx, tab, record, :write) do
          :ok -> :ok
          delayed -> Writes.settle_write(delayed, ctx, tab, record, :write)
        end

      state ->
        Writes.write(state, tab, record, lock)
    end
  end

  @doc "Writes in a given activity."
  @spec write(id(), store(), table(), record(), write_lock()) :: :ok
  def write(tid, ts, tab, record, lock), do: Writes.write(tid, ts, tab, record, lock)

  @doc "Deletes a key given as `{table, key}`."
  @spec delete({table(), term()}) :: :ok
  def delete({tab, key}), do: delete(tab, key, :write)
  def delete(oid), do: abort({:bad_type, oid})

  @doc "Deletes a key of a table."
  @spec delete(table(), term()) :: :ok
  def delete(tab, key), do: delete(tab, key, :write)

  @doc "Deletes a key given as `{table, key}`, under a sticky lock."
  @spec s_delete({table(), term()}) :: :ok
  def s_delete({tab, key}), do: delete(tab, key, :sticky_write)
  def s_delete(oid), do: abort({:bad_type, oid})

  @doc "Deletes a key under a lock."
  @spec delete(table(), term(), write_lock()) :: :ok
  def delete(tab, key, lock), do: Writes.delete(:erlang.get(@state), tab, key, lock)

  @doc "Deletes a key in a given activity."
  @spec delete(id(), store(), table(), term(), write_lock()) :: :ok
  def delete(tid, ts, tab, key, lock), do: Writes.delete(tid, ts, tab, key, lock)

  @doc "Deletes exactly this record."
  @spec delete_object(record()) :: :ok
  def delete_object(record) when is_record(record) do
    delete_object(elem(record, 0), record, :write)
  end

  def delete_object(record), do: abort({:bad_type, record})

  @doc "Deletes exactly this record, under a sticky lock."
  @spec s_delete_object(record()) :: :ok
  def s_delete_object(record) when is_record(record) do
    delete_object(elem(record, 0), record, :sticky_write)
  end

  def s_delete_object(record), do: abort({:bad_type, record})

  @doc "Deletes exactly this record of a table, under a lock."
  @spec delete_object(table(), record(), write_lock()) :: :ok
  def delete_object(tab, record, lock) do
    Writes.delete_object(:erlang.get(@state), tab, record, lock)
  end

  @doc "Deletes exactly this record in a given activity."
  @spec delete_object(id(), store(), table(), record(), write_lock()) :: :ok
  def delete_object(tid, ts, tab, record, lock) do
    Writes.delete_object(tid, ts, tab, record, lock)
  end

  # Dirty operations

  @doc "Writes a record at once into the table of its tag."
  @spec dirty_write(record()) :: :ok
  def dirty_write(record) when is_record(record), do: dirty_write(elem(record, 0), record)
  def dirty_write(record), do: abort({:bad_type, record})

  @doc "Writes a record at once into a table."
  @spec dirty_write(table(), record()) :: :ok
  def dirty_write(tab, record) do
    case Engine.write(tab, record) do
      :ok -> :ok
      failure -> Dirty.refuse_write(failure, tab, record)
    end
  end

  @doc "Deletes at once a key given as `{table, key}`."
  @spec dirty_delete({table(), term()}) :: :ok
  def dirty_delete({tab, key}), do: Dirty.delete(tab, key)
  def dirty_delete(oid), do: abort({:bad_type, oid})

  @doc "Deletes a key at once."
  @spec dirty_delete(table(), term()) :: :ok
  def dirty_delete(tab, key), do: Dirty.delete(tab, key)

  @doc "Deletes exactly this record at once."
  @spec dirty_delete_object(record()) :: :ok
  def dirty_delete_object(record) when is_record(record) do
    Dirty.delete_object(elem(record, 0), record)
  end

  def dirty_delete_object(record), do: abort({:bad_type, record})

  @doc "Deletes exactly this record of a table at once."
  @spec dirty_delete_object(table(), record()) :: :ok
  def dirty_delete_object(tab, record), do: Dirty.delete_object(tab, record)

  @doc "Adds to a counter given as `{table, key}` and answers the new value."
  @spec dirty_update_counter({table(), term()}, integer()) :: integer()
  def dirty_update_counter({tab, key}, incr), do: Dirty.update_counter(tab, key, incr)
  def dirty_update_counter(counter, _incr), do: abort({:bad_type, counter})

  @doc "Adds to a counter, never going below zero, and answers the new value."
  @spec dirty_update_counter(table(), term(), integer()) :: integer()
  def dirty_update_counter(tab, key, incr), do: Dirty.update_counter(tab, key, incr)

  @doc "Reads a key given as `{table, key}`, seeing what is committed."
  @spec dirty_read({table(), term()}) :: [record()]
  def dirty_read({tab, key}), do: dirty_read(tab, key)
  def dirty_read(oid), do: abort({:bad_type, oid})

  @doc "Reads a key, seeing what is committed."
  @spec dirty_read(table(), term()) :: [record()]
  def dirty_read(tab, key) do
    case Engine.read(tab, key) do
      rows when is_list(rows) -> rows
      failure -> Dirty.refuse_read(failure, tab, key)
    end
  end

  @doc "The rows with a value in an indexed attribute, as `dirty_index_read/3`."
  @spec dirty_read(table(), term(), index_attr()) :: [record()]
  def dirty_read(tab, value, attr), do: Index.dirty_read(tab, value, attr)

  @doc "The results of a match specification, without a lock."
  @spec dirty_select(table(), list()) :: list()
  def dirty_select(tab, spec), do: Dirty.select(tab, spec)

  @doc "The rows that a pattern matches, without a lock; the table is the pattern's tag."
  @spec dirty_match_object(record()) :: [record()]
  def dirty_match_object(pattern) when is_record(pattern) do
    Dirty.match_object(elem(pattern, 0), pattern)
  end

  def dirty_match_object(pattern), do: abort({:bad_type, pattern})

  @doc "The rows of a table that a pattern matches, without a lock."
  @spec dirty_match_object(table(), record()) :: [record()]
  def dirty_match_object(tab, pattern), do: Dirty.match_object(tab, pattern)

  @doc "All keys, each once, without a lock."
  @spec dirty_all_keys(table()) :: [term()]
  def dirty_all_keys(tab), do: Dirty.all_keys(tab)

  @doc "The rows with a value in an indexed attribute, without a lock."
  @spec dirty_index_read(table(), term(), index_attr()) :: [record()]
  def dirty_index_read(tab, value, attr), do: Index.dirty_read(tab, value, attr)

  @doc "The rows that a pattern matches, through an index and without a lock."
  @spec dirty_index_match_object(record(), index_attr()) :: [record()]
  def dirty_index_match_object(pattern, attr) when is_record(pattern) do
    Index.dirty_match_object(elem(pattern, 0), pattern, attr)
  end

  def dirty_index_match_object(pattern, _attr), do: abort({:bad_type, pattern})

  @doc "The rows of a table that a pattern matches, through an index and without a lock."
  @spec dirty_index_match_object(table(), record(), index_attr()) :: [record()]
  def dirty_index_match_object(tab, pattern, attr) do
    Index.dirty_match_object(tab, pattern, attr)
  end

  @doc "The first key, without a lock."
  @spec dirty_first(table()) :: term()
  def dirty_first(tab), do: Dirty.first(tab)

  @doc "The last key, without a lock."
  @spec dirty_last(table()) :: term()
  def dirty_last(tab), do: Dirty.last(tab)

  @doc "The key after another, without a lock."
  @spec dirty_next(table(), term()) :: term()
  def dirty_next(tab, key), do: Dirty.next(tab, key)

  @doc "The key before another, without a lock."
  @spec dirty_prev(table(), term()) :: term()
  def dirty_prev(tab, key), do: Dirty.prev(tab, key)

  @doc "The rows in a slot of the table's storage."
  @spec dirty_slot(table(), integer()) :: [record()] | :"$end_of_table"
  def dirty_slot(tab, slot), do: Dirty.slot(tab, slot)

  @doc "Tells whether a term has a match variable inside."
  @spec has_var(term()) :: boolean()
  def has_var(term), do: Pattern.has_var(term)
end
