defmodule Magnesia.Parity.Printer do
  @moduledoc """
  Prints a difference so that it can be pasted into a shell: the tables it uses, the script as
  Elixir code with `m` for the module, both answers and the line that repeats it.
  """

  alias Magnesia.Parity.{Runner, Script, Storage, Subject}

  @doc "A finding as text; `stock` and `other` name the two sides."
  @spec finding(Runner.finding(), module, module) :: String.t()
  def finding(finding, stock, other) do
    difference = finding.difference

    """
    seed #{finding.seed}: #{inspect(stock)} and #{inspect(other)} differ \
    at #{path(difference.path)} #{show(difference.operation)}
      #{inspect(stock)}: #{show(difference.left)}
      #{inspect(other)}: #{show(difference.right)}

    #{code(finding.script)}
    repeat with: MAGNESIA_SEED=#{finding.seed} make parity SEEDS=1#{way(finding, stock, other)}
    """
  end

  defp way(%{script: %{kind: :access}}, _storage, _other), do: " ACCESS=1"

  defp way(_finding, storage, other) do
    if Storage.aliases()[storage] == other, do: " HOT=1 STORAGE=#{storage}", else: ""
  end

  @doc "How far a run is, for when it never ends; it goes on with the next seed."
  @spec reached({pos_integer, integer}) :: String.t()
  def reached({scripts, seed}), do: "parity: #{scripts} scripts done, the last was seed #{seed}"

  @doc "A script as Elixir code."
  @spec code(Script.t()) :: String.t()
  def code(script) do
    used =
      Enum.filter(Subject.table_names(), fn table ->
        show(script.operations) =~ ~r/:#{table}\b/
      end)

    tables = Enum.map(used, &"m.create_table(#{inspect(&1)}, #{show(Subject.options(&1))})\n")
    body = Enum.map(script.operations, &[line(&1, 0), "\n"])
    IO.iodata_to_binary([tables, body])
  end

  defp line({:caught, operation}, depth) do
    indent(depth) <>
      "try do\n" <>
      line(operation, depth + 1) <>
      "\n#{indent(depth)}catch k, r -> {k, r}\n#{indent(depth)}end"
  end

  defp line({:activity, kind, operations, ending}, depth) do
    {call, more} = opening(kind)
    inner = Enum.map(operations, &[line(&1, depth + 1), "\n"])
    last = indent(depth + 1) <> ending(ending)

    IO.iodata_to_binary([
      indent(depth),
      "m.#{call}fn ->\n",
      inner,
      last,
      "\n",
      indent(depth),
      "end#{more})"
    ])
  end

  defp line({:call, function, arguments}, depth) do
    indent(depth) <> "m.#{function}(#{Enum.map_join(arguments, ", ", &argument/1)})"
  end

  defp line({:walk, :dirty, :next, table}, depth),
    do: walk("dirty_first", "dirty_next", table, depth)

  defp line({:walk, :dirty, :prev, table}, depth),
    do: walk("dirty_last", "dirty_prev", table, depth)

  defp line({:walk, :activity, :next, table}, depth), do: walk("first", "next", table, depth)
  defp line({:walk, :activity, :prev, table}, depth), do: walk("last", "prev", table, depth)

  defp line({:chunks, table, spec, limit, lock, between}, depth) do
    arguments = Enum.map_join([table, spec, limit, lock], ", ", &show/1)
    inner = Enum.map(between, &["\n", line(&1, depth)])

    IO.iodata_to_binary([
      "#{indent(depth)}chunk = m.select(#{arguments})",
      inner,
      "\n#{indent(depth)}Stream.iterate(chunk, fn {_, c} -> m.select(c) end)",
      "\n#{indent(depth)}|> Enum.take_while(&is_tuple/1)"
    ])
  end

  defp line({:fold, fold, table, lock}, depth) do
    lock = if lock, do: ", #{inspect(lock)}", else: ""
    "#{indent(depth)}m.#{fold}(&[&1 | &2], [], #{inspect(table)}#{lock})"
  end

  defp line({:slots, table}, depth) do
    "#{indent(depth)}Stream.map(Stream.iterate(0, &(&1 + 1)), " <>
      "&m.dirty_slot(#{inspect(table)}, &1)) |> Enum.take_while(&is_list/1)"
  end

  defp line({:query, table, options, text, value, how}, depth) do
    handle = "m.table(#{inspect(table)}, #{show(options)})"
    "#{indent(depth)}# :qlc.#{how} of #{text}, T = #{handle}, V = #{show(value)}"
  end

  # The steps of two processes: `a` holds the older transaction.
  defp line({:setup, row}, depth), do: "#{indent(depth)}m.dirty_write(#{show(row)})"

  defp line({:step, name, {:call, _, _} = call}, depth) do
    "#{indent(depth)}# in the transaction of #{name}\n" <> line(call, depth)
  end

  defp line({:step, name, action}, depth), do: "#{indent(depth)}# #{name}: #{show(action)}"

  defp walk(first, next, table, depth) do
    "#{indent(depth)}Stream.iterate(m.#{first}(#{inspect(table)}), " <>
      "&m.#{next}(#{inspect(table)}, &1)) |> Enum.take_while(&(&1 != :\"$end_of_table\"))"
  end

  defp opening({:fragments, kind}), do: {"activity(#{show(kind)}, ", ", [], :mnesia_frag"}
  defp opening({:activity, kind}), do: {"activity(#{show(kind)}, ", ""}
  defp opening({name, []}), do: {"#{name}(", ""}
  defp opening({name, [more]}), do: {"#{name}(", ", #{show(more)}"}

  defp ending({:return, value}), do: show(value)
  defp ending({:abort, reason}), do: "m.abort(#{show(reason)})"
  defp ending({:throw, value}), do: "throw(#{show(value)})"
  defp ending({:exit, reason}), do: "exit(#{show(reason)})"
  defp ending({:error, reason}), do: ":erlang.error(#{show(reason)})"

  defp argument({:"$fun", :pad}), do: "&Tuple.insert_at(&1, tuple_size(&1), nil)"
  defp argument({:"$fun", :cut}), do: "&Tuple.delete_at(&1, tuple_size(&1) - 1)"
  defp argument({:"$fun", :same}), do: "& &1"
  defp argument({:"$fun", :crash}), do: "fn _ -> :erlang.error(:crash) end"
  defp argument({:"$fun", :rekey}), do: "&put_elem(&1, 1, {:new, elem(&1, 1)})"
  defp argument({:"$fun", :two}), do: "fn a, _ -> a end"
  defp argument({:"$fun", :collect}), do: "&[&1 | &2]"
  defp argument(literal), do: show(literal)

  defp path([]), do: "the end,"
  defp path(numbers), do: "step #{Enum.join(numbers, ".")},"

  defp indent(depth), do: String.duplicate("  ", depth)

  defp show(term) do
    inspect(term, limit: :infinity, printable_limit: :infinity, charlists: :as_lists, width: 96)
  end
end
