defmodule Magnesia.Parity.AccessSource do
  @moduledoc """
  Makes scripts on what lies above the rows: fragmented tables through their access module, their
  fragments changed meanwhile, query handles, user properties. A transaction keeps to one
  fragmented table, and only sets and bags are written there, since stock Mnesia's queries on
  fragments take every operation of a transaction for one on that table (quirk 151).
  """

  import Magnesia.Parity.Random
  alias Magnesia.Parity.{MatchSource, Script, Vocabulary}

  @fragmented [fs: :set, fb: :bag, fo: :ordered_set, fk: :set]
  @plain [:s, :o, :b, :i, :ib, :io]
  @items [
    :size,
    :frag_size,
    :frag_names,
    :frag_dist,
    :n_fragments,
    :node_pool,
    :base_table,
    :foreign_key,
    :foreigners,
    :n_ram_copies,
    :n_disc_copies,
    :n_disc_only_copies,
    :n_external_copies,
    :type,
    :attributes,
    :frag_properties,
    :frag_hash,
    :version
  ]
  @queries [
    "[X || X <- T]",
    "[X || X <- T, element(2, X) =:= V]",
    "[X || X <- T, element(3, X) =:= V]",
    "[{element(3, X), element(2, X)} || X <- T, element(2, X) > V]",
    "[X || X <- T, element(2, X) =:= V orelse element(2, X) =:= a]",
    "[{element(2, X), element(2, Y)} || X <- T, Y <- T, element(2, X) =:= element(3, Y)]"
  ]

  @doc "The queries, in which T is the table and V a value."
  @spec queries() :: [String.t()]
  def queries, do: @queries

  @doc "The operations of a script."
  @spec operations() :: [Script.operation()]
  def operations do
    style = pick([:integer, :float])
    opening(style) ++ list(6, 22, fn -> operation(style) end)
  end

  defp opening(style) do
    pool = {:node_pool, [node()]}

    creations =
      for {table, properties} <- [
            fs: [{:n_fragments, pick([1, 2, 3, 4])}, pool],
            fb: [{:n_fragments, pick([1, 2, 3])}, pool],
            fo: [{:n_fragments, pick([2, 3])}, pool],
            fk: [{:foreign_key, {:fs, :v}}]
          ] do
        type = Keyword.fetch!(@fragmented, table)
        index = if table == :fs, do: [index: [:v]], else: []
        options = [type: type, attributes: [:k, :v], frag_properties: properties] ++ index
        {:call, :create_table, [table, options]}
      end

    rows = for table <- Keyword.keys(@fragmented), do: dirty(filling(table, style))
    plain = for table <- @plain, _ <- list(0, 5, fn -> :row end), do: plain(table, style)
    creations ++ rows ++ plain
  end

  defp filling(table, style), do: list(2, 14, fn -> {:call, :write, [record(table, style)]} end)

  defp plain(table, style) do
    {_type, tag, arity, _indexes} = Script.table(table)
    values = list(arity - 2, arity - 2, fn -> Vocabulary.indexed(style) end)
    {:call, :dirty_write, [table, List.to_tuple([tag, key(style) | values])]}
  end

  defp record(table, style), do: {table, key(style), Vocabulary.indexed(style)}
  defp key(style), do: Vocabulary.spelt(Vocabulary.key(), style)

  defp operation(style) do
    weighted([
      {9, fn -> fragments(style) end},
      {6, &change/0},
      {3, &property/0},
      {6, fn -> queries(style) end},
      {2, fn -> creation() end},
      {1, fn -> {:call, :table_info, [pick(names()), :frag_properties]} end},
      {1, fn -> {:call, :delete_table, [pick(names())]} end}
    ])
  end

  defp names, do: Keyword.keys(@fragmented) ++ [:fs_frag2, :fs_frag3, :fb_frag2, :t1, :nosuch]

  defp dirty(operations) do
    {:activity, {:fragments, :async_dirty}, operations, {:return, :done}}
  end

  # An activity on one fragmented table.
  defp fragments(style) do
    {table, type} = pick(@fragmented)
    kind = pick([:transaction, :transaction, :sync_transaction, :async_dirty, :sync_dirty])
    dirty? = kind in [:async_dirty, :sync_dirty]
    writes? = dirty? or mergeable?(table, type)
    ops = list(1, 8, fn -> inside(table, style, dirty?, writes?) end)
    {:activity, {:fragments, kind}, ops, pick([{:return, :done}, {:return, 1}, {:abort, :x}])}
  end

  # Stock Mnesia merges own writes into a query as if there were one fragment: keys in order, or a
  # key in two fragments at once, confuse it.
  defp mergeable?(table, type), do: type != :ordered_set and table != :fk

  defp inside(table, style, dirty?, writes?) do
    weighted([
      {8, fn -> if(writes?, do: write(table, style), else: read(table, style)) end},
      {8, fn -> read(table, style) end},
      {4, fn -> query(table, dirty?) end},
      # From which key a walk goes wrong where another value decides is a matter of hash order.
      {if(table == :fk, do: 1, else: 3), fn -> walk(table, style) end},
      {2, fn -> info(table) end}
    ])
    |> then(&{:caught, &1})
  end

  defp write(table, style) do
    row = record(table, style)
    key = key(style)

    weighted([
      {6, fn -> {:call, :write, [row]} end},
      {1, fn -> {:call, :write, [table, row, pick([:write, :sticky_write, :bad])]} end},
      {3, fn -> {:call, :delete, [{table, key}]} end},
      {1, fn -> {:call, :delete, [{{table, Vocabulary.indexed(style)}, key}]} end},
      {3, fn -> {:call, :delete_object, [row]} end}
    ])
  end

  defp read(table, style) do
    key = key(style)

    weighted([
      {5, fn -> {:call, :read, [table, key]} end},
      {2, fn -> {:call, :wread, [{table, key}]} end},
      {2, fn -> {:call, :read, [{{table, Vocabulary.indexed(style)}, key}]} end},
      {2, fn -> {:call, :all_keys, [table]} end},
      {2, fn -> {:call, :index_read, [table, Vocabulary.indexed(style), :v]} end},
      {1, fn -> {:call, :index_match_object, [{table, :_, pick([:a, 1, 2])}, :v]} end}
    ])
  end

  defp query(table, dirty?) do
    spec = if dirty?, do: MatchSource.spec(table, 3), else: MatchSource.whole_rows(table, 3)

    weighted([
      {3, fn -> {:call, :match_object, [{table, pick([:_, 1, :a]), pick([:_, 1, :a])}]} end},
      {3, fn -> {:call, :select, [table, spec]} end},
      {3,
       fn -> {:chunks, table, MatchSource.whole_rows(table, 3), pick([1, 2, 5]), :read, []} end}
    ])
  end

  defp walk(:fk, _style), do: {:fold, pick([:foldl, :foldr]), :fk, nil}

  defp walk(table, style) do
    weighted([
      {3, fn -> {:walk, :activity, pick([:next, :prev]), table} end},
      {1, fn -> {:call, pick([:next, :prev]), [table, key(style)]} end},
      {3, fn -> {:fold, pick([:foldl, :foldr]), table, nil} end}
    ])
  end

  defp info(table) do
    place = pick([table, table, table, {table, 1}, {{table, :a}, 1}, :s, :nosuch])
    {:call, :table_info, [place, pick(@items)]}
  end

  # Fragments added, taken away, and what is refused

  defp change do
    table = pick([:fs, :fs, :fs, :fb, :fo, :fk, :fs_frag2, :s, :t1, :nosuch])

    change =
      weighted([
        {6,
         fn -> {:add_frag, pick([[node()], [node()], [node()], [], [:x@y], [node(), :x@y]])} end},
        {4, fn -> :del_frag end},
        {1, fn -> {:add_node, pick([:x@y, node(), 1])} end},
        {1, fn -> {:del_node, pick([:x@y, node(), 1])} end},
        {1, fn -> :deactivate end},
        {1, fn -> {:activate, pick([[], [n_fragments: 1], [n_fragments: 2], [:bad]])} end},
        {1, fn -> pick([:bad, {:bad, 1}, {:add_frag, :bad}]) end}
      ])

    {:call, :change_table_frag, [table, change]}
  end

  defp creation do
    properties =
      list(1, 3, fn ->
        pick([
          {:n_fragments, pick([1, 2, 3, 0, :x])},
          {:node_pool, pick([[node()], [], [:x@y], [1], [node(), :x@y]])},
          {:n_ram_copies, pick([1, 2, -1, :x])},
          {:n_disc_copies, pick([0, 1])},
          {:foreign_key, pick([{:fs, :v}, {:fs, :zz}, {:s, :v}, {:fk, :v}, {:t1, :v}, :fs])},
          {:hash_module, :mnesia_frag_hash},
          {:bogus, 1},
          :bogus
        ])
      end)

    options = [attributes: [:k, :v], frag_properties: properties]
    more = pick([[], [], [local_content: true], [type: :bag], [majority: true]])
    {:call, :create_table, [pick([:t1, :t1, :fs]), options ++ more]}
  end

  defp property do
    table = pick([:fs, :fs_frag2, :s, :s, :nosuch])
    key = pick([:p, :q, {:r, 1}])

    pick([
      {:call, :write_table_property, [table, pick([{key, 1}, {key}, {key, :a, "b"}, :x, {}])]},
      {:call, :read_table_property, [table, key]},
      {:call, :delete_table_property, [table, key]},
      {:call, :table_info, [table, :user_properties]}
    ])
  end

  # Query handles, in each kind of activity, fragmented tables through their access module

  defp queries(style) do
    kind = pick([:transaction, :transaction, :async_dirty, :sync_dirty])

    if chance?(1, 3) do
      {table, type} = pick(@fragmented)
      writes = if mergeable?(table, type), do: list(0, 2, fn -> write(table, style) end), else: []
      ops = Enum.map(writes, &{:caught, &1}) ++ list(1, 2, fn -> handle(table, :eval, style) end)
      {:activity, {:fragments, kind}, ops, {:return, :done}}
    else
      table = pick(@plain)
      how = pick([:eval, :eval, :cursor])
      {_type, tag, arity, _} = Script.table(table)
      values = list(arity - 2, arity - 2, fn -> Vocabulary.indexed(style) end)
      row = List.to_tuple([tag, key(style) | values])
      own = pick([[], [{:call, :write, [row]}], [{:call, :delete, [{table, key(style)}]}]])
      {:activity, {:activity, kind}, own ++ [handle(table, how, style)], {:return, :done}}
    end
  end

  defp handle(table, how, style) do
    # A cursor takes its lock beforehand, and says sooner that there is no such kind of lock.
    wrong = if how == :eval, do: [[lock: :bad]], else: []
    options = pick([[], [], [n_objects: 1], [n_objects: 3, lock: :write] | wrong])
    value = pick([key(style), 1, :a])
    {:query, table, options, pick(@queries), value, how}
  end
end
