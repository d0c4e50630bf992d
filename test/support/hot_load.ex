defmodule Magnesia.HotLoad do
  @moduledoc """
  What writes in VMs that are about to be killed. Runs there; it judges nothing.
  """

  @rows 100

  @doc "Begins processes that write a left and a right half in a transaction, without end."
  @spec pairs([atom()], pos_integer()) :: :ok
  def pairs(tabs, processes) do
    for number <- 1..processes do
      spawn(fn ->
        for n <- Stream.iterate(1, &(&1 + 1)), do: pair(tabs, {number, rem(n, 20)}, n)
      end)
    end

    :ok
  end

  defp pair(tabs, key, n) do
    {:atomic, :ok} =
      :mnesia.transaction(fn ->
        for tab <- tabs, row <- 1..@rows, do: :mnesia.write({tab, {key, row}, n, 0})
        :ok
      end)
  end

  @doc "The halves of transactions that were written: groups of rows that differ."
  @spec halves([[tuple()]]) :: [term()]
  def halves(tables) do
    groups =
      for rows <- tables, {_tab, {key, _row}, n, 0} <- rows, reduce: %{} do
        groups ->
          Map.update(groups, key, %{n => 1}, &Map.update(&1, n, 1, fn count -> count + 1 end))
      end

    for {key, counts} <- groups, Map.values(counts) != [@rows * length(tables)], do: {key, counts}
  end

  @doc """
  An index plugin that kills its VM in the middle of the commit that writes `:boom`, or has the
  engine dump its log there before.
  """
  @spec explode(atom(), term(), tuple()) :: [term()]
  def explode(_tab, _position, {_name, _key, value, _w}) do
    # The VM after it builds the index from the same row.
    _ = if value == :boom, do: explode(:persistent_term.get(__MODULE__, nil))
    [0]
  end

  defp explode(nil), do: :ok
  defp explode(:die), do: die()

  defp explode(:dump) do
    :ok = Magnesia.Engine.dump_log(:hot)
    die()
  end

  defp die, do: :os.cmd(~c"kill -9 #{:os.getpid()}")

  @doc "A transaction of many rows of two tables, with one to explode at."
  @spec doomed([atom()], :die | :dump) :: no_return()
  def doomed(tabs, way) do
    :persistent_term.put(__MODULE__, way)

    :mnesia.transaction(fn ->
      for tab <- tabs, k <- 1..@rows, do: :mnesia.write({tab, k, :fine, 0})
      :mnesia.write({hd(tabs), @rows + 1, :boom, 0})
      for tab <- tabs, k <- 1..10, do: :mnesia.delete({tab, -k})
    end)
  end

  @doc """
  A process that logs a commit ahead and dies: how many dead were forgotten at once, and how many
  a second time.
  """
  @spec begun_and_died(atom()) :: {non_neg_integer(), non_neg_integer()}
  def begun_and_died(tab) do
    ops = for k <- 1..2, do: {[tab], :write, {tab, k, :v}}
    # The owner of the backend does the same every second, and is kept from it.
    :ok = :sys.suspend(Magnesia.Backend.Owner)
    {_pid, ref} = spawn_monitor(fn -> :ok = Magnesia.Engine.log_ahead(ops) end)

    receive do
      {:DOWN, ^ref, :process, _pid, :normal} -> :ok
    end

    counts = {Magnesia.Engine.forget_owed(), Magnesia.Engine.forget_owed()}
    :ok = :sys.resume(Magnesia.Backend.Owner)
    counts
  end

  @doc "Writes the rows of a large table from one key to another."
  @spec large(atom(), pos_integer(), pos_integer(), pos_integer()) :: :ok
  def large(tab, first, last, bytes) do
    for k <- first..last, do: :ok = :mnesia.dirty_write(large_row(tab, k, bytes))
    :ok
  end

  @doc "A row of a large table: of about so many bytes, no two alike, and not to be compressed."
  @spec large_row(atom(), pos_integer(), pos_integer()) :: tuple()
  def large_row(tab, k, bytes) do
    {value, _state} = :rand.bytes_s(bytes, :rand.seed_s(:exsss, k))
    {tab, k, k, value}
  end
end
