defmodule Magnesia.Parity.Faulty do
  @moduledoc """
  Makes modules that are stock Mnesia with one fault planted each, to show that the checkers bite.
  It must never be used as a referee.
  """

  @doc "The faults: a name and how often its script must be looked for."
  @spec faults() :: [{atom, non_neg_integer}]
  def faults do
    [
      one_is_one_point_zero: 400,
      minus_zero_lost: 1_500,
      unclamped_counter: 400,
      bag_read_sorted: 400,
      own_writes_unselected: 400,
      next_stays: 400,
      throw_unwrapped: 400,
      lock_not_taken: 1_500,
      lock_left_unlisted: 400,
      index_forgets: 400,
      clear_does_nothing: 1_000,
      size_off_by_one: 600,
      missing_table_shape: 400,
      delete_object_by_key: 400,
      chunk_lost: 400,
      fold_reversed: 600,
      all_keys_doubled: 400,
      aborted_commits: 400,
      second_guard_ignored: 600,
      index_twice_is_fine: 1_500,
      event_untold: 400,
      old_rows_lost: 400,
      end_told_first: 400
    ]
  end

  @doc "The faults that scripts on fragments, query handles and properties are to find."
  @spec access_faults() :: [{atom, non_neg_integer}]
  def access_faults do
    [
      writes_first_fragment: 60,
      fragment_kept: 60,
      fragment_size_off: 60,
      moved_row_lost: 60,
      query_row_missed: 60,
      property_kept: 100,
      pool_forgotten: 200
    ]
  end

  @doc "The module with a fault."
  @spec module(atom) :: module
  def module(fault) do
    name = Module.concat(__MODULE__, fault |> Atom.to_string() |> Macro.camelize())
    unless Code.ensure_loaded?(name), do: define(name, fault)
    name
  end

  defp define(name, fault) do
    functions =
      for {function, arity} <- :mnesia.module_info(:exports), function != :module_info do
        arguments = Macro.generate_arguments(arity, __MODULE__)

        quote do
          def unquote(function)(unquote_splicing(arguments)) do
            Magnesia.Parity.Faulty.call(unquote(fault), unquote(function), unquote(arguments))
          end
        end
      end

    Module.create(name, functions, Macro.Env.location(__ENV__))
  end

  @doc "A call of the module with a fault; all but the fault is stock."
  @spec call(atom, atom, [term]) :: term
  def call(:one_is_one_point_zero, :dirty_read, [table, key]) when is_float(key) do
    :mnesia.dirty_read(table, if(key == 1.0, do: 1, else: key))
  end

  def call(:minus_zero_lost, function, arguments) when function in [:dirty_write, :write] do
    apply(:mnesia, function, Enum.map(arguments, &without_minus_zero/1))
  end

  def call(:unclamped_counter, :dirty_update_counter, [table, key, increment])
      when is_integer(increment) and increment < 0 do
    stock = :mnesia.dirty_update_counter(table, key, increment)
    if stock == 0, do: increment, else: stock
  end

  def call(:bag_read_sorted, :dirty_read, [table, key]) do
    Enum.sort(:mnesia.dirty_read(table, key))
  end

  def call(:own_writes_unselected, :select, [table, spec | _]) do
    if :mnesia.is_transaction(),
      do: :mnesia.dirty_select(table, spec),
      else: :mnesia.select(table, spec)
  end

  def call(:next_stays, :dirty_next, [table, key]) do
    next = :mnesia.dirty_next(table, key)
    if next == :"$end_of_table", do: next, else: :mnesia.dirty_last(table)
  end

  def call(:throw_unwrapped, :transaction, [fun | more]) do
    case apply(:mnesia, :transaction, [fun | more]) do
      {:aborted, {:throw, value}} -> {:aborted, value}
      result -> result
    end
  end

  def call(:lock_not_taken, :wread, [{table, key}]) do
    if :mnesia.is_transaction(),
      do: :mnesia.dirty_read(table, key),
      else: :mnesia.wread({table, key})
  end

  def call(:lock_left_unlisted, :system_info, [:held_locks]) do
    Enum.drop(:mnesia.system_info(:held_locks), 1)
  end

  def call(:index_forgets, :dirty_index_read, arguments) do
    Enum.drop(apply(:mnesia, :dirty_index_read, arguments), 1)
  end

  # The tables of the harness itself are emptied by other means.
  def call(:clear_does_nothing, :clear_table, [table]) when table in [:t1, :t2, :t3] do
    if table in :mnesia.system_info(:tables), do: {:atomic, :ok}, else: :mnesia.clear_table(table)
  end

  def call(:size_off_by_one, :table_info, [table, :size]) when table in [:t1, :t2, :t3] do
    :mnesia.table_info(table, :size) + 1
  end

  def call(:missing_table_shape, :dirty_read, [table, key]) do
    :mnesia.dirty_read(table, key)
  catch
    :exit, {:aborted, {:no_exists, [_, _]}} -> exit({:aborted, {:no_exists, table}})
  end

  def call(:delete_object_by_key, :dirty_delete_object, [table, record]) do
    result = :mnesia.dirty_delete_object(table, record)
    :mnesia.dirty_delete(table, elem(record, 1))
    result
  end

  def call(:chunk_lost, :select, [continuation]) do
    case :mnesia.select(continuation) do
      {[_ | rows], more} -> {rows, more}
      result -> result
    end
  end

  def call(:fold_reversed, fold, [fun, start, table]) when fold in [:foldl, :foldr] do
    other = if fold == :foldl, do: :foldr, else: :foldl
    apply(:mnesia, other, [fun, start, table])
  end

  def call(:all_keys_doubled, :all_keys, [table]) do
    keys = :mnesia.all_keys(table)
    Enum.take(keys, 1) ++ keys
  end

  def call(:aborted_commits, :abort, [_reason]), do: throw(:aborted)

  def call(:second_guard_ignored, :dirty_select, [table, [{head, [first, _second], body}]]) do
    :mnesia.dirty_select(table, [{head, [first], body}])
  end

  def call(:index_twice_is_fine, :add_table_index, [table, place]) do
    case :mnesia.add_table_index(table, place) do
      {:aborted, {:already_exists, _, _}} -> {:atomic, :ok}
      result -> result
    end
  end

  def call(:event_untold, :subscribe, [{:table, :b, _kind}]), do: {:ok, node()}

  def call(:old_rows_lost, :subscribe, [{:table, table, :detailed}]) do
    :mnesia.subscribe({:table, table, :simple})
  end

  def call(:end_told_first, :transaction, arguments) do
    result = apply(:mnesia, :transaction, arguments)

    receive do
      {:mnesia_activity_event, _} = last ->
        told = for _ <- 1..queued()//1, do: receive(do: (event -> event))
        Enum.each([last | told], &send(self(), &1))
    after
      0 -> :ok
    end

    result
  end

  def call(:writes_first_fragment, :write, [record]) do
    case :mnesia.get_activity_id() do
      {:mnesia_frag, tid, store} when is_tuple(record) and tuple_size(record) > 2 ->
        :mnesia.write(tid, store, elem(record, 0), record, :write)

      _ ->
        :mnesia.write(record)
    end
  end

  def call(:fragment_kept, :change_table_frag, [:fs, :del_frag]) do
    if :fs_frag2 in :mnesia.system_info(:tables),
      do: {:atomic, :ok},
      else: :mnesia.change_table_frag(:fs, :del_frag)
  end

  def call(:fragment_size_off, :table_info, [table, :frag_size]) do
    for {name, size} <- :mnesia.table_info(table, :frag_size), do: {name, size + 1}
  end

  def call(:moved_row_lost, :change_table_frag, [table, {:add_frag, _} = change]) do
    before = :mnesia.system_info(:tables)
    result = :mnesia.change_table_frag(table, change)

    for name <- :mnesia.system_info(:tables) -- before do
      name
      |> :mnesia.dirty_all_keys()
      |> Enum.take(1)
      |> Enum.each(&:mnesia.dirty_delete(name, &1))
    end

    result
  end

  # The last row of the first chunk, and all chunks after it.
  def call(:query_row_missed, :table, [table, options]) do
    limit = Keyword.get(options, :n_objects, 100)

    :qlc.table(
      fn spec ->
        case :mnesia.select(table, spec, limit, :read) do
          {rows, _more} -> Enum.drop(rows, -1)
          :"$end_of_table" -> []
        end
      end,
      []
    )
  end

  def call(:property_kept, :delete_table_property, [table, _key]) do
    if table in :mnesia.system_info(:tables),
      do: {:atomic, :ok},
      else: :mnesia.delete_table_property(table, :p)
  end

  def call(:pool_forgotten, :change_table_frag, [table, {:add_node, :x@y}]) do
    case :mnesia.change_table_frag(table, {:add_node, :x@y}) do
      {:atomic, :ok} -> :mnesia.change_table_frag(table, {:del_node, :x@y})
      refused -> refused
    end
  end

  def call(_fault, function, arguments), do: apply(:mnesia, function, arguments)

  defp queued do
    {:message_queue_len, count} = Process.info(self(), :message_queue_len)
    count
  end

  defp without_minus_zero(record) when is_tuple(record) do
    record
    |> Tuple.to_list()
    |> Enum.map(fn value -> if value == 0.0, do: 0.0, else: value end)
    |> List.to_tuple()
  end

  defp without_minus_zero(other), do: other
end
