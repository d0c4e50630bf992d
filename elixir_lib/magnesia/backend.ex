defmodule Magnesia.Backend do
  @moduledoc """
  Tables of a stock Mnesia on this engine: the module behind the aliases `:magnesia_ram`,
  `:magnesia_disc` and `:magnesia_disc_only`.

  `register/0` makes a running Mnesia know the aliases; from then on they stand wherever
  `:ram_copies` and its like do:

      :mnesia.create_table(:session, attributes: [:id, :user], magnesia_ram: [node()])
      :mnesia.change_table_copy_type(:session, node(), :magnesia_disc)

  | alias | promises those of | rows |
  |---|---|---|
  | `:magnesia_ram` | `:ram_copies` | in memory |
  | `:magnesia_disc` | `:disc_copies` | in memory, restored from a log and snapshots |
  | `:magnesia_disc_only` | `:disc_only_copies` | on disk |

  Everything else here are the callbacks of `mnesia_backend_type`, which Mnesia calls and nobody
  else. They are thin; what takes thought is in the rooms under `Magnesia.Backend`. None of them
  may raise where Mnesia loses rows over it, and none keeps a process waiting for another.
  """

  # Not declared as a behaviour: its module is of the kind that Elixir can't ask about optional
  # callbacks. Mnesia checks the functions itself when an alias is registered, and so do tests.

  alias Magnesia.Backend.Ahead
  alias Magnesia.Backend.Alarm
  alias Magnesia.Backend.Conversion
  alias Magnesia.Backend.Copying
  alias Magnesia.Backend.Cursor
  alias Magnesia.Backend.Names
  alias Magnesia.Backend.Place
  alias Magnesia.Backend.Refusal
  alias Magnesia.Backend.Registration
  alias Magnesia.Backend.Tables
  alias Magnesia.Engine

  @typedoc "One of the three names of this backend."
  @type alias_name :: :magnesia_ram | :magnesia_disc | :magnesia_disc_only
  @typedoc "A data table, or what Mnesia keeps beside it: an index, a checkpoint's retainer."
  @type table :: atom() | {atom(), :index, term()} | {atom(), :retainer, term()}

  # For applications

  @doc """
  Makes the running Mnesia know the three aliases, in the one order that nodes agree on.

  Nothing happens when it knows them. Where Mnesia isn't running yet, `backend_types/0` goes
  into `:mnesia.create_schema/2`.
  """
  @spec register() :: {:atomic, :ok} | {:aborted, term()}
  defdelegate register, to: Registration

  @doc "The aliases with their module, as `:mnesia.create_schema/2` takes them."
  @spec backend_types() :: [{alias_name(), module()}]
  defdelegate backend_types, to: Registration

  @doc """
  Changes how a table is stored on a node, to or from any storage, and keeps its rows.

  As `:mnesia.change_table_copy_type/3`, which keeps them as well, but refused where Mnesia has
  no directory and would lose the rows or go down.
  """
  @spec convert(atom(), atom(), node()) :: {:atomic, :ok} | {:aborted, term()}
  def convert(tab, storage, node \\ node()), do: Conversion.convert(tab, storage, node)

  @doc "Why tables on disk take no writes at the moment, in words, or nil when they do."
  @spec alarm() :: String.t() | nil
  defdelegate alarm, to: Alarm, as: :reason

  # Mnesia's callbacks: the backend as a whole

  @doc false
  @spec init_backend() :: :ok | {:error, term()}
  def init_backend, do: Place.open()

  @doc false
  @spec add_aliases([atom()]) :: :ok
  def add_aliases(_aliases), do: :ok

  @doc false
  @spec remove_aliases([atom()]) :: :ok
  def remove_aliases(_aliases), do: :ok

  @doc false
  @spec real_suffixes() :: [charlist()]
  def real_suffixes, do: []

  @doc false
  @spec tmp_suffixes() :: [charlist()]
  def tmp_suffixes, do: []

  @doc false
  @spec semantics(alias_name(), atom()) :: term()
  def semantics(:magnesia_ram, :storage), do: :ram_copies
  def semantics(_alias, :storage), do: :disc_only_copies
  def semantics(_alias, :types), do: [:set, :ordered_set, :bag]
  def semantics(_alias, :index_types), do: [:ordered, :bag]
  def semantics(_alias, _item), do: :undefined

  # Tables

  @doc false
  @spec check_definition(alias_name(), table(), [node()], keyword()) :: :ok | {:error, term()}
  defdelegate check_definition(alias_name, tab, nodes, props), to: Tables, as: :check

  @doc false
  @spec create_table(alias_name(), table(), keyword()) :: :ok | {:error, term()}
  defdelegate create_table(alias_name, tab, props), to: Tables, as: :create

  @doc false
  @spec load_table(alias_name(), table(), term(), keyword()) :: :ok | {:error, String.t()}
  def load_table(alias_name, tab, :restore, props), do: Tables.restore(alias_name, tab, props)
  def load_table(alias_name, tab, reason, _props), do: Tables.load(alias_name, tab, reason)

  @doc false
  @spec close_table(alias_name(), table()) :: :ok
  def close_table(_alias, tab), do: Tables.close(tab)

  @doc false
  @spec sync_close_table(alias_name(), table()) :: :ok
  def sync_close_table(_alias, tab), do: Tables.close(tab)

  @doc false
  @spec delete_table(alias_name(), table()) :: :ok
  def delete_table(_alias, tab), do: Tables.delete(tab)

  @doc false
  @spec info(alias_name(), table(), atom()) :: term()
  def info(_alias, tab, item), do: Tables.info(tab, item)

  @doc false
  @spec is_index_consistent(alias_name(), table()) :: boolean()
  def is_index_consistent(_alias, index), do: Tables.consistent?(index)

  @doc false
  @spec index_is_consistent(alias_name(), table(), boolean()) :: :ok
  def index_is_consistent(_alias, index, consistent?) do
    Tables.put_consistent(index, consistent?)
  end

  # Rows

  @doc false
  @spec lookup(alias_name(), table(), term()) :: [tuple()]
  def lookup(_alias, tab, key) when is_atom(tab) do
    case Engine.read([tab], key) do
      rows when is_list(rows) -> rows
      failure -> Refusal.read(failure, tab)
    end
  end

  def lookup(_alias, tab, key) do
    case Engine.read(Names.ref(tab), key) do
      rows when is_list(rows) -> rows
      failure -> Refusal.read(failure, tab)
    end
  end

  @doc false
  @spec insert(alias_name(), table(), tuple()) :: :ok | {:error, term()}
  def insert(alias_name, tab, record) when is_atom(tab) do
    if alias_name != :magnesia_ram, do: Ahead.log(tab, elem(record, 1), record, :write)

    case Engine.write([tab], record) do
      :ok -> :ok
      failure -> Refusal.insert(failure, tab, record)
    end
  end

  def insert(_alias, tab, record) do
    case Engine.write(Names.ref(tab), record) do
      :ok -> :ok
      failure -> Refusal.insert(failure, tab, record)
    end
  end

  @doc false
  @spec delete(alias_name(), table(), term()) :: :ok | {:error, term()}
  def delete(alias_name, tab, key) do
    if alias_name != :magnesia_ram, do: Ahead.log(tab, key, {tab, key}, :delete)

    case Engine.delete(Names.ref(tab), key) do
      :ok -> :ok
      failure -> Refusal.write(failure, tab)
    end
  end

  @doc false
  @spec match_delete(alias_name(), table(), term()) :: :ok | {:error, term()}
  def match_delete(alias_name, tab, pattern) do
    if alias_name != :magnesia_ram and is_atom(tab) and is_tuple(pattern) do
      Ahead.log(tab, elem(pattern, 1), pattern, :delete_object)
    end

    Cursor.match_delete(tab, pattern)
  end

  @doc false
  @spec update_counter(alias_name(), table(), term(), integer()) :: integer()
  def update_counter(_alias, tab, key, increment) do
    case Engine.update_counter(Names.ref(tab), key, increment) do
      value when is_integer(value) -> value
      failure -> Refusal.counter(failure, tab)
    end
  end

  @doc false
  @spec first(alias_name(), table()) :: term()
  def first(_alias, tab), do: Refusal.key(Engine.first(Names.ref(tab)), tab)

  @doc false
  @spec last(alias_name(), table()) :: term()
  def last(_alias, tab), do: Refusal.key(Engine.last(Names.ref(tab)), tab)

  @doc false
  @spec next(alias_name(), table(), term()) :: term()
  def next(_alias, tab, key), do: Refusal.key(Engine.next(Names.ref(tab), key), tab)

  @doc false
  @spec prev(alias_name(), table(), term()) :: term()
  def prev(_alias, tab, key), do: Refusal.key(Engine.prev(Names.ref(tab), key), tab)

  @doc false
  @spec slot(alias_name(), table(), integer()) :: [tuple()] | :"$end_of_table"
  def slot(_alias, tab, position) do
    Refusal.slot(Engine.slot(Names.ref(tab), position), tab)
  end

  @doc false
  @spec select(alias_name(), table(), list()) :: list()
  defdelegate select(alias_name, tab, spec), to: Cursor, as: :all

  @doc false
  @spec select(alias_name(), table(), list(), pos_integer() | :infinity) ::
          {list(), Cursor.t()} | :"$end_of_table"
  defdelegate select(alias_name, tab, spec, limit), to: Cursor, as: :first

  @doc false
  @spec select(Cursor.t()) :: {list(), Cursor.t()} | :"$end_of_table"
  defdelegate select(cursor), to: Cursor, as: :next

  @doc false
  @spec repair_continuation(Cursor.t(), term()) :: Cursor.t()
  def repair_continuation(cursor, _spec), do: cursor

  @doc false
  @spec fixtable(alias_name(), table(), boolean()) :: :ok
  def fixtable(_alias, tab, fixed?) do
    _ = Engine.fix(Names.ref(tab), fixed?)
    :ok
  end

  @doc false
  @spec validate_key(alias_name(), table(), atom(), pos_integer(), atom(), term()) ::
          {atom(), pos_integer(), atom()}
  def validate_key(alias_name, _tab, name, arity, type, _key) do
    Alarm.check(alias_name)
    {name, arity, type}
  end

  @doc false
  @spec validate_record(alias_name(), table(), atom(), pos_integer(), atom(), tuple()) ::
          {atom(), pos_integer(), atom()}
  def validate_record(alias_name, _tab, name, arity, type, _record) do
    Alarm.check(alias_name)
    {name, arity, type}
  end

  # Copies from node to node

  @doc false
  @spec sender_init(alias_name(), table(), term(), pid()) ::
          {:standard, (() -> term()), (term() -> term())}
  def sender_init(_alias, tab, _remote_storage, _receiver), do: Copying.sender(tab)

  @doc false
  @spec receiver_first_message(pid(), {:first, term()}, alias_name(), table()) ::
          {term(), Copying.state()}
  def receiver_first_message(_sender, {:first, size}, _alias, _tab), do: {size, nil}

  @doc false
  @spec receive_data([tuple()], alias_name(), table(), pid(), Copying.state()) ::
          {:more, Copying.state()}
  def receive_data(rows, alias_name, tab, sender, state) do
    {:more, Copying.receive_rows(alias_name, tab, rows, sender, state)}
  end

  @doc false
  @spec receive_done(alias_name(), table(), pid(), Copying.state()) :: :ok
  def receive_done(alias_name, tab, sender, state) do
    Copying.complete(alias_name, tab, sender, state)
  end
end
