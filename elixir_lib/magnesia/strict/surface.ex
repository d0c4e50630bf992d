defmodule Magnesia.Strict.Surface do
  @moduledoc """
  The part of `:magnesia`'s surface that is served by the rooms for the schema, for information
  and for administration: `use` puts these functions into the module. Only names, arguments and
  documentation stand here, no behaviour.
  """

  @doc false
  defmacro __using__(_options) do
    quote do
      require Magnesia.Strict.Surface, as: Surface

      Surface.running()
      Surface.keeping()
      Surface.defining()
      Surface.changing()
      Surface.telling()
      Surface.hearing()
    end
  end

  @doc false
  defmacro running do
    quote do
      @doc "Starts the database."
      @spec start() :: :ok | {:error, term()}
      defdelegate start(), to: Magnesia.Strict.Administration

      @doc "Starts the database with settings."
      @spec start([{atom(), term()}]) :: :ok | {:error, term()}
      defdelegate start(options), to: Magnesia.Strict.Administration

      @doc "Stops the database; all that was acknowledged is on disk."
      @spec stop() :: :stopped | {:error, term()}
      defdelegate stop(), to: Magnesia.Strict.Administration

      @doc "Makes an empty database on disk; the database must be stopped."
      @spec create_schema([node()]) :: :ok | {:error, term()}
      defdelegate create_schema(nodes), to: Magnesia.Strict.Administration

      @doc "As `create_schema/1`, with options."
      @spec create_schema([node()], list()) :: :ok | {:error, term()}
      defdelegate create_schema(nodes, options), to: Magnesia.Strict.Administration

      @doc "Removes the database from disk; the database must be stopped."
      @spec delete_schema([node()]) :: :ok | {:error, term()}
      defdelegate delete_schema(nodes), to: Magnesia.Strict.Administration

      @doc "Changes a setting of the running database."
      @spec change_config(atom(), term()) :: {:ok, term()} | {:error, term()}
      defdelegate change_config(key, value), to: Magnesia.Strict.Administration

      @doc "Sets how much is reported, and answers what it was."
      @spec set_debug_level(atom()) :: atom() | {:error, term()}
      defdelegate set_debug_level(level), to: Magnesia.Strict.Administration
    end
  end

  @doc false
  defmacro keeping do
    quote do
      @doc "Waits until tables can be used."
      @spec wait_for_tables([table()], timeout()) ::
              :ok | {:timeout, [table()]} | {:error, term()}
      defdelegate wait_for_tables(tables, timeout), to: Magnesia.Strict.Administration

      @doc "Loads a table without waiting for other nodes."
      @spec force_load_table(table()) :: :yes | {:error, term()}
      defdelegate force_load_table(tab), to: Magnesia.Strict.Administration

      @doc "Names the nodes that all tables are loaded from."
      @spec set_master_nodes([node()]) :: :ok | {:error, term()}
      defdelegate set_master_nodes(nodes), to: Magnesia.Strict.Administration

      @doc "Names the nodes that a table is loaded from."
      @spec set_master_nodes(table(), [node()]) :: :ok | {:error, term()}
      defdelegate set_master_nodes(tab, nodes), to: Magnesia.Strict.Administration

      @doc "Moves the log into the tables' files."
      @spec dump_log() :: :dumped | {:error, term()}
      defdelegate dump_log(), to: Magnesia.Strict.Administration

      @doc "Forces the log to the disk."
      @spec sync_log() :: :ok | {:error, term()}
      defdelegate sync_log(), to: Magnesia.Strict.Administration

      @doc "Saves ram tables, to be loaded at the next start."
      @spec dump_tables([table()]) :: outcome()
      defdelegate dump_tables(tables), to: Magnesia.Strict.Administration
    end
  end

  @doc false
  defmacro defining do
    quote do
      @doc "Creates the table that the options name."
      @spec create_table([{atom(), term()}]) :: outcome()
      defdelegate create_table(options), to: Magnesia.Strict.Schema

      @doc "Creates a table."
      @spec create_table(table(), [{atom(), term()}]) :: outcome()
      defdelegate create_table(name, options), to: Magnesia.Strict.Schema

      @doc "Deletes a table and its rows."
      @spec delete_table(table()) :: outcome()
      defdelegate delete_table(tab), to: Magnesia.Strict.Schema

      @doc "Removes all rows of a table."
      @spec clear_table(table()) :: outcome()
      defdelegate clear_table(tab), to: Magnesia.Strict.Schema

      @doc "Removes all rows, in a given activity."
      @spec clear_table(id(), store(), table(), term()) :: term()
      defdelegate clear_table(tid, ts, tab, pattern), to: Magnesia.Strict.Schema

      @doc "Adds an index."
      @spec add_table_index(table(), index_attr()) :: outcome()
      defdelegate add_table_index(tab, attr), to: Magnesia.Strict.Schema

      @doc "Removes an index."
      @spec del_table_index(table(), index_attr()) :: outcome()
      defdelegate del_table_index(tab, attr), to: Magnesia.Strict.Schema

      @doc "Rewrites a table's rows for new attributes."
      @spec transform_table(table(), (record() -> record()) | :ignore, [atom()]) :: outcome()
      defdelegate transform_table(tab, fun, attributes), to: Magnesia.Strict.Schema

      @doc "As `transform_table/3`, with a new record name."
      @spec transform_table(table(), (record() -> record()) | :ignore, [atom()], atom()) ::
              outcome()
      defdelegate transform_table(tab, fun, attributes, record_name), to: Magnesia.Strict.Schema
    end
  end

  @doc false
  defmacro changing do
    quote do
      @doc "Adds a replica on a node."
      @spec add_table_copy(table(), node(), atom()) :: outcome()
      defdelegate add_table_copy(tab, node, storage), to: Magnesia.Strict.Schema

      @doc "Removes a replica; with the last one goes the table."
      @spec del_table_copy(table(), node()) :: outcome()
      defdelegate del_table_copy(tab, node), to: Magnesia.Strict.Schema

      @doc "Moves a replica to another node."
      @spec move_table_copy(table(), node(), node()) :: outcome()
      defdelegate move_table_copy(tab, from, to), to: Magnesia.Strict.Schema

      @doc "Changes how a table is stored."
      @spec change_table_copy_type(table(), node(), atom()) :: outcome()
      defdelegate change_table_copy_type(tab, node, storage), to: Magnesia.Strict.Schema

      @doc "Makes a table read-only or writable."
      @spec change_table_access_mode(table(), atom()) :: outcome()
      defdelegate change_table_access_mode(tab, mode), to: Magnesia.Strict.Schema

      @doc "Changes when a table is loaded: higher is sooner."
      @spec change_table_load_order(table(), integer()) :: outcome()
      defdelegate change_table_load_order(tab, order), to: Magnesia.Strict.Schema

      @doc "Changes whether transactions need most replicas."
      @spec change_table_majority(table(), boolean()) :: outcome()
      defdelegate change_table_majority(tab, majority), to: Magnesia.Strict.Schema

      @doc "One of the user's own properties of a table."
      @spec read_table_property(table(), term()) :: tuple()
      defdelegate read_table_property(tab, key), to: Magnesia.Strict.Schema

      @doc "Sets one of the user's own properties of a table."
      @spec write_table_property(table(), tuple()) :: outcome()
      defdelegate write_table_property(tab, property), to: Magnesia.Strict.Schema

      @doc "Removes one of the user's own properties of a table."
      @spec delete_table_property(table(), term()) :: outcome()
      defdelegate delete_table_property(tab, key), to: Magnesia.Strict.Schema
    end
  end

  @doc false
  defmacro hearing do
    quote do
      @doc """
      Subscribes the caller to events: `:system`, `:activity`, `{:table, tab}`,
      `{:table, tab, :simple}` or `{:table, tab, :detailed}`.
      """
      @spec subscribe(term()) :: {:ok, node()} | {:error, term()}
      defdelegate subscribe(what), to: Magnesia.Strict.Subscription

      @doc "Ends the caller's subscription."
      @spec unsubscribe(term()) :: {:ok, node()} | {:error, term()}
      defdelegate unsubscribe(what), to: Magnesia.Strict.Subscription

      @doc "Sends a term to those who are subscribed to system events."
      @spec report_event(term()) :: :ok
      defdelegate report_event(event), to: Magnesia.Strict.Subscription
    end
  end

  @doc false
  defmacro telling do
    quote do
      @doc "One thing to know of a table."
      @spec table_info(table(), term()) :: term()
      def table_info(tab, item) do
        case :erlang.get(:magnesia_activity_state) do
          {mod, tid, ts} when mod != :magnesia -> mod.table_info(tid, ts, tab, item)
          _ -> Magnesia.Strict.Information.table_info(tab, item)
        end
      end

      @doc "One thing to know of a table, in a given activity."
      @spec table_info(id(), store(), table(), term()) :: term()
      def table_info(_tid, _ts, tab, item) do
        Magnesia.Strict.Information.table_info(tab, item)
      end

      @doc "Prints what there is to know of the database."
      @spec system_info() :: term()
      defdelegate system_info(), to: Magnesia.Strict.Information

      @doc "One thing to know of the database."
      @spec system_info(atom()) :: term()
      defdelegate system_info(item), to: Magnesia.Strict.Information

      @doc "Prints a page on the database's state."
      @spec info() :: :ok
      defdelegate info(), to: Magnesia.Strict.Information

      @doc "Prints all tables' definitions."
      @spec schema() :: :ok
      defdelegate schema(), to: Magnesia.Strict.Information

      @doc "Prints a table's definition."
      @spec schema(table()) :: :ok
      defdelegate schema(tab), to: Magnesia.Strict.Information

      @doc "A reason in words, as far as it is known."
      @spec error_description(term()) :: term()
      defdelegate error_description(reason), to: Magnesia.Strict.Information
    end
  end
end
