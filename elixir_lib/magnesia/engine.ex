defmodule Magnesia.Engine do
  @moduledoc """
  The gate to the native engine: one thin function per native function.

  This is the only module that calls `Magnesia.Native`. Everything is returned as the engine
  gives it: a failure is `{:"$magnesia_error", reason}` and a lock or a commit that has to wait
  is `{:wait, token}`. What such an answer means to a caller (an abort, an exit, an exception)
  is decided by the modules above; nothing here raises, waits or keeps state.
  """

  alias Magnesia.Native
  alias Magnesia.Subscribers

  @typedoc "A table of the main database by its name, one of the hot database by the list of it."
  @type table :: atom() | [atom()]
  @typedoc "A database: the main one, or the one whose tables a stock Mnesia runs."
  @type side :: :main | :hot
  @typedoc "A failure with its reason."
  @type failure :: {:"$magnesia_error", term()}
  @typedoc "A process's transaction context, never to be used by another process."
  @type context :: term()
  @typedoc "A place in a scan: immutable, may be kept and stepped more than once."
  @type cursor :: reference()
  @typedoc "What a lock is asked for."
  @type item :: {:table, table()} | {:record, table(), term()} | {:global, term()}
  @typedoc "A lock's kind."
  @type lock :: :read | :write | :sticky_write
  @typedoc "A lock has to be waited for, or the transaction must give way to an older one."
  @type delayed :: {:wait, integer()} | {:die, term()}
  @typedoc "One operation in a transaction's store."
  @type own ::
          {term(), :write | :delete | :delete_object, tuple()}
  @typedoc "A table's definition as the engine keeps it."
  @type definition ::
          {kind :: atom(), storage :: atom(), record_name :: atom(), arity :: pos_integer(),
           indexes :: [pos_integer()], access_mode :: atom(), properties :: term()}

  @compile {:inline,
            room: 1,
            read: 2,
            write: 2,
            delete: 2,
            delete_object: 2,
            update_counter: 3,
            tx_begin: 1,
            tx_commit: 2,
            tx_abort: 1,
            tx_read: 4,
            tx_write: 4,
            tx_delete: 4,
            tx_delete_object: 4,
            tx_lock: 3,
            tx_own: 2,
            tx_own_key: 3,
            tx_seq: 1}

  # The database

  @doc "Opens a database directory, or one in memory only when `dir` is nil."
  @spec open(side(), binary() | nil, map()) :: :ok | failure()
  def open(side \\ :main, dir, opts), do: Native.open(side, dir, opts)

  @doc "Tells whether a directory holds a database."
  @spec has_database(binary()) :: boolean() | failure()
  def has_database(dir), do: Native.has_database(dir)

  @doc "Makes a directory with an empty database in it."
  @spec create(binary()) :: :ok | failure()
  def create(dir), do: Native.create(dir)

  @doc "Removes a database's files from a directory."
  @spec destroy(binary()) :: :ok | failure()
  def destroy(dir), do: Native.destroy(dir)

  @doc "Moves the database in memory to a directory."
  @spec attach(side(), binary()) :: :ok | failure()
  def attach(side \\ :main, dir), do: Native.attach(side, dir)

  @doc "Leaves the directory; the database goes on in memory."
  @spec detach(side()) :: :ok | failure()
  def detach(side \\ :main), do: Native.detach(side)

  @doc "Closes the open database."
  @spec close(side()) :: :ok | failure()
  def close(side \\ :main), do: Native.close(side)

  @doc "The one term kept with the schema as a whole."
  @spec schema_properties(side()) :: term()
  def schema_properties(side \\ :main), do: Native.schema_properties(side)

  @doc "Replaces the term kept with the schema as a whole."
  @spec set_schema_properties(side(), term()) :: :ok | failure()
  def set_schema_properties(side \\ :main, properties) do
    Native.set_schema_properties(side, properties)
  end

  @doc "The names of all tables."
  @spec tables(side()) :: [atom()] | failure()
  def tables(side \\ :main), do: Native.tables(side)

  @doc "Creates a table."
  @spec table_create(
          table(),
          atom(),
          atom(),
          atom(),
          pos_integer(),
          [pos_integer()],
          atom(),
          term()
        ) :: :ok | failure()
  def table_create(name, kind, storage, record_name, arity, indexes, access_mode, properties) do
    Native.table_create(
      name,
      kind,
      storage,
      record_name,
      arity,
      indexes,
      access_mode,
      properties
    )
  end

  @doc "Deletes a table and its rows."
  @spec table_delete(table()) :: :ok | failure()
  def table_delete(name), do: Native.table_delete(name)

  @doc "Removes all rows of a table."
  @spec table_clear(table()) :: :ok | failure()
  def table_clear(name), do: Native.table_clear(name)

  @doc "Replaces a table's access mode and properties; its rows stay."
  @spec table_define(table(), atom(), term()) :: :ok | failure()
  def table_define(name, access_mode, properties) do
    Native.table_define(name, access_mode, properties)
  end

  @doc "Changes a table's record name, arity and properties; its rows stay as they are."
  @spec table_reshape(table(), atom(), pos_integer(), term()) :: :ok | failure()
  def table_reshape(name, record_name, arity, properties) do
    Native.table_reshape(name, record_name, arity, properties)
  end

  @doc "A table's definition."
  @spec table_definition(table()) :: definition() | failure()
  def table_definition(name), do: Native.table_definition(name)

  @doc "Adds an index and replaces the properties in the same step."
  @spec table_add_index(table(), pos_integer(), term()) :: :ok | failure()
  def table_add_index(name, pos, properties), do: Native.table_add_index(name, pos, properties)

  @doc "Removes an index and replaces the properties in the same step."
  @spec table_del_index(table(), pos_integer(), term()) :: :ok | failure()
  def table_del_index(name, pos, properties), do: Native.table_del_index(name, pos, properties)

  @doc "Changes how a table is stored."
  @spec table_set_storage(table(), atom(), term()) :: :ok | failure()
  def table_set_storage(name, storage, properties) do
    Native.table_set_storage(name, storage, properties)
  end

  @doc """
  Makes the values at these positions unique, those that are exempt apart, or answers the position
  of a value that rows share already and changes nothing.
  """
  @spec table_unique(table(), [pos_integer()], [term()]) :: :ok | failure()
  def table_unique(name, positions, exempt), do: Native.table_unique(name, positions, exempt)

  @doc "Begins to rewrite a table's rows beside the table itself."
  @spec transform_start(table(), atom(), pos_integer(), term()) :: term() | failure()
  def transform_start(name, record_name, arity, properties) do
    Native.transform_start(name, record_name, arity, properties)
  end

  @doc "Adds rewritten rows."
  @spec transform_rows(term(), [tuple()]) :: :ok | failure()
  def transform_rows(handle, records), do: Native.transform_rows(handle, records)

  @doc "Puts the rewritten rows in the table's place."
  @spec transform_commit(term()) :: :ok | failure()
  def transform_commit(handle), do: Native.transform_commit(handle)

  @doc "Writes a snapshot of the disc tables and trims the log."
  @spec dump_log(side()) :: :ok | failure()
  def dump_log(side \\ :main), do: Native.dump_log(side)

  @doc "Saves an image of ram tables, to be loaded at the next start."
  @spec dump_tables([table()]) :: :ok | failure()
  def dump_tables(names), do: Native.dump_tables(names)

  @doc "Forces the log to the disk."
  @spec sync_log(side()) :: :ok | failure()
  def sync_log(side \\ :main), do: Native.sync_log(side)

  @doc "The log's length in bytes and writes."
  @spec log_info(side()) :: map() | failure()
  def log_info(side \\ :main), do: Native.log_info(side)

  # Salvage

  @doc "Reads what is intact of a directory; `scratch` is a path for a copy, not there yet."
  @spec salvage_open(binary(), binary()) :: reference() | failure()
  def salvage_open(dir, scratch), do: Native.salvage_open(dir, scratch)

  @doc "Lets go of the directory and of all that was read."
  @spec salvage_close(reference()) :: :ok | failure()
  def salvage_close(handle), do: Native.salvage_close(handle)

  @doc "The tables, each with its definition and the number of its rows."
  @spec salvage_tables(reference()) :: [{table(), definition(), non_neg_integer()}] | failure()
  def salvage_tables(handle), do: Native.salvage_tables(handle)

  @doc "Every place where something intact should have been, in words."
  @spec salvage_damage(reference()) :: [String.t()] | failure()
  def salvage_damage(handle), do: Native.salvage_damage(handle)

  @doc "Some rows from a place on, nil for the first, and the place after them, nil at the end."
  @spec salvage_rows(reference(), table(), reference() | nil) ::
          {[tuple()], reference() | nil} | failure()
  def salvage_rows(handle, name, place), do: Native.salvage_rows(handle, name, place)

  # Checkpoints

  @doc "Keeps tables as they are now: their rows, or the image that was saved of a ram table."
  @spec checkpoint_start([{table(), :rows | :image}]) :: reference() | failure()
  def checkpoint_start(tables), do: Native.checkpoint_start(tables)

  @doc "Lets go of what a checkpoint kept; whoever is reading it is told that it is closed."
  @spec checkpoint_end(reference()) :: :ok | failure()
  def checkpoint_end(handle), do: Native.checkpoint_end(handle)

  @doc "Number of keys that were changed since, whose old rows are kept."
  @spec checkpoint_kept(reference()) :: non_neg_integer() | failure()
  def checkpoint_kept(handle), do: Native.checkpoint_kept(handle)

  @doc "Begins to go over a checkpoint's table, for the only time or not: less is kept then."
  @spec checkpoint_rows(reference(), table(), boolean()) :: reference() | failure()
  def checkpoint_rows(handle, name, once?), do: Native.checkpoint_rows(handle, name, once?)

  @doc "Begins to go over what changed in a table since another, earlier checkpoint."
  @spec checkpoint_changes(reference(), reference(), table()) :: reference() | failure()
  def checkpoint_changes(handle, earlier, name) do
    Native.checkpoint_changes(handle, earlier, name)
  end

  @doc "Some more records, at least `count` unless they are the last, named by their table."
  @spec rows_next(reference(), pos_integer()) :: {[tuple()], :more | :done} | failure()
  def rows_next(reading, count), do: Native.rows_next(reading, count)

  @doc "Some more rows as bytes of a backup file, at least `bytes`, and their number."
  @spec rows_log(reference(), pos_integer()) ::
          {binary(), non_neg_integer(), :more | :done} | failure()
  def rows_log(reading, bytes), do: Native.rows_log(reading, bytes)

  @doc "The terms of the whole items at the front of bytes of a backup file, and their length."
  @spec items_read(binary()) ::
          {:ok, [term()], non_neg_integer()}
          | {:damaged, String.t(), [term()], non_neg_integer()}
          | failure()
  def items_read(bytes), do: Native.items_read(bytes)

  @doc "The bytes that terms are in a backup file."
  @spec items_write([term()]) :: binary() | failure()
  def items_write(terms), do: Native.items_write(terms)

  # Restoring

  @typedoc "Bytes, items and rows that were taken of a backup."
  @type taken :: {non_neg_integer(), non_neg_integer(), non_neg_integer()}
  @typedoc "A table to be made: its name, and its definition as in `table_create/8`."
  @type blueprint ::
          {table(), atom(), atom(), atom(), pos_integer(), [pos_integer()], atom(), term()}

  @doc "Begins to make tables anew, beside those there are."
  @spec rebuild_start() :: reference() | failure()
  def rebuild_start, do: Native.rebuild_start()

  @doc "Begins a table, with the rows of the one there is where they are kept."
  @spec rebuild_table(reference(), blueprint(), boolean()) :: :ok | failure()
  def rebuild_table(handle, blueprint, keep?) do
    Native.rebuild_table(handle, blueprint, keep?)
  end

  @doc "Has a table go."
  @spec rebuild_drop(reference(), table()) :: :ok | failure()
  def rebuild_drop(handle, name), do: Native.rebuild_drop(handle, name)

  @doc "Takes whole items at the front of bytes of a backup file."
  @spec rebuild_log(reference(), binary()) ::
          {:ok, taken()} | {:damaged | :bad_type, String.t(), taken()} | failure()
  def rebuild_log(handle, bytes), do: Native.rebuild_log(handle, bytes)

  @doc "Takes items of a backup as terms."
  @spec rebuild_items(reference(), [tuple()]) ::
          {:ok, non_neg_integer()} | {:bad_type, term()} | failure()
  def rebuild_items(handle, items), do: Native.rebuild_items(handle, items)

  @doc "Puts the tables in place at once, with new properties of the schema unless nil."
  @spec rebuild_commit(reference(), term()) :: :ok | failure()
  def rebuild_commit(handle, properties), do: Native.rebuild_commit(handle, properties)

  @doc "Gives the tables up; everything is as it was."
  @spec rebuild_abort(reference()) :: :ok | failure()
  def rebuild_abort(handle), do: Native.rebuild_abort(handle)

  # Rows

  @doc "The rows under a key."
  @spec read(table(), term()) :: [tuple()] | failure()
  def read(tab, key) do
    case Native.read(tab, key) do
      rows when is_list(rows) -> rows
      :large -> Native.read_large(tab, key)
      failure -> failure
    end
  end

  @doc "Writes a row at once."
  @spec write(table(), tuple()) :: :ok | failure()
  def write(tab, record), do: room(Native.write(tab, record))

  @doc "Deletes the rows under a key at once."
  @spec delete(table(), term()) :: :ok | failure()
  def delete(tab, key), do: room(Native.delete(tab, key))

  @doc "Deletes one exact row at once."
  @spec delete_object(table(), tuple()) :: :ok | failure()
  def delete_object(tab, record), do: room(Native.delete_object(tab, record))

  @doc "As `write/2`, and nobody is told."
  @spec write_bare(table(), tuple()) :: :ok | failure()
  def write_bare(tab, record), do: Native.write_bare(tab, record)

  @doc "As `delete/2`, and nobody is told."
  @spec delete_bare(table(), term()) :: :ok | failure()
  def delete_bare(tab, key), do: Native.delete_bare(tab, key)

  @doc "As `delete_object/2`, and nobody is told."
  @spec delete_object_bare(table(), tuple()) :: :ok | failure()
  def delete_object_bare(tab, record), do: Native.delete_object_bare(tab, record)

  @doc "Adds to a counter, never going below 0, and answers the new value."
  @spec update_counter(table(), term(), integer()) :: integer() | failure()
  def update_counter(tab, key, incr), do: room(Native.update_counter(tab, key, incr))

  @doc "The first key."
  @spec first(table()) :: term() | :"$end_of_table" | failure()
  def first(tab), do: Native.first(tab)

  @doc "The last key."
  @spec last(table()) :: term() | :"$end_of_table" | failure()
  def last(tab), do: Native.last(tab)

  @doc "The key after another."
  @spec next(table(), term()) :: term() | :"$end_of_table" | failure()
  def next(tab, key), do: Native.next(tab, key)

  @doc "The key before another."
  @spec prev(table(), term()) :: term() | :"$end_of_table" | failure()
  def prev(tab, key), do: Native.prev(tab, key)

  @doc "The rows in a slot."
  @spec slot(table(), integer()) :: [tuple()] | :"$end_of_table" | failure()
  def slot(tab, n), do: Native.slot(tab, n)

  @doc "All results of a match specification, slice after slice."
  @spec select_all(table(), list()) :: list() | failure()
  def select_all(tab, spec), do: select_rest(Native.select_all(tab, spec))

  defp select_rest(rows) when is_list(rows), do: rows
  defp select_rest({:more, cursor, acc}), do: select_rest(Native.select_all_more(cursor, acc))
  defp select_rest({:done, backwards}), do: :lists.reverse(backwards)
  defp select_rest(failure), do: failure

  @doc "A first slice of at most `limit` results; it may be shorter though more follow."
  @spec select_chunk(table(), list(), pos_integer()) ::
          {:done, list()} | {:more, list(), cursor()} | failure()
  def select_chunk(tab, spec, limit), do: Native.select_chunk(tab, spec, limit)

  @doc """
  A first slice in the order of an ordered table's keys, or in any, which may be that of an index.
  """
  @spec select_ordered(table(), list(), pos_integer(), :any | :asc | :desc) ::
          {:done, list()} | {:more, list(), cursor()} | failure()
  def select_ordered(tab, spec, limit, order), do: Native.select_ordered(tab, spec, limit, order)

  @doc "Where a query finds the rows that it looks at."
  @spec select_access(table(), list(), :any | :asc | :desc) ::
          {:keys, non_neg_integer()}
          | {:index, pos_integer(), non_neg_integer()}
          | {:index_range, pos_integer()}
          | :key_range
          | :all
          | failure()
  def select_access(tab, spec, order), do: Native.select_access(tab, spec, order)

  @doc "The slice after a cursor."
  @spec select_chunk_more(cursor(), pos_integer()) ::
          {:done, list()} | {:more, list(), cursor()} | failure()
  def select_chunk_more(cursor, limit), do: Native.select_chunk_more(cursor, limit)

  @doc "The table that a cursor walks."
  @spec cursor_table(cursor()) :: table() | failure()
  def cursor_table(cursor), do: Native.cursor_table(cursor)

  @doc "The rows whose field at `pos` has a value."
  @spec index_read(table(), term(), pos_integer()) :: [tuple()] | failure()
  def index_read(tab, value, pos) do
    case Native.index_read(tab, value, pos) do
      rows when is_list(rows) -> rows
      :large -> Native.index_read_large(tab, value, pos)
      failure -> failure
    end
  end

  @doc "How many rows a table has."
  @spec size(table()) :: non_neg_integer() | failure()
  def size(tab), do: Native.size(tab)

  @doc "How many bytes a table takes."
  @spec memory(table()) :: non_neg_integer() | failure()
  def memory(tab), do: Native.memory(tab)

  @doc "Tells whether a match specification is valid."
  @spec spec_valid(term()) :: boolean()
  def spec_valid(spec), do: Native.spec_valid(spec)

  @doc "Runs a match specification over a list."
  @spec spec_run([tuple()], list()) :: list() | failure()
  def spec_run(records, spec), do: Native.spec_run(records, spec)

  # Events

  @doc """
  Says which tables are watched, each as `{table, simple?, detailed?}`, whether committed
  transactions are, and which process is told: the one subscriber that there is
  (`direct?`), as plain messages, or one that gets `{:"$magnesia_events", events}`.
  """
  @spec audience(pid(), boolean(), [{atom(), boolean(), boolean()}], boolean()) ::
          :ok | failure()
  def audience(to, direct?, tables, activities?) do
    Native.audience(to, direct?, tables, activities?)
  end

  @doc "Sends events that the engine does not make, in the order of those that it makes."
  @spec publish([{:activity | {atom(), :simple | :detailed}, tuple()}]) :: :ok | failure()
  def publish(events), do: room(Native.publish(events))

  @doc "Notes that so many events were handed on to all who asked for them."
  @spec handed_on(non_neg_integer()) :: :ok | failure()
  def handed_on(count), do: Native.handed_on(count)

  # Too many events wait to be handed on: their writers wait with them.
  defp room({:crowded, reply}) do
    :ok = Subscribers.settle()
    reply
  end

  defp room(reply), do: reply

  @doc """
  Says which tables have a log: an ordered set of rows `{log, number, verb, table, data, first}`
  that gets one with each change of the table, in the same commit.
  """
  @spec set_logs([{atom(), atom()}]) :: :ok | failure()
  def set_logs(logs), do: Native.set_logs(logs)

  @doc """
  The last number of a log when it is above `after_number`; otherwise `:wait`, and with the next
  commit that adds to the log the caller gets `{:"$magnesia_log", log}`.
  """
  @spec log_wait(atom(), non_neg_integer()) :: pos_integer() | :wait | failure()
  def log_wait(log, after_number), do: Native.log_wait(log, after_number)

  # Tables of a stock Mnesia

  @ahead_max 200

  @doc "Begins or ends a time in which `next/2` goes on from a key deleted meanwhile."
  @spec fix(table(), boolean()) :: :ok | failure()
  def fix(tab, fixed?), do: Native.fix(tab, fixed?)

  @doc """
  Logs operations of a commit that are about to be done one by one, so that an opening after a
  crash does all of them or none. Operations on tables in memory are passed over.
  """
  @spec log_ahead([{table(), :write | :delete | :delete_object, term()}]) :: :ok | failure()
  def log_ahead(ops) when length(ops) > @ahead_max, do: Native.log_ahead_large(ops)
  def log_ahead(ops), do: Native.log_ahead(ops)

  @doc """
  Forgets what dead processes have not done of what they logged ahead; answers how many processes.
  Dumps keep it in the log until then.
  """
  @spec forget_owed() :: non_neg_integer() | failure()
  def forget_owed, do: Native.forget_owed()

  # Transactions

  @doc "A context for the calling process's transactions."
  @spec tx_new() :: context()
  def tx_new, do: Native.tx_new()

  @doc "Begins a transaction and answers its number: higher is younger."
  @spec tx_begin(context()) :: integer() | failure()
  def tx_begin(ctx), do: Native.tx_begin(ctx)

  @doc "Opens a level inside the transaction."
  @spec tx_nest(context()) :: :ok | failure()
  def tx_nest(ctx) do
    with :large <- Native.tx_nest(ctx), do: Native.tx_nest_large(ctx)
  end

  @doc "Closes the innermost level and keeps its writes."
  @spec tx_merge(context()) :: :ok | failure()
  def tx_merge(ctx) do
    with :large <- Native.tx_merge(ctx), do: Native.tx_merge_large(ctx)
  end

  @doc "Closes the innermost level and drops its writes; locks stay."
  @spec tx_undo(context()) :: :ok | failure()
  def tx_undo(ctx) do
    with :large <- Native.tx_undo(ctx), do: Native.tx_undo_large(ctx)
  end

  @doc "Commits."
  @spec tx_commit(context(), boolean()) :: :ok | :large | {:wait, integer()} | failure()
  def tx_commit(ctx, sync?), do: room(Native.tx_commit(ctx, sync?))

  @doc "Commits what `tx_commit/2` called large."
  @spec tx_commit_large(context(), boolean()) :: :ok | {:wait, integer()} | failure()
  def tx_commit_large(ctx, sync?), do: room(Native.tx_commit_large(ctx, sync?))

  @doc "Drops the transaction and all its locks."
  @spec tx_abort(context()) :: :ok | failure()
  def tx_abort(ctx) do
    with :large <- Native.tx_abort(ctx), do: Native.tx_abort_large(ctx)
  end

  @doc "Drops all writes and locks, keeps the number, and waits for the blocker to be gone."
  @spec tx_restart(context(), term()) :: :ok | {:wait, integer()} | failure()
  def tx_restart(ctx, blocker) do
    with :large <- Native.tx_restart(ctx, blocker), do: Native.tx_restart_large(ctx, blocker)
  end

  @doc "Reads a key under a lock, own writes merged in."
  @spec tx_read(context(), table(), term(), lock()) :: [tuple()] | delayed() | failure()
  def tx_read(ctx, tab, key, lock) do
    with :large <- Native.tx_read(ctx, tab, key, lock) do
      Native.tx_read_large(ctx, tab, key, lock)
    end
  end

  @doc "Writes a row in the transaction."
  @spec tx_write(context(), table(), tuple(), lock()) :: :ok | delayed() | failure()
  def tx_write(ctx, tab, record, lock), do: Native.tx_write(ctx, tab, record, lock)

  @doc "Deletes a key in the transaction."
  @spec tx_delete(context(), table(), term(), lock()) :: :ok | delayed() | failure()
  def tx_delete(ctx, tab, key, lock), do: Native.tx_delete(ctx, tab, key, lock)

  @doc "Deletes one exact row in the transaction."
  @spec tx_delete_object(context(), table(), tuple(), lock()) :: :ok | delayed() | failure()
  def tx_delete_object(ctx, tab, record, lock) do
    Native.tx_delete_object(ctx, tab, record, lock)
  end

  @doc "Takes a lock; `:granted` is said of a sticky lock on a table that was stuck already."
  @spec tx_lock(context(), item(), lock()) :: :ok | :granted | delayed() | failure()
  def tx_lock(ctx, item, lock), do: Native.tx_lock(ctx, item, lock)

  @doc "The transaction's own operations on a table."
  @spec tx_own(context(), table()) :: [own()] | failure()
  def tx_own(ctx, tab) do
    with :large <- Native.tx_own(ctx, tab), do: Native.tx_own_large(ctx, tab)
  end

  @doc "The transaction's own operations on a key."
  @spec tx_own_key(context(), table(), term()) :: [{atom(), tuple()}] | failure()
  def tx_own_key(ctx, tab, key), do: Native.tx_own_key(ctx, tab, key)

  @doc "A number that changes with every own operation."
  @spec tx_seq(context()) :: integer() | failure()
  def tx_seq(ctx), do: Native.tx_seq(ctx)

  @doc "All locks held, as `{item, kind, number, pid}`."
  @spec held_locks() :: [tuple()] | failure()
  def held_locks, do: Native.held_locks()

  @doc "All locks waited for, as `{item, kind, number, pid}`."
  @spec lock_queue() :: [tuple()] | failure()
  def lock_queue, do: Native.lock_queue()

  @doc "Commits, failures, restarts and log writes since the start."
  @spec counters(side()) :: tuple() | failure()
  def counters(side \\ :main), do: Native.counters(side)

  @doc "Counts one failed transaction."
  @spec count_failure() :: :ok | failure()
  def count_failure, do: Native.count_failure()

  @doc "Counts one restarted transaction."
  @spec count_restart() :: :ok | failure()
  def count_restart, do: Native.count_restart()
end
