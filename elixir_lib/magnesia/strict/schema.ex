defmodule Magnesia.Strict.Schema do
  @moduledoc """
  The schema operations of `:magnesia`: tables made, changed and deleted.

  What a copy on another node or another storage means is for `Magnesia.Strict.Copies`, rewriting
  rows for `Magnesia.Strict.Transformation`. Everything returns `{:atomic, :ok}` or
  `{:aborted, reason}` unless said otherwise.
  """

  import Magnesia.Strict.Alteration
  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Events
  alias Magnesia.Logs
  alias Magnesia.Strict.Activity
  alias Magnesia.Strict.Alteration
  alias Magnesia.Strict.Announcement
  alias Magnesia.Strict.Checkpoints
  alias Magnesia.Strict.Copies
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.FragmentLayout
  alias Magnesia.Strict.Fragments
  alias Magnesia.Strict.Locks
  alias Magnesia.Strict.Options
  alias Magnesia.Strict.Rules
  alias Magnesia.Strict.Transformation
  alias Magnesia.Subscribers

  @typep outcome :: Alteration.outcome()

  @doc "Rewrites a table's rows for new attributes; exits when there is no such table."
  @spec transform_table(term(), (tuple() -> tuple()) | :ignore, term()) :: outcome()
  defdelegate transform_table(tab, fun, attributes), to: Transformation

  @doc "As `transform_table/3`, with a new record name."
  @spec transform_table(term(), (tuple() -> tuple()) | :ignore, term(), term()) :: outcome()
  defdelegate transform_table(tab, fun, attributes, record_name), to: Transformation

  @doc "Adds a copy on a node."
  @spec add_table_copy(term(), term(), term()) :: outcome()
  defdelegate add_table_copy(tab, node, storage), to: Copies

  @doc "Removes a copy; with the last one goes the table."
  @spec del_table_copy(term(), term()) :: outcome()
  defdelegate del_table_copy(tab, node), to: Copies

  @doc "Moves a copy to another node."
  @spec move_table_copy(term(), term(), term()) :: outcome()
  defdelegate move_table_copy(tab, from, to), to: Copies

  @doc "Changes how a node stores a table."
  @spec change_table_copy_type(term(), term(), term()) :: outcome()
  defdelegate change_table_copy_type(tab, node, storage), to: Copies

  @doc "Creates the table that the options name."
  @spec create_table(term()) :: outcome()
  def create_table([_ | _] = options), do: run(fn -> create(Options.definition(options)) end)
  def create_table(options), do: {:aborted, {:badarg, options}}

  @doc "Creates a table."
  @spec create_table(term(), term()) :: outcome()
  def create_table(name, options) when is_list(options),
    do: create_table([{:name, name} | options])

  def create_table(name, options), do: {:aborted, {:badarg, name, options}}

  defp create(%{frag_properties: []} = definition), do: create_copy(checked(definition))

  defp create(definition) do
    definition
    |> FragmentLayout.expand(:create)
    |> Enum.map(&checked/1)
    |> Enum.reduce([], &create_after/2)
  end

  # All fragments or none.
  defp create_after(definition, created) do
    create_copy(definition)
    [definition | created]
  catch
    kind, reason ->
      Enum.each(created, &delete/1)
      :erlang.raise(kind, reason, __STACKTRACE__)
  end

  @doc "A definition that a table can be created with; aborts if there can be no such table."
  @spec checked(Definition.t()) :: Definition.t()
  def checked(definition) do
    name = definition.name
    if Definition.fetch(name) != :error, do: abort({:already_exists, name})
    checked = Definition.built(Rules.check(definition))
    definition = %{checked | load_reason: {:dumper, :create_table}}

    for node <- definition.disc_copies ++ definition.disc_only_copies, node != node() do
      abort({:not_active, name, node})
    end

    Copies.needs_disc(definition, {:bad_type, name, definition.storage, node()})
    try_storage_properties(definition)
    definition
  end

  @doc "Creates the table of a checked definition, in the operation that runs."
  @spec create_copy(Definition.t()) :: :ok
  def create_copy(%{storage: :unknown} = definition) do
    define(%{definition | load_reason: :unknown})
  end

  def create_copy(definition) do
    Engine.table_create(
      definition.name,
      definition.type,
      definition.storage,
      definition.record_name,
      definition.arity,
      Enum.uniq(definition.index),
      definition.access_mode,
      Definition.properties(definition)
    )
    |> settled(definition)

    Events.refresh()
  end

  # Storage properties are for ets, so ets is the judge of them.
  defp try_storage_properties(%{storage: storage} = definition)
       when storage in [:ram_copies, :disc_copies] do
    case :proplists.get_value(:ets, definition.storage_properties, []) do
      [] -> :ok
      options -> try_ets(definition, [{:keypos, 2}, :public, definition.type | options])
    end
  end

  defp try_storage_properties(_definition), do: :ok

  defp try_ets(definition, options) do
    :ets.delete(:ets.new(definition.name, options))
  rescue
    ArgumentError ->
      abort({:system_limit, definition.name, {~c"Failed to create ets table", :badarg}})
  end

  @doc "Deletes a table and its rows."
  @spec delete_table(term()) :: outcome()
  def delete_table(:schema), do: refuse_schema()
  def delete_table(tab), do: run(fn -> delete_whole(tab) end)

  @doc "Deletes a table with its fragments in the operation that runs."
  @spec delete_whole(term()) :: :ok
  def delete_whole(tab) do
    case fetch!(tab, {:no_exists, tab}) do
      %{frag_properties: []} -> delete(locked!(tab, :write))
      _ -> delete_fragments(Fragments.fetch!(tab))
    end
  end

  # The base table first: fragments without one are deleted when the database is next opened.
  defp delete_fragments(%{tab: tab}) do
    foreigners = Fragments.foreigners(tab)

    if foreigners != [] do
      abort({:combine_error, tab, ~c"Too many foreigners", foreigners})
    end

    definitions = for name <- Fragments.names(tab), do: locked!(name, :write)
    Enum.each(definitions, &delete/1)
  end

  @doc "Deletes a table in the operation that runs."
  @spec delete(Definition.t()) :: :ok
  def delete(definition) do
    Checkpoints.table_gone(definition.name)
    done(Engine.table_delete(definition.name), definition.name)
    Announcement.deleted(definition)
    Subscribers.forget_table(definition.name)
    Definition.erase(definition.name)
    Logs.refresh()
  end

  @doc "Removes all rows of a table; in a transaction it aborts that."
  @spec clear_table(term()) :: outcome()
  def clear_table(tab) do
    case Activity.state() do
      :undefined -> clear_alone(:undefined, :magnesia, tab)
      {_mod, {:tid, _, _}, _store} -> abort({:aborted, :nested_transaction})
      {mod, _id, _store} = state -> clear_alone(state, mod, tab)
    end
  end

  defp clear_alone(state, mod, tab) do
    body = fn ->
      {_, tid, store} = Activity.state()
      mod.clear_table(tid, store, tab, :_)
    end

    Activity.transaction(state, body, [], :infinity, mod, true)
  end

  @doc "Removes all rows, in a given transaction."
  @spec clear_table(tuple(), term(), term(), term()) :: :ok
  def clear_table({:tid, _, _}, _ctx, :schema, _pattern) do
    Announcement.cleared(fetch!(:schema, {:node_not_running, node()}))
    Announcement.completed()
  end

  def clear_table({:tid, _, _}, ctx, tab, _pattern) do
    definition = tab |> fetch!({:no_exists, tab}) |> active() |> writable() |> majority()
    Locks.hold_table(ctx, tab, :write)
    done(Engine.table_clear(tab), tab)
    Announcement.cleared(definition)
    Announcement.completed()
  end

  @doc "Adds an index."
  @spec add_table_index(term(), term()) :: outcome()
  def add_table_index(:schema, _attribute), do: refuse_schema()

  def add_table_index(tab, attribute) do
    run(fn ->
      definition = locked!(tab, :read)
      pos = Rules.position(attribute, definition)
      if pos in definition.index, do: abort({:already_exists, tab, pos})
      index = :lists.sort([pos | definition.index_info])
      next = Rules.check(%{next_version(definition) | index_info: index})
      next = Definition.ordered(next, [pos | definition.index_order])
      settled(Engine.table_add_index(tab, pos, Definition.properties(next)), next)
    end)
  end

  @doc "Removes an index."
  @spec del_table_index(term(), term()) :: outcome()
  def del_table_index(:schema, _attribute), do: refuse_schema()

  def del_table_index(tab, attribute) do
    run(fn ->
      definition = locked!(tab, :read)
      pos = Rules.position(attribute, definition)
      if pos not in definition.index, do: abort({:no_exists, tab, pos})
      index = :lists.keydelete(pos, 1, definition.index_info)
      next = Rules.check(%{next_version(definition) | index_info: index})
      next = %{next | index_order: List.delete(definition.index_order, pos)}
      drop_index(pos in next.index, next, pos)
    end)
  end

  # An index that was asked for twice at the table's creation goes when its last entry goes.
  defp drop_index(true, next, _pos), do: define(next)

  defp drop_index(false, next, pos) do
    settled(Engine.table_del_index(next.name, pos, Definition.properties(next)), next)
  end

  @doc "Makes a table read-only or writable."
  @spec change_table_access_mode(term(), term()) :: outcome()
  def change_table_access_mode(tab, mode) do
    run(fn ->
      definition = active!(tab)
      if definition.access_mode == mode, do: abort({:already_exists, tab, mode})
      next = Rules.check(%{next_version(definition) | access_mode: mode})
      # Nobody writes a table that is read-only, so only the way there has to wait.
      if definition.access_mode == :read_write, do: lock(tab, :write)
      define(next)
    end)
  end

  @doc "Changes when a table is loaded: higher is sooner."
  @spec change_table_load_order(term(), term()) :: outcome()
  def change_table_load_order(:schema, _order), do: refuse_schema()
  def change_table_load_order(tab, order), do: change(tab, &%{&1 | load_order: order})

  @doc "Changes whether transactions need most replicas."
  @spec change_table_majority(term(), boolean()) :: outcome()
  def change_table_majority(:schema, majority) when is_boolean(majority), do: refuse_schema()

  def change_table_majority(tab, majority) when is_boolean(majority) do
    run(fn ->
      definition = active!(tab)

      if :lists.keyfind(:base_table, 1, definition.frag_properties) not in [
           false,
           {:base_table, tab}
         ] do
        abort({:bad_type, tab})
      end

      for name <- Fragments.names(tab) do
        Rules.check(%{next_version(active!(name)) | majority: majority})
      end
      |> Enum.each(&define/1)
    end)
  end

  @doc "One of the user's own properties of a table; exits when it has none of that key."
  @spec read_table_property(term(), term()) :: tuple()
  def read_table_property(tab, key) do
    with {:ok, definition} <- Definition.fetch(tab),
         property when is_tuple(property) <-
           :lists.keyfind(key, 1, definition.user_properties) do
      property
    else
      _ -> abort(missing(tab, :user_property, key))
    end
  end

  defp missing(tab, item, key) do
    if Definition.fetch(:schema) == :error do
      {:node_not_running, node()}
    else
      {:no_exists, {tab, item, key}}
    end
  end

  @doc "Sets one of the user's own properties of a table."
  @spec write_table_property(term(), term()) :: outcome()
  def write_table_property(tab, property)
      when is_tuple(property) and tuple_size(property) >= 1 do
    change(tab, fn definition ->
      others = :lists.keydelete(elem(property, 0), 1, definition.user_properties)
      %{definition | user_properties: :lists.merge(others, [property])}
    end)
  end

  def write_table_property(tab, property), do: {:aborted, {:bad_type, tab, property}}

  @doc "Removes one of the user's own properties of a table."
  @spec delete_table_property(term(), term()) :: outcome()
  def delete_table_property(tab, key) do
    change(tab, fn definition ->
      %{definition | user_properties: :lists.keydelete(key, 1, definition.user_properties)}
    end)
  end

  defp change(tab, fun) do
    run(fn ->
      tab |> active!() |> next_version() |> fun.() |> Rules.check() |> define()
    end)
  end

  defp next_version(definition), do: Definition.next_version(definition)

  defp refuse_schema, do: refuse({:bad_type, :schema})
end
