defmodule Magnesia.Strict.Administration do
  @moduledoc """
  Starting, stopping, configuring and loading: the functions that concern the database as a whole.

  Each answers `:ok` or `{:error, reason}` unless said otherwise. One node is served: what names
  another answers as Mnesia does when that node is away.
  """

  import Magnesia.Strict.Failure, only: [abort: 1, translate: 1]

  alias Magnesia.Database
  alias Magnesia.Engine
  alias Magnesia.Strict.Alteration
  alias Magnesia.Strict.Copies
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Fallback
  alias Magnesia.Strict.Settings
  alias Magnesia.Telemetry.Writing

  @typep answer :: :ok | {:error, term()}

  # Start and stop

  @doc "Starts the application and opens the database; harmless when it is running."
  @spec start() :: answer()
  def start do
    with {:ok, _started} <- Application.ensure_all_started(:magnesia), do: Database.open()
  end

  @doc "As `start/0`, with settings for the application's environment."
  @spec start([{atom(), term()}]) :: answer()
  def start(settings) when is_list(settings) do
    if not Database.running?() do
      _ = Application.load(:magnesia)
      Enum.each(settings, fn {name, value} -> Application.put_env(:magnesia, name, value) end)
    end

    start()
  end

  @doc "Closes the database."
  @spec stop() :: :stopped | {:error, term()}
  def stop do
    with :ok <- Database.close(), do: :stopped
  end

  # The schema on disc

  @doc "Makes an empty database in the directory."
  @spec create_schema(term()) :: answer()
  def create_schema(nodes), do: create_schema(nodes, [])

  @doc "As `create_schema/1`, with properties of the schema."
  @spec create_schema(term(), term()) :: answer()
  def create_schema([], properties), do: create_schema([node()], properties)

  def create_schema(nodes, properties) when is_list(nodes) and is_list(properties) do
    if Enum.uniq(nodes) == nodes do
      with :ok <- without_schema(nodes), do: create(properties)
    else
      {:error, {:combine_error, nodes}}
    end
  end

  def create_schema(nodes, _properties), do: {:error, {:badarg, nodes}}

  defp without_schema([node | rest]) when node == node() do
    if Database.running?() or Engine.has_database(Settings.path()) == true do
      {:error, {node, {:already_exists, node}}}
    else
      without_schema(rest)
    end
  end

  defp without_schema([node | _rest]) when is_atom(node), do: {:error, {node, away(node)}}
  defp without_schema([node | _rest]), do: {:error, {:badarg, node}}
  defp without_schema([]), do: :ok

  defp away(node), do: {~c"All nodes not running", node, :nodedown}

  defp create(properties) do
    _ = Application.load(:magnesia)
    Enum.each(properties, &refuse/1)

    case Settings.get(:schema_location) do
      :ram -> {:error, {:has_no_disc, node()}}
      _ -> answer(Engine.create(Settings.path()))
    end
  end

  defp refuse({kind, []}) when kind in [:backend_types, :index_plugins], do: :ok

  defp refuse({:backend_types, [{name, module} | _]}) do
    abort({:bad_type, {:backend_type, name, module}})
  end

  defp refuse({:index_plugins, [{name, module, function} | _]}) do
    abort({:bad_type, {:index_plugin, name, module, function}})
  end

  defp refuse(property), do: abort({:bad_schema_property, property})

  @doc "Removes the database from the directory."
  @spec delete_schema(term()) :: answer()
  def delete_schema([_ | _] = nodes) do
    others = nodes -- [node()]

    cond do
      node() in nodes and Database.running?() ->
        {:error, {~c"Mnesia is not stopped everywhere", [node()]}}

      others != [] ->
        {:error, {~c"All nodes not running", others}}

      Engine.has_database(Settings.path()) == false ->
        Fallback.forget(Settings.path())

      true ->
        Fallback.forget(Settings.path())
        answer(Engine.destroy(Settings.path()))
    end
  end

  def delete_schema(nodes), do: {:error, {:badarg, nodes}}

  # Settings

  @doc "Changes a setting of the running database."
  @spec change_config(term(), term()) :: {:ok, term()} | {:error, term()}
  def change_config(:extra_db_nodes, nodes) when is_list(nodes) do
    if Database.running?(), do: {:ok, Enum.filter(nodes, &(&1 == node()))}, else: stopped()
  end

  def change_config(:dc_dump_limit, limit) when is_number(limit) and limit > 0 do
    if Database.running?() do
      Settings.put(:dc_dump_limit, limit)
    else
      {:error, {:not_started, :magnesia}}
    end
  end

  def change_config(key, _value), do: {:error, {:badarg, key}}

  @doc "Sets how much is reported, and answers what it was."
  @spec set_debug_level(term()) :: atom() | {:error, term()}
  def set_debug_level(level) do
    old = Settings.get(:debug)
    with {:ok, _new} <- Settings.put(:debug, level), do: old
  end

  # Loading

  @doc "Waits until tables can be used."
  @spec wait_for_tables(term(), term()) :: answer() | {:timeout, [term()]}
  def wait_for_tables(tables, timeout)
      when is_list(tables) and
             (timeout == :infinity or (is_integer(timeout) and timeout >= 0)) do
    if List.improper?(tables), do: :erlang.error(:badarg), else: Database.wait(tables, timeout)
  end

  def wait_for_tables(tables, timeout), do: {:error, {:badarg, tables, timeout}}

  @doc "Loads a table without waiting for other nodes."
  @spec force_load_table(term()) :: :yes | {:error, term()}
  def force_load_table(tab) when is_atom(tab) and tab != :schema do
    case Definition.fetch(tab) do
      {:ok, %{storage: storage}} when storage != :unknown -> :yes
      _ -> {:error, {:no_exists, tab}}
    end
  end

  def force_load_table(tab), do: {:error, {:bad_type, tab}}

  @doc "Names the nodes that all tables are loaded from."
  @spec set_master_nodes(term()) :: answer()
  def set_master_nodes(nodes) when is_list(nodes) do
    keep_masters(fn ->
      for definition <- Definition.all() do
        valid = Enum.filter(nodes, &(&1 in Definition.nodes(definition)))
        Alteration.define(%{definition | masters: valid})
      end
    end)
  end

  def set_master_nodes(nodes), do: {:error, {:bad_type, nodes}}

  @doc "Names the nodes that a table is loaded from."
  @spec set_master_nodes(term(), term()) :: answer()
  def set_master_nodes(tab, nodes) when is_list(nodes) do
    keep_masters(fn ->
      definition = Alteration.fetch!(tab, {:no_exists, tab})
      unknown = nodes -- Definition.nodes(definition)
      if unknown != [], do: abort({:no_exists, tab, unknown})
      Alteration.define(%{definition | masters: nodes})
    end)
  end

  def set_master_nodes(tab, nodes), do: {:error, {:bad_type, tab, nodes}}

  # Not a schema operation for the caller: allowed in an activity, and no lock is taken.
  defp keep_masters(fun) do
    cond do
      Database.running?() -> Database.run(fn -> kept(fun) end) |> unaborted()
      Settings.use_dir?() -> {:error, {:node_not_running, node()}}
      true -> :ok
    end
  end

  defp kept(fun) do
    _ = fun.()
    :ok
  catch
    :exit, {:aborted, reason} -> {:error, reason}
  end

  defp unaborted({:aborted, reason}), do: {:error, reason}
  defp unaborted(answer), do: answer

  # The log

  @doc "Moves the log into the tables' files."
  @spec dump_log() :: :dumped | {:error, term()}
  def dump_log do
    cond do
      not Database.running?() -> stopped()
      Copies.disc?() -> with :ok <- Writing.dump(fn -> answer(Engine.dump_log()) end), do: :dumped
      true -> :dumped
    end
  end

  @doc "Forces the log to the disk."
  @spec sync_log() :: answer()
  def sync_log do
    cond do
      not Database.running?() -> stopped()
      Copies.disc?() -> Writing.sync(fn -> answer(Engine.sync_log()) end)
      true -> {:error, :no_such_log}
    end
  end

  @doc "Saves ram tables, to be loaded at the next start."
  @spec dump_tables(term()) :: Alteration.outcome()
  def dump_tables(tables) when is_list(tables) do
    Alteration.run(fn ->
      definitions = for tab <- tables, do: dumpable(tab)
      if definitions != [], do: dump(definitions)
    end)
  end

  def dump_tables(tables), do: {:aborted, {:bad_type, tables}}

  defp dump(definitions) do
    if not Copies.disc?(), do: abort({:has_no_disc, node()})
    Alteration.done(Engine.dump_tables(for(%{name: name} <- definitions, do: name)), :schema)
    for definition <- definitions, do: Alteration.define(%{definition | dumped: true})
  end

  defp dumpable(:schema), do: abort({:bad_type, :schema})

  defp dumpable(tab) do
    definition = Alteration.locked!(tab, :read)
    resident = definition.disc_copies ++ definition.disc_only_copies
    if resident != [], do: abort({~c"Only allowed on ram_copies", tab, resident})
    definition
  end

  defp stopped, do: {:error, {:node_not_running, node()}}

  defp answer(:ok), do: :ok
  defp answer({:"$magnesia_error", reason}), do: {:error, translate(reason)}
end
