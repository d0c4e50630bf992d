defmodule Magnesia.Strict.SystemItems do
  @moduledoc """
  The items that can be asked of the database as a whole, with Mnesia's names and answers.

  Many answer while the database is stopped, each in its own way. Nothing is changed here.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Database
  alias Magnesia.Engine
  alias Magnesia.Notices
  alias Magnesia.Strict.Checkpoints
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Fallback
  alias Magnesia.Strict.Settings
  alias Magnesia.Subscribers

  @whole :______WHOLETABLE_____

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
  def system_info(:fallback_activated), do: Fallback.armed?()
  def system_info(:log_version), do: ~c"4.3"
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
  defp running(:local_tables, true), do: Definition.usable()
  defp running(:checkpoints, true), do: Checkpoints.names()
  defp running(:subscribers, true), do: [Notices.process() | Subscribers.of(:system)]
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
  defp oid({:______GLOBAL_____, {:table, :schema}}), do: {:schema, @whole}
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
end
