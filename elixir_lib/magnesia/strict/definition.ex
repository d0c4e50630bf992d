defmodule Magnesia.Strict.Definition do
  @moduledoc """
  A table's definition: Mnesia's cstruct as a struct, published for every process to read.

  The definitions in force are persistent terms, written by schema operations alone. All of one
  that the engine does not know itself travels as the opaque properties of its table. A table
  without a copy on this node, and the schema itself, are kept in the properties of the schema.
  Whether a definition is legal is not asked here.
  """

  alias Magnesia.Engine
  alias Magnesia.Unique

  defstruct name: nil,
            type: :set,
            ram_copies: [],
            disc_copies: [],
            disc_only_copies: [],
            load_order: 0,
            access_mode: :read_write,
            majority: false,
            index_info: [],
            snmp: [],
            local_content: false,
            record_name: nil,
            attributes: [:key, :val],
            user_properties: [],
            frag_properties: [],
            storage_properties: [],
            cookie: nil,
            version: {{2, 0}, []},
            home: nil,
            dumped: false,
            masters: [],
            moving: [],
            storage: :unknown,
            index: [],
            index_order: [],
            arity: 3,
            load_reason: :local_only

  @type t :: %__MODULE__{}

  # Worked out from the rest, or true for this run only.
  @derived [:storage, :index, :index_order, :arity, :load_reason, :__struct__]

  @doc "A table's definition, if there is such a table and the database is open."
  @spec fetch(term()) :: {:ok, t()} | :error
  def fetch(tab) do
    case :persistent_term.get({Magnesia.Table, tab}, nil) do
      nil -> :error
      definition -> {:ok, definition}
    end
  end

  @doc "All definitions in force, the schema's too."
  @spec all() :: [t()]
  def all do
    for name <- names(), {:ok, definition} <- [fetch(name)], do: definition
  end

  @doc "The names of all tables, `:schema` included; none when the database is not open."
  @spec names() :: [atom()]
  def names, do: :persistent_term.get(Magnesia.Tables, [])

  @doc "The names of the tables that can be used on this node."
  @spec usable() :: [atom()]
  def usable, do: for(definition <- all(), definition.storage != :unknown, do: definition.name)

  @doc "A definition with what follows from the rest of it worked out."
  @spec settle(t()) :: t()
  def settle(definition) do
    %{
      definition
      | storage: storage_at(definition, node()),
        index: positions(definition),
        arity: length(definition.attributes) + 1
    }
  end

  @doc """
  A definition whose indexes were all just made, in the order that it names them. Like Mnesia's,
  the list of positions has the last one made first, until the definition is changed otherwise.
  """
  @spec built(t()) :: t()
  def built(definition), do: ordered(definition, :lists.reverse(positions(definition)))

  @doc "A definition with the list of its positions in a given order."
  @spec ordered(t(), [pos_integer()]) :: t()
  def ordered(definition, order), do: %{definition | index: order, index_order: order}

  defp positions(definition), do: for({pos, _kind} <- definition.index_info, do: pos)

  @doc "How a node stores a table."
  @spec storage_at(t(), term()) :: atom()
  def storage_at(definition, node) do
    cond do
      node in definition.ram_copies -> :ram_copies
      node in definition.disc_copies -> :disc_copies
      node in definition.disc_only_copies -> :disc_only_copies
      true -> :unknown
    end
  end

  @doc "The nodes that hold a copy."
  @spec nodes(t()) :: [node()]
  def nodes(definition) do
    definition.ram_copies ++ definition.disc_copies ++ definition.disc_only_copies
  end

  @doc "The definition with the version after its own."
  @spec next_version(t()) :: t()
  def next_version(%{version: {{major, _minor}, _}} = definition) do
    %{definition | version: {{major + 1, 0}, {node(), :erlang.timestamp()}}}
  end

  @doc "A cookie that no other table has."
  @spec cookie() :: tuple()
  def cookie do
    {{:erlang.monotonic_time() + :erlang.time_offset(), :erlang.unique_integer(), 1}, node()}
  end

  @doc "Mnesia's own record of the definition."
  @spec cstruct(t()) :: tuple()
  def cstruct(d) do
    {:cstruct, d.name, d.type, d.ram_copies, d.disc_copies, d.disc_only_copies, [], d.load_order,
     d.access_mode, d.majority, d.index_info, d.snmp, d.local_content, d.record_name,
     d.attributes, d.user_properties, d.frag_properties, d.storage_properties, d.cookie,
     d.version}
  end

  @doc "The definition as a list of Mnesia's properties, in Mnesia's order."
  @spec listed(t()) :: [{atom(), term()}]
  def listed(d) do
    own = &{&1, Map.fetch!(d, &1)}

    [{:name, d.name}, {:type, d.type}] ++
      Enum.map([:ram_copies, :disc_copies, :disc_only_copies, :load_order, :access_mode], own) ++
      [{:majority, d.majority}, {:index, d.index_info}] ++
      Enum.map([:snmp, :local_content, :record_name, :attributes, :user_properties], own) ++
      Enum.map([:frag_properties, :storage_properties, :cookie, :version], own)
  end

  @doc "What the engine keeps with a table."
  @spec properties(t()) :: map()
  def properties(definition) do
    definition |> Map.put(:home, node()) |> Map.drop(@derived)
  end

  @doc "Makes a definition the one in force."
  @spec publish(t()) :: :ok
  def publish(definition) do
    before = :persistent_term.get({Magnesia.Table, definition.name}, nil)
    :ok = Unique.keep(definition, before)
    :persistent_term.put({Magnesia.Table, definition.name}, definition)
    names = names()

    if definition.name not in names do
      :persistent_term.put(Magnesia.Tables, [definition.name | names])
    end

    :ok
  end

  @doc "Takes a definition out of force."
  @spec erase(atom()) :: :ok
  def erase(name) do
    :persistent_term.put(Magnesia.Tables, List.delete(names(), name))
    :persistent_term.erase({Magnesia.Table, name})
    :ok
  end

  @doc "Takes all definitions out of force: the database is closed."
  @spec erase_all() :: :ok
  def erase_all do
    # The schema goes first: it tells whether the database is running.
    :persistent_term.erase({Magnesia.Table, :schema})
    for name <- names(), do: :persistent_term.erase({Magnesia.Table, name})
    :persistent_term.erase(Magnesia.Tables)
    :ok
  end

  @doc "Publishes the definitions that the open database holds; a new one gets a schema first."
  @spec publish_all(:ram_copies | :disc_copies) :: :ok | Engine.failure()
  def publish_all(storage) do
    case kept() do
      nil -> begin(storage)
      kept -> publish_kept(kept)
    end
  end

  defp publish_kept(kept) do
    for {_name, properties} <- kept.remote, do: publish(load(properties))

    for name <- Engine.tables() do
      {_, _, _, _, _, _, properties} = Engine.table_definition(name)
      publish(load(properties))
    end

    publish(load(kept.schema))
  end

  @doc "Keeps a definition that has no table in the engine: the schema's, a remote table's."
  @spec keep(t()) :: :ok | Engine.failure()
  def keep(%{name: :schema} = definition) do
    Engine.set_schema_properties(%{kept() | schema: properties(definition)})
  end

  def keep(definition) do
    kept = kept()
    remote = Map.put(kept.remote, definition.name, properties(definition))
    Engine.set_schema_properties(%{kept | remote: remote})
  end

  @doc "Forgets a table that has no copy on this node."
  @spec forget(atom()) :: :ok | Engine.failure()
  def forget(name) do
    kept = kept()
    Engine.set_schema_properties(%{kept | remote: Map.delete(kept.remote, name)})
  end

  defp kept do
    case Engine.schema_properties() do
      %{schema: _, remote: _} = kept -> kept
      _ -> nil
    end
  end

  defp begin(storage) do
    schema = %__MODULE__{
      name: :schema,
      record_name: :schema,
      attributes: [:table, :cstruct],
      cookie: cookie()
    }

    kept = %{schema: properties(Map.put(schema, storage, [node()])), remote: %{}}
    with :ok <- Engine.set_schema_properties(kept), do: publish_kept(kept)
  end

  defp pool({:node_pool, nodes}, here), do: {:node_pool, here.(nodes)}
  defp pool(pair, _here), do: pair

  # A node that has been renamed since takes the place of its old name.
  defp load(properties) do
    definition = struct(__MODULE__, properties)
    here = &for(node <- &1, do: if(node == definition.home, do: node(), else: node))

    built(
      settle(%{
        definition
        | ram_copies: here.(definition.ram_copies),
          disc_copies: here.(definition.disc_copies),
          disc_only_copies: here.(definition.disc_only_copies),
          frag_properties: for(pair <- definition.frag_properties, do: pool(pair, here)),
          load_reason: if(definition.name == :schema, do: :initial, else: :local_only)
      })
    )
  end
end
