defmodule MyApp.Cluster do
  @moduledoc """
  Several nodes with the same tables: Mnesia's own cluster, its rows on this engine. Founding it,
  joining it, leaving it, tables with a copy on every node, events of all nodes, and whether the
  copies agree.

  Mnesia keeps the cluster: transactions, replication, loading after a restart. What is of
  Magnesia are the storages `:magnesia_disc` and `:magnesia_ram`, the check and the topics.
  """

  alias Magnesia.Agreement
  alias Magnesia.Backend
  alias Magnesia.Events

  @tables [
    users: [attributes: [:id, :email, :name, :created_at], index: [:email]],
    products: [attributes: [:id, :name, :price, :stock], index: [:name]],
    orders: [
      attributes: [:id, :user_id, :total, :status, :created_at],
      index: [:user_id, :status]
    ]
  ]
  @wait_ms 60_000

  @doc """
  Founds a cluster of connected nodes on which Mnesia has never run: once, on one of them. The
  schema, on disk on each of them, has the aliases from the beginning.
  """
  def found(nodes \\ [node() | Node.list()]) do
    with :ok <- :mnesia.create_schema(nodes, backend_types: Backend.backend_types()),
         :ok <- on_all(nodes, :mnesia, :start, []),
         :ok <- on_all(nodes, :mnesia, :wait_for_tables, [[:schema], @wait_ms]) do
      on_all([node()], __MODULE__, :create_tables, [nodes])
    end
  end

  @doc "Makes the tables with a copy on each of some nodes; those that are there stay."
  def create_tables(nodes \\ [node() | Node.list()]) do
    for {table, options} <- @tables, reduce: :ok do
      :ok -> created(:mnesia.create_table(table, [{:magnesia_disc, nodes} | options]), table)
      error -> error
    end
  end

  defp created({:atomic, :ok}, _table), do: :ok
  defp created({:aborted, {:already_exists, table}}, table), do: :ok
  defp created({:aborted, reason}, table), do: {:error, {table, reason}}

  @doc """
  Starts Mnesia on a node that belongs to a cluster, after any restart, and waits for the tables.
  """
  def start do
    with :ok <- :mnesia.start(), do: waited(:mnesia.wait_for_tables(tables(), @wait_ms))
  end

  defp waited(:ok), do: :ok
  defp waited({:timeout, missing}), do: {:error, {:not_loaded, missing}}
  defp waited(error), do: error

  @doc """
  Makes this node, on which Mnesia has never run, a member of a node's cluster, with a copy of
  each table. A node that can't be reached, or one that won't have this one, is an error.
  """
  def join(member) do
    with :ok <- :mnesia.start(),
         {:atomic, :ok} <- Backend.register(),
         true <- Node.connect(member) || {:error, {:not_reached, member}},
         {:ok, [_ | _]} <- :mnesia.change_config(:extra_db_nodes, [member]),
         {:atomic, :ok} <- :mnesia.change_table_copy_type(:schema, node(), :disc_copies) do
      copied(tables())
    else
      {:ok, []} -> {:error, {:not_reached, member}}
      {:aborted, reason} -> {:error, reason}
      error -> error
    end
  end

  defp copied(tables) do
    for table <- tables, reduce: :ok do
      :ok -> created(:mnesia.add_table_copy(table, node(), :magnesia_disc), table)
      error -> error
    end
  end

  @doc "Takes a node whose Mnesia is stopped out of the cluster, on any other member."
  def remove(node) do
    case :mnesia.del_table_copy(:schema, node) do
      {:atomic, :ok} -> :ok
      {:aborted, reason} -> {:error, reason}
    end
  end

  @doc "The members, those that run first."
  def members do
    %{
      running: Enum.sort(:mnesia.system_info(:running_db_nodes)),
      stopped: Enum.sort(:mnesia.system_info(:db_nodes) -- :mnesia.system_info(:running_db_nodes))
    }
  end

  @doc "Adds a user, on the disks of all running members before it answers."
  def add_user(id, email, name) do
    row = {:users, id, email, name, DateTime.utc_now()}

    case :mnesia.sync_transaction(fn -> :mnesia.write(row) end) do
      {:atomic, :ok} -> Events.publish({__MODULE__, :users}, {:added, id}, scope: :cluster)
      {:aborted, reason} -> {:error, reason}
    end
  end

  @doc "A user by e-mail address, from this node's copy."
  def user_by_email(email) do
    case :mnesia.dirty_index_read(:users, email, :email) do
      [row] -> {:ok, row}
      [] -> {:error, :not_found}
    end
  end

  @doc "Subscribes the caller to what any node's `add_user/3` has added."
  def subscribe, do: Events.listen({__MODULE__, :users})

  @doc "Subscribes the caller to this node's copy: every change, whichever node made it."
  def follow(table) do
    with {:ok, _node} <- :mnesia.subscribe({:table, table, :detailed}), do: :ok
  end

  @doc "`:ok`, or what is not alike: the tables with what differs, or who has no copy loaded."
  def check do
    bad =
      for {table, answer} <- Agreement.check_all(),
          not match?({:agree, %{missing: []}}, answer) do
        {table, answer}
      end

    if bad == [], do: :ok, else: {:error, Map.new(bad)}
  end

  defp tables, do: Keyword.keys(@tables)

  defp on_all(nodes, module, function, args) do
    for {node, answer} <- Enum.zip(nodes, :erpc.multicall(nodes, module, function, args)),
        reduce: :ok do
      :ok -> if answer == {:ok, :ok}, do: :ok, else: {:error, {node, answer}}
      error -> error
    end
  end
