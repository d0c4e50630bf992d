defmodule Magnesia.Supervisor do
  @moduledoc """
  The database as a child of an application's supervisor.

  The process opens the database, makes the directory when one is named and missing, creates the
  tables that are declared and are not there, and waits until all can be used; only then does
  `start_link/1` return and the next child start. When it is stopped in order, the log is forced
  to the disk and the database closed. The process serves nobody: no read or write passes it.
  """

  use GenServer

  alias Magnesia.Error
  alias Magnesia.Options
  alias Magnesia.SchemaError
  alias Magnesia.Shape
  alias Magnesia.Tables

  @wait_ms 60_000

  defp rules do
    [
      name: {&is_atom/1, "an atom"},
      dir: {&(is_nil(&1) or is_binary(&1) or is_list(&1)), "a path"},
      tables: {&tables?/1, "a list of table modules, and of names with their options"},
      wait: {&(&1 == :infinity or (is_integer(&1) and &1 >= 0)), "milliseconds or :infinity"}
    ]
  end

  defp tables?(tables), do: is_list(tables) and Enum.all?(tables, &table?/1)

  defp table?({table, options}), do: is_atom(table) and is_list(options)

  defp table?(table),
    do: is_atom(table) and match?({_name, module} when module != nil, Shape.of(table))

  @doc "Starts the process that keeps the database open."
  @spec start_link(keyword()) :: GenServer.on_start()
  def start_link(options) do
    Options.validate!(options, rules(), "Magnesia.start_link/1")
    GenServer.start_link(__MODULE__, options, name: options[:name] || __MODULE__)
  end

  @doc "Opens the database with its tables, without a process that keeps it."
  @spec open(keyword()) :: Tables.answer()
  def open(options) do
    Options.validate!(options, rules(), "Magnesia.start/1")
    tables = for table <- options[:tables] || [], do: with_options(table)

    with :ok <- open_at(path(options[:dir] || Application.get_env(:magnesia, :dir))),
         :ok <- ensure(tables) do
      Tables.wait(Keyword.keys(tables), Keyword.get(options, :wait, @wait_ms))
    end
  end

  defp with_options({table, options}), do: {table, options}
  defp with_options(module), do: {module, []}

  @doc "Forces the log to the disk and closes the database."
  @spec close() :: Tables.answer()
  def close do
    _no_log = :magnesia.sync_log()

    case :magnesia.stop() do
      :stopped -> :ok
      {:error, reason} -> failure(reason)
    end
  end

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)

    case open(options) do
      :ok -> {:ok, options}
      {:error, error} -> {:stop, error}
    end
  end

  @impl true
  def terminate(_reason, _options), do: close()

  @impl true
  def handle_info(_message, options), do: {:noreply, options}

  defp path(nil), do: nil
  defp path(dir), do: dir |> IO.chardata_to_string() |> Path.expand()

  defp open_at(nil), do: started(:magnesia.start())

  defp open_at(dir) do
    case Magnesia.info() do
      %{running?: false} -> begin(dir)
      %{dir: ^dir} -> :ok
      %{dir: other} -> failure({:already_open, other, dir})
    end
  end

  defp begin(dir) do
    _loaded = Application.load(:magnesia)
    Application.put_env(:magnesia, :dir, String.to_charlist(dir))

    with :ok <- created(:magnesia.create_schema([node()])), do: started(:magnesia.start())
  end

  defp created({:error, {_node, {:already_exists, _}}}), do: :ok
  defp created(answer), do: started(answer)

  defp started(:ok), do: :ok
  defp started({:error, reason}), do: failure(reason)

  defp ensure(tables) do
    for {table, options} <- tables, reduce: :ok do
      :ok -> Tables.ensure(table, options)
      error -> error
    end
  end

  defp failure(reason), do: {:error, Error.new(SchemaError, reason, nil)}
end
