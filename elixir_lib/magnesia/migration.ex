defmodule Magnesia.Migration do
  @moduledoc """
  Changes of a database's tables in numbered steps, each done once, wholly or not at all.

      use Magnesia.Migration, version: 2

      def up do
        add_index(:users, :email)
        add_attribute(:users, :status, default: :active)
      end

      def down do
        remove_attribute(:users, :status)
        drop_index(:users, :email)
      end

  is a module's body, of `MyApp.Migrations.AddStatus` say. What `up` and `down` can say is in
  `Magnesia.Migration.Steps`. As a child between the database and those who use it, the migrations
  run before anybody looks:

      children = [
        {Magnesia, dir: "data"},
        {Magnesia.Migration, [MyApp.Migrations.CreateUsers, MyApp.Migrations.AddStatus]},
        MyApp.Web
      ]

  ## What is kept

  Which versions the database has had is a table in it, `:magnesia_migrations`. Before each
  migration a backup is written, by default into the directory beside the database's that ends in
  `.migrations`; it stays there, and `Magnesia.Backup.restore/2` takes it.

  ## When one fails

  The tables that it touched are put back as they were, from the backup, and the error says which
  migration, which of its steps and why. A VM that dies amid a migration leaves a note of it, and
  the next run begins with putting back what was touched. Rows that others write meanwhile into
  tables that the migration touches are lost with it: migrate before others start.
  """

  alias Magnesia.Migration.History
  alias Magnesia.Migration.Runner
  alias Magnesia.MigrationError
  alias Magnesia.Options

  @typedoc "A module that uses `Magnesia.Migration`."
  @type migration :: module()
  @type version :: pos_integer()
  @type answer :: {:ok, [version()]} | {:error, MigrationError.t()}

  @callback up() :: term()
  @callback down() :: term()
  @optional_callbacks down: 0

  @doc false
  defmacro __using__(options) do
    quote bind_quoted: [options: options] do
      @behaviour Magnesia.Migration
      import Magnesia.Migration.Steps
      @magnesia_version Magnesia.Migration.version!(options, __MODULE__)
      @doc false
      @spec __migration__() :: pos_integer()
      def __migration__, do: @magnesia_version
    end
  end

  @doc false
  @spec version!(keyword(), module()) :: version()
  def version!(options, module) do
    place = "use Magnesia.Migration in #{inspect(module)}"
    rule = {&(is_integer(&1) and &1 > 0), "a positive integer"}
    Options.validate!(options, [version: rule], place)
    options[:version] || raise ArgumentError, "#{place}: give version: 1 or another number"
  end

  @doc """
  A child that runs migrations and ends; a list of them, or `{migrations, options}`.

      iex> Magnesia.Migration.child_spec([]).restart
      :temporary
  """
  @spec child_spec([migration()] | {[migration()], keyword()}) :: Supervisor.child_spec()
  def child_spec({migrations, options}), do: child(migrations, options)
  def child_spec(migrations), do: child(migrations, [])

  defp child(migrations, options) do
    start = {Magnesia.Migration, :start_link, [migrations, options]}
    %{id: Magnesia.Migration, start: start, restart: :temporary}
  end

  @doc """
  Runs migrations as a child of a supervisor: `:ignore` when all is well, so that the next child
  starts, and else the error, which stops the supervisor.

      iex> Magnesia.Migration.start_link([])
      :ignore
  """
  @spec start_link([migration()], keyword()) :: :ignore | {:error, MigrationError.t()}
  def start_link(migrations, options \\ []) do
    with {:ok, _versions} <- run(migrations, options), do: :ignore
  end

  @doc """
  Runs the migrations that the database has not had, lowest version first, and answers their
  versions.

  Options: `to`, the highest version to run; `backups`, a directory for the backups. Those that
  were done before one that fails stay done.

      iex> defmodule MyApp.CreateUsers do
      ...>   use Magnesia.Migration, version: 1
      ...>   def up, do: create_table(:people, attributes: [:id, :email])
      ...>   def down, do: drop_table(:people)
      ...> end
      iex> Magnesia.Migration.run([MyApp.CreateUsers])
      {:ok, [1]}
      iex> Magnesia.Migration.run([MyApp.CreateUsers])
      {:ok, []}
      iex> Magnesia.Migration.rollback([MyApp.CreateUsers])
      {:ok, [1]}
      iex> :people in Magnesia.tables()
      false
  """
  @spec run([migration()], keyword()) :: answer()
  def run(migrations, options \\ []) do
    checked!(migrations, options, "Magnesia.Migration.run/2")
    Runner.up(sorted!(migrations), options[:to] || :all, options)
  end

  @doc """
  Takes migrations back, highest version first, and answers their versions: all above `to`, or
  without it the last one.

      iex> Magnesia.Migration.rollback([], to: 0)
      {:ok, []}
  """
  @spec rollback([migration()], keyword()) :: answer()
  def rollback(migrations, options \\ []) do
    checked!(migrations, options, "Magnesia.Migration.rollback/2")
    Runner.down(Enum.reverse(sorted!(migrations)), options[:to] || :last, options)
  end

  @doc """
  Each migration's version, module and state, lowest first: `:up`, `:down`, `:unfinished` after a
  crash, or `:unknown`, for one that the database has had and the list has not.

      iex> defmodule MyApp.CreateBooks do
      ...>   use Magnesia.Migration, version: 1
      ...>   def up, do: create_table(:books, attributes: [:id, :title])
      ...> end
      iex> Magnesia.Migration.status([MyApp.CreateBooks])
      [{1, MyApp.CreateBooks, :down}]
  """
  @spec status([migration()]) :: [{version(), migration(), :up | :down | :unfinished | :unknown}]
  def status(migrations) do
    known = for module <- sorted!(migrations), do: {module.__migration__(), module}
    had = History.all()

    for {version, module} <- Enum.sort(Map.to_list(Map.merge(names(had), Map.new(known)))) do
      case {had[version], List.keymember?(known, version, 0)} do
        {nil, true} -> {version, module, :down}
        {_entry, false} -> {version, module, :unknown}
        {%{state: :up}, true} -> {version, module, :up}
        {%{state: _running}, true} -> {version, module, :unfinished}
      end
    end
  end

  defp names(had), do: Map.new(had, fn {version, entry} -> {version, entry.module} end)

  @doc """
  The migrations among the modules of an application, lowest version first.

      iex> Magnesia.Migration.of(:magnesia)
      []
  """
  @spec of(atom()) :: [migration()]
  def of(application) do
    modules = Application.spec(application, :modules) || []
    Enum.sort_by(Enum.filter(modules, &migration?/1), & &1.__migration__())
  end

  defp migration?(module) do
    is_atom(module) and Code.ensure_loaded?(module) and
      function_exported?(module, :__migration__, 0)
  end

  defp checked!(migrations, options, place) do
    rules = [
      to: {&(is_integer(&1) and &1 >= 0), "a version"},
      backups: {&is_binary/1, "a path"}
    ]

    Options.validate!(options, rules, place)
    is_list(migrations) || raise ArgumentError, "#{place} takes a list of modules"
  end

  defp sorted!(migrations) do
    for module <- migrations, not migration?(module) do
      raise ArgumentError,
            "#{inspect(module)} is no migration: it wants use Magnesia.Migration, version: 1"
    end

    sorted = Enum.sort_by(migrations, & &1.__migration__())

    for [one, other] <- Enum.chunk_every(sorted, 2, 1, :discard),
        one.__migration__() == other.__migration__() do
      raise ArgumentError,
            "#{inspect(one)} and #{inspect(other)} both have version #{one.__migration__()}"
    end

    sorted
  end
end

defmodule Magnesia.MigrationError do
  @moduledoc """
  A migration has failed, and what it touched is as it was.

  `version` and `module` say which, `step` the step as it would be written (nil outside of one),
  `reason` the exception or term. `restored?` is false when the old state could not be put back
  either: `backup` is the file that has it.
  """
  defexception [:version, :module, :direction, :step, :reason, :backup, restored?: true]

  @type t :: %__MODULE__{
          version: pos_integer(),
          module: module(),
          direction: :up | :down,
          step: String.t() | nil,
          reason: term(),
          backup: Path.t() | nil,
          restored?: boolean()
        }

  @impl true
  def message(error) do
    at = if error.step, do: " at #{error.step}", else: ""

    "migration #{error.version} #{error.direction} (#{inspect(error.module)}) failed#{at}: " <>
      "#{words(error.reason)}. #{state(error)}"
  end

  defp words(%{__exception__: true} = error), do: Exception.message(error)
  defp words(text) when is_binary(text), do: text
  defp words(reason), do: inspect(reason)

  defp state(%{restored?: true}), do: "The tables are as they were before it"

  defp state(error) do
    "The tables could not be put back: run it again when the cause is gone, or restore " <>
      "#{error.backup}"
  end
end
