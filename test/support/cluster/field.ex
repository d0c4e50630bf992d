defmodule Magnesia.Cluster.Field do
  @moduledoc """
  A cluster with tables and writers on it: the tables are made and filled, writers are started
  on nodes and stopped, and what is there at the end is judged when it has come to rest. Which
  nodes die and when is a test's.
  """

  import ExUnit.Assertions

  alias Magnesia.Cluster.{Copies, Journal, Judge, Script, Writer}
  alias Magnesia.HotNodes
  alias Magnesia.Patience

  @kinds [:set, :ordered_set, :bag]
  @still 300
  # For a machine that has much other work.
  @deadline_ms 60_000

  @typedoc "A writer and where it runs."
  @type running :: {HotNodes.peer(), pid(), Script.writer()}

  @doc "What `MAGNESIA_SEED` says, or a seed of its own."
  @spec seed() :: integer()
  def seed do
    "MAGNESIA_SEED" |> System.get_env("#{:rand.uniform(1_000_000)}") |> String.to_integer()
  end

  @doc "A figure out of the environment."
  @spec figure(String.t(), pos_integer()) :: pos_integer()
  def figure(name, default), do: name |> System.get_env("#{default}") |> String.to_integer()

  @doc "Three tables of a family, a set, an ordered set and a bag, with some rows."
  @spec tables(HotNodes.peer(), atom(), keyword(), [atom()]) :: [Script.table()]
  def tables(peer, family, copies, kinds \\ @kinds) do
    for kind <- kinds do
      tab = :"#{family}_#{kind}"
      options = [attributes: [:k, :v, :n], type: kind, index: [:v]]
      {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [tab, options ++ copies])
      still = for k <- 1..@still, do: {tab, {:still, k}, rem(k, 7), 0}
      more = for k <- 1..9, kind == :bag, do: {tab, {:still, k}, 9 - k, 1}
      {:atomic, :ok} = HotNodes.call(peer, __MODULE__, :write_all, [still ++ more])
      %{name: tab, kind: kind, family: family, order: order(Keyword.keys(copies))}
    end
  end

  defp order(storages) do
    case Enum.count(storages, &(&1 in [:disc_only_copies, :magnesia_disc_only])) do
      0 -> :place
      all when all == length(storages) -> :tail
      _some -> :none
    end
  end

  @doc "Writes rows in one transaction. Runs on a node."
  @spec write_all([tuple()]) :: {:atomic, :ok} | {:aborted, term()}
  def write_all(rows) do
    :mnesia.sync_transaction(fn -> Enum.each(rows, &:mnesia.write/1) end)
  end

  @doc "Writes rows with a text of some length. Runs on a node."
  @spec fill(atom(), pos_integer(), pos_integer()) :: {:atomic, :ok} | {:aborted, term()}
  def fill(tab, count, bytes) do
    text = String.duplicate("x", bytes)
    write_all(for k <- 1..count, do: {tab, {:still, k}, rem(k, 7), {k, text}})
  end

  @doc "Starts a writer on a node; its `name` is its own among all that ever wrote."
  @spec write(HotNodes.peer(), term(), [Script.table()], atom(), integer()) :: running()
  def write(peer, name, tables, levels, seed) do
    journal = Path.join(journals(), "#{:erlang.phash2({peer.node, name})}")

    writer = %{
      id: name,
      seed: seed,
      tables: tables,
      levels: Script.levels(levels),
      across?: levels != :sync,
      journal: journal
    }

    {peer, HotNodes.call(peer, Writer, :start, [writer]), writer}
  end

  defp journals do
    dir = Path.join(System.tmp_dir!(), "magnesia-journals-#{System.pid()}")
    ExUnit.Callbacks.on_exit({__MODULE__, dir}, fn -> File.rm_rf!(dir) end)
    dir
  end

  @doc "Stops writers, but for those whose node was killed."
  @spec stop([running()], [HotNodes.peer()]) :: [Script.writer()]
  def stop(running, killed \\ []) do
    gone = Enum.map(killed, & &1.os_pid)

    for {peer, pid, writer} <- running do
      if peer.os_pid not in gone, do: :ok = HotNodes.call(peer, Writer, :stop, [pid])
      writer
    end
  end

  @doc "Waits until writers were acknowledged some more steps together."
  @spec progress([running()], pos_integer()) :: :ok
  def progress(running, steps) do
    goal = acknowledged(running) + steps
    Patience.await("the writers write no more", fn -> acknowledged(running) >= goal end)
  end

  defp acknowledged(running) do
    Enum.sum(for {_peer, _pid, writer} <- running, do: Journal.acknowledged(writer))
  end

  defp deadline, do: System.monotonic_time(:millisecond) + @deadline_ms

  # Looking takes time from those who are to get on.
  defp pause do
    receive do
      :never -> :ok
    after
      20 -> :ok
    end
  end

  @doc "The copies of tables when all nodes have the same."
  @spec rest([HotNodes.peer()], [Script.table()]) :: Judge.world()
  def rest(peers, tables), do: judged(peers, tables, fn _now -> :ok end)

  @doc """
  The copies of tables when all nodes have the same, and the same as they should: see
  `Magnesia.Cluster.Judge.judge/4`.
  """
  @spec rest([HotNodes.peer()], [Script.table()], Judge.world(), [Script.writer()], boolean()) ::
          Judge.world()
  def rest(peers, tables, before, writers, torn? \\ false) do
    judged(peers, tables, &Judge.judge(before, &1, writers, torn?))
  end

  # What was acknowledged by one node may yet be on its way to another.
  defp judged(peers, tables, judge, deadline \\ deadline()) do
    with {:ok, now} <- Copies.read(peers, tables), :ok <- judge.(now) do
      now
    else
      {:error, text} ->
        if System.monotonic_time(:millisecond) > deadline, do: flunk(text)
        pause()
        judged(peers, tables, judge, deadline)
    end
  end
end
