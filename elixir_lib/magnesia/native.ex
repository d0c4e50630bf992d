defmodule Magnesia.Native do
  @moduledoc false
  # The functions of the shared library, one stub each, and its loading; nothing else lives
  # here. Only Magnesia.Engine calls them. The calls are described in native/nif/src/calls, one
  # file a topic, in the order of this file.

  @on_load :load

  @version Mix.Project.config()[:version]

  @doc false
  @spec load() :: :ok | {:error, term}
  def load do
    path = :filename.join([:code.priv_dir(:magnesia), "native", "libmagnesia_nif"])
    release = :erlang.system_info(:otp_release) |> List.to_integer()
    :erlang.load_nif(path, {@version, release, functions_of_26?(), maps_match_in_keys?()})
  end

  # What came with a patch as well as with a release is asked of ets itself.
  defp functions_of_26? do
    _ = :ets.match_spec_compile([{:"$1", [is_boolean: :"$1"], [:"$1"]}])
    true
  rescue
    ArgumentError -> false
  end

  defp maps_match_in_keys? do
    table = :ets.new(:probe, [:ordered_set])
    :ets.insert(table, {%{a: 1}})
    found = :ets.match_object(table, {%{}})
    :ets.delete(table)
    found != []
  end

  # Lifecycle, log, figures
  def open(_a, _b, _c), do: missing()
  def has_database(_a), do: missing()
  def create(_a), do: missing()
  def destroy(_a), do: missing()
  def attach(_a, _b), do: missing()
  def detach(_a), do: missing()
  def close(_a), do: missing()
  def dump_log(_a), do: missing()
  def sync_log(_a), do: missing()
  def log_info(_a), do: missing()
  def held_locks, do: missing()
  def lock_queue, do: missing()
  def counters(_a), do: missing()
  def count_failure, do: missing()
  def count_restart, do: missing()

  # Events
  def audience(_a, _b, _c, _d), do: missing()
  def publish(_a), do: missing()
  def handed_on(_count), do: missing()
  def set_logs(_a), do: missing()
  def log_wait(_a, _b), do: missing()

  # Reads
  def read(_a, _b), do: missing()
  def read_large(_a, _b), do: missing()
  def first(_a), do: missing()
  def last(_a), do: missing()
  def next(_a, _b), do: missing()
  def prev(_a, _b), do: missing()
  def slot(_a, _b), do: missing()
  def index_read(_a, _b, _c), do: missing()
  def index_read_large(_a, _b, _c), do: missing()
  def size(_a), do: missing()
  def memory(_a), do: missing()

  # Tables of a stock Mnesia
  def fix(_a, _b), do: missing()
  def log_ahead(_a), do: missing()
  def log_ahead_large(_a), do: missing()
  def forget_owed, do: missing()

  # Salvage
  def salvage_open(_a, _b), do: missing()
  def salvage_close(_a), do: missing()
  def salvage_tables(_a), do: missing()
  def salvage_damage(_a), do: missing()
  def salvage_rows(_a, _b, _c), do: missing()

  # Schema
  def schema_properties(_a), do: missing()
  def set_schema_properties(_a, _b), do: missing()
  def tables(_a), do: missing()
  def table_create(_a, _b, _c, _d, _e, _f, _g, _h), do: missing()
  def table_delete(_a), do: missing()
  def table_clear(_a), do: missing()
  def table_define(_a, _b, _c), do: missing()
  def table_reshape(_a, _b, _c, _d), do: missing()
  def table_definition(_a), do: missing()
  def table_add_index(_a, _b, _c), do: missing()
  def table_del_index(_a, _b, _c), do: missing()
  def table_set_storage(_a, _b, _c), do: missing()
  def dump_tables(_a), do: missing()

  # Queries
  def select_all(_a, _b), do: missing()
  def select_all_more(_a, _b), do: missing()
  def select_chunk(_a, _b, _c), do: missing()
  def table_unique(_a, _b, _c), do: missing()
  def select_ordered(_a, _b, _c, _d), do: missing()
  def select_access(_a, _b, _c), do: missing()
  def select_chunk_more(_a, _b), do: missing()
  def cursor_table(_a), do: missing()
  def spec_valid(_a), do: missing()
  def spec_run(_a, _b), do: missing()

  # Transactions
  def tx_new, do: missing()
  def tx_begin(_a), do: missing()
  def tx_nest(_a), do: missing()
  def tx_nest_large(_a), do: missing()
  def tx_merge(_a), do: missing()
  def tx_merge_large(_a), do: missing()
  def tx_undo(_a), do: missing()
  def tx_undo_large(_a), do: missing()
  def tx_commit(_a, _b), do: missing()
  def tx_commit_large(_a, _b), do: missing()
  def tx_abort(_a), do: missing()
  def tx_abort_large(_a), do: missing()
  def tx_restart(_a, _b), do: missing()
  def tx_restart_large(_a, _b), do: missing()
  def tx_read(_a, _b, _c, _d), do: missing()
  def tx_read_large(_a, _b, _c, _d), do: missing()
  def tx_write(_a, _b, _c, _d), do: missing()
  def tx_delete(_a, _b, _c, _d), do: missing()
  def tx_delete_object(_a, _b, _c, _d), do: missing()
  def tx_lock(_a, _b, _c), do: missing()
  def tx_own(_a, _b), do: missing()
  def tx_own_large(_a, _b), do: missing()
  def tx_own_key(_a, _b, _c), do: missing()
  def tx_seq(_a), do: missing()

  # Transformations
  def transform_start(_a, _b, _c, _d), do: missing()
  def transform_rows(_a, _b), do: missing()
  def transform_commit(_a), do: missing()

  # Checkpoints
  def checkpoint_start(_a), do: missing()
  def checkpoint_end(_a), do: missing()
  def checkpoint_kept(_a), do: missing()
  def checkpoint_rows(_a, _b, _c), do: missing()
  def checkpoint_changes(_a, _b, _c), do: missing()
  def rows_next(_a, _b), do: missing()
  def rows_log(_a, _b), do: missing()

  # Restoring
  def rebuild_start, do: missing()
  def rebuild_table(_a, _b, _c), do: missing()
  def rebuild_drop(_a, _b), do: missing()
  def rebuild_log(_a, _b), do: missing()
  def rebuild_items(_a, _b), do: missing()
  def rebuild_commit(_a, _b), do: missing()
  def rebuild_abort(_a), do: missing()

  # Items of backups
  def items_read(_a), do: missing()
  def items_write(_a), do: missing()

  # Dirty writes
  def write(_a, _b), do: missing()
  def delete(_a, _b), do: missing()
  def delete_object(_a, _b), do: missing()
  def write_bare(_a, _b), do: missing()
  def delete_bare(_a, _b), do: missing()
  def delete_object_bare(_a, _b), do: missing()
  def update_counter(_a, _b, _c), do: missing()

  defp missing, do: :erlang.nif_error(:not_loaded)
end
