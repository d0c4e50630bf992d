defmodule Magnesia.Strict.Copies do
  @moduledoc """
  Where a table's copies are and how they are stored.

  A cluster is not served: a copy can be named for another node as far as Mnesia accepts it while
  that node is away, and everything that would need the node is refused as Mnesia refuses it
  then. Changing the schema's own storage gives a database its directory or takes it away.
  """

  import Magnesia.Strict.Alteration
  import Magnesia.Strict.Failure

  alias Magnesia.Database
  alias Magnesia.Engine
  alias Magnesia.Strict.Alteration
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Refragmentation
  alias Magnesia.Strict.Rules
  alias Magnesia.Strict.Schema
  alias Magnesia.Strict.Settings

  @typep outcome :: Alteration.outcome()

  @storages [:ram_copies, :disc_copies, :disc_only_copies]

  @doc "Aborts with a reason when a table's storage needs a directory and there is none."
  @spec needs_disc(Definition.t(), term()) :: :ok
  def needs_disc(%{storage: storage}, reason) when storage in [:disc_copies, :disc_only_copies] do
    if disc?(), do: :ok, else: abort(reason)
  end

  def needs_disc(_definition, _reason), do: :ok

  @doc "Tells whether the open database has a directory."
  @spec disc?() :: boolean()
  def disc? do
    case Definition.fetch(:schema) do
      {:ok, schema} -> schema.storage == :disc_copies
      :error -> false
    end
  end

  @doc "The open database's directory; nil for one in memory, and where none is open."
  @spec directory() :: String.t() | nil
  def directory, do: if(disc?(), do: IO.chardata_to_string(Database.directory()))

  @doc "Adds a copy on a node."
  @spec add_table_copy(term(), term(), term()) :: outcome()
  def add_table_copy(tab, node, storage) when is_atom(tab) and is_atom(node) do
    run(fn ->
      definition = fetch!(tab, {:no_exists, {tab, :cstruct}})
      if node in Definition.nodes(definition), do: abort({:already_exists, tab, node})
      next = definition |> Definition.next_version() |> add(node, storage) |> Rules.check()

      cond do
        tab == :schema and storage != :ram_copies -> abort({:badarg, tab, storage})
        node == node() -> abort(no_source(definition, storage))
        storage != :ram_copies -> abort({:not_active, :schema, node})
        true -> define(next)
      end
    end)
  end

  def add_table_copy(tab, node, _storage), do: refuse({:badarg, tab, node})

  # A table without a copy here has its rows on a node that is not there to send them.
  defp no_source(%{name: name}, storage) do
    if storage != :ram_copies and not disc?() do
      {:combine_error, name, ~c"has no disc", node()}
    else
      {:system_limit, name, {node(), {:not_loaded, :no_active_replica}}}
    end
  end

  @doc "Removes a copy; with the last one goes the table."
  @spec del_table_copy(term(), term()) :: outcome()
  def del_table_copy(tab, node) when is_atom(node), do: run(fn -> remove(tab, node) end)
  def del_table_copy(tab, node), do: refuse({:badarg, tab, node})

  defp remove(tab, node) do
    definition = fetch!(tab, {:no_exists, {tab, :cstruct}})
    rest = definition |> Definition.next_version() |> drop(node)

    cond do
      Definition.nodes(rest) == [] and tab == :schema ->
        abort({:combine_error, tab, ~c"Last replica"})

      Definition.nodes(rest) == [] ->
        _ = active(definition)
        Schema.delete_whole(tab)

      tab == :schema ->
        define(Rules.check(rest))
        Refragmentation.forget_node(node)

      true ->
        _ = majority(active(definition))
        remove_copy(locked!(tab, :write), Rules.check(rest))
    end
  end

  defp remove_copy(%{name: name}, %{storage: :unknown} = rest) do
    done(Definition.keep(rest), name)
    settled(Engine.table_delete(name), rest)
  end

  defp remove_copy(_definition, rest), do: define(rest)

  @doc "Moves a copy to another node."
  @spec move_table_copy(term(), term(), term()) :: outcome()
  def move_table_copy(:schema, _from, _to), do: refuse({:bad_type, :schema})

  def move_table_copy(tab, from, to) when is_atom(from) and is_atom(to) do
    run({:refuse, fn -> unmovable(locked!(tab, :write), from, to) end})
  end

  def move_table_copy(tab, from, to), do: refuse({:badarg, tab, from, to})

  # No other node runs, so nothing can be moved to one.
  defp unmovable(definition, from, to) do
    cond do
      to in Definition.nodes(definition) -> {:already_exists, definition.name, to}
      from != node() -> {:not_active, definition.name, from}
      definition.local_content -> {~c"Cannot move table with local content", definition.name}
      true -> {:not_active, :schema, to}
    end
  end

  @doc "Changes how a node stores a table."
  @spec change_table_copy_type(term(), term(), term()) :: outcome()
  def change_table_copy_type(tab, node, storage) when is_atom(node) do
    run(fn -> change_type(lock_whole(tab), node, storage) end)
  end

  def change_table_copy_type(tab, node, _storage), do: refuse({:badarg, tab, node})

  # The schema is locked already.
  defp lock_whole(:schema), do: fetch!(:schema, {:no_exists, :schema})
  defp lock_whole(tab), do: locked!(tab, :write)

  defp change_type(definition, node, :unknown), do: remove(definition.name, node)

  defp change_type(%{name: name} = definition, node, storage) do
    if storage not in @storages, do: abort({:bad_type, {:storage_type, storage}})
    old = Definition.storage_at(definition, node)
    if old == storage, do: abort({:already_exists, name, node, storage})
    next = definition |> Definition.next_version() |> drop(node) |> add(node, storage)
    next = Rules.check(next)

    cond do
      node != node() -> define(next)
      name == :schema -> change_schema(next)
      true -> change_storage(definition, next)
    end
  end

  defp change_schema(%{storage: :disc_copies} = next) do
    if Settings.get(:schema_location) != :opt_disc do
      abort({:combine_error, :schema, node(), ~c"schema_location must be opt_disc"})
    end

    dir = Database.directory()

    case Engine.attach(IO.chardata_to_string(dir)) do
      {:"$magnesia_error", :exists} -> abort({:already_exists, :schema, dir})
      answer -> done(answer, :schema)
    end

    define(next)
  end

  defp change_schema(next) do
    resident =
      for %{name: name, storage: storage} <- Definition.all(),
          name != :schema and storage in [:disc_copies, :disc_only_copies],
          do: name

    if resident != [], do: abort({~c"Disc resident tables", resident, node()})
    done(Engine.detach(), :schema)
    # The images of ram tables went with the directory.
    for %{dumped: true} = definition <- Definition.all(),
        do: define(%{definition | dumped: false})

    define(next)
  end

  defp change_storage(%{name: name} = old, next) do
    if old.storage == :ram_copies, do: needs_disc(next, {:has_no_disc, node()})

    if old.dumped do
      abort({:combine_error, name, node(), ~c"Table dump exists"})
    end

    answer = Engine.table_set_storage(name, next.storage, Definition.properties(next))
    settled(answer, next)
  end

  defp add(definition, node, storage) when storage in @storages do
    Map.update!(definition, storage, &[node | List.delete(&1, node)])
  end

  defp add(definition, _node, storage), do: abort({:badarg, definition.name, storage})

  defp drop(definition, node) do
    case Definition.storage_at(definition, node) do
      :unknown -> abort({:badarg, definition.name, :unknown})
      storage -> Map.update!(definition, storage, &List.delete(&1, node))
    end
  end
end
