defmodule Magnesia.Parity.Coverage do
  @moduledoc """
  Counts what random scripts reached: functions, guard functions, ways to the rows, activities and
  their ends, outcomes. A count of zero is a blind spot. It must never influence a script.
  """

  alias Magnesia.Parity.{JunkSource, MatchSource, Script}

  @type t :: %{{atom, term} => non_neg_integer}

  @paths [:point, :part_of_key, :guard_on_key, :index, :full]
  @endings [:return, :abort, :throw, :exit, :error]
  @outcomes [:value, :exit, :throw, :error]
  @functions [
    :create_table,
    :delete_table,
    :clear_table,
    :add_table_index,
    :del_table_index,
    :transform_table,
    :change_table_copy_type,
    :change_table_access_mode,
    :wait_for_tables,
    :force_load_table,
    :dump_log,
    :sync_log
  ]

  @doc "Nothing counted yet, everything expected at zero."
  @spec new() :: t
  def new do
    expected =
      for({:function, list} <- [function: JunkSource.functions() ++ @functions], f <- list) do
        {:function, f}
      end ++
        Enum.map(MatchSource.functions(), &{:guard, &1}) ++
        Enum.map(@paths, &{:path, &1}) ++
        Enum.map(@endings, &{:ending, &1}) ++
        Enum.map(@outcomes, &{:outcome, &1}) ++
        Enum.map([:some, :none], &{:rows_found, &1}) ++
        Enum.map([:data, :schema, :duel], &{:kind, &1}) ++
        Enum.map([:walk, :chunks, :fold, :slots, :nested], &{:form, &1})

    Map.new(expected, &{&1, 0})
  end

  @doc "Adds what a script contains and how its operations ended."
  @spec add(t, Script.t(), [map]) :: t
  def add(coverage, script, log) do
    coverage = count(coverage, {:kind, script.kind})
    coverage = Enum.reduce(script.operations, coverage, &operation(&1, &2, 0))

    Enum.reduce(log, coverage, fn
      %{outcome: {kind, value}, operation: operation}, coverage ->
        coverage |> count({:outcome, kind}) |> found(operation, value)

      _entry, coverage ->
        coverage
    end)
  end

  defp found(coverage, {:call, select, _}, rows)
       when select in [:select, :dirty_select] and is_list(rows) do
    count(coverage, {:rows_found, if(rows == [], do: :none, else: :some)})
  end

  defp found(coverage, _operation, _value), do: coverage

  @doc "What was never reached."
  @spec blind_spots(t) :: [{atom, term}]
  def blind_spots(coverage), do: for({what, 0} <- coverage, do: what)

  @doc "The counts as lines of text, one kind of thing a line."
  @spec lines(t) :: [String.t()]
  def lines(coverage) do
    coverage
    |> Enum.group_by(fn {{group, _}, _} -> group end, fn {{_, name}, n} -> {name, n} end)
    |> Enum.map(fn {group, counts} ->
      "#{group}: " <> Enum.map_join(Enum.sort(counts), " ", fn {name, n} -> "#{name}=#{n}" end)
    end)
  end

  defp operation({:caught, operation}, coverage, depth), do: operation(operation, coverage, depth)

  defp operation({:step, _name, {:call, _, _} = call}, coverage, depth) do
    operation(call, coverage, depth)
  end

  defp operation({:activity, kind, operations, {ending, _}}, coverage, depth) do
    coverage = coverage |> count({:ending, ending}) |> count({:function, elem(kind, 0)})
    coverage = if depth > 0, do: count(coverage, {:form, :nested}), else: coverage
    Enum.reduce(operations, coverage, &operation(&1, &2, depth + 1))
  end

  defp operation({:query, _table, _options, _text, _value, how}, coverage, _depth) do
    count(coverage, {:query, how})
  end

  defp operation({:call, function, arguments}, coverage, _depth) do
    coverage = count(coverage, {:function, function})
    spec = if function in [:select, :dirty_select], do: Enum.at(arguments, 1)

    cond do
      is_list(spec) -> spec(coverage, hd(arguments), spec)
      function in [:index_read, :dirty_index_read] -> count(coverage, {:path, :index})
      true -> coverage
    end
  end

  defp operation({:chunks, table, spec, _, _, between}, coverage, depth) do
    coverage = coverage |> count({:form, :chunks}) |> spec(table, spec)
    Enum.reduce(between, coverage, &operation(&1, &2, depth + 1))
  end

  defp operation(operation, coverage, _depth) do
    form = elem(operation, 0)
    if form in [:walk, :fold, :slots], do: count(coverage, {:form, form}), else: coverage
  end

  defp spec(coverage, table, [{head, guards, body} | _]) do
    coverage = count(coverage, {:path, way(table, head, guards)})
    Enum.reduce(calls([guards, body]), coverage, &count(&2, {:guard, &1}))
  end

  defp spec(coverage, _table, _spec), do: coverage

  defp way(table, head, guards) when is_tuple(head) and tuple_size(head) > 2 do
    key = elem(head, 1)
    {_, _, _, indexes} = Script.table(table)

    cond do
      not variable?(key) and calls(key) == [] and not open?(key) -> :point
      not variable?(key) -> :part_of_key
      key != :_ and mentions?(guards, key) -> :guard_on_key
      indexes != [] and not open?(elem(head, 2)) -> :index
      true -> :full
    end
  end

  defp way(_table, _head, _guards), do: :full

  defp open?(term), do: inspect(term, limit: :infinity) =~ ~r/:_|"\$\d"/
  defp mentions?(term, variable), do: inspect(term, limit: :infinity) =~ inspect(variable)
  defp variable?(term), do: term in [:_, :"$1", :"$2", :"$3"]

  defp calls(tuple) when is_tuple(tuple) and tuple_size(tuple) > 0 do
    [first | rest] = Tuple.to_list(tuple)
    name = if first in MatchSource.functions(), do: [first], else: []
    if first == :const, do: [:const], else: name ++ calls([first | rest])
  end

  defp calls([head | tail]), do: calls(head) ++ calls(tail)
  defp calls(map) when is_map(map), do: map |> Map.to_list() |> calls()
  defp calls(_other), do: []

  defp count(coverage, what), do: Map.update(coverage, what, 1, &(&1 + 1))
end
