defmodule Magnesia.Tables do
  @moduledoc """
  The tables behind `Magnesia`: created, compared with a declaration, changed, described.

  Options are checked here and handed to the strict module; its refusals come back as
  `Magnesia.SchemaError`. The one table that the strict module refuses and the engine has, an
  ordered set on disc only, is made here. Rows are not touched.
  """

  alias Magnesia.Context
  alias Magnesia.Engine
  alias Magnesia.Error
  alias Magnesia.Options
  alias Magnesia.Shape
  alias Magnesia.Conditions
  alias Magnesia.SchemaError
  alias Magnesia.Strict.Alteration
  alias Magnesia.Strict.Copies
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Rules
  alias Magnesia.Table.Generated
  alias Magnesia.Unique

  @type answer :: :ok | {:error, SchemaError.t()}

  @storages [ram: :ram_copies, disc: :disc_copies, disc_only: :disc_only_copies]
  @copies Keyword.values(@storages)
  # How many copies of each kind a fragment has.
  @counts for copies <- @copies, do: {copies, :"n_#{copies}"}
  @fragment_keys [:node_pool, :n_fragments, :foreign_key, :hash_module, :hash_state] ++
                   [:n_external_copies | Keyword.values(@counts)]

  defp rules do
    list = {&is_list/1, "a list"}

    [
      attributes: {&attributes?/1, "a list of two or more names, the key's first"},
      type: {&(&1 in [:set, :ordered_set, :bag]), ":set, :ordered_set or :bag"},
      storage: {&(&1 in Keyword.keys(@storages)), ":ram, :disc or :disc_only"},
      ram_copies: {&is_list/1, "a list of nodes"},
      disc_copies: {&is_list/1, "a list of nodes"},
      disc_only_copies: {&is_list/1, "a list of nodes"},
      index: {&is_list/1, "a list of attributes"},
      unique: {&is_list/1, "a list of attributes"},
      record_name: {&is_atom/1, "an atom"},
      access_mode: {&(&1 in [:read_write, :read_only]), ":read_write or :read_only"},
      load_order: {&is_integer/1, "an integer"},
      majority: {&is_boolean/1, "true or false"},
      local_content: {&is_boolean/1, "true or false"},
      user_properties: list,
      storage_properties: list,
      frag_properties: list
    ]
  end

  defp attributes?(names) do
    is_list(names) and length(names) > 1 and Enum.all?(names, &is_atom/1)
  end

  @doc "Creates a table."
  @spec create(atom(), keyword()) :: answer()
  def create(table, options) do
    with :ok <- made(table, options), do: Generated.ensure(table)
  end

  defp made(table, options) do
    {table, options} = declared(table, options)
    options = checked(table, options, "Magnesia.create_table/2")

    case empty_copies(options) do
      nil -> create_in(table, strict(options))
      kind -> answer({:aborted, {:bad_type, table, {kind, []}}}, table)
    end
  end

  @doc "Creates a table, or finds one that fits, with the indexes that it lacked."
  @spec ensure(atom(), keyword()) :: answer()
  def ensure(table, options) do
    {name, all} = declared(table, options)

    fitting =
      case Definition.fetch(name) do
        {:ok, definition} when name != :schema -> fit(definition, all)
        _ -> made(table, options)
      end

    with :ok <- fitting, do: Generated.ensure(table)
  end

  # A module's declaration, with the caller's options in the place of its own.
  defp declared(table, options) do
    case Shape.of(table) do
      {name, nil} -> {name, options}
      {name, module} -> {name, Keyword.merge(module.__table__(:options), options)}
    end
  end

  @doc "Raises for options that no table could be created with."
  @spec check!(atom(), keyword(), String.t()) :: :ok
  def check!(table, options, place) do
    _options = checked(table, options, place)
    :ok
  end

  defp fit(definition, options) do
    table = definition.name
    options = checked(table, options, "Magnesia.ensure_table/2")

    case {empty_copies(options), differences(definition, strict(options))} do
      {nil, []} ->
        for attribute <- options[:index] || [], reduce: :ok do
          :ok -> add_index(table, attribute)
          error -> error
        end

      {nil, differences} ->
        answer({:aborted, {:mismatch, table, differences}}, table)

      {kind, _} ->
        answer({:aborted, {:bad_type, table, {kind, []}}}, table)
    end
  end

  defp differences(definition, options) do
    for {field, default} <- [
          attributes: [:key, :value],
          type: :set,
          record_name: definition.name,
          access_mode: :read_write
        ],
        {is, wanted} = {Map.fetch!(definition, field), Keyword.get(options, field, default)},
        is != wanted do
      {field, is, wanted}
    end ++
      unique(definition, options) ++
      stored(definition, options) ++ fragmented(definition, options)
  end

  # Fragments come and go while the table is used: their number is no difference.
  defp fragmented(definition, options) do
    {is, wanted} = {definition.frag_properties, Keyword.get(options, :frag_properties, [])}
    if is == [] == (wanted == []), do: [], else: [{:frag_properties, is, wanted}]
  end

  defp unique(definition, options) do
    wanted =
      Unique.attributes(%{user_properties: [], attributes: []} |> Map.merge(Map.new(options)))

    is = Unique.attributes(definition)
    if Enum.sort(is) == Enum.sort(wanted), do: [], else: [{:unique, is, wanted}]
  end

  defp stored(definition, options) do
    wanted = Enum.find(@copies, :ram_copies, &(node() in Keyword.get(options, &1, [])))
    if definition.storage == wanted, do: [], else: [{:storage, definition.storage, wanted}]
  end

  defp checked(table, options, place) do
    if not is_atom(table), do: raise(ArgumentError, "#{place}: a table's name is an atom")
    Options.validate!(options, rules(), place)

    if options[:storage] && Enum.any?(@copies, &Keyword.has_key?(options, &1)) do
      raise ArgumentError, "#{place}: give storage: or lists of nodes, not both"
    end

    names = Keyword.get(options, :attributes, [:key, :value])
    words = "#{place}: index: table #{inspect(table)} has no attribute"

    unknown = Enum.find(options[:index] || [], &(is_atom(&1) and &1 not in names))
    if unknown, do: Options.unknown!(words, unknown, names)

    unknown = Enum.find(options[:unique] || [], &(&1 not in tl(names)))
    words = "#{place}: unique: table #{inspect(table)} has, beside its key, no attribute"
    if unknown, do: Options.unknown!(words, unknown, tl(names))

    for {key, _value} <- options[:frag_properties] || [], key not in @fragment_keys do
      Options.unknown!("#{place}: frag_properties: there is no property", key, @fragment_keys)
    end

    Unique.expand(options)
  end

  defp empty_copies(options), do: Enum.find(@copies, &(options[&1] == []))

  defp strict(options) do
    {storage, options} = Keyword.pop(options, :storage)
    options = Keyword.put_new(options, :attributes, [:key, :value])
    spread(if storage, do: [{@storages[storage], [node()]} | options], else: options)
  end

  # Fragments get their copies by numbers, and beside those Mnesia passes lists of nodes over.
  defp spread(options) do
    properties = options[:frag_properties]

    if properties in [nil, []] or not pairs?(properties) or counted?(properties) do
      options
    else
      counts = for {kind, count} <- @counts, nodes = options[kind], do: {count, length(nodes)}
      Keyword.put(options, :frag_properties, properties ++ counts)
    end
  end

  # The one tuple of four that guides have instead is read, with its lists, by the strict module.
  defp pairs?(properties), do: Enum.all?(properties, &match?({_key, _value}, &1))

  defp counted?(properties) do
    Enum.any?([:n_external_copies | Keyword.values(@counts)], &List.keymember?(properties, &1, 0))
  end

  defp create_in(table, options) do
    if options[:type] == :ordered_set and options[:disc_only_copies] == [node()] do
      answer(create_ordered(table, options), table)
    else
      answer(:magnesia.create_table(table, options), table)
    end
  end

  # All else of it is judged as of a set, which may be kept on disc only.
  defp create_ordered(table, options) do
    Alteration.run(fn ->
      if Definition.fetch(table) != :error, do: :magnesia.abort({:already_exists, table})
      options = Keyword.put([{:name, table} | options], :type, :set)
      definition = Rules.check(Magnesia.Strict.Options.definition(options))
      storage = definition.storage
      Copies.needs_disc(definition, {:bad_type, table, storage, node()})
      definition = %{definition | type: :ordered_set}

      Alteration.settled(
        Engine.table_create(
          table,
          :ordered_set,
          storage,
          definition.record_name,
          definition.arity,
          Enum.uniq(definition.index),
          definition.access_mode,
          Definition.properties(definition)
        ),
        definition
      )
    end)
  end

  @doc "Deletes a table and its rows."
  @spec delete(atom()) :: answer()
  def delete(table) do
    name = Shape.name(table)
    with :ok <- answer(:magnesia.delete_table(name), name), do: Generated.drop(table)
  end

  @doc "Removes all rows of a table."
  @spec clear(atom()) :: answer()
  def clear(table) do
    table = Shape.name(table)

    if :magnesia.is_transaction() do
      answer({:aborted, :nested_transaction}, table)
    else
      answer(:magnesia.clear_table(table), table)
    end
  end

  @doc "Adds an index on an attribute; one that is there is enough."
  @spec add_index(atom(), atom()) :: answer()
  def add_index(table, attribute) do
    table = Shape.name(table)

    indexed(table, attribute, fn definition, position ->
      cond do
        position == 2 or position in definition.index -> :ok
        ordered_disc?(definition) -> answer(index_ordered(table, position), table)
        true -> already_there(:magnesia.add_table_index(table, attribute), table)
      end
    end)
  end

  @doc "Removes an index; none there is enough."
  @spec drop_index(atom(), atom()) :: answer()
  def drop_index(table, attribute) do
    table = Shape.name(table)

    indexed(table, attribute, fn definition, position ->
      cond do
        position not in definition.index ->
          :ok

        ordered_disc?(definition) ->
          dropped(unindex_ordered(table, position), definition, attribute)

        true ->
          dropped(:magnesia.del_table_index(table, attribute), definition, attribute)
      end
    end)
  end

  # Without its index an attribute is not unique.
  defp dropped({:atomic, _}, definition, attribute) do
    answer(Unique.release(definition, attribute), definition.name)
  end

  defp dropped(aborted, definition, _attribute), do: answer(aborted, definition.name)

  defp indexed(table, attribute, fun) do
    case Definition.fetch(table) do
      {:ok, definition} when table != :schema ->
        fun.(definition, Conditions.position!(attribute, definition))

      _ ->
        answer({:aborted, {:no_exists, table}}, table)
    end
  end

  # Another process may have been sooner.
  defp already_there({:aborted, {:already_exists, _, _}}, _table), do: :ok
  defp already_there(outcome, table), do: answer(outcome, table)

  defp ordered_disc?(definition) do
    definition.type == :ordered_set and definition.storage == :disc_only_copies
  end

  defp index_ordered(table, position) do
    reindex(table, &:lists.sort([{position, :ordered} | &1]), fn properties ->
      Engine.table_add_index(table, position, properties)
    end)
  end

  defp unindex_ordered(table, position) do
    reindex(table, &:lists.keydelete(position, 1, &1), fn properties ->
      Engine.table_del_index(table, position, properties)
    end)
  end

  defp reindex(table, change, apply) do
    Alteration.run(fn ->
      definition = Definition.next_version(Alteration.locked!(table, :read))
      next = Definition.settle(%{definition | index_info: change.(definition.index_info)})
      Alteration.settled(apply.(Definition.properties(next)), next)
    end)
  end

  @doc "Waits until tables can be used."
  @spec wait([atom()], timeout()) :: answer()
  def wait(tables, timeout) do
    case :magnesia.wait_for_tables(names!(tables), timeout) do
      {:timeout, missing} -> answer({:aborted, {:timeout, missing}}, nil)
      :ok -> :ok
      {:error, reason} -> answer({:aborted, reason}, nil)
    end
  end

  defp names!(tables) when is_list(tables), do: Enum.map(tables, &Shape.name/1)
  defp names!(tables), do: tables

  @doc "The names of all tables, sorted."
  @spec names() :: [atom()]
  def names, do: Enum.sort(Definition.names() -- [:schema])

  @doc "What there is to know of the database."
  @spec info() :: map()
  def info do
    %{
      running?: Definition.fetch(:schema) != :error,
      dir: Copies.directory(),
      tables: names()
    }
  end

  @doc "What there is to know of a table."
  @spec info(atom()) :: map()
  def info(table) do
    table = Shape.name(table)

    Context.run_here(table, fn ->
      definition = Conditions.definition(table)

      %{
        name: table,
        type: definition.type,
        storage: storage(definition.storage),
        attributes: definition.attributes,
        record_name: definition.record_name,
        index:
          for(position <- definition.index, do: Enum.at(definition.attributes, position - 2)),
        unique: Unique.attributes(definition),
        access_mode: definition.access_mode,
        size: Magnesia.Scan.size(table),
        bytes: Engine.memory(table)
      }
    end)
  end

  defp storage(copies) do
    case List.keyfind(@storages, copies, 1) do
      {storage, _copies} -> storage
      nil -> nil
    end
  end

  @doc "A row as a map by attributes."
  @spec to_map(atom(), tuple() | struct()) :: map()
  def to_map(_table, %_{} = row), do: Map.from_struct(row)

  def to_map(table, row) do
    table = Shape.name(table)
    definition = Context.run_here(table, fn -> Conditions.definition(table) end)

    if tuple_size(row) != definition.arity do
      raise ArgumentError,
            "the row has #{tuple_size(row) - 1} fields and table #{inspect(table)} " <>
              "#{definition.arity - 1}: #{Enum.map_join(definition.attributes, ", ", &inspect/1)}"
    end

    [_name | values] = Tuple.to_list(row)
    Map.new(Enum.zip(definition.attributes, values))
  end

  defp answer({:atomic, _}, _table), do: :ok
  defp answer({:aborted, reason}, table), do: {:error, Error.new(SchemaError, reason, table)}
end
