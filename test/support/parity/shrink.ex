defmodule Magnesia.Parity.Shrink do
  @moduledoc """
  Makes a failing script smaller while it still fails: drops operations, unwraps activities,
  empties guards. It must never run a script more often than its budget allows.
  """

  alias Magnesia.Parity.Script

  @doc "The smallest script found for which `fails?` still holds."
  @spec shrink(Script.t(), (Script.t() -> boolean), non_neg_integer) :: Script.t()
  def shrink(script, fails?, budget) do
    check = fn operations -> fails?.(%{script | operations: operations}) end
    %{script | operations: search(script.operations, check, budget)}
  end

  defp search(operations, check, budget) do
    found =
      operations
      |> smaller()
      |> Enum.reduce_while({:none, budget}, fn candidate, {:none, left} ->
        cond do
          left <= 0 -> {:halt, {:none, 0}}
          check.(candidate) -> {:halt, {:found, candidate, left - 1}}
          true -> {:cont, {:none, left - 1}}
        end
      end)

    case found do
      {:found, candidate, left} -> search(candidate, check, left)
      {:none, _left} -> operations
    end
  end

  @doc "Candidates smaller than a list of operations, the boldest first."
  @spec smaller([Script.operation()]) :: Enumerable.t()
  def smaller(operations), do: Stream.concat(cuts(operations), inside(operations))

  defp cuts(operations) do
    count = length(operations)

    count
    |> Stream.iterate(&div(&1, 2))
    |> Stream.take_while(&(&1 > 0))
    |> Stream.flat_map(fn size -> cut(operations, count, size) end)
  end

  defp cut(operations, count, size) do
    Stream.map(0..(count - 1)//size, fn from ->
      Enum.take(operations, from) ++ Enum.drop(operations, from + size)
    end)
  end

  defp inside(operations) do
    operations
    |> Stream.with_index()
    |> Stream.flat_map(fn {operation, index} ->
      Stream.map(variants(operation), fn
        {:spliced, inner} -> List.flatten(List.replace_at(operations, index, inner))
        variant -> List.replace_at(operations, index, variant)
      end)
    end)
  end

  defp variants({:caught, operation}) do
    Stream.concat([operation], Stream.map(unspliced(operation), &{:caught, &1}))
  end

  defp variants({:activity, kind, operations, ending}) do
    plain =
      for simple <- [{:return, :ok}], simple != ending, do: {:activity, kind, operations, simple}

    kinds =
      for simple <- [{:transaction, []}], simple != kind do
        {:activity, simple, operations, ending}
      end

    Stream.concat([
      [{:spliced, operations}],
      plain,
      kinds,
      Stream.map(smaller(operations), &{:activity, kind, &1, ending})
    ])
  end

  defp variants({:chunks, table, spec, limit, lock, between}) do
    Stream.concat(
      Stream.map(smaller(between), &{:chunks, table, spec, limit, lock, &1}),
      Stream.map(specs(spec), &{:chunks, table, &1, limit, lock, between})
    )
  end

  defp variants({:call, function, [table, spec | rest]})
       when function in [:select, :dirty_select] do
    Stream.map(specs(spec), &{:call, function, [table, &1 | rest]})
  end

  defp variants({:call, :create_table, [name, options]}) when is_list(options) do
    Stream.map(lists(options), &{:call, :create_table, [name, &1]})
  end

  defp variants(_operation), do: []

  defp unspliced(operation) do
    Stream.reject(variants(operation), &match?({:spliced, _}, &1))
  end

  defp specs([{head, guards, body}]) when is_list(guards) and is_list(body) do
    Stream.concat([
      Stream.map(lists(guards), &[{head, &1, body}]),
      Stream.map(parts(guards), &[{head, &1, body}]),
      if(length(body) > 1, do: [[{head, guards, tl(body)}]], else: []),
      if(body != [:"$_"], do: [[{head, guards, [:"$_"]}]], else: [])
    ])
  end

  defp specs(spec), do: lists(spec)

  # One guard in the place of another that contains it.
  defp parts([guard]) when is_tuple(guard) and tuple_size(guard) > 1 do
    for part <- tl(Tuple.to_list(guard)), is_tuple(part), do: [part]
  end

  defp parts(_guards), do: []

  defp lists([_ | _] = list) do
    if List.improper?(list),
      do: [],
      else: Enum.map(0..(length(list) - 1), &List.delete_at(list, &1))
  end

  defp lists(_other), do: []
end