end

defmodule MyApp.Sessions do
  @moduledoc """
  A table in fragments that are spread over a pool of nodes, each row on one of them: a table
  larger than one node's memory. Fragments that are Mnesia's own, rows on this engine.

  Mnesia makes new fragments like the first one, which has to stay `:ram_copies`; the others are
  moved to `:magnesia_ram` where they lie.
  """

  alias Magnesia.Backend

  @table :sessions

  @doc "Makes the table with some fragments, spread over nodes in turn."
  def create(fragments, nodes \\ [node() | Node.list()]) do
    properties = [node_pool: nodes, n_fragments: fragments, n_ram_copies: 1]
    options = [attributes: [:id, :user, :at], frag_properties: properties]

    with {:atomic, :ok} <- :mnesia.create_table(@table, options), do: heat(tl(names()))
  end

  defp heat(fragments) do
    for name <- fragments, node <- :mnesia.table_info(name, :ram_copies), reduce: :ok do
      :ok -> with {:atomic, :ok} <- Backend.convert(name, :magnesia_ram, node), do: :ok
      error -> error
    end
  end

  @doc "One fragment more, on the node that has fewest; it takes rows from one of the others."
  def grow do
    nodes = for {node, _count} <- info(:frag_dist), do: node

    with {:atomic, :ok} <- :mnesia.change_table_frag(@table, {:add_frag, nodes}) do
      heat([List.last(names())])
    end
  end

  @doc "Writes a session, and answers when the node that its fragment is on has it."
  def put(id, user, at), do: within(fn -> :mnesia.write({@table, id, user, at}) end)

  @doc "A session by its id."
  def fetch(id) do
    case within(fn -> :mnesia.read(@table, id) end) do
      [row] -> {:ok, row}
      [] -> :error
    end
  end

  @doc "How many sessions there are, on all nodes."
  def count, do: info(:size)

  @doc "Each fragment with its storage, its node and its number of rows."
  def layout do
    for {name, rows} <- info(:frag_size),
        storage <- [:ram_copies, :magnesia_ram],
        node <- :mnesia.table_info(name, storage),
        do: {name, storage, node, rows}
  end

  defp names, do: info(:frag_names)

  defp info(item), do: dirty(fn -> :mnesia.table_info(@table, item) end)

  defp within(fun), do: :mnesia.activity(:sync_transaction, fun, [], :mnesia_frag)
  defp dirty(fun), do: :mnesia.activity(:async_dirty, fun, [], :mnesia_frag)
end
