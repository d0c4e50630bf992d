defmodule Magnesia.Compat.Idioms do
  @moduledoc """
  What is written of Mnesia in guides and copied from them, and what really happens: one rule for
  each, asked about each call.

  A rule knows a call by its names and by what is written as its arguments, so that what is
  computed elsewhere is not judged. Nothing is read or run here.
  """

  alias Magnesia.Compat.Sources

  # What is there only for people, and their arities on stock Mnesia.
  @added %{
    {:dirty_read, 3} => "dirty_index_read/3",
    {:match_object, 2} => "match_object/3 with the tag in the pattern and a lock",
    {:write, 2} => "write/3 with a lock",
    {:delete, 2} => "delete/3 with a lock"
  }
  # Calls that need an activity, by the arities that are not an access module's.
  @in_activity [
    read: 1..3,
    wread: 1..1,
    write: 1..3,
    s_write: 1..1,
    delete: 1..3,
    s_delete: 1..1,
    delete_object: 1..3,
    s_delete_object: 1..1,
    match_object: 1..3,
    select: 1..4,
    all_keys: 1..1,
    index_read: 3..3,
    index_match_object: 2..4,
    first: 1..1,
    last: 1..1,
    next: 2..2,
    prev: 2..2,
    foldl: 3..4,
    foldr: 3..4,
    lock: 2..2,
    read_lock_table: 1..1,
    write_lock_table: 1..1
  ]
  @copies [:ram_copies, :disc_copies, :disc_only_copies]
  @inside ~w(mnesia_lib mnesia_schema mnesia_tm mnesia_locker mnesia_controller mnesia_log
             mnesia_dumper mnesia_index mnesia_monitor mnesia_recover mnesia_subscr mnesia_bup
             mnesia_checkpoint mnesia_loader mnesia_snmp_hook mnesia_sup mnesia_rpc)a

  @doc "The findings of calls, and of files that could not be read."
  @spec findings([Sources.call() | Sources.unreadable()]) :: [Magnesia.Compat.finding()]
  def findings(calls) do
    {:module, _} = Code.ensure_loaded(:magnesia)
    Enum.flat_map(calls, &judge/1) ++ whole(calls)
  end

  defp judge(%{unreadable: text} = place) do
    [finding(place, :unreadable, "cannot be parsed, so nothing is known of it: #{text}")]
  end

  defp judge(%{module: module} = call) when module in [:mnesia, :magnesia] do
    [
      &arity/1,
      &outside/1,
      &result/1,
      &struct_row/1,
      &copies/1,
      &fragments/1,
      &attributes/1,
      &transform/1,
      &comparison/1
    ]
    |> Enum.flat_map(& &1.(call))
  end

  defp judge(%{module: module} = call) when module in @inside do
    [
      finding(
        call,
        :internal,
        "#{module} is inside of stock Mnesia and knows no table of Magnesia"
      )
    ]
  end

  defp judge(%{function: :unique_integer, arguments: [options]} = call) when is_list(options) do
    case Enum.reject(options, &(&1 in [:positive, :monotonic])) do
      [] ->
        []

      [option | _] ->
        [
          finding(
            call,
            :unique_integer,
            "unique_integer knows :positive and :monotonic, not #{inspect(option)}; it " <>
              "repeats after a restart, a counter row (dirty_update_counter/3) does not"
          )
        ]
    end
  end

  defp judge(_call), do: []

  # One rule, one idiom

  defp arity(%{function: function, arity: arity} = call) do
    cond do
      is_map_key(@added, {function, arity}) ->
        [
          finding(
            call,
            :added_arity,
            "#{function}/#{arity} is undefined on stock Mnesia and works on Magnesia; " <>
              "on both: #{@added[{function, arity}]}"
          )
        ]

      function_exported?(:magnesia, function, arity) ->
        []

      true ->
        near = for {^function, n} <- :magnesia.module_info(:exports), do: "#{function}/#{n}"
        there = if near == [], do: "nothing of that name", else: Enum.join(Enum.sort(near), ", ")
        text = "#{function}/#{arity} is not served; there is #{there} (guides/mnesia-api.md)"
        [finding(call, :not_served, text)]
    end
  end

  defp outside(%{function: function, arity: arity, in_fun?: false} = call) do
    if arity in Keyword.get(@in_activity, function, []) do
      dirty = :"dirty_#{String.trim_leading("#{function}", "s_")}"
      there = for {^dirty, n} <- :magnesia.module_info(:exports), do: "#{dirty}/#{n}"
      other = if there == [], do: "", else: ", or write #{hd(Enum.sort(there))}"
      text = "exits with no_transaction unless a caller has begun an activity"
      advice = ": see that one has, or call it in transaction/1"
      [finding(call, :outside, "#{function}/#{arity} " <> text <> advice <> other)]
    else
      []
    end
  end

  defp outside(_call), do: []

  defp result(%{function: :change_config, used: :match_ok} = call) do
    [
      finding(
        call,
        :change_config,
        "answers {:ok, nodes}, not :ok; nodes that are away are left out"
      )
    ]
  end

  defp result(%{function: :stop, used: :match_ok} = call) do
    [finding(call, :stop, "answers :stopped, not :ok")]
  end

  defp result(%{function: :add_table_index, used: :match_atomic} = call) do
    text = "the second time answers already_exists; Magnesia.add_index/2 is content either way"
    [finding(call, :index_twice, text)]
  end

  defp result(%{function: function, used: :rescued} = call)
       when function in [:activity, :async_dirty, :sync_dirty, :ets] do
    [
      finding(
        call,
        :rescued,
        "leaves with an exit of {:aborted, reason}: catch :exit, not rescue"
      )
    ]
  end

  defp result(_call), do: []

  defp struct_row(%{function: function, arguments: [_ | _] = arguments} = call)
       when function in [:write, :s_write, :dirty_write, :delete_object, :dirty_delete_object] do
    for {:%, _, _} <- arguments, reduce: [] do
      _ -> [finding(call, :struct, "a row is a tuple; a struct is refused with bad_type")]
    end
  end

  defp struct_row(_call), do: []

  defp copies(%{function: function, arguments: [_ | _] = arguments} = call)
       when function in [:create_table, :create_schema, :change_config] do
    lists = for {key, value} <- pairs(arguments), key in [:node_pool | @copies], do: value

    if Enum.any?(lists, &node_list?/1) do
      [
        finding(
          call,
          :node_list,
          "Node.list() leaves out this node, and alone it is [], which makes a table in " <>
            "memory without a word: [node() | Node.list()]"
        )
      ]
    else
      []
    end
  end

  defp copies(_call), do: []

  defp fragments(%{function: :create_table, arguments: [_ | _] = arguments} = call) do
    flat =
      for {:frag_properties, list} when is_list(list) <- pairs(arguments),
          {:{}, _, [key | _]} when key in [:node_pool, :n_fragments] <- list,
          do: key

    if flat == [] do
      []
    else
      text =
        "frag_properties is a list of pairs, [node_pool: nodes, n_fragments: 4]; the tuple is "

      [finding(call, :flat_fragments, text <> "refused by stock Mnesia and read as such here")]
    end
  end

  defp fragments(_call), do: []

  defp attributes(%{function: :create_table, arguments: [_ | _] = arguments} = call) do
    for {:attributes, list} when is_list(list) <- pairs(arguments),
        Enum.any?(list, &is_binary/1) do
      finding(call, :attributes, "attributes are atoms; strings are refused with bad_type")
    end
  end

  defp attributes(_call), do: []

  defp transform(%{function: :transform_table, arguments: [_, change | _]} = call)
       when change in [false, nil, true] do
    text = "the second argument is a fun or :ignore, the third the new attributes"
    [finding(call, :transform, text)]
  end

  defp transform(%{function: :transform_table, arguments: [_, _, {form, _, _}]} = call)
       when form in [:fn, :&] do
    [finding(call, :transform, "the fun comes second, the new attributes third")]
  end

  defp transform(_call), do: []

  defp comparison(%{function: fold, arguments: [fun | _]} = call) when fold in [:foldl, :foldr] do
    {_, found} = Macro.prewalk(fun, false, fn node, found -> {node, found or dated?(node)} end)
    text = "> and < compare a DateTime's fields by name, day before month: DateTime.compare/2"
    if found, do: [finding(call, :datetime, text)], else: []
  end

  defp comparison(_call), do: []

  defp dated?({operator, _, [left, right]}) when operator in [:>, :<, :>=, :<=] do
    date?(left) or date?(right)
  end

  defp dated?(_node), do: false

  defp date?({name, _, context}) when is_atom(name) and is_atom(context) do
    Regex.match?(~r/(_at|_date|_time|cutoff|since|until|now)$/, Atom.to_string(name))
  end

  defp date?({{:., _, [{:__aliases__, _, [:DateTime]}, _]}, _, _}), do: true
  defp date?({{:., _, [_, name]}, _, []}), do: Regex.match?(~r/(_at|_date)$/, "#{name}")
  defp date?(_node), do: false

  # What only a whole project shows

  defp whole(calls) do
    own = Enum.filter(calls, &(&1[:module] in [:mnesia, :magnesia]))

    if Enum.any?(own, &(&1.function == :create_schema or schema_on_disc?(&1))) do
      []
    else
      for %{function: :create_table, arguments: [_ | _] = arguments} = call <- own,
          Enum.any?(pairs(arguments), fn {key, value} ->
            key in [:disc_copies, :disc_only_copies] and value != []
          end) do
        text = "a table on disc is refused while the schema is in memory, and nothing here calls "
        finding(call, :no_schema, text <> "create_schema([node()]) before start()")
      end
    end
  end

  defp schema_on_disc?(%{function: :change_table_copy_type, arguments: [:schema | _]}), do: true
  defp schema_on_disc?(_call), do: false

  # Options, and the options that stand in one.
  defp pairs(arguments) do
    for list <- arguments,
        is_list(list),
        {key, value} when is_atom(key) <- list,
        pair <- [{key, value} | pairs([value])],
        do: pair
  end

  defp node_list?({{:., _, [{:__aliases__, _, [:Node]}, :list]}, _, []}), do: true
  defp node_list?({:nodes, _, []}), do: true
  defp node_list?(_value), do: false

  defp finding(place, idiom, advice) do
    %{file: place.file, line: place.line, idiom: idiom, advice: advice}
  end
end
