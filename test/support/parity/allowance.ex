defmodule Magnesia.Parity.Allowance do
  @moduledoc """
  What Mnesia itself does otherwise with the tables of a backend than with its own, by name. An
  allowance takes out of a script what shows it, and has a script that does show it, so that one
  that isn't needed is noticed. The reasons are in `test/contract/hot_differences.exs`; an
  entry that no longer differs fails the test.
  """

  alias Magnesia.Parity.{Order, Script, Storage}

  @type name :: atom
  @everything [{:_, [], [:"$_"]}]
  @all [:ram_copies, :disc_copies, :disc_only_copies]

  @doc "The allowances of a storage."
  @spec names(Storage.storage()) :: [name]
  def names(storage), do: for({name, storages} <- known(), storage in storages, do: name)

  @doc "All allowances with the storages they are for."
  @spec known() :: [{name, [Storage.storage()]}]
  def known do
    [
      bad_node: @all,
      ordered_on_disc: @all,
      ets_activity: @all,
      record_validation: @all,
      counter_events: @all,
      empty_specification: [:disc_only_copies],
      map_in_key: [:disc_only_copies],
      slice_limit: [:disc_only_copies],
      slice_sizes: [:disc_only_copies]
    ]
  end

  @doc "How to compare answers of a storage."
  @spec mode(Order.mode(), Storage.storage()) :: Order.mode()
  def mode(:chunks, storage) do
    if :slice_sizes in names(storage), do: :chunk_rows, else: :chunks
  end

  def mode(mode, _storage), do: mode

  @doc "A script without what Mnesia does otherwise."
  @spec apply_to(Script.t(), Storage.storage()) :: Script.t()
  def apply_to(script, storage) do
    Enum.reduce(names(storage), script, fn
      :counter_events, script ->
        hearing(script)

      name, script ->
        %{script | operations: Enum.map(script.operations, &changed(&1, needed(name, script)))}
    end)
  end

  # Events without the rows of before.
  defp hearing(script) do
    counts? = inspect(script.operations, limit: :infinity) =~ ":dirty_update_counter"
    if counts?, do: %{script | hears: :simple}, else: script
  end

  defp needed(:ordered_on_disc, script) do
    if inspect(script.operations, limit: :infinity) =~ "ordered_set", do: :ordered_on_disc
  end

  defp needed(name, _script), do: name

  @doc "A script that shows an allowance."
  @spec shown(name) :: Script.t()
  def shown(:ets_activity) do
    read = {:call, :read, [:o, 1]}
    %Script{kind: :data, operations: [{:activity, {:ets, []}, [read], {:return, 1}}]}
  end

  def shown(:bad_node) do
    %Script{kind: :schema, operations: [{:call, :create_table, [:t1, [ram_copies: [1]]]}]}
  end

  def shown(:ordered_on_disc) do
    create = {:call, :create_table, [:t1, [type: :ordered_set, ram_copies: [node()]]]}
    changes = for to <- [:disc_only_copies, :disc_copies], do: change(to)
    %Script{kind: :schema, operations: [create | changes]}
  end

  def shown(:counter_events) do
    counts = for table <- [:s, :o], do: {:call, :dirty_update_counter, [table, :new, 1]}
    %Script{kind: :data, operations: counts}
  end

  def shown(:record_validation) do
    %Script{kind: :data, operations: [{:call, :table_info, [:s, :record_validation]}]}
  end

  def shown(:empty_specification) do
    %Script{kind: :data, operations: [{:call, :dirty_select, [:s, []]}]}
  end

  def shown(:map_in_key) do
    write = {:call, :dirty_write, [:b, {:b, %{a: 1}, 1}]}
    select = {:call, :dirty_select, [:b, [{{:b, %{a: :"$1"}, :_}, [], [:"$_"]}]]}
    %Script{kind: :data, operations: [write, select]}
  end

  def shown(:slice_limit) do
    %Script{kind: :data, operations: [slices(0)]}
  end

  def shown(:slice_sizes) do
    rows = for value <- 1..3, do: {:call, :dirty_write, [:b, {:b, 1, value}]}
    %Script{kind: :data, operations: rows ++ [slices(1)]}
  end

  defp change(to), do: {:call, :change_table_copy_type, [:t1, node(), to]}

  defp slices(limit) do
    chunks = {:chunks, :b, @everything, limit, :read, []}
    {:activity, {:transaction, []}, [chunks], {:return, 1}}
  end

  defp changed({:activity, kind, operations, ending}, name) do
    {:activity, kind(kind, name), Enum.map(operations, &changed(&1, name)), ending}
  end

  defp changed({:caught, operation}, name), do: {:caught, changed(operation, name)}

  defp changed({:call, :create_table, arguments}, :bad_node) do
    {:call, :create_table, Enum.map(arguments, &without_bad_node/1)}
  end

  defp changed({:call, :change_table_copy_type, [table, node, storage]}, :ordered_on_disc)
       when storage in @all do
    {:call, :change_table_copy_type, [table, node, :ram_copies]}
  end

  defp changed({:call, :table_info, [table, :record_validation]}, :record_validation) do
    {:call, :table_info, [table, :record_name]}
  end

  defp changed({:call, function, [table, [] | rest]}, :empty_specification)
       when function in [:select, :dirty_select] do
    {:call, function, [table, @everything | rest]}
  end

  defp changed({:chunks, table, [], limit, lock, between}, :empty_specification) do
    {:chunks, table, @everything, limit, lock, between}
  end

  defp changed(operation, :map_in_key) do
    if map_in_key?(operation), do: {:call, :dirty_all_keys, [:b]}, else: operation
  end

  defp changed({:chunks, table, spec, 0, lock, between}, :slice_limit) do
    {:chunks, table, spec, 1, lock, between}
  end

  defp changed(operation, _name), do: operation

  defp kind({:ets, arguments}, :ets_activity), do: {:async_dirty, arguments}
  defp kind({:activity, :ets}, :ets_activity), do: {:activity, :async_dirty}
  defp kind(kind, _name), do: kind

  defp map_in_key?({_, %{} = key, _}), do: open?(key)
  defp map_in_key?({_, %{} = key, _, _}), do: open?(key)
  defp map_in_key?(tuple) when is_tuple(tuple), do: map_in_key?(Tuple.to_list(tuple))
  defp map_in_key?([head | tail]), do: map_in_key?(head) or map_in_key?(tail)
  defp map_in_key?(_term), do: false

  defp open?(key), do: inspect(key) =~ ~r/:_|"\$/

  defp without_bad_node(options) when is_list(options), do: options -- [ram_copies: [1]]
  defp without_bad_node(argument), do: argument
end
