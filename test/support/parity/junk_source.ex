defmodule Magnesia.Parity.JunkSource do
  @moduledoc """
  Makes calls with wrong arguments to every function on rows and to every schema function that
  refuses them. It must never make a call that would wait, stop the node or change a fixed table.
  """

  import Magnesia.Parity.Random
  alias Magnesia.Parity.Vocabulary

  @on_rows [
    write: [1, 3],
    s_write: [1],
    read: [1, 2, 3],
    wread: [1],
    delete: [1, 3],
    s_delete: [1],
    delete_object: [1, 3],
    s_delete_object: [1],
    match_object: [1, 3],
    select: [1, 2, 3, 4],
    all_keys: [1],
    index_read: [3],
    index_match_object: [2, 4],
    first: [1],
    last: [1],
    next: [2],
    prev: [2],
    lock: [2],
    read_lock_table: [1],
    write_lock_table: [1],
    foldl: [3],
    foldr: [3],
    dirty_write: [1, 2],
    dirty_read: [1, 2],
    dirty_delete: [1, 2],
    dirty_delete_object: [1, 2],
    dirty_update_counter: [2, 3],
    dirty_match_object: [1, 2],
    dirty_select: [2],
    dirty_all_keys: [1],
    dirty_index_read: [3],
    dirty_index_match_object: [2, 3],
    dirty_first: [1],
    dirty_last: [1],
    dirty_next: [2],
    dirty_prev: [2],
    dirty_slot: [2],
    table_info: [2],
    system_info: [1],
    transaction: [1, 2, 3],
    sync_transaction: [1, 2, 3],
    async_dirty: [1, 2],
    sync_dirty: [1, 2],
    ets: [1, 2],
    activity: [2, 3],
    abort: [1]
  ]

  @on_schema [
    create_table: [1],
    delete_table: [1],
    clear_table: [1],
    add_table_index: [2],
    del_table_index: [2],
    transform_table: [3],
    change_table_copy_type: [3],
    change_table_access_mode: [2],
    change_table_load_order: [2],
    force_load_table: [1],
    dump_tables: [1],
    read_table_property: [2]
  ]

  @doc "Every function that gets wrong arguments."
  @spec functions() :: [atom]
  def functions, do: Keyword.keys(@on_rows) ++ Keyword.keys(@on_schema)

  @doc "A call with wrong arguments."
  @spec call() :: tuple
  def call do
    if chance?(1, 8) do
      {function, arities} = pick(@on_schema)
      {:call, function, [other_table() | list_of(pick(arities) - 1)]}
    else
      {function, arities} = pick(@on_rows)
      {:call, function, rows(function, list_of(pick(arities)))}
    end
  end

  # A fold over a table that is there needs a real fun to fail in one way only.
  defp rows(fold, [_, start, table]) when fold in [:foldl, :foldr] do
    [{:"$fun", :collect}, start, table]
  end

  defp rows(_function, arguments), do: arguments

  defp other_table do
    case Vocabulary.junk() do
      :s -> :nosuch
      [_ | _] -> []
      other -> other
    end
  end

  defp list_of(count), do: list(count, count, &Vocabulary.junk/0)
end
