defmodule Magnesia do
  @moduledoc """
  Mnesia's tables on a Rust engine, for Elixir.

      children = [
        {Magnesia,
         dir: "data",
         tables: [
           city: [
             attributes: [:name, :country, :people],
             type: :ordered_set,
             storage: :disc,
             index: [:country]
           ]
         ]},
        MyApp.Web
      ]

  A row is a tuple: the table's name, the key, the other attributes; of a table that is declared
  as a module (`Magnesia.Table`) it is the module's struct. A table is an atom, a name or such a
  module, and comes first among the arguments, options come last.

  ## Where a call runs

  Inside `transaction/2` a call locks what it touches and sees the transaction's own writes.
  Outside, each call is a transaction of its own. What takes no locks says so: `dirty_get/2`,
  `dirty_put/1` and the others, the block `dirty/2`, and a `stream/2` outside a transaction.

  ## What a call answers

  What is to be expected is a value: `:error`, `nil`, `{:error, :already_exists}`,
  `{:error, :not_found}`, `{:error, :stale}`. Any other failure (no such table, a row that does
  not fit, a full disk) outside a transaction raises `Magnesia.TransactionError`. Inside, it ends
  the transaction, which answers `{:error, exception}`. What concerns tables answers `:ok` or
  `{:error, %Magnesia.SchemaError{}}`. An option that does not exist is an `ArgumentError`. A
  bang means that the function raises.

  ## What survives

  For tables with `storage: :disc` or `:disc_only`, a committed transaction and a dirty write
  survive the death of the VM; `transaction(fun, sync: true)` survives the loss of power.

  The examples of this module use three tables: `:city` as above, in memory, with Bergen, Oslo
  and Paris in it, the counters `:hits`, and the bag `:visit` of `:person` and `:place`, with
  Ann's visits to Oslo and Paris.
  """

  alias Magnesia.Context
  alias Magnesia.Find
  alias Magnesia.NotFoundError
  alias Magnesia.Conditions
  alias Magnesia.Rows
  alias Magnesia.Scan
  alias Magnesia.SchemaError
  alias Magnesia.Shape
  alias Magnesia.Tables
  alias Magnesia.TransactionError

  @typedoc "A table's name, or the module that declares it."
  @type table :: atom()
  @typedoc "A row: the table's record name, the key, the other attributes; or a module's struct."
  @type row :: tuple() | struct()
  @typedoc "A row's key: any term."
  @type key :: term()
  @typedoc "The outcome of a change of the schema."
  @type schema_answer :: :ok | {:error, SchemaError.t()}

  # Start and stop

  @doc """
  A child specification with the options of `start_link/1`.

      iex> Magnesia.child_spec(dir: "data").start
      {Magnesia, :start_link, [[dir: "data"]]}
  """
  @spec child_spec(keyword()) :: Supervisor.child_spec()
  def child_spec(options) do
    %{
      id: options[:name] || Magnesia,
      start: {Magnesia, :start_link, [options]},
      shutdown: :infinity
    }
  end

  @doc """
  Opens the database under a supervisor and returns when its tables can be used.

  Options: `dir`, a path, made when it is missing (without it the database is in memory only,
  unless `config :magnesia, dir: ...` names one); `tables`, a list of table modules, and of names
  with the options of `create_table/2`, each created if it is not there; `wait`, how many
  milliseconds the tables may take (60,000); `name`, the process's name. It fails with a
  `Magnesia.SchemaError` that names the table or directory at fault. When the process is stopped,
  all is forced to disk.

      iex> {:ok, keeper} = Magnesia.start_link(tables: [town: [attributes: [:name, :mayor]]])
      iex> :town in Magnesia.tables()
      true
      iex> GenServer.stop(keeper)
      :ok
  """
  @spec start_link(keyword()) :: GenServer.on_start()
  defdelegate start_link(options), to: Magnesia.Supervisor

  @doc """
  Opens the database without a supervisor, with the options of `start_link/1`.

  Errors: `Magnesia.SchemaError` for a directory that cannot be used, a table that differs from
  its declaration, or tables that are not ready in time.

      iex> Magnesia.start(tables: [town: [attributes: [:name, :mayor]]])
      :ok
      iex> Magnesia.put({:town, "Oslo", "Ann"})
      {:ok, {:town, "Oslo", "Ann"}}
  """
  @spec start(keyword()) :: schema_answer()
  def start(options \\ []), do: Magnesia.Supervisor.open(options)

  @doc """
  Forces everything to the disk and closes the database; harmless when it is closed.

  Errors: `Magnesia.SchemaError` when the disk refuses.

      iex> Magnesia.stop()
      :ok
  """
  @spec stop() :: schema_answer()
  def stop, do: Magnesia.Supervisor.close()

  # Transactions

  @doc """
  Runs a fun as a transaction: all of its writes are kept or none.

  The fun may run more than once, when it meets another transaction's locks. What it raises is
  raised by this call, with its stack. `rollback/1`, a throw, an exit and a failing call give
  `{:error, %Magnesia.TransactionError{}}`. In another transaction it is a part that can be
  rolled back alone.

  Options: `retries`, how often it may run (`:infinity`); `sync: true` answers only when the
  commit would survive the loss of power; `rescue: true` makes an exception an error too.

      iex> Magnesia.transaction(fn ->
      ...>   {:city, "Oslo", country, people} = Magnesia.fetch!(:city, "Oslo")
      ...>   Magnesia.put({:city, "Oslo", country, people + 1})
      ...> end)
      {:ok, {:ok, {:city, "Oslo", :no, 711}}}
      iex> {:error, error} = Magnesia.transaction(fn -> Magnesia.rollback(:too_late) end)
      iex> error.reason
      :too_late
  """
  @spec transaction((() -> value), keyword()) :: {:ok, value} | {:error, TransactionError.t()}
        when value: term()
  def transaction(fun, options \\ []) when is_function(fun, 0) do
    Context.transaction(fun, options)
  end

  @doc """
  As `transaction/2`, and answers the fun's value or raises `Magnesia.TransactionError`.

      iex> Magnesia.transaction!(fn -> Magnesia.count(:city) end)
      3
      iex> Magnesia.transaction!(fn -> Magnesia.rollback(:full) end)
      ** (Magnesia.TransactionError) the transaction was rolled back with :full
  """
  @spec transaction!((() -> value), keyword()) :: value when value: term()
  def transaction!(fun, options \\ []) when is_function(fun, 0) do
    case Context.transaction(fun, options) do
      {:ok, value} -> value
      {:error, error} -> raise error
    end
  end

  @doc """
  Ends the transaction and drops its writes. Raises `Magnesia.NoTransactionError` outside of one.

      iex> {:error, error} = Magnesia.transaction(fn ->
      ...>   Magnesia.delete(:city, "Oslo")
      ...>   Magnesia.rollback(:changed_my_mind)
      ...> end)
      iex> {error.reason, Magnesia.has_key?(:city, "Oslo")}
      {:changed_my_mind, true}
  """
  @spec rollback(term()) :: no_return()
  defdelegate rollback(reason), to: Context

  @doc """
  Tells whether the process is in a transaction.

      iex> {Magnesia.in_transaction?(), Magnesia.transaction!(&Magnesia.in_transaction?/0)}
      {false, true}
  """
  @spec in_transaction?() :: boolean()
  def in_transaction?, do: :magnesia.is_transaction()

  @doc """
  Runs a fun in which every call is dirty: without locks, each write kept at once.

  Inside a transaction it changes nothing: its calls belong to the transaction. Option: `sync`.
  Errors raise as they do outside.

      iex> Magnesia.dirty(fn -> Magnesia.get(:city, "Oslo") end)
      {:city, "Oslo", :no, 710}
  """
  @spec dirty((() -> value), keyword()) :: value when value: term()
  def dirty(fun, options \\ []) when is_function(fun, 0), do: Context.dirty_block(fun, options)

  # Reads

  @doc """
  The row under a key, or a default. A bag, which may have several, is an `ArgumentError`.

      iex> Magnesia.get(:city, "Oslo")
      {:city, "Oslo", :no, 710}
      iex> Magnesia.get(:city, "Atlantis")
      nil
      iex> Magnesia.get(:city, "Atlantis", :sunk)
      :sunk
  """
  @spec get(table(), key(), default) :: row() | default when default: term()
  def get(table, key, default \\ nil), do: Rows.get(table, key, default)

  @doc """
  The row under a key as `{:ok, row}`, or `:error`.

      iex> Magnesia.fetch(:city, "Oslo")
      {:ok, {:city, "Oslo", :no, 710}}
      iex> Magnesia.fetch(:city, "Atlantis")
      :error
  """
  @spec fetch(table(), key()) :: {:ok, row()} | :error
  def fetch(table, key) do
    case Rows.get(table, key, nil) do
      nil -> :error
      row -> {:ok, row}
    end
  end

  @doc """
  The row under a key, or raises `Magnesia.NotFoundError`.

      iex> Magnesia.fetch!(:city, "Oslo")
      {:city, "Oslo", :no, 710}
      iex> try do
      ...>   Magnesia.fetch!(:hits, "home")
      ...> rescue
      ...>   error in Magnesia.NotFoundError -> error.reason
      ...> end
      {:not_found, :hits, "home"}
  """
  @spec fetch!(table(), key()) :: row()
  def fetch!(table, key) do
    case Rows.get(table, key, nil) do
      nil -> raise NotFoundError, reason: {:not_found, table, key}, table: table
      row -> row
    end
  end

  @doc """
  All rows under a key, of a table of any type.

      iex> Magnesia.get_all(:visit, "Ann")
      [{:visit, "Ann", "Oslo"}, {:visit, "Ann", "Paris"}]
      iex> Magnesia.get_all(:visit, "Bob")
      []
  """
  @spec get_all(table(), key()) :: [row()]
  defdelegate get_all(table, key), to: Rows

  @doc """
  The row with these values in these attributes, or nil; an index is used if there is one.

  More than one such row is an `ArgumentError`, and so is, with `require_index: true`, that
  neither the key nor an index answers any of the attributes.

      iex> Magnesia.get_by(:city, country: :fr)
      {:city, "Paris", :fr, 2100}
      iex> Magnesia.get_by(:city, country: :se)
      nil
  """
  @spec get_by(table(), keyword(), keyword()) :: row() | nil
  def get_by(table, attributes, options \\ []), do: Find.get_by(table, attributes, options)

  @doc """
  All rows with these values in these attributes; `require_index` as in `get_by/3`.

      iex> Magnesia.all_by(:city, country: :no)
      [{:city, "Bergen", :no, 290}, {:city, "Oslo", :no, 710}]
  """
  @spec all_by(table(), keyword(), keyword()) :: [row()]
  def all_by(table, attributes, options \\ []), do: Find.all_by(table, attributes, options)

  @doc """
  Tells whether a key has a row.

      iex> {Magnesia.has_key?(:city, "Oslo"), Magnesia.has_key?(:city, "Atlantis")}
      {true, false}
  """
  @spec has_key?(table(), key()) :: boolean()
  def has_key?(table, key), do: Rows.get_all(table, key) != []

  # Writes

  @doc """
  Writes a row into the table that its first element names, over what its key had.

      iex> Magnesia.put({:city, "Lima", :pe, 10000})
      {:ok, {:city, "Lima", :pe, 10000}}
  """
  @spec put(row()) :: {:ok, row()}
  def put(row), do: Rows.put(Shape.table_of!(row), row)

  @doc """
  Writes a row into a table whose record name may be another.

      iex> Magnesia.put(:city, {:city, "Lima", :pe, 10000})
      {:ok, {:city, "Lima", :pe, 10000}}
      iex> {:error, error} = Magnesia.transaction(fn -> Magnesia.put(:city, {:city, "Lima"}) end)
      iex> error.hint
      "Its rows are {:city, name, country, people}"
  """
  @spec put(table(), row()) :: {:ok, row()}
  defdelegate put(table, row), to: Rows

  @doc """
  Writes a row unless its key has one.

      iex> Magnesia.insert({:city, "Oslo", :no, 1})
      {:error, :already_exists}
  """
  @spec insert(row()) :: {:ok, row()} | {:error, :already_exists}
  def insert(row), do: Rows.insert(Shape.table_of!(row), row)

  @doc """
  As `insert/1`, into a table whose record name may be another.

      iex> Magnesia.insert(:city, {:city, "Lima", :pe, 10000})
      {:ok, {:city, "Lima", :pe, 10000}}
  """
  @spec insert(table(), row()) :: {:ok, row()} | {:error, :already_exists}
  defdelegate insert(table, row), to: Rows

  @doc """
  As `insert/2`, under the name that `Map` has for it.

      iex> Magnesia.put_new(:city, {:city, "Oslo", :no, 1})
      {:error, :already_exists}
  """
  @spec put_new(table(), row()) :: {:ok, row()} | {:error, :already_exists}
  defdelegate put_new(table, row), to: Rows, as: :insert

  @doc """
  Writes a row only if its key has one.

      iex> Magnesia.replace(:city, {:city, "Lima", :pe, 10000})
      {:error, :not_found}
  """
  @spec replace(table(), row()) :: {:ok, row()} | {:error, :not_found}
  defdelegate replace(table, row), to: Rows

  @doc """
  Puts what a fun makes of a row in its place. The key must stay the same.

      iex> Magnesia.update(:city, "Oslo", fn row -> put_elem(row, 3, 720) end)
      {:ok, {:city, "Oslo", :no, 720}}
      iex> Magnesia.update(:city, "Atlantis", fn row -> row end)
      {:error, :not_found}
  """
  @spec update(table(), key(), (row() -> row())) :: {:ok, row()} | {:error, :not_found}
  defdelegate update(table, key, fun), to: Rows

  @doc """
  Gives a row, or nil, to a fun that answers `{value, row}`, or `{value, nil}` to have no row, or
  `:pop` to delete the row and have it. Answers the value.

      iex> Magnesia.get_and_update(:city, "Oslo", &{elem(&1, 3), put_elem(&1, 3, 0)})
      710
      iex> Magnesia.get_and_update(:city, "Oslo", fn _row -> :pop end)
      {:city, "Oslo", :no, 0}
  """
  @spec get_and_update(table(), key(), (row() | nil -> {value, row() | nil} | :pop)) ::
          value | row() | nil
        when value: term()
  defdelegate get_and_update(table, key, fun), to: Rows

  @doc """
  Puts a new row in the place of one that must still be there; nil stands for no row.

      iex> oslo = Magnesia.get(:city, "Oslo")
      iex> Magnesia.compare_and_swap(:city, oslo, {:city, "Oslo", :no, 720})
      :ok
      iex> Magnesia.compare_and_swap(:city, oslo, {:city, "Oslo", :no, 730})
      {:error, :stale}
  """
  @spec compare_and_swap(table(), row() | nil, row()) :: :ok | {:error, :stale}
  defdelegate compare_and_swap(table, old, new), to: Rows

  @doc """
  Deletes what is under a key, if anything is.

      iex> Magnesia.delete(:city, "Oslo")
      :ok
  """
  @spec delete(table(), key()) :: :ok
  defdelegate delete(table, key), to: Rows

  @doc """
  Deletes exactly this row: of a bag, the key's other rows stay.

      iex> Magnesia.delete_object({:visit, "Ann", "Oslo"})
      :ok
      iex> Magnesia.get_all(:visit, "Ann")
      [{:visit, "Ann", "Paris"}]
  """
  @spec delete_object(row()) :: :ok
  def delete_object(row), do: Rows.delete_object(Shape.table_of!(row), row)

  @doc """
  As `delete_object/1`, in a table whose record name may be another.

      iex> Magnesia.delete_object(:visit, {:visit, "Ann", "Rome"})
      :ok
  """
  @spec delete_object(table(), row()) :: :ok
  defdelegate delete_object(table, row), to: Rows

  @doc """
  Adds to a counter, a row `{table, key, integer}` that begins at zero, and answers its value.

  With `min: 0` it does not go below zero. Where the table holds no counters it raises
  `Magnesia.TransactionError`.

      iex> {Magnesia.increment(:hits, "home"), Magnesia.increment(:hits, "home", 10)}
      {1, 11}
      iex> Magnesia.increment(:hits, "home", -50, min: 0)
      0
  """
  @spec increment(table(), key(), integer(), keyword()) :: integer()
  def increment(table, key, by \\ 1, options \\ []) when is_integer(by) do
    rules = [min: {&is_integer/1, "an integer"}]
    Magnesia.Options.validate!(options, rules, "Magnesia.increment/4")
    Rows.increment(table, key, by, options[:min])
  end

  # Queries

  @doc """
  The rows with these values in these attributes, compared exactly.

      iex> Magnesia.match(:city, country: :no, people: 290)
      [{:city, "Bergen", :no, 290}]
      iex> Magnesia.match(:city, land: :no)
      ** (ArgumentError) table :city has no attribute :land, only :name, :country, :people
  """
  @spec match(table(), keyword()) :: [row()]
  defdelegate match(table, attributes), to: Find

  @doc """
  The rows that meet all conditions; what a condition is, `Magnesia.Conditions` tells.

      iex> Magnesia.select(:city, [{:>, :people, 500}, {:!=, :country, :fr}])
      [{:city, "Oslo", :no, 710}]
      iex> Magnesia.select(:city, [{:in, :country, [:fr, :se]}])
      [{:city, "Paris", :fr, 2100}]
  """
  @spec select(table(), [Conditions.condition()]) :: [row()]
  defdelegate select(table, conditions), to: Find

  @doc """
  The results of a match specification, as `:ets.select/2` takes it.

      iex> Magnesia.select_spec(:city, [{{:city, :"$1", :no, :_}, [], [:"$1"]}])
      ["Bergen", "Oslo"]
  """
  @spec select_spec(table(), [tuple()]) :: [term()]
  defdelegate select_spec(table, spec), to: Find

  @doc """
  A lazy stream of a table's rows, fetched in chunks.

  Options: `chunk`, rows fetched at a time (500); `from` and `to`, the least and the greatest key,
  both included; `order: :desc`, for an ordered set. Outside a transaction it takes no lock:
  a row that stays in place is seen once, what changes meanwhile may be seen or not.

      iex> Magnesia.stream(:city, from: "C") |> Enum.map(&elem(&1, 1))
      ["Oslo", "Paris"]
      iex> Magnesia.stream(:city, order: :desc) |> Enum.take(1)
      [{:city, "Paris", :fr, 2100}]
  """
  @spec stream(table(), keyword()) :: Enumerable.t()
  def stream(table, options \\ []), do: Scan.stream(table, options)

  @doc """
  Folds over a table's rows, all of one moment, with the options of `stream/2`.

      iex> Magnesia.fold(:city, 0, fn {:city, _, _, people}, sum -> sum + people end)
      3100
  """
  @spec fold(table(), acc, (row(), acc -> acc), keyword()) :: acc when acc: term()
  def fold(table, acc, fun, options \\ []) when is_function(fun, 2) do
    Scan.fold(table, acc, fun, options)
  end

  @doc """
  All keys, each once.

      iex> Magnesia.keys(:city)
      ["Bergen", "Oslo", "Paris"]
  """
  @spec keys(table()) :: [key()]
  defdelegate keys(table), to: Find

  @doc """
  How many rows a table has.

      iex> Magnesia.count(:city)
      3
  """
  @spec count(table()) :: non_neg_integer()
  defdelegate count(table), to: Scan

  @doc """
  How many rows meet all conditions, which are those of `select/2`.

      iex> Magnesia.count(:city, country: :no)
      2
  """
  @spec count(table(), [Conditions.condition()]) :: non_neg_integer()
  defdelegate count(table, conditions), to: Find

  @doc """
  The first key as `{:ok, key}`, or `:error` for an empty table.

      iex> {Magnesia.first(:city), Magnesia.first(:hits)}
      {{:ok, "Bergen"}, :error}
  """
  @spec first(table()) :: {:ok, key()} | :error
  def first(table), do: Find.edge(table, :first)

  @doc """
  The last key, as `first/1` gives the first.

      iex> Magnesia.last(:city)
      {:ok, "Paris"}
  """
  @spec last(table()) :: {:ok, key()} | :error
  def last(table), do: Find.edge(table, :last)

  @doc """
  The key after another, or `:error`. Of an ordered set the other need not exist; of any other
  table it must, or `Magnesia.TransactionError` is raised.

      iex> {Magnesia.next(:city, "Bonn"), Magnesia.next(:city, "Paris")}
      {{:ok, "Oslo"}, :error}
  """
  @spec next(table(), key()) :: {:ok, key()} | :error
  def next(table, key), do: Find.step(table, key, :next)

  @doc """
  The key before another, as `next/2` gives the one after.

      iex> Magnesia.prev(:city, "Oslo")
      {:ok, "Bergen"}
  """
  @spec prev(table(), key()) :: {:ok, key()} | :error
  def prev(table, key), do: Find.step(table, key, :prev)

  @doc """
  A row as a map by attributes; its table is the one that its first element names.

      iex> Magnesia.to_map({:city, "Oslo", :no, 710})
      %{name: "Oslo", country: :no, people: 710}
  """
  @spec to_map(row()) :: map()
  def to_map(row), do: Tables.to_map(Shape.table_of!(row), row)

  @doc """
  As `to_map/1`, for a table whose record name may be another.

      iex> Magnesia.to_map(:hits, {:hits, "home", 3})
      %{key: "home", value: 3}
  """
  @spec to_map(table(), row()) :: map()
  defdelegate to_map(table, row), to: Tables

  # Dirty calls

  @doc """
  As `get/3`, without a lock and blind to the transaction's own writes.

      iex> Magnesia.dirty_get(:city, "Oslo")
      {:city, "Oslo", :no, 710}
  """
  @spec dirty_get(table(), key(), default) :: row() | default when default: term()
  def dirty_get(table, key, default \\ nil), do: Rows.dirty_get(table, key, default)

  @doc """
  As `get_all/2`, without a lock and blind to the transaction's own writes.

      iex> Magnesia.dirty_get_all(:visit, "Ann")
      [{:visit, "Ann", "Oslo"}, {:visit, "Ann", "Paris"}]
  """
  @spec dirty_get_all(table(), key()) :: [row()]
  defdelegate dirty_get_all(table, key), to: Rows

  @doc """
  Writes a row at once, whatever transactions have locked.

      iex> Magnesia.dirty_put({:city, "Lima", :pe, 10000})
      {:ok, {:city, "Lima", :pe, 10000}}
  """
  @spec dirty_put(row()) :: {:ok, row()}
  def dirty_put(row), do: Rows.dirty_put(Shape.table_of!(row), row)

  @doc """
  As `dirty_put/1`, into a table whose record name may be another.

      iex> Magnesia.dirty_put(:city, {:city, "Lima", :pe, 10000})
      {:ok, {:city, "Lima", :pe, 10000}}
  """
  @spec dirty_put(table(), row()) :: {:ok, row()}
  defdelegate dirty_put(table, row), to: Rows

  @doc """
  Deletes what is under a key at once, whatever transactions have locked.

      iex> Magnesia.dirty_delete(:city, "Oslo")
      :ok
  """
  @spec dirty_delete(table(), key()) :: :ok
  defdelegate dirty_delete(table, key), to: Rows

  @doc """
  Adds to a counter at once; it never goes below zero. Concurrent calls lose nothing.

  As in Mnesia, a value that is no integer is replaced by the counter, without an error.

      iex> Magnesia.dirty_increment(:hits, "home", 3)
      3
  """
  @spec dirty_increment(table(), key(), integer()) :: integer()
  def dirty_increment(table, key, by \\ 1) when is_integer(by) do
    table = Shape.name(table)
    Context.dirty(table, fn -> :magnesia.dirty_update_counter(table, key, by) end)
  end

  @doc """
  As `match/2`, without a lock and blind to the transaction's own writes.

      iex> Magnesia.dirty_match(:city, country: :fr)
      [{:city, "Paris", :fr, 2100}]
  """
  @spec dirty_match(table(), keyword()) :: [row()]
  defdelegate dirty_match(table, attributes), to: Find

  @doc """
  As `select/2`, without a lock and blind to the transaction's own writes.

      iex> Magnesia.dirty_select(:city, [{:<, :people, 500}])
      [{:city, "Bergen", :no, 290}]
  """
  @spec dirty_select(table(), [Conditions.condition()]) :: [row()]
  defdelegate dirty_select(table, conditions), to: Find

  # Tables

  @doc """
  Creates a table.

  Options: `attributes` (`[:key, :value]`), the key's name first; `type`, `:set`, `:ordered_set`
  or `:bag`; `storage`, `:ram`, `:disc` (in memory, and on disk) or `:disc_only`; `index`, a list
  of attributes; `unique`, a list of attributes of which no two rows may have the same value
  (`Magnesia.Unique`); `record_name`, what stands first in a row (the table's name);
  `access_mode`, `load_order`, `majority`, `local_content`, `user_properties`,
  `storage_properties` as in Mnesia; for `storage` also lists of nodes under `ram_copies`,
  `disc_copies`, `disc_only_copies`, of which an empty one is an error; `frag_properties` as in
  Mnesia, each fragment stored as the table is unless the properties count copies themselves
  (rows of fragments are reached in `:magnesia.activity(kind, fun, [], :mnesia_frag)`).

  Errors: `{:already_exists, table}`, `{:bad_type, table, :disc_copies, node}` when the database
  has no directory, `:nested_transaction` inside a transaction.

      iex> Magnesia.create_table(:town, attributes: [:name, :mayor], index: [:mayor])
      :ok
      iex> {:error, error} = Magnesia.create_table(:town)
      iex> error.reason
      {:already_exists, :town}
      iex> Magnesia.create_table(:village, typ: :bag)
      ** (ArgumentError) Magnesia.create_table/2 has no option :typ, did you mean :type?
  """
  @spec create_table(table(), keyword()) :: schema_answer()
  def create_table(table, options \\ []), do: Tables.create(table, options)

  @doc """
  Creates a table unless it is there, and adds the indexes that one lacks which is.

  A table that differs in attributes, type, record name, access mode or storage is the error
  `{:mismatch, table, differences}`; it is not changed.

      iex> options = [attributes: [:name, :country, :people], type: :ordered_set]
      iex> Magnesia.ensure_table(:city, options)
      :ok
      iex> {:error, error} = Magnesia.ensure_table(:city, Keyword.delete(options, :type))
      iex> error.reason
      {:mismatch, :city, [{:type, :ordered_set, :set}]}
  """
  @spec ensure_table(table(), keyword()) :: schema_answer()
  def ensure_table(table, options \\ []), do: Tables.ensure(table, options)

  @doc """
  Deletes a table and its rows. Error: `{:no_exists, table}`.

      iex> Magnesia.delete_table(:city)
      :ok
      iex> :city in Magnesia.tables()
      false
  """
  @spec delete_table(table()) :: schema_answer()
  defdelegate delete_table(table), to: Tables, as: :delete

  @doc """
  Removes all rows of a table. Errors: `{:no_exists, table}`, `:nested_transaction`.

      iex> Magnesia.clear_table(:city)
      :ok
      iex> Magnesia.count(:city)
      0
  """
  @spec clear_table(table()) :: schema_answer()
  defdelegate clear_table(table), to: Tables, as: :clear

  @doc """
  Sees that an attribute has an index. Error: `{:no_exists, table}`.

      iex> {Magnesia.add_index(:city, :people), Magnesia.add_index(:city, :people)}
      {:ok, :ok}
  """
  @spec add_index(table(), atom()) :: schema_answer()
  defdelegate add_index(table, attribute), to: Tables

  @doc """
  Sees that an attribute has no index. Error: `{:no_exists, table}`.

      iex> Magnesia.drop_index(:city, :country)
      :ok
      iex> Magnesia.info(:city).index
      []
  """
  @spec drop_index(table(), atom()) :: schema_answer()
  defdelegate drop_index(table, attribute), to: Tables

  @doc """
  Waits until tables can be used. Error: `{:timeout, tables}` with those that cannot.

      iex> Magnesia.wait([:city])
      :ok
  """
  @spec wait([table()], timeout()) :: schema_answer()
  def wait(tables, timeout \\ 60_000), do: Tables.wait(tables, timeout)

  @doc """
  The names of all tables.

      iex> Magnesia.tables()
      [:city, :hits, :visit]
  """
  @spec tables() :: [table()]
  defdelegate tables(), to: Tables, as: :names

  @doc """
  What there is to know of the database: whether it runs, its directory, its tables.

      iex> Magnesia.info()
      %{running?: true, dir: nil, tables: [:city, :hits, :visit]}
  """
  @spec info() :: %{running?: boolean(), dir: String.t() | nil, tables: [table()]}
  defdelegate info(), to: Tables

  @doc """
  What there is to know of a table: `name`, `type`, `storage`, `attributes`, `record_name`,
  `index`, `unique`, `access_mode`, `size` in rows and `bytes`.

      iex> info = Magnesia.info(:city)
      iex> {info.type, info.storage, info.index, info.size}
      {:ordered_set, :ram, [:country], 3}
  """
  @spec info(table()) :: map()
  defdelegate info(table), to: Tables

  @doc """
  Sends the caller `{:magnesia, table, event}` for each change of a table; the option `scope`,
  `:local` or `:cluster`, and the events are in `Magnesia.Events`. Error: `{:no_exists, table}`.

      iex> Magnesia.subscribe(:hits)
      :ok
      iex> Magnesia.increment(:hits, "home")
      1
      iex> receive do: ({:magnesia, :hits, event} -> {event.verb, event.data, event.old})
      {:write, {:hits, "home", 1}, []}
      iex> Magnesia.unsubscribe(:hits)
      :ok
  """
  @spec subscribe(table(), keyword()) :: schema_answer()
  defdelegate subscribe(table, options \\ []), to: Magnesia.Events

  @doc """
  Ends the caller's subscription to a table; none there is enough.

      iex> Magnesia.unsubscribe(:hits)
      :ok
  """
  @spec unsubscribe(table()) :: :ok
  defdelegate unsubscribe(table), to: Magnesia.Events
end
