defmodule Magnesia.Parity.Avoidance do
  @moduledoc """
  Takes out of a script what would show a quirk that differs on purpose, so that scripts differ
  only by accident. It must never touch more than the calls that show it.
  """

  alias Magnesia.Parity.Script

  # Writes in an ets activity go in as they are, or through the same checks.
  @unchecked 94

  # Locks of an aborted inner transaction count as asked for, or do not.
  @relocking 144

  # Steps in a set crash, or do not, where it holds equal numbers of both kinds.
  @stepping 148

  # A map in an object to delete is a pattern, or a map.
  @patterned 165

  @deletes [:delete_object, :s_delete_object, :dirty_delete_object]
  @writes [:write, :s_write, :dirty_write]

  @doc "For each quirk that is avoided, operations that show it."
  @spec shown() :: [{pos_integer, [Script.operation()]}]
  def shown do
    transaction = fn operations, ending -> {:activity, {:transaction, []}, operations, ending} end
    inner = transaction.([{:call, :wread, [{:s, 1}]}], {:abort, :x})
    lock = {:call, :lock, [{:record, :s, 1}, :write]}
    stored = {:call, :dirty_write, [:s, {:s, 4, 1}]}
    write = {:call, :write, [{:s, 4.0, 1}]}
    mapped = {:call, :dirty_write, [:s, {:s, 1, %{a: 1}}]}
    wrong = {:call, :write, [{:s, 1, 2, 3}]}

    [
      {@unchecked, [{:activity, {:activity, :ets}, [wrong], {:return, 1}}]},
      {@relocking, [transaction.([{:caught, inner}, lock], {:return, 1})]},
      {@stepping, [stored, transaction.([write, {:call, :next, [:s, 4]}], {:return, 1})]},
      {@stepping, [stored, transaction.([write, {:walk, :activity, :next, :s}], {:return, 1})]},
      {@patterned, [mapped, {:call, :dirty_delete_object, [:s, {:s, 1, %{}}]}]},
      {@patterned,
       [mapped, transaction.([{:call, :delete_object, [{:s, 1, %{}}]}], {:return, 1})]}
    ]
  end

  @doc "Operations without what shows the quirks to avoid."
  @spec apply_to([Script.operation()], [pos_integer | String.t()]) :: [Script.operation()]
  def apply_to(operations, avoid) do
    Enum.reduce([@unchecked, @relocking, @stepping, @patterned], operations, fn quirk, left ->
      if quirk in avoid, do: without(quirk, left), else: left
    end)
  end

  defp without(@unchecked, operations), do: Enum.map(operations, &unchecked(&1, :none))
  defp without(@relocking, operations), do: Enum.map(operations, &relocking/1)
  defp without(@stepping, operations), do: stepping(operations)
  defp without(@patterned, operations), do: Enum.map(operations, &patterned/1)

  defp patterned({:activity, kind, operations, ending}) do
    {:activity, kind, Enum.map(operations, &patterned/1), ending}
  end

  defp patterned({:chunks, table, spec, limit, lock, between}) do
    {:chunks, table, spec, limit, lock, Enum.map(between, &patterned/1)}
  end

  defp patterned({:caught, operation}), do: {:caught, patterned(operation)}

  defp patterned({:call, delete, arguments}) when delete in @deletes do
    {:call, delete, Enum.map(arguments, &object/1)}
  end

  defp patterned(operation), do: operation

  defp object(record) when is_tuple(record) and tuple_size(record) > 2 do
    [tag, key | values] = Tuple.to_list(record)
    List.to_tuple([tag, key | Enum.map(values, &mapless/1)])
  end

  defp object(other), do: other

  defp mapless(map) when is_map(map), do: :map
  defp mapless([head | tail]), do: [mapless(head) | mapless(tail)]

  defp mapless(tuple) when is_tuple(tuple) do
    tuple |> Tuple.to_list() |> mapless() |> List.to_tuple()
  end

  defp mapless(other), do: other

  # Inside a transaction every activity is that transaction.
  defp unchecked({:activity, kind, operations, ending}, activity) do
    inner = if activity == :transaction, do: :transaction, else: activity(kind)
    {:activity, kind, Enum.map(operations, &unchecked(&1, inner)), ending}
  end

  defp unchecked({:caught, operation}, activity), do: {:caught, unchecked(operation, activity)}

  defp unchecked({:call, function, arguments}, :ets) when function in [:write, :s_write] do
    if refused?(written(arguments)),
      do: {:call, :is_transaction, []},
      else: {:call, function, arguments}
  end

  defp unchecked(operation, _activity), do: operation

  defp refused?({table, record}) do
    {_type, tag, size, _indexes} = Script.table(table)
    elem(record, 0) != tag or tuple_size(record) != size
  end

  defp refused?(nil), do: false

  defp activity({:activity, kind}), do: activity({kind, []})
  defp activity({{:transaction, _retries}, _}), do: :transaction
  defp activity({:sync_transaction, _}), do: :transaction
  defp activity({kind, _}), do: kind

  # The table and record of a call that writes.
  defp written([record]) when is_tuple(record) and tuple_size(record) > 2,
    do: {elem(record, 0), record}

  defp written([table, record | _kind]) when is_tuple(record) and tuple_size(record) > 2,
    do: {table, record}

  defp written(_arguments), do: nil

  defp stepping(operations) do
    keys = operations |> keys() |> Enum.uniq()

    mixed =
      for {table, key} <- keys, {^table, other} <- keys, key == other, key !== other, do: table

    Enum.map(operations, &standing(&1, mixed))
  end

  # The keys that a script writes, with their tables.
  defp keys(operations) do
    Enum.flat_map(operations, fn operation ->
      List.wrap(key(operation)) ++ keys(Script.inner(operation))
    end)
  end

  defp key({:call, function, arguments}) when function in @writes do
    with {table, record} <- written(arguments), do: {table, elem(record, 1)}
  end

  defp key({:call, :dirty_update_counter, [{table, key}, _increment]}), do: {table, key}
  defp key({:call, :dirty_update_counter, [table, key, _increment]}), do: {table, key}
  defp key(_operation), do: nil

  defp standing({:activity, kind, operations, ending}, mixed) do
    {:activity, kind, Enum.map(operations, &standing(&1, mixed)), ending}
  end

  defp standing({:caught, operation}, mixed), do: {:caught, standing(operation, mixed)}

  defp standing({:walk, :activity, _direction, table} = walk, mixed) do
    if set?(table) and table in mixed, do: {:call, :all_keys, [table]}, else: walk
  end

  defp standing({:call, step, [table, _key]} = call, mixed) when step in [:next, :prev] do
    if set?(table) and table in mixed, do: {:call, :all_keys, [table]}, else: call
  end

  defp standing(operation, _mixed), do: operation

  defp set?(table), do: elem(Script.table(table), 0) != :ordered_set

  defp relocking({:activity, kind, operations, ending}) do
    {operations, _} = Enum.map_reduce(operations, :outer, &relocking/2)
    {:activity, kind, operations, ending}
  end

  defp relocking(operation), do: operation

  # Behind an inner activity, nothing asks whether a record was locked before.
  defp relocking({:activity, kind, operations, ending}, place) do
    {operations, _} = Enum.map_reduce(operations, place, &relocking/2)
    {{:activity, kind, operations, ending}, :behind}
  end

  defp relocking({:caught, operation}, place) do
    {operation, place} = relocking(operation, place)
    {{:caught, operation}, place}
  end

  defp relocking({:call, :lock, [{:record, _, _} = record, _kind]}, :behind) do
    {{:call, :lock, [record, :read]}, :behind}
  end

  defp relocking({:call, :system_info, [:held_locks]}, :behind) do
    {{:call, :system_info, [:is_running]}, :behind}
  end

  defp relocking(operation, place), do: {operation, place}
end
