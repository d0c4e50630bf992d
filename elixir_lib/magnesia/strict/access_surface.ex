defmodule Magnesia.Strict.AccessSurface do
  @moduledoc """
  The part of `:magnesia`'s surface for query handles, fragments, what Mnesia's own modules call
  and what is refused: `use` puts these functions into the module. Only names, arguments and
  documentation stand here, no behaviour.
  """

  @doc false
  defmacro __using__(_options) do
    quote do
      require Magnesia.Strict.AccessSurface, as: AccessSurface

      AccessSurface.querying()
      AccessSurface.serving()
      AccessSurface.refusing()
    end
  end

  @doc false
  defmacro querying do
    quote do
      @doc "A query handle on a table, for OTP's `qlc`."
      @spec table(table()) :: term()
      defdelegate table(tab), to: Magnesia.Strict.QueryHandle

      @doc "As `table/1`, with one option or a list: traverse, lock, n_objects, key_equality."
      @spec table(table(), term()) :: term()
      defdelegate table(tab, options), to: Magnesia.Strict.QueryHandle
    end
  end

  @doc false
  defmacro serving do
    quote do
      @doc "Changes a table's fragmentation."
      @spec change_table_frag(table(), term()) :: outcome()
      defdelegate change_table_frag(tab, change), to: Magnesia.Strict.Refragmentation

      @doc "Selects with a fun for the stored rows, in a given activity."
      @spec fun_select(id(), store(), table(), list(), lock_kind() | :none, table(), fun()) ::
              list()
      defdelegate fun_select(tid, ts, tab, spec, lock, of, stored), to: Magnesia.Strict.Plumbing

      @doc "As `fun_select/7`, a first chunk."
      @spec fun_select(
              id(),
              store(),
              table(),
              list(),
              lock_kind() | :none,
              table(),
              fun(),
              integer(),
              node(),
              atom()
            ) :: Chunks.chunk()
      defdelegate fun_select(tid, ts, tab, spec, lock, of, first, limit, node, storage),
        to: Magnesia.Strict.Plumbing

      @doc "The stored rows' first chunk, for the fun of `fun_select/10`."
      @spec dirty_sel_init(node(), table(), list(), integer(), atom()) :: Chunks.chunk()
      defdelegate dirty_sel_init(node, tab, spec, limit, storage), to: Magnesia.Strict.Plumbing

      @doc "Calls a function on the node where a table is read."
      @spec dirty_rpc(table(), module(), atom(), list()) :: term()
      defdelegate dirty_rpc(tab, module, function, arguments), to: Magnesia.Strict.Plumbing

      @doc "The size or memory of this node's copy of a table."
      @spec raw_table_info(table(), :size | :memory) :: non_neg_integer()
      defdelegate raw_table_info(tab, item), to: Magnesia.Strict.Plumbing

      @doc "Matches on the node where a table is read."
      @spec remote_dirty_match_object(table(), record()) :: [record()]
      defdelegate remote_dirty_match_object(tab, pattern), to: Magnesia.Strict.Plumbing

      @doc "Selects on the node where a table is read."
      @spec remote_dirty_select(table(), list()) :: list()
      defdelegate remote_dirty_select(tab, spec), to: Magnesia.Strict.Plumbing

      @doc "Stops the database at once."
      @spec lkill() :: :ok | {:error, term()}
      defdelegate lkill(), to: Magnesia.Strict.Plumbing

      @doc "Stops the database at once on every node."
      @spec kill() :: {[term()], [node()]}
      defdelegate kill(), to: Magnesia.Strict.Plumbing

      @doc "The modules that the database is made of."
      @spec ms() :: [module()]
      defdelegate ms(), to: Magnesia.Strict.Plumbing
    end
  end

  @doc false
  defmacro refusing do
    quote do
      @doc "Refused: backends belong to a stock Mnesia."
      @spec add_backend_type(atom(), module()) :: {:aborted, term()}
      defdelegate add_backend_type(name, module), to: Magnesia.Strict.Plumbing

      @doc "Refused: SNMP tables are obsolete."
      @spec snmp_open_table(table(), list()) :: outcome()
      defdelegate snmp_open_table(tab, structure), to: Magnesia.Strict.Snmp

      @doc "Refused: SNMP tables are obsolete."
      @spec snmp_close_table(table()) :: outcome()
      defdelegate snmp_close_table(tab), to: Magnesia.Strict.Snmp

      @doc "Aborts, as for a table without an SNMP structure."
      @spec snmp_get_row(table(), [integer()]) :: no_return()
      defdelegate snmp_get_row(tab, index), to: Magnesia.Strict.Snmp

      @doc "Aborts, as for a table without an SNMP structure."
      @spec snmp_get_next_index(table(), [integer()]) :: no_return()
      defdelegate snmp_get_next_index(tab, index), to: Magnesia.Strict.Snmp

      @doc "Aborts, as for a table without an SNMP structure."
      @spec snmp_get_mnesia_key(table(), [integer()]) :: no_return()
      defdelegate snmp_get_mnesia_key(tab, index), to: Magnesia.Strict.Snmp
    end
  end
end
