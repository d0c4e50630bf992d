defmodule Magnesia.Parity.Order do
  @moduledoc """
  Says how the answer of an operation is to be compared: exactly where stock Mnesia defines an
  order, as a multiset where the order is that of a hash table. It must never loosen the answer of
  an ordered_set, the objects of one key of a bag, or a failure.
  """

  alias Magnesia.Parity.{Normal, Script, Vocabulary}

  @type mode ::
          :exact
          | :multiset
          | :by_key
          | :names
          | :shape
          | :ignored
          | :version
          | :chunks
          | :chunk_rows
          | :locks
          | :transform

  @steps [
    :first,
    :last,
    :next,
    :prev,
    :dirty_first,
    :dirty_last,
    :dirty_next,
    :dirty_prev
  ]
  @whole_rows [
    :match_object,
    :dirty_match_object,
    :index_read,
    :dirty_index_read,
    :index_match_object,
    :dirty_index_match_object
  ]
  @selects [:select, :dirty_select]
  @keys [:all_keys, :dirty_all_keys]
  @own_to_an_implementation [:memory, :cookie, :cstruct, :index_info]
  @own_to_a_run [
    :directory,
    :version,
    :subscribers,
    :transaction_commits,
    :transaction_failures,
    :transaction_log_writes,
    :transaction_restarts,
    :transactions,
    :lock_queue
  ]

  @doc """
  How to compare; `type` finds a table's type, `written?` whether a transaction wrote to it.
  """
  @spec mode(Script.operation(), (term -> atom), (term -> boolean)) :: mode
  def mode({:call, :table_info, [_, :all]}, _type, _written?), do: :names
  def mode({:call, :system_info, [:all]}, _type, _written?), do: :names

  def mode({:call, :table_info, [_, :version]}, _type, _written?), do: :version

  def mode({:call, :table_info, [_, item]}, _type, _written?)
      when item in @own_to_an_implementation,
      do: :shape

  def mode({:call, :system_info, [item]}, _type, _written?) when item in @own_to_a_run, do: :shape
  def mode({:call, :system_info, [:held_locks]}, _type, _written?), do: :locks
  def mode({:call, :system_info, _}, _type, _written?), do: :multiset
  def mode({:call, :get_activity_id, _}, _type, _written?), do: :shape

  def mode({:call, function, arguments}, type, _written?) when function in @steps do
    if type.(hd(arguments)) == :ordered_set, do: :exact, else: :shape
  end

  def mode({:call, function, arguments}, type, _written?) when function in @whole_rows do
    rows(type.(target(arguments)))
  end

  def mode({:call, function, arguments}, type, _written?) when function in @selects do
    case {type.(hd(arguments)), whole_rows?(Enum.at(arguments, 1))} do
      {:ordered_set, _} -> :exact
      {:bag, true} -> :by_key
      {_, _} -> :multiset
    end
  end

  def mode({:call, function, [table | _]}, type, _written?) when function in @keys do
    if type.(table) == :ordered_set, do: :exact, else: :multiset
  end

  def mode({:call, fold, [_, _, table | _]}, type, _written?) when fold in [:foldl, :foldr] do
    if type.(table) == :ordered_set, do: :exact, else: :shape
  end

  def mode({:walk, where, _direction, table}, type, written?) do
    cond do
      type.(table) == :ordered_set -> :exact
      # Which own keys stock Mnesia still finds here depends on hash order.
      where == :activity and written?.(table) -> :ignored
      true -> :multiset
    end
  end

  # Which row of a wrong size is met first is the table's order.
  def mode({:call, :transform_table, [table | _]}, type, _written?) do
    if type.(table) == :ordered_set, do: :exact, else: :transform
  end

  def mode({:chunks, table, spec, _, _, _}, type, written?) do
    cond do
      type.(table) == :ordered_set -> :exact
      # Chunks after the one that used up the own writes hold whole rows, whatever the body says.
      written?.(table) and not whole_rows?(spec) -> :shape
      written?.(table) -> :chunk_rows
      true -> :chunks
    end
  end

  def mode({:fold, _, table, _}, type, _written?) do
    if type.(table) == :ordered_set, do: :exact, else: :multiset
  end

  def mode({:slots, table}, type, _written?) do
    if type.(table) == :ordered_set, do: :exact, else: :multiset
  end

  def mode(_operation, _type, _written?), do: :exact

  @doc "The part of an outcome that must be the same on both sides."
  @spec comparable(mode, {atom, term}) :: term
  def comparable(:exact, outcome), do: outcome
  def comparable(:shape, {:value, _}), do: :value
  def comparable(:ignored, _outcome), do: :ignored
  # The count of changes; beside it stands the time of the last one.
  def comparable(:version, {:value, {count, _time}}), do: {:value, count}
  def comparable(:multiset, {:value, list}) when is_list(list), do: {:value, sorted(list)}

  # Stock Mnesia keeps locks in an ordered set, where keys that are equal numbers are one.
  def comparable(:locks, {:value, list}) when is_list(list) do
    {:value, list |> Enum.map(&one_spelling/1) |> Enum.uniq() |> sorted()}
  end

  def comparable(:names, {:value, list}) when is_list(list), do: {:value, Enum.sort(names(list))}

  def comparable(:by_key, {:value, list}) when is_list(list) do
    if List.improper?(list) or not Enum.all?(list, &(is_tuple(&1) and tuple_size(&1) > 1)),
      do: {:value, list},
      else: {:value, Normal.sorted(list, &elem(&1, 1))}
  end

  def comparable(:chunks, {:value, {:chunks, sizes, rows}}) do
    {:value, {Enum.reject(sizes, &(&1 == 0)), Normal.sorted(rows)}}
  end

  def comparable(:chunk_rows, {:value, {:chunks, _sizes, rows}}),
    do: {:value, Normal.sorted(rows)}

  def comparable(:transform, {:value, {:aborted, {text, table, fun, node, {why, old, new}}}})
      when is_tuple(old) and is_tuple(new) do
    sizes = {elem(old, 0), tuple_size(old), tuple_size(new)}
    {:value, {:aborted, {text, table, fun, node, {why, sizes}}}}
  end

  def comparable(_mode, outcome), do: outcome

  defp rows(:ordered_set), do: :exact
  defp rows(:bag), do: :by_key
  defp rows(_type), do: :multiset

  defp target([pattern | _]) when is_tuple(pattern) and tuple_size(pattern) > 0 do
    elem(pattern, 0)
  end

  defp target([table | _]), do: table

  defp whole_rows?([_ | _] = spec) do
    not List.improper?(spec) and Enum.all?(spec, &match?({_, _, [:"$_"]}, &1))
  end

  defp whole_rows?(_spec), do: false

  defp sorted(list), do: if(List.improper?(list), do: list, else: Normal.sorted(list))

  defp one_spelling({{table, key}, kind, owner}) do
    key = if is_number(key) and key == 0, do: 0, else: Vocabulary.spelt(key, :integer)
    {{table, key}, kind, owner}
  end

  # Stock names the tables that hold its indexes.
  defp names(list) do
    list
    |> Enum.reject(&match?({{:index, _}, _}, &1))
    |> Enum.map(fn
      {name, _} -> name
      other -> other
    end)
  end
end
