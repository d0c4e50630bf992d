defmodule Magnesia.Parity.SchemaSource do
  @moduledoc """
  Makes calls that define and change tables `t1` to `t3`, right and wrong, and lists the items of
  information that mean something. It must never change a fixed table.
  """

  import Magnesia.Parity.Random
  alias Magnesia.Parity.{MatchSource, Vocabulary}

  @names [:t1, :t2, :t3]

  @table_items [
    :access_mode,
    :active_replicas,
    :all,
    :all_nodes,
    :arity,
    :attributes,
    :checkpoints,
    :cookie,
    :cstruct,
    :disc_copies,
    :disc_only_copies,
    :external_copies,
    :frag_properties,
    :index,
    :index_info,
    :load_by_force,
    :load_node,
    :load_order,
    :load_reason,
    :local_content,
    :majority,
    :master_nodes,
    :memory,
    :ram_copies,
    :record_name,
    :record_validation,
    :size,
    :snmp,
    :storage_properties,
    :storage_type,
    :subscribers,
    :type,
    :user_properties,
    {:user_property, :p},
    :version,
    :where_to_commit,
    :where_to_read,
    :where_to_wlock,
    :where_to_write,
    :wild_pattern,
    :bogus
  ]

  @system_items [
    :access_module,
    :auto_repair,
    :backend_types,
    :checkpoints,
    :db_nodes,
    :dc_dump_limit,
    :debug,
    :directory,
    :dump_log_time_threshold,
    :dump_log_write_threshold,
    :extra_db_nodes,
    :fallback_activated,
    :held_locks,
    :is_running,
    :local_tables,
    :lock_queue,
    :master_node_tables,
    :running_db_nodes,
    :schema_location,
    :subscribers,
    :tables,
    :transaction_commits,
    :transaction_failures,
    :transaction_log_writes,
    :transaction_restarts,
    :transactions,
    :use_dir,
    :version,
    :all,
    :bogus
  ]

  @doc "The items of table_info."
  @spec table_items() :: [atom | tuple]
  def table_items, do: @table_items

  @doc "The items of system_info."
  @spec system_items() :: [atom]
  def system_items, do: @system_items

  @doc "A schema call that a transaction refuses; it changes nothing outside one either."
  @spec refused() :: tuple
  def refused do
    pick([
      {:call, :create_table, [:s, []]},
      {:call, :delete_table, [:nosuch]},
      {:call, :clear_table, [:nosuch]},
      {:call, :add_table_index, [:i, :v]},
      {:call, :del_table_index, [:s, :v]}
    ])
  end

  @doc "The start of a script: one to three tables defined as they should be."
  @spec opening() :: [tuple]
  def opening do
    for name <- Enum.take(@names, between(1, 3)) do
      {:call, :create_table, [name, sound_options()]}
    end
  end

  defp sound_options do
    plain = right_options() -- [access_mode: :read_only, record_name: :person, majority: true]
    chosen = Enum.uniq_by(list(1, 4, fn -> pick(plain) end), &elem(&1, 0))
    # An index on an attribute needs the attribute.
    if chosen[:index], do: Keyword.put(chosen, :attributes, [:k, :v, :w]), else: chosen
  end

  @doc "A schema call or a use of a table that schema calls made."
  @spec operation() :: tuple
  def operation do
    weighted([
      {8, &create/0},
      {3, fn -> {:call, :delete_table, [name()]} end},
      {3, fn -> {:call, :clear_table, [name()]} end},
      {4, fn -> {:call, :add_table_index, [name(), place()]} end},
      {3, fn -> {:call, :del_table_index, [name(), place()]} end},
      {3, &transform/0},
      {2,
       fn ->
         {:call, :change_table_copy_type, [name(), pick([node(), node(), :x@y]), storage()]}
       end},
      {2, fn -> {:call, :change_table_access_mode, [name(), access_mode()]} end},
      {1, fn -> {:call, :change_table_load_order, [name(), pick([0, 1, -1, :x])]} end},
      {1, fn -> {:call, :change_table_majority, [name(), pick([true, false])]} end},
      {2, &property/0},
      {6, fn -> {:call, :table_info, [name(), pick(@table_items)]} end},
      {2, fn -> {:call, :system_info, [pick(@system_items)]} end},
      {2, &administration/0},
      {14, &usage/0}
    ])
  end

  defp name, do: pick(@names)

  # A missing table now and then, and the schema itself where the call is refused at once.
  defp new_name, do: pick(@names ++ @names ++ [:s, :schema, "t", 1])

  defp place, do: pick([:v, :v, :w, :k, :val, 3, 4, 2, 9, :zz])
  defp access_mode, do: pick([:read_only, :read_write, :x])
  defp storage, do: pick([:ram_copies, :disc_copies, :disc_only_copies, :bad])

  defp create do
    case between(1, 12) do
      1 ->
        {:call, :create_table, [[{:name, name()} | options()]]}

      2 ->
        {:call, :create_table, [pick([[], [{:attributes, [:k, :v]}], :bad, [:bad]])]}

      3 ->
        {:call, :create_table,
         [new_name(), pick([:bad, [:bad], [{:bogus, 1}], %{}, [a: 1, a: 2]])]}

      _ ->
        {:call, :create_table, [new_name(), options()]}
    end
  end

  defp options do
    wrong = if chance?(1, 3), do: [pick(wrong_options())], else: []
    Enum.uniq_by(list(0, 4, fn -> pick(right_options()) end), &elem(&1, 0)) ++ wrong
  end

  defp right_options do
    [
      attributes: [:k, :v],
      attributes: [:k, :v, :w],
      attributes: [:k, :v, :w, :x],
      type: :set,
      type: :ordered_set,
      type: :bag,
      index: [:v],
      index: [3],
      index: [:v, :w],
      index: [],
      ram_copies: [node()],
      record_name: :person,
      access_mode: :read_write,
      access_mode: :read_only,
      load_order: 3,
      majority: true,
      local_content: true,
      user_properties: [{:p, 1}],
      storage_properties: [ets: [:compressed]],
      disc_copies: [],
      disc_only_copies: []
    ]
  end

  defp wrong_options do
    [
      type: :duplicate_bag,
      type: 1,
      attributes: [:k],
      attributes: [:k, :k],
      attributes: ["k", :v],
      attributes: :k,
      attributes: [],
      index: [:k],
      index: [:zz],
      index: [9],
      index: :v,
      index: [2],
      index: [{:v, :ordered}],
      index: [{:v, :bag}],
      ram_copies: node(),
      disc_copies: [node()],
      disc_only_copies: [node()],
      ram_copies: [1],
      record_name: "r",
      access_mode: :bad,
      load_order: :x,
      majority: 1,
      local_content: 1,
      user_properties: [:p],
      user_properties: :p,
      storage_properties: :x,
      storage_properties: [ets: [:named_table]],
      bogus: 1,
      local_content: 5,
      cookie: 1,
      version: 1,
      arity: 3
    ]
  end

  defp transform do
    fun = {:"$fun", pick([:pad, :cut, :same, :crash, :rekey])}
    attributes = pick([[:k, :v], [:k, :v, :w], [:k, :w, :v], [:k], :bad, [:k, :v, :w, :x]])

    pick([
      {:call, :transform_table, [name(), fun, attributes]},
      {:call, :transform_table, [name(), fun, attributes]},
      {:call, :transform_table, [name(), pick([:ignore, :bad, {:"$fun", :two}]), attributes]},
      {:call, :transform_table, [name(), fun, attributes, pick([:person, :t1, "x"])]},
      {:call, :transform_table, [:nosuch, :ignore, attributes]}
    ])
  end

  defp property do
    pick([
      {:call, :write_table_property, [name(), pick([{:p, 2}, {:q}, :x])]},
      {:call, :read_table_property, [name(), pick([:p, :q])]},
      {:call, :delete_table_property, [name(), pick([:p, :q])]}
    ])
  end

  defp administration do
    pick([
      {:call, :wait_for_tables, [[name()], 1]},
      {:call, :wait_for_tables,
       [pick([:t1, [:nosuch], [], [:s, :nosuch]]), pick([0, 1, -1, :x])]},
      {:call, :force_load_table, [pick([:t1, :nosuch, "x"])]},
      {:call, :dump_log, []},
      {:call, :sync_log, []},
      {:call, :dump_tables, [pick([[:t1], [:nosuch], :t1, []])]},
      {:call, :start, []},
      {:call, :set_debug_level, [:bad]},
      {:call, :create_schema, [[node()]]},
      {:call, :delete_schema, [[node()]]},
      {:call, :error_description, [pick([{:aborted, {:no_exists, :s}}, :x, {:bad_type, :a}])]}
    ])
  end

  # Rows for tables whose definition is not known while the script is made.
  defp usage do
    table = name()
    tag = pick([table, table, table, :person])
    arity = pick([3, 3, 4, 5])
    key = Vocabulary.spelt(Vocabulary.key(), :integer)
    record = List.to_tuple([tag, key | Enum.map(3..arity, fn _ -> Vocabulary.value() end)])

    weighted([
      {8, fn -> {:call, :dirty_write, [table, record]} end},
      {2, fn -> {:call, :dirty_read, [table, key]} end},
      {2, fn -> {:call, :dirty_index_read, [table, Vocabulary.value(), place()]} end},
      {1, fn -> {:call, :dirty_select, [table, MatchSource.spec(tag, arity)]} end},
      {1, fn -> {:walk, :dirty, :next, table} end},
      {3, fn -> transaction(table, record, key) end}
    ])
  end

  defp transaction(table, record, key) do
    operations = [
      {:caught, {:call, :write, [table, record, :write]}},
      {:caught, {:call, :delete, [{table, key}]}},
      {:caught, {:call, :read, [table, key]}},
      {:caught, {:call, :index_read, [table, :a, place()]}},
      {:caught, {:fold, :foldl, table, nil}},
      {:caught, {:call, :match_object, [table, record, :read]}}
    ]

    chosen = Enum.filter(operations, fn _ -> chance?(1, 2) end)
    {:activity, {:transaction, []}, chosen, {:return, :done}}
  end
end
