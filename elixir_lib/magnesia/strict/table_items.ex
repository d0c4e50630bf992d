defmodule Magnesia.Strict.TableItems do
  @moduledoc """
  The items that can be asked of a table, with Mnesia's names and answers.

  They are read off the table's definition, the two figures off the engine. A table that is not
  there answers some of them too. Nothing is changed here.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Strict.Checkpoints
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Fragments
  alias Magnesia.Subscribers

  @word 8

  @doc "One thing to know of a table."
  @spec table_info(term(), term()) :: term()
  def table_info(tab, item) when is_atom(tab) do
    case {item, Definition.fetch(tab)} do
      {:name, _} -> tab
      {:size, found} -> size(found)
      {:memory, found} -> memory(found)
      {:master_nodes, :error} -> []
      {_, :error} -> abort({:no_exists, tab, item})
      {:all, {:ok, definition}} -> all(definition)
      {_, {:ok, definition}} -> one(definition, item)
    end
  end

  def table_info(tab, _item), do: abort({:bad_type, tab})

  defp one(definition, item) do
    case :lists.keyfind(item, 1, [{:setorbag, definition.type} | facts(definition)]) do
      {^item, value} -> value
      false -> abort({:no_exists, definition.name, item})
    end
  end

  defp all(definition), do: :lists.sort(figures(definition) ++ facts(definition))

  @doc "All items of a table, in the order of their names."
  @spec properties(Definition.t()) :: [{atom(), term()}]
  def properties(definition) do
    [{:setorbag, definition.type} | all(definition)]
    |> List.keydelete(:type, 0)
    |> List.keydelete(:frag_hash, 0)
    |> :lists.sort()
  end

  defp figures(definition) do
    [size: size({:ok, definition}), memory: memory({:ok, definition})]
  end

  defp size({:ok, %{name: :schema}}), do: length(Definition.names())
  defp size({:ok, %{storage: :unknown}}), do: 0
  defp size({:ok, definition}), do: number(Engine.size(definition.name))
  defp size(:error), do: 0

  # Words, but of a table on disc bytes.
  defp memory({:ok, %{name: :schema}}) do
    div(:erlang.external_size(Definition.all()), @word)
  end

  defp memory({:ok, %{storage: :unknown}}), do: 0

  defp memory({:ok, %{storage: :disc_only_copies, name: name}}), do: number(Engine.memory(name))
  defp memory({:ok, %{name: name}}), do: div(number(Engine.memory(name)), @word)
  defp memory(:error), do: 0

  defp number(number) when is_integer(number), do: number
  defp number(_failure), do: 0

  defp facts(d) do
    own =
      for field <- [
            :access_mode,
            :arity,
            :attributes,
            :cookie,
            :disc_copies,
            :disc_only_copies,
            :frag_properties,
            :index,
            :load_order,
            :load_reason,
            :local_content,
            :majority,
            :ram_copies,
            :record_name,
            :snmp,
            :storage_properties,
            :type,
            :user_properties,
            :version
          ],
          do: {field, Map.fetch!(d, field)}

    own ++ whereabouts(d) ++ forms(d) ++ of_schema(d) ++ of_fragments(d)
  end

  # Mnesia's own record of how a base table's rows are spread.
  defp of_fragments(d) do
    case Fragments.fetch(d.name) do
      {:ok, s} ->
        [frag_hash: {:frag_state, s.foreign_key, s.n_fragments, s.hash_module, s.hash_state}]

      :error ->
        []
    end
  end

  defp forms(d) do
    [
      checkpoints: Checkpoints.names(d.name),
      commit_work: commit_work(d),
      cstruct: Definition.cstruct(d),
      external_copies: [],
      index_info: index_info(d),
      load_by_force: false,
      master_nodes: d.masters,
      record_validation: {d.record_name, d.arity, d.type},
      subscribers: for({pid, _kind} <- Subscribers.of_table(d.name), do: pid),
      wild_pattern: put_elem(:erlang.make_tuple(d.arity, :_), 0, d.record_name)
    ]
  end

  defp commit_work(d) do
    index = if d.index == [], do: [], else: [index_info(d)]

    case Subscribers.of_table(d.name) do
      [] -> index
      all -> [subscribers(Enum.split_with(all, &match?({_, :simple}, &1))) | index]
    end
  end

  defp subscribers({simple, detailed}) do
    {:subscribers, for({pid, _} <- simple, do: pid), for({pid, _} <- detailed, do: pid)}
  end

  defp index_info(d), do: {:index, d.type, for(entry <- d.index_info, do: {entry, d.storage})}

  defp whereabouts(%{storage: :unknown} = d) do
    [
      active_replicas: [],
      all_nodes: Definition.nodes(d),
      load_node: :unknown,
      storage_type: :unknown,
      where_to_commit: [],
      where_to_read: :nowhere,
      where_to_write: []
    ]
  end

  defp whereabouts(d) do
    here = if d.access_mode == :read_only, do: [], else: [node()]

    [
      active_replicas: [node()],
      all_nodes: Definition.nodes(d),
      load_node: node(),
      storage_type: d.storage,
      where_to_commit: for(node <- here, do: {node, d.storage}),
      where_to_read: node(),
      where_to_wlock: {here, d.majority},
      where_to_write: here
    ]
  end

  defp of_schema(%{name: :schema}) do
    [local_tables: Definition.usable(), tables: Definition.names()]
  end

  defp of_schema(_definition), do: []
end
