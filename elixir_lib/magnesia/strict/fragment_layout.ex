defmodule Magnesia.Strict.FragmentLayout do
  @moduledoc """
  Which fragments a table gets and on which nodes they lie: reads `frag_properties` into one
  definition for each fragment, and tells how fragments are spread over their nodes.

  Breaches abort with Mnesia's terms in Mnesia's order. Tables are only looked at: making them is
  `Magnesia.Strict.Schema`'s business.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Fragments
  alias Magnesia.Strict.Rules
  alias Magnesia.Strict.SystemItems

  @counts [
    n_ram_copies: :ram_copies,
    n_disc_copies: :disc_copies,
    n_disc_only_copies: :disc_only_copies,
    n_external_copies: :external_copies
  ]
  @keys [:foreign_key, :n_fragments, :node_pool, :hash_module, :hash_state] ++
          Keyword.keys(@counts)

  @typedoc "How many copies of each kind a fragment has."
  @type counts :: {integer(), integer(), integer(), integer()}

  @doc """
  The definitions that a table's `frag_properties` make of it, the base table's last: to create
  them, or to make a table that is there the one fragment of itself.
  """
  @spec expand(Definition.t(), :create | :activate) :: [Definition.t()]
  def expand(%{name: tab, frag_properties: properties} = definition, mode) do
    check_keys(tab, properties)
    foreign_key = pick(tab, :foreign_key, properties, :undefined)
    {foreign_key, n, pool, default} = choose(definition, properties, foreign_key)
    check_pool(tab, pool)
    counts = counts(tab, properties)
    definition = check_number(n, definition, mode)
    module = pick(tab, :hash_module, properties, :mnesia_frag_hash)
    state = pick(tab, :hash_state, properties, :undefined)

    spread = %Fragments{
      tab: tab,
      foreign_key: foreign_key,
      n_fragments: 1,
      hash_module: module,
      hash_state: Fragments.hash(module).init_state(tab, state)
    }

    if definition.local_content do
      abort({:combine_error, tab, {:local_content, true}})
    end

    if definition.snmp != [], do: abort({:combine_error, tab, {:snmp, definition.snmp}})
    counts = if counts == {0, 0, 0, 0}, do: default, else: counts
    common = %{definition | frag_properties: [base_table: tab]}
    lay(n, counts, common, pool, pool, spread, mode)
  end

  @doc """
  Properties as their author meant them. Guides write them as one tuple,
  `{:node_pool, nodes, :n_fragments, 4}`, beside the storage of the whole table: the tuple is
  read as pairs, lists of nodes give the number of copies, and an empty pool is the default one.
  Properties in pairs stay as they are.
  """
  @spec meant(list(), Definition.t()) :: list()
  def meant(properties, definition) do
    if is_list(properties) and Enum.any?(properties, &flat?/1) do
      pairs = Enum.flat_map(properties, &pairs/1) -- [node_pool: []]
      pairs ++ stored(pairs, definition)
    else
      properties
    end
  end

  defp flat?(tuple) when is_tuple(tuple) and tuple_size(tuple) > 2 do
    items = Tuple.to_list(tuple)
    rem(length(items), 2) == 0 and Enum.all?(Enum.take_every(items, 2), &(&1 in @keys))
  end

  defp flat?(_property), do: false

  defp pairs(property) do
    if flat?(property) do
      for [key, value] <- Enum.chunk_every(Tuple.to_list(property), 2), do: {key, value}
    else
      [property]
    end
  end

  defp stored(pairs, definition) do
    counts = Keyword.keys(@counts)

    if Enum.any?(pairs, &(is_tuple(&1) and elem(&1, 0) in counts)) do
      []
    else
      for {count, field} <- @counts,
          nodes = Map.get(definition, field),
          is_list(nodes),
          nodes != [] do
        {count, length(nodes)}
      end
    end
  end

  defp check_keys(tab, properties) do
    keys = keys(tab, properties)
    if Rules.duplicates?(keys), do: abort({:badarg, tab, ~c"Duplicate keys", keys})
  end

  defp keys(tab, [{key, _value} | rest]) do
    item = if is_tuple(key) and tuple_size(key) > 0, do: elem(key, 0), else: key
    if item in @keys, do: [key | keys(tab, rest)], else: abort({:badarg, tab, key})
  end

  defp keys(_tab, []), do: []
  defp keys(tab, rest), do: abort({:badarg, tab, rest})

  defp pick(tab, key, properties, default) do
    case :lists.keyfind(key, 1, properties) do
      false -> default
      {^key, value} -> value
      other -> abort({:bad_type, tab, other})
    end
  end

  # Number, pool and copies; those of the table that is followed when there is one.
  defp choose(%{name: tab} = definition, properties, {foreign, attribute}) do
    if foreign == tab, do: abort({:combine_error, tab, {foreign, attribute}})
    followed = Fragments.property!(foreign, :foreign_key)
    foreign_n = Fragments.property!(foreign, :n_fragments)
    foreign_pool = Fragments.property!(foreign, :node_pool)
    n = pick(tab, :n_fragments, properties, foreign_n)
    pool = pick(tab, :node_pool, properties, foreign_pool)
    alike!(tab, {:n_fragments, n}, foreign, {:n_fragments, foreign_n})
    alike!(tab, {:node_pool, pool}, foreign, {:node_pool, foreign_pool})

    if followed != :undefined do
      text = ~c"Multiple levels of foreign_key dependencies"
      abort({:combine_error, tab, text, {foreign, attribute}, followed})
    end

    key = {foreign, Rules.position(attribute, definition)}
    {:ok, base} = Definition.fetch(foreign)

    {key, n, pool,
     {length(base.ram_copies), length(base.disc_copies), length(base.disc_only_copies), 0}}
  end

  defp choose(%{name: tab}, properties, :undefined) do
    n = pick(tab, :n_fragments, properties, 1)
    pool = pick(tab, :node_pool, properties, SystemItems.system_info(:db_nodes))
    {:undefined, n, pool, {1, 0, 0, 0}}
  end

  defp choose(%{name: tab}, _properties, foreign_key) do
    abort({:bad_type, tab, {:foreign_key, foreign_key}})
  end

  defp alike!(_tab, same, _foreign, same), do: :ok
  defp alike!(tab, own, foreign, other), do: abort({:combine_error, tab, own, foreign, other})

  defp check_pool(tab, pool) do
    good? = is_list(pool) and pool != [] and Enum.all?(pool, &is_atom/1)
    if not good?, do: abort({:bad_type, tab, {:node_pool, pool}})
  end

  defp counts(tab, properties) do
    numbers = for {key, _} <- @counts, do: {key, pick(tab, key, properties, 0)}

    for {key, n} <- numbers, not (is_integer(n) and n >= 0) do
      # The last of them is reported with the value of the one before it.
      n = if key == :n_external_copies, do: numbers[:n_disc_only_copies], else: n
      abort({:bad_type, tab, {key, n}})
    end

    List.to_tuple(Keyword.values(numbers))
  end

  defp check_number(n, definition, :create) when is_integer(n) and n >= 1 do
    %{definition | ram_copies: [], disc_copies: [], disc_only_copies: []}
  end

  defp check_number(1, definition, :activate), do: definition

  defp check_number(n, %{name: tab}, :activate) when is_integer(n) and n >= 1 do
    abort({:combine_error, tab, {:n_fragments, n}})
  end

  defp check_number(n, %{name: tab}, _mode), do: abort({:bad_type, tab, {:n_fragments, n}})

  # The fragments with the highest number first; each turns the pool.
  defp lay(n, counts, common, dist, pool, spread, :create) when n > 1 do
    fragment = %{common | name: Fragments.name(common.name, n)}
    {fragment, chosen, rest} = place(counts, fragment, dist, [])
    dist = Enum.reduce(Enum.reverse(chosen), rest, &insert(&1, &2, pool))
    {spread, _from, _also} = split(spread)
    [fragment | lay(n - 1, counts, common, dist, pool, spread, :create)]
  end

  defp lay(1, counts, common, dist, pool, spread, mode) do
    base = %{common | frag_properties: properties(spread, pool)}

    case mode do
      :activate -> [base]
      :create -> [elem(place(counts, base, dist, []), 0)]
    end
  end

  defp properties(spread, pool) do
    [
      base_table: spread.tab,
      foreign_key: spread.foreign_key,
      hash_module: spread.hash_module,
      hash_state: spread.hash_state,
      n_fragments: spread.n_fragments,
      node_pool: pool
    ]
  end

  @doc "A definition with its copies on the first nodes of a list; each node may have a count."
  @spec place(counts(), Definition.t(), list(), list()) :: {Definition.t(), list(), list()}
  def place({0, 0, 0, 0}, definition, rest, chosen), do: {definition, chosen, rest}

  def place(_counts, definition, [], _chosen) do
    abort({:combine_error, definition.name, ~c"Too few nodes in node_pool"})
  end

  def place(counts, definition, [head | rest], chosen) do
    {node, count} = counted(head, definition.name)

    if node not in SystemItems.system_info(:running_db_nodes) do
      abort({:not_active, definition.name, node})
    end

    kind = Enum.find_index(Tuple.to_list(counts), &(&1 > 0))
    {_, field} = Enum.at(@counts, kind)

    if field == :external_copies do
      abort({:bad_type, definition.name, {field, [node]}})
    end

    definition = Map.update!(definition, field, &[node | &1])

    place(put_elem(counts, kind, elem(counts, kind) - 1), definition, rest, [
      {node, count + 1} | chosen
    ])
  end

  defp counted({node, count}, _tab) when is_atom(node) and is_integer(count) and count >= 0 do
    {node, count}
  end

  defp counted(node, _tab) when is_atom(node), do: {node, 0}
  defp counted(other, tab), do: abort({:bad_type, tab, other})

  # Nodes with fewer copies come first, of equal ones the one that is first in the pool.
  defp insert({node, count}, [head | rest], pool) do
    {node2, count2} = if is_atom(head), do: {head, 0}, else: head
    before? = {count, place_in(pool, node)} < {count2, place_in(pool, node2)}

    if before?,
      do: [{node, count}, {node2, count2} | rest],
      else: [{node2, count2} | insert({node, count}, rest, pool)]
  end

  defp insert(counted, [], _pool), do: [counted]

  defp place_in(pool, node), do: Enum.find_index(pool, &(&1 == node))

  @doc """
  The state after one more fragment, the numbers of the fragments that rows are taken from, and
  of all that are written.
  """
  @spec split(Fragments.t()) :: {Fragments.t(), [pos_integer()], [pos_integer()]}
  def split(spread) do
    n = spread.n_fragments + 1
    {state, from, also} = Fragments.hash(spread).add_frag(spread.hash_state)
    from = :lists.sort(from)
    written = :lists.merge(from, :lists.sort(also))
    Fragments.in_range!(written, n, ~c"add_frag")
    {%{spread | n_fragments: n, hash_state: state}, from, written}
  end

  @doc "The same after one fragment less, the last of which must be among those taken from."
  @spec merge(Fragments.t()) :: {Fragments.t(), [pos_integer()], [pos_integer()]}
  def merge(spread) do
    n = spread.n_fragments
    {state, from, also} = Fragments.hash(spread).del_frag(spread.hash_state)
    from = :lists.sort(from)
    written = :lists.merge(from, :lists.sort(also))
    Fragments.in_range!(written, n, ~c"del_frag")
    if n not in from, do: abort({~c"del_frag: Last fragment number not included", n})
    {%{spread | n_fragments: n - 1, hash_state: state}, from, written}
  end

  @doc "The nodes of a table's pool with how many copies of fragments each has, fewest first."
  @spec distribution(term()) :: [{node(), non_neg_integer()}]
  def distribution(tab) do
    pool = Fragments.property!(tab, :node_pool)

    copies =
      for name <- Fragments.names(tab), node <- nodes(name), reduce: %{} do
        counts -> Map.update(counts, node, 1, &(&1 + 1))
      end

    good = for node <- pool, do: {node, Map.get(copies, node, 0)}
    # Nodes that are in the pool no more come last.
    bad = for {node, n} <- Enum.sort(copies), node not in pool, do: {node, n}
    Enum.sort_by(good, &elem(&1, 1)) ++ bad
  end

  defp nodes(name) do
    case Definition.fetch(name) do
      {:ok, definition} -> Definition.nodes(definition)
      :error -> abort({:no_exists, {name, :ram_copies}})
    end
  end
end
