defmodule Magnesia.Backend.Tables do
  @moduledoc """
  Tables of a stock Mnesia: made, loaded, deleted, described.

  Mnesia creates a table again at each load and twice when it is new, so creating keeps what is
  there, unless it is another table that had the name once: a table's cookie tells. The shape
  follows from the name: data tables have records, an ordered index `{{Value, Key}}`, a bag index
  `{Value, Key}`. Rows are read and written elsewhere.
  """

  require Logger

  alias Magnesia.Backend
  alias Magnesia.Backend.Alarm
  alias Magnesia.Backend.Change
  alias Magnesia.Backend.Copying
  alias Magnesia.Backend.Leftovers
  alias Magnesia.Backend.Names
  alias Magnesia.Backend.Place
  alias Magnesia.Backend.Refusal
  alias Magnesia.Backend.Room
  alias Magnesia.Engine

  @doc "Tells whether a table can be had as its definition says; runs on one node."
  @spec check(Backend.alias_name(), Backend.table(), [node()], keyword()) ::
          :ok | {:error, String.t()}
  def check(alias_name, tab, nodes, props) do
    disk? = alias_name != :magnesia_ram and node() in nodes

    with :ok <- check_options(props),
         :ok <- if(disk?, do: check_disk(alias_name), else: :ok) do
      Room.check(alias_name, tab, props)
    end
  end

  # Later than this Mnesia takes no refusal: it would let go of the old copy all the same.
  defp check_disk(alias_name) do
    with true <- Place.disc?(), :ok <- Place.open(), :ok <- ready(alias_name) do
      if reason = Alarm.reason(), do: {:error, reason}, else: :ok
    else
      false -> {:error, no_directory(alias_name)}
      {:"$magnesia_error", reason} -> {:error, Refusal.words(reason)}
      {:error, reason} -> {:error, reason}
    end
  end

  defp check_options(props) do
    case List.keyfind(props[:storage_properties] || [], :magnesia, 0) do
      nil -> :ok
      {:magnesia, options} -> {:error, "magnesia has no storage option #{inspect(options)}"}
    end
  end

  defp no_directory(alias_name) do
    "#{alias_name} needs a Mnesia with its schema on disk: " <>
      ":mnesia.change_table_copy_type(:schema, node(), :disc_copies) comes first"
  end

  @doc "Makes a table, or keeps the one that is there."
  @spec create(Backend.alias_name(), Backend.table(), keyword()) :: :ok | {:error, String.t()}
  # A restored table is announced without its definition, which follows.
  def create(_alias, _tab, []), do: :ok

  def create(alias_name, tab, props) do
    with :ok <- Place.open(),
         :ok <- ready(alias_name),
         :ok <- put(tab, wanted(alias_name, tab, props), props[:cookie]) do
      :ok
    else
      {:"$magnesia_error", reason} -> {:error, Refusal.words(reason)}
      {:error, reason} -> {:error, reason}
    end
  end

  defp ready(:magnesia_ram), do: :ok

  defp ready(alias_name) do
    with :no_directory <- Place.attach(), do: {:error, no_directory(alias_name)}
  end

  defp wanted(alias_name, tab, props) do
    {kind, arity} =
      case tab do
        {_, :index, {_position, :ordered}} -> {:ordered_set, 0}
        {_, :index, _position} -> {:bag, 0}
        {_, :retainer, _name} -> {:set, 3}
        _data -> {props[:type], length(props[:attributes]) + 1}
      end

    {kind, storage(alias_name), record_name(tab, props), arity}
  end

  defp record_name({data, :retainer, _name}, _props), do: data
  defp record_name({data, :index, _position}, _props), do: data
  defp record_name(_tab, props), do: props[:record_name]

  defp storage(:magnesia_ram), do: :ram_copies
  defp storage(:magnesia_disc), do: :disc_copies
  defp storage(:magnesia_disc_only), do: :disc_only_copies

  defp put(tab, {kind, storage, name, arity} = wanted, cookie) do
    case Engine.table_definition(Names.ref(tab)) do
      {^kind, ^storage, there, _arity, _indexes, access, %{cookie: ^cookie} = properties} ->
        with :ok <- if(there == name, do: :ok, else: reshape(tab, name, arity, properties)) do
          if access == :read_write, do: :ok, else: unlock(tab, properties)
        end

      definition when tuple_size(definition) == 7 ->
        _ = delete(tab)
        put(tab, wanted, cookie)

      _none ->
        new(tab, wanted, cookie)
    end
  end

  defp new(tab, {kind, storage, name, arity}, cookie) do
    properties = %{table: tab, cookie: cookie, schema: schema(), consistent: nil}

    Names.create(tab, fn ref ->
      Engine.table_create(ref, kind, storage, name, arity, [], :read_write, properties)
    end)
  end

  defp unlock(tab, properties) do
    Engine.table_define(Names.ref(tab), :read_write, properties)
  end

  defp reshape(tab, name, arity, properties) do
    Engine.table_reshape(Names.ref(tab), name, arity, properties)
  end

  @doc "Follows a transformation that gave the records another name, as its first record shows."
  @spec rename_records(atom(), tuple()) :: :ok | {:error, term()}
  def rename_records(tab, record) do
    with name when is_atom(name) <- elem(record, 0),
         {_, _, _, _, _, _, properties} <- Engine.table_definition([tab]),
         :ok <- reshape(tab, name, tuple_size(record), properties) do
      :ok
    else
      {:"$magnesia_error", _reason} = failure -> Refusal.write(failure, tab)
      _no_name -> {:error, {:bad_type, record}}
    end
  end

  @doc """
  Prepares a table for what Mnesia is about to do.

  Rows that come from another node replace those that are here: see
  `Magnesia.Backend.Copying`. Mnesia's log is only of use
  where it knows more than the engine's: see `Magnesia.Backend.Place`.
  """
  @spec load(Backend.alias_name(), Backend.table(), term()) :: :ok
  def load(alias_name, tab, {:net_load, _node}) do
    :ok = Copying.begin(alias_name, tab)
    doubt_indexes(tab)
  end

  def load(_alias, tab, :startup) do
    _ = if Place.ahead?(), do: set_access(tab, :read_only)
    doubt_indexes(tab)
  end

  def load(alias_name, tab, {:dumper, :change_table_copy_type}) when is_atom(tab) do
    :ok = Change.forget_indexes(tab)
    load(alias_name, tab, :changed)
  end

  def load(:magnesia_ram, tab, _reason) when is_atom(tab), do: Leftovers.take(tab, [tab])
  def load(_alias, _tab, _reason), do: :ok

  @doc "Makes an empty table for the rows of a fallback, which come before Mnesia has started."
  @spec restore(Backend.alias_name(), Backend.table(), keyword()) :: :ok | {:error, String.t()}
  def restore(alias_name, tab, props) do
    :ok = delete(tab)
    create(alias_name, tab, props)
  end

  @doc "Ends what `load/3` began."
  @spec close(Backend.table()) :: :ok
  def close(tab) do
    _ = if replaying?(tab), do: set_access(tab, :read_write)
    :ok
  end

  @doc "Tells whether operations of Mnesia's log on this table are passed over."
  @spec replaying?(Backend.table()) :: boolean()
  def replaying?(tab) do
    match?({_, _, _, _, _, :read_only, _}, Engine.table_definition(Names.ref(tab)))
  end

  defp set_access(tab, access) do
    ref = Names.ref(tab)

    with {_, _, _, _, _, _, properties} <- Engine.table_definition(ref) do
      Engine.table_define(ref, access, properties)
    end
  end

  @doc """
  Deletes a table; one that isn't there is no error.

  Its indexes go with it: Mnesia forgets some of them.
  """
  @spec delete(Backend.table()) :: :ok
  def delete(tab) do
    if Copying.interrupted?(tab), do: :ok, else: do_delete(tab)
  end

  defp do_delete(tab) do
    # A fallback's tables are deleted before the backend is told that Mnesia starts.
    _ = Place.open()

    if is_atom(tab) do
      Change.mend(tab)
      delete_beside(tab)
    end

    _ =
      with {:"$magnesia_error", _reason} = failure <- Engine.table_delete(Names.ref(tab)) do
        Refusal.write(failure, tab)
      end

    Names.forget(tab)
  end

  defp delete_beside(tab) do
    Enum.each(indexes(tab), &delete/1)
    # A restore that recreates tables makes an ets table of an external one too, and the next
    # one ends Mnesia over it.
    if external?(tab) and :ets.info(tab, :owner) == Process.whereis(:mnesia_monitor) do
      :ets.delete(tab)
    end
  end

  defp external?(tab) do
    key = {tab, :storage_type}
    match?([{^key, {:ext, _alias, Backend}}], :ets.lookup(:mnesia_gvar, key))
  rescue
    # Mnesia is only about to start.
    ArgumentError -> false
  end

  @typedoc "A data table with its cookie."
  @type found :: {atom(), term()}

  @doc "The data tables there are; retainers of checkpoints, which end with Mnesia, are deleted."
  @spec found() :: [found()]
  def found do
    tables = all()
    for {{_, :retainer, _} = retainer, _name} <- tables, do: delete(retainer)
    for {tab, _name} when is_atom(tab) <- tables, do: {tab, cookie(tab)}
  end

  @doc """
  Deletes those of some tables that this schema had and has no more, and that nobody made anew.

  Tables of another schema stay, for a schema that was lost may come back from a backup.
  """
  @spec delete_strays([found()]) :: :ok
  def delete_strays(found) do
    for {tab, cookie} <- found, not external?(tab), cookie(tab) == cookie do
      if of_this_schema?(tab), do: delete(tab), else: warn(tab)
    end

    :ok
  end

  defp of_this_schema?(tab) do
    case Engine.table_definition([tab]) do
      {_, _, _, _, _, _, %{schema: schema}} -> schema != nil and schema == schema()
      _none -> false
    end
  end

  defp warn(tab) do
    Logger.warning(
      "Magnesia has rows of a table #{inspect(tab)} that Mnesia doesn't know, made under " <>
        "another schema. They are kept until a table of that name is created"
    )
  end

  # The schema's own cookie: a schema that is made anew has another one.
  defp schema do
    :mnesia.table_info(:schema, :cookie)
  catch
    :exit, _no_schema_yet -> nil
  end

  defp cookie(tab) do
    case Engine.table_definition([tab]) do
      {_, _, _, _, _, _, %{cookie: cookie}} -> cookie
      _none -> nil
    end
  end

  @doc "Size in rows, memory in words; nothing else is known here."
  @spec info(Backend.table(), atom()) :: term()
  def info(tab, :size), do: number(Engine.size(Names.ref(tab)))

  def info(tab, :memory) do
    case Engine.memory(Names.ref(tab)) do
      bytes when is_integer(bytes) -> div(bytes, :erlang.system_info(:wordsize))
      _none -> :undefined
    end
  end

  def info(_tab, _item), do: :undefined

  defp number(number) when is_integer(number), do: number
  defp number(_failure), do: :undefined

  @doc "Tells whether an index is known to have what its table has."
  @spec consistent?(Backend.table()) :: boolean()
  def consistent?(index) do
    case Engine.table_definition(Names.ref(index)) do
      {_, _, _, _, _, _, %{consistent: epoch}} -> epoch == Place.epoch()
      _none -> false
    end
  end

  @doc "Notes whether an index has what its table has."
  @spec put_consistent(Backend.table(), boolean()) :: :ok
  def put_consistent(index, consistent?) do
    ref = Names.ref(index)
    epoch = if consistent?, do: Place.epoch()
    # Mnesia fixes a table to build an index, and leaves it so.
    _ = if consistent?, do: unfix(index)

    _ =
      with {_, _, _, _, _, access, %{consistent: there} = properties} when there != epoch <-
             Engine.table_definition(ref) do
        Engine.table_define(ref, access, %{properties | consistent: epoch})
      end

    :ok
  end

  defp unfix({tab, :index, _position}), do: Engine.fix([tab], false)

  defp doubt_indexes(tab) do
    Enum.each(indexes(tab), &put_consistent(&1, false))
  end

  defp indexes(tab), do: for({{^tab, :index, _position} = index, _name} <- all(), do: index)

  @doc "All tables there are, by what Mnesia calls them, with the engine's names."
  @spec all() :: [{Backend.table(), atom()}]
  def all do
    case Engine.tables(:hot) do
      names when is_list(names) -> Enum.flat_map(names, &entry/1)
      _closed -> []
    end
  end

  @spec entry(atom()) :: [{Backend.table(), atom()}]
  defp entry(name) do
    case Engine.table_definition([name]) do
      {_, _, _, _, _, _, %{table: tab}} -> [{tab, name}]
      _none -> []
    end
  end
end
