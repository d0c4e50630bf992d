defmodule Magnesia.Strict.Information do
  @moduledoc """
  What can be asked of a table and of the database as a whole, with Mnesia's items and answers.

  Most items answer while the database is stopped too, each in its own way. Nothing is changed
  here and nothing printed; `Magnesia.Strict.Status` prints.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Database
  alias Magnesia.Engine
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Settings
  alias Magnesia.Strict.Status

  @whole :______WHOLETABLE_____
  @word 8

  # In Mnesia's order; the second list only while the database is running.
  @always [
    :auto_repair,
    :backup_module,
    :db_nodes,
    :debug,
    :directory,
    :dump_log_load_regulation,
    :dump_log_time_threshold,
    :dump_log_update_in_place,
    :dump_log_write_threshold,
    :event_module,
    :extra_db_nodes,
    :ignore_fallback_at_startup,
    :fallback_error_function,
    :is_running,
    :log_version,
    :max_wait_for_decision,
    :protocol_version,
    :running_db_nodes,
    :schema_location,
    :schema_version,
    :use_dir,
    :core_dir,
    :version
  ]

  @running [
    :access_module,
    :auto_repair,
    :backend_types,
    :backup_module,
    :checkpoints,
    :db_nodes,
    :debug,
    :directory,
    :dump_log_load_regulation,
    :dump_log_time_threshold,
    :dump_log_update_in_place,
    :dump_log_write_threshold,
    :event_module,
    :extra_db_nodes,
    :fallback_activated,
    :held_locks,
    :ignore_fallback_at_startup,
    :fallback_error_function,
    :is_running,
    :local_tables,
    :lock_queue,
    :log_version,
    :master_node_tables,
    :max_wait_for_decision,
    :protocol_version,
    :running_db_nodes,
    :schema_location,
    :schema_version,
    :subscribers,
    :tables,
    :transaction_commits,
    :transaction_failures,
    :transaction_log_writes,
    :transaction_restarts,
    :transactions,
    :use_dir,
    :core_dir,
    :no_table_loaders,
    :dc_dump_limit,
    :send_compressed,
    :max_transfer_size,
    :version
  ]

  @settings [
    :access_module,
    :auto_repair,
    :backup_module,
    :core_dir,
    :dc_dump_limit,
    :debug,
    :dump_log_load_regulation,
    :dump_log_time_threshold,
    :dump_log_update_in_place,
    :dump_log_write_threshold,
    :event_module,
    :extra_db_nodes,
    :fallback_error_function,
    :ignore_fallback_at_startup,
    :max_transfer_size,
    :max_wait_for_decision,
    :no_table_loaders,
    :schema_location,
    :send_compressed
  ]

  defdelegate info(), to: Status
  defdelegate schema(), to: Status
  defdelegate schema(tab), to: Status

  # A table

  @doc "One thing to know of a table."
  @spec table_info(term(), term()) :: term()
  def table_info(tab, item) when is_atom(tab) do
    case {item, Definition.fetch(tab)} do
      {:name, _} -> tab
      {:size, found} -> size(found)
      {:memory, found} -> memory(found)
      {:master_nodes, :error} -> []
      {_, :error} -> abort({:no_exists, tab, item})
      {:all, {:ok, definition}} -> all(definition)
      {_, {:ok, definition}} -> one(definition, item)
    end
  end

  def table_info(tab, _item), do: abort({:bad_type, tab})

  defp one(definition, item) do
    case :lists.keyfind(item, 1, [{:setorbag, definition.type} | facts(definition)]) do
      {^item, value} -> value
      false -> abort({:no_exists, definition.name, item})
    end
  end

  defp all(definition), do: :lists.sort(figures(definition) ++ facts(definition))

  @doc "All items of a table, in the order of their names."
  @spec properties(Definition.t()) :: [{atom(), term()}]
  def properties(definition) do
    [{:setorbag, definition.type} | all(definition)]
    |> List.keydelete(:type, 0)
    |> :lists.sort()
  end

  defp figures(definition) do
    [size: size({:ok, definition}), memory: memory({:ok, definition})]
  end

  defp size({:ok, %{name: :schema}}), do: length(Definition.names())
  defp size({:ok, %{storage: :unknown}}), do: 0
  defp size({:ok, definition}), do: number(Engine.size(definition.name))
  defp size(:error), do: 0

  # Words, but of a table on disc bytes.
  defp memory({:ok, %{name: :schema}}) do
    div(:erlang.external_size(Definition.all()), @word)
  end

  defp memory({:ok, %{storage: :unknown}}), do: 0

  defp memory({:ok, %{storage: :disc_only_copies, name: name}}), do: number(Engine.memory(name))
  defp memory({:ok, %{name: name}}), do: div(number(Engine.memory(name)), @word)
  defp memory(:error), do: 0

  defp number(number) when is_integer(number), do: number
  defp number(_failure), do: 0

  defp facts(d) do
    own =
      for field <- [
            :access_mode,
            :arity,
            :attributes,
            :cookie,
            :disc_copies,
            :disc_only_copies,
            :frag_properties,
            :index,
            :load_order,
            :load_reason,
            :local_content,
            :majority,
            :ram_copies,
            :record_name,
            :snmp,
            :storage_properties,
            :type,
            :user_properties,
            :version
          ],
          do: {field, Map.fetch!(d, field)}

    own ++ whereabouts(d) ++ forms(d) ++ of_schema(d)
  end

  defp forms(d) do
    [
      checkpoints: [],
      commit_work: commit_work(d),
      cstruct: Definition.cstruct(d),
      external_copies: [],
      index_info: index_info(d),
      load_by_force: false,
      master_nodes: d.masters,
      record_validation: {d.record_name, d.arity, d.type},
      subscribers: [],
      wild_pattern: put_elem(:erlang.make_tuple(d.arity, :_), 0, d.record_name)
    ]
  end

  defp commit_work(%{index: []}), do: []
  defp commit_work(d), do: [index_info(d)]

  defp index_info(d), do: {:index, d.type, for(entry <- d.index_info, do: {entry, d.storage})}

  defp whereabouts(%{storage: :unknown} = d) do
    [
      active_replicas: [],
      all_nodes: Definition.nodes(d),
      load_node: :unknown,
      storage_type: :unknown,
      where_to_commit: [],
      where_to_read: :nowhere,
      where_to_write: []
    ]
  end

  defp whereabouts(d) do
    here = if d.access_mode == :read_only, do: [], else: [node()]

    [
      active_replicas: [node()],
      all_nodes: Definition.nodes(d),
      load_node: node(),
      storage_type: d.storage,
      where_to_commit: for(node <- here, do: {node, d.storage}),
      where_to_read: node(),
      where_to_wlock: {here, d.majority},
      where_to_write: here
    ]
  end

  defp of_schema(%{name: :schema}) do
    [local_tables: local_tables(), tables: Definition.names()]
  end

  defp of_schema(_definition), do: []

  defp local_tables do
    for definition <- Definition.all(), definition.storage != :unknown, do: definition.name
  end

  # The database

  @doc "Prints what there is to know of the database, and answers whether it is running."
  @spec system_info() :: :yes | :no
  def system_info do
    Status.system_info()
    system_info(:is_running)
  end

  @doc "One thing to know of the database."
  @spec system_info(term()) :: term()
  def system_info(:all) do
    items = if Database.running?(), do: @running, else: @always
    for item <- items, do: {item, system_info(item)}
  end

  def system_info(item) when item in @settings, do: Settings.get(item)
  def system_info(:is_running), do: if(Database.running?(), do: :yes, else: :no)
  def system_info(:directory), do: Database.directory()
  def system_info(:backend_types), do: [:ram_copies, :disc_copies, :disc_only_copies]
  def system_info(:db_nodes), do: [node()]
  def system_info(:running_db_nodes), do: if(Database.running?(), do: [node()], else: [])
  def system_info(:fallback_activated), do: false
  def system_info(:log_version), do: '4.3'
  def system_info(:protocol_version), do: {8, 6}
  def system_info(:version), do: version()
  def system_info(:use_dir), do: use_dir(Definition.fetch(:schema))
  def system_info(:schema_version), do: schema_version(Definition.fetch(:schema))
  def system_info(item) when item in @running, do: running(item, Database.running?())
  def system_info(item), do: abort({:badarg, item})

  defp version do
    case Application.spec(:magnesia, :vsn) do
      nil -> {:magnesia_not_loaded, node(), :erlang.timestamp()}
      version -> version
    end
  end

  defp use_dir({:ok, schema}), do: schema.storage == :disc_copies
  defp use_dir(:error), do: Settings.use_dir?()

  defp schema_version({:ok, %{version: {version, _detail}}}), do: version
  defp schema_version(:error), do: {0, 0}

  defp running(:master_node_tables, _running) do
    for definition <- Definition.all(), definition.masters != [], do: definition.name
  end

  defp running(:tables, true), do: Definition.names()
  defp running(:local_tables, true), do: local_tables()
  defp running(item, true) when item in [:checkpoints, :subscribers], do: []
  defp running(:held_locks, true), do: held_locks()
  defp running(:lock_queue, true), do: lock_queue()
  defp running(:transactions, true), do: transactions()
  defp running(:transaction_commits, true), do: elem(Engine.counters(), 0)
  defp running(:transaction_failures, true), do: elem(Engine.counters(), 1)
  defp running(:transaction_restarts, true), do: elem(Engine.counters(), 2)
  defp running(:transaction_log_writes, true), do: elem(Engine.counters(), 3)

  defp running(item, false) when item in [:checkpoints, :subscribers, :tables, :local_tables] do
    abort({:node_not_running, node()})
  end

  defp running(:transactions, false) do
    abort({:badmatch, {:error, {:node_not_running, node()}}})
  end

  defp running(_item, false), do: abort(:badarg)

  defp held_locks do
    for {item, kind, number, pid} <- Engine.held_locks() do
      {oid(item), kind, {:tid, number, pid}}
    end
  end

  defp lock_queue do
    held = held_locks()

    for {item, kind, number, pid} <- Engine.lock_queue() do
      oid = oid(item)
      {oid, kind, pid, {:tid, number, pid}, owner(held, oid)}
    end
  end

  # The schema has no table in the engine; its lock is one of its own.
  defp oid({:global, {:table, :schema}}), do: {:schema, @whole}
  defp oid({:global, key}), do: {:______GLOBAL_____, key}
  defp oid(item), do: item

  defp owner(held, {tab, key}) do
    Enum.find_value(held, :none, fn {{other, other_key}, _kind, tid} ->
      if other == tab and (other_key == key or @whole in [key, other_key]), do: tid
    end)
  end

  defp transactions do
    for {_item, _kind, number, pid} <- Engine.held_locks() ++ Engine.lock_queue(), uniq: true do
      {number, pid, :coordinator}
    end
  end

  # Errors

  @errors %{
    nested_transaction: 'Nested transactions are not allowed',
    badarg: 'Bad or invalid argument, possibly bad type',
    no_transaction: 'Operation not allowed outside transactions',
    combine_error: 'Table options were ilegally combined',
    bad_index: 'Index already exists or was out of bounds',
    already_exists: 'Some schema option we try to set is already on',
    index_exists: 'Some ops cannot  be performed on tabs with index',
    no_exists: 'Tried to perform op on non-existing (non alive) item',
    system_limit: 'Some system_limit was exhausted',
    mnesia_down:
      'A transaction involving objects at some remote node which died while transaction was ' ++
        'executing*and* object(s) are no longer available elsewherein the network',
    not_a_db_node: 'A node which is non existent in the schema was mentioned',
    bad_type: 'Bad type on some provided arguments',
    node_not_running: 'Node not running',
    truncated_binary_file: 'Truncated binary in file',
    active: 'Some delete ops require that all active objects are removed',
    illegal: 'Operation not supported on object'
  }

  @doc "A reason in words, as far as it is known."
  @spec error_description(term()) :: term()
  def error_description({tag, reason}) when tag in [:EXIT, :error, :aborted] do
    error_description(reason)
  end

  def error_description(reason) when is_tuple(reason) and tuple_size(reason) > 0 do
    put_elem(reason, 0, error_description(elem(reason, 0)))
  end

  def error_description(reason) when is_map_key(@errors, reason), do: @errors[reason]
  def error_description(reason), do: reason
end
