defmodule Magnesia.Strict.Refragmentation do
  @moduledoc """
  `change_table_frag`: a table made fragmented or plain, fragments added and taken away with
  their rows moved, nodes put into the pool or out of it.

  Tables that follow the fragments of another change together with it. All is checked and locked
  before anything is changed. Rows are copied, then the new hash is put in force in one step, then
  copies that are in the wrong place are removed; the base table's definition is marked
  meanwhile, so that an opening after a crash finishes the removal (`repair/0`). A row is thus
  found at every moment, and no crash loses one.
  """

  import Magnesia.Strict.Alteration
  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Strict.Alteration
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.FragmentLayout
  alias Magnesia.Strict.Fragments
  alias Magnesia.Strict.Schema

  @slice 500
  @everything [{:_, [], [:"$_"]}]

  @doc """
  Changes a table's fragmentation: `{:activate, properties}`, `:deactivate`,
  `{:add_frag, nodes}`, `:del_frag`, `{:add_node, node}` or `{:del_node, node}`.
  """
  @spec change_table_frag(term(), term()) :: Alteration.outcome()
  def change_table_frag(tab, change) when is_atom(tab) and tab != :schema do
    run(fn -> change(tab, change) end)
  end

  def change_table_frag(tab, _change), do: refuse({:bad_type, tab})

  defp change(tab, {:activate, properties}) do
    definition = active!(tab)
    if definition.frag_properties != [], do: already(tab, definition)
    if not is_list(properties), do: abort({:badarg, tab, properties})
    properties = properties |> FragmentLayout.meant(definition) |> :lists.sort()
    next = %{Definition.next_version(definition) | frag_properties: properties}
    [base] = FragmentLayout.expand(next, :activate)
    define(base)
  end

  defp change(tab, :deactivate) do
    definition = active!(tab)
    foreigners = Fragments.foreigners(tab)
    base = Fragments.property!(tab, :base_table)
    spread = Fragments.fetch!(tab)
    if base != tab, do: abort({:combine_error, tab, ~c"Not a base table"})

    if foreigners != [] do
      abort({:combine_error, tab, ~c"Too many foreigners", foreigners})
    end

    if spread.n_fragments > 1, do: abort({:combine_error, tab, ~c"Too many fragments"})
    define(%{Definition.next_version(definition) | frag_properties: []})
  end

  defp change(tab, {:add_frag, nodes}) when is_list(nodes) do
    together(tab, &plan_addition(&1, nodes))
  end

  defp change(tab, {:add_frag, nodes}), do: abort({:bad_type, tab, nodes})
  defp change(tab, :del_frag), do: together(tab, &plan_removal/1)

  defp change(tab, {:add_node, node}), do: pool(tab, &added(&1, &2, node))
  defp change(tab, {:del_node, node}), do: pool(tab, &removed(&1, &2, node))
  defp change(tab, change), do: abort({:bad_type, tab, change})

  @spec already(atom(), Definition.t()) :: no_return()
  defp already(tab, %{frag_properties: properties}) do
    abort({:already_exists, tab, {:frag_properties, properties}})
  end

  # A table and those that follow it: all planned, then all carried out.
  defp together(tab, plan) do
    plans = Enum.map(leader!(tab), plan)
    Enum.each(plans, &try_hash/1)
    Enum.each(plans, &carry_out/1)
  end

  defp leader!(tab) do
    %{foreign_key: key} = Fragments.fetch!(tab)

    if key != :undefined do
      text = ~c"Op only allowed via foreign table"
      abort({:combine_error, tab, text, {:foreign_key, key}})
    end

    [tab | Fragments.foreigners(tab)]
  end

  # Node pools

  defp pool(tab, change) do
    for name <- leader!(tab) do
      pool = Fragments.property!(name, :node_pool)
      definition = Definition.next_version(active!(name))
      %{definition | frag_properties: put(definition, :node_pool, change.(name, pool))}
    end
    |> Enum.each(&define/1)
  end

  defp added(tab, pool, node) when is_atom(node) do
    if node in pool, do: abort({:already_exists, tab, node}), else: pool ++ [node]
  end

  defp added(tab, _pool, node), do: abort({:bad_type, tab, node})

  defp removed(tab, pool, node) when is_atom(node) do
    if node in pool, do: pool -- [node], else: abort({:no_exists, tab, node})
  end

  defp removed(tab, _pool, node), do: abort({:bad_type, tab, node})

  defp put(%{frag_properties: properties}, key, value) do
    :lists.keyreplace(key, 1, properties, {key, value})
  end

  @doc "Takes a node out of every pool: it is no longer one of the database's."
  @spec forget_node(node()) :: :ok
  def forget_node(node) do
    for %{frag_properties: properties} = definition <- Definition.all(),
        {:node_pool, pool} <- properties,
        node in pool do
      %{
        Definition.next_version(definition)
        | frag_properties: put(definition, :node_pool, pool -- [node])
      }
    end
    |> Enum.each(&define/1)
  end

  # Plans: the base table's next definition, the spread after and the fragments that give rows,
  # with a fragment that is new or one that goes.

  defp plan_addition(tab, nodes) do
    definition = Definition.next_version(active!(tab))
    {spread, from, written} = FragmentLayout.split(Fragments.fetch!(tab))
    new = Fragments.name(tab, spread.n_fragments)
    lock_all(tab, written -- [spread.n_fragments])

    empty = %{
      definition
      | name: new,
        frag_properties: [base_table: tab],
        ram_copies: [],
        disc_copies: [],
        disc_only_copies: []
    }

    counts =
      {length(definition.ram_copies), length(definition.disc_copies),
       length(definition.disc_only_copies), 0}

    {fragment, _chosen, _rest} = FragmentLayout.place(counts, empty, nodes, [])
    %{plan(definition, spread, from, written) | new: Schema.checked(fragment)}
  end

  defp plan_removal(tab) do
    before = Fragments.fetch!(tab)
    if before.n_fragments == 1, do: abort({:no_exists, tab})
    definition = Definition.next_version(active!(tab))
    {spread, from, written} = FragmentLayout.merge(before)
    lock_all(tab, written)
    %{plan(definition, spread, from, written) | gone: before.n_fragments}
  end

  defp plan(definition, spread, from, written) do
    properties =
      definition
      |> put(:n_fragments, spread.n_fragments)
      |> then(&:lists.keyreplace(:hash_state, 1, &1, {:hash_state, spread.hash_state}))

    %{
      tab: definition.name,
      marked: %{definition | moving: written},
      next: %{definition | frag_properties: properties},
      spread: spread,
      from: from,
      written: written,
      new: nil,
      gone: nil
    }
  end

  defp lock_all(tab, numbers) do
    _ = locked!(tab, :write)
    Enum.each(numbers, &locked!(Fragments.name(tab, &1), :write))
  end

  # A hash function of the user's may answer anything: it is tried on every row beforehand.
  defp try_hash(%{spread: %{hash_module: :mnesia_frag_hash}}), do: :ok

  defp try_hash(plan) do
    for from <- plan.from do
      name = name(plan, from)
      Enum.each(rows(name), &lockable!(plan, from, place(plan.spread, &1)))
    end

    :ok
  end

  defp lockable!(_plan, same, same), do: :ok

  defp lockable!(plan, _from, to) do
    word = if plan.new, do: ~c"add_frag", else: ~c"del_frag"
    if to in plan.written, do: :ok, else: abort({word ++ ~c": Fragment not locked", to})
  end

  # While rows are copied the old hash is in force.
  defp carry_out(plan) do
    define(plan.marked)
    if plan.new, do: Schema.create_copy(plan.new)
    Enum.each(plan.from, &copy(plan, &1))
    define(%{plan.next | moving: plan.written})
    if plan.gone, do: Schema.delete(definition!(name(plan, plan.gone)))
    clean(plan.spread, plan.from -- [plan.gone])
    define(%{plan.next | moving: []})
  end

  defp definition!(tab), do: fetch!(tab, {:no_exists, tab})

  defp name(%{tab: tab}, number), do: Fragments.name(tab, number)

  defp place(spread, row) do
    Fragments.number(spread, :erlang.element(Fragments.position(spread), row))
  end

  # A bag's rows of one key arrive last one first, as they do in Mnesia.
  defp copy(%{spread: spread} = plan, from) do
    moved = Stream.reject(rows(name(plan, from)), &(place(spread, &1) == from))

    moved = if plan.next.type == :bag, do: Enum.reduce(moved, [], &[&1 | &2]), else: moved

    Enum.each(moved, fn row ->
      to = name(plan, place(spread, row))
      done(Engine.write(to, row), to)
    end)
  end

  defp clean(spread, numbers) do
    Enum.each(numbers, fn number ->
      name = Fragments.name(spread.tab, number)

      name
      |> rows()
      |> Stream.reject(&(place(spread, &1) == number))
      |> Enum.each(&done(Engine.delete_object(name, &1), name))
    end)
  end

  defp rows(tab) do
    Stream.resource(
      fn -> Engine.select_chunk(tab, @everything, @slice) end,
      fn
        {:more, rows, cursor} -> {rows, Engine.select_chunk_more(cursor, @slice)}
        {:done, rows} -> {rows, :done}
        :done -> {:halt, :done}
        {:"$magnesia_error", reason} -> abort(reason, tab, {:no_exists, tab})
      end,
      fn _ -> :ok end
    )
  end

  @doc """
  Finishes what a crash has left: fragments that belong to no base table, or are beyond its last
  one, are deleted; rows that are in the wrong fragment are removed where a move was under way.
  """
  @spec repair() :: :ok
  def repair do
    for %{frag_properties: [base_table: tab], name: name} <- Definition.all(),
        name not in Fragments.names(tab) do
      Schema.delete(definition!(name))
    end

    for %{moving: [_ | _]} = definition <- Definition.all(), do: finish(definition)
    :ok
  end

  # A hash module of the user's that is not there yet leaves the rest to a later opening.
  defp finish(%{name: tab, moving: written} = definition) do
    {:ok, spread} = Fragments.fetch(tab)

    if Code.ensure_loaded?(Fragments.hash(spread)) do
      clean(spread, Enum.filter(written, &(&1 <= spread.n_fragments)))
      define(%{definition | moving: []})
    end
  end
end
