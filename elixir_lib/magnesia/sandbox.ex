defmodule Magnesia.Sandbox do
  @moduledoc """
  Tests that leave the database as they found it.

  In a test module, below `use ExUnit.Case`:

      use Magnesia.Sandbox

  Before each test the tables are remembered, and after it they get back what they had: rows that
  the test or any process of the application wrote are gone, in a transaction or dirty, those that
  were deleted are back, tables that were made are deleted and tables that were deleted or changed
  are as before. Rows that were there before the test, such as what the application puts in when
  it starts, stay; other tests see them too.

  There is one database in a VM and its tables go by their names, so these tests run one after
  another: `async: true` beside `use Magnesia.Sandbox` is refused. A test that is async gets a
  table of its own from `private/1`.

  ## What it costs

  Tables are remembered by a backup and get their rows from it all at once, which takes
  milliseconds for the few rows that tests have and is proportional to the rows. `tables:`, as in
  `use Magnesia.Sandbox, tables: [MyApp.User]`, remembers these alone; nothing is done then about
  tables that the test makes.

  ## What is left as it is

  The tables of caches (`Magnesia.Cache`) and of lock servers (`Magnesia.Lock`) belong to
  processes that go on: start those in the test with `start_supervised/1`. Numbers that sequences
  gave out are given out again. A process that still writes when the test is over writes into the
  next one's tables.

  Without ExUnit, `checkout/1` and `checkin/1` are the two halves:

      iex> sandbox = Magnesia.Sandbox.checkout()
      iex> Magnesia.put({:city, "Rome", :it, 2800})
      iex> Magnesia.delete(:city, "Oslo")
      iex> Magnesia.create_table(:town)
      iex> Magnesia.Sandbox.checkin(sandbox)
      :ok
      iex> {Magnesia.keys(:city), :town in Magnesia.tables()}
      {["Bergen", "Oslo", "Paris"], false}
  """

  alias Magnesia.Backup
  alias Magnesia.Cache
  alias Magnesia.Lock.Ledger
  alias Magnesia.Options
  alias Magnesia.Shape
  alias Magnesia.Strict.Definition

  @enforce_keys [:file, :tables, :definitions]
  defstruct [:file, :tables, :definitions]

  @typedoc "Tables as they were: `tables` are those that were asked for, or all."
  @type t :: %__MODULE__{
          file: Path.t(),
          tables: :all | [atom()],
          definitions: %{atom() => tuple()}
        }

  @doc false
  defmacro __using__(options) do
    quote do
      setup context do
        Magnesia.Sandbox.refuse_async!(context)
        sandbox = Magnesia.Sandbox.checkout(unquote(options))
        on_exit(fn -> Magnesia.Sandbox.checkin(sandbox) end)
      end
    end
  end

  @doc false
  @spec refuse_async!(map()) :: :ok
  def refuse_async!(%{async: true, module: module}) do
    raise ArgumentError,
          "#{inspect(module)} is async and uses Magnesia.Sandbox, which puts whole tables " <>
            "back: leave async: true out, or give each test a table of its own by " <>
            "Magnesia.Sandbox.private/1"
  end

  def refuse_async!(_context), do: :ok

  @doc """
  Remembers tables as they are. Option: `:tables`, a list of tables or table modules; without it
  all tables are meant, also those that will be made.

      iex> sandbox = Magnesia.Sandbox.checkout(tables: [:hits])
      iex> {Magnesia.increment(:hits, :home), Magnesia.increment(:hits, :home)}
      {1, 2}
      iex> Magnesia.Sandbox.checkin(sandbox)
      :ok
      iex> Magnesia.get(:hits, :home)
      nil
  """
  @spec checkout(keyword()) :: t()
  def checkout(options \\ []) do
    rules = [tables: {&is_list/1, "a list of tables"}]
    Options.validate!(options, rules, "Magnesia.Sandbox.checkout/1")
    wanted = if options[:tables], do: Enum.map(options[:tables], &Shape.name/1), else: :all
    tables = if wanted == :all, do: present(), else: wanted
    name = "magnesia-sandbox-#{System.pid()}-#{:erlang.unique_integer([:positive])}.bup"
    file = Path.join(System.tmp_dir!(), name)

    case Backup.save(file, tables: tables) do
      {:ok, _saved} ->
        definitions = for table <- tables, into: %{}, do: {table, definition(table)}
        %__MODULE__{file: file, tables: wanted, definitions: definitions}

      {:error, error} ->
        raise error
    end
  end

  @doc """
  Gives tables back what they had when they were remembered, once; removes the memory.

      iex> sandbox = Magnesia.Sandbox.checkout(tables: [:city])
      iex> Magnesia.clear_table(:city)
      iex> Magnesia.Sandbox.checkin(sandbox)
      iex> Magnesia.count(:city)
      3
  """
  @spec checkin(t()) :: :ok
  def checkin(%__MODULE__{} = sandbox) do
    if sandbox.tables == :all do
      Enum.each(present() -- Map.keys(sandbox.definitions), &gone!/1)
    end

    # What has another shape by now is made anew by the restore.
    for {table, before} <- sandbox.definitions, definition(table) not in [before, nil] do
      gone!(table)
    end

    case Backup.restore(sandbox.file) do
      {:ok, _tables} -> :ok
      {:error, error} -> raise error
    end
  after
    File.rm(sandbox.file)
  end

  # A fragment goes with its base table, and one that may only be read has to be writable to go.
  defp gone!(table) do
    if table in Magnesia.tables() do
      _outcome = :magnesia.change_table_access_mode(table, :read_write)
      with {:error, error} <- Magnesia.delete_table(table), do: raise(error)
    end
  end

  defp present do
    Enum.reject(Magnesia.tables(), &(Cache.cache?(&1) or &1 in Ledger.tables()))
  end

  # Without the marks of when it was made and changed.
  defp definition(table) do
    case Definition.fetch(table) do
      {:ok, definition} -> Definition.cstruct(%{definition | cookie: nil, version: nil})
      :error -> nil
    end
  end

  @doc """
  A new table in memory under a name that no other has, for one test, async or not. Options are
  those of `Magnesia.create_table/2`. Delete it at the end:

      setup do
        table = Magnesia.Sandbox.private(attributes: [:id, :text])
        on_exit(fn -> Magnesia.delete_table(table) end)
        {:ok, table: table}
      end

      iex> table = Magnesia.Sandbox.private(attributes: [:id, :text])
      iex> Magnesia.put({table, 1, "a"})
      iex> Magnesia.count(table)
      1
      iex> Magnesia.delete_table(table)
      :ok
  """
  @spec private(keyword()) :: atom()
  def private(options \\ []) do
    table = :"sandbox_#{:erlang.unique_integer([:positive])}"

    case Magnesia.create_table(table, options) do
      :ok -> table
      {:error, error} -> raise error
    end
  end
end
