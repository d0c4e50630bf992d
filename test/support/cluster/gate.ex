defmodule Magnesia.Cluster.Gate do
  @moduledoc """
  Holds a commit on one node: an index plugin that waits, when it meets a row that says so, until
  the gate is opened. So a test sees whether the node that commits waits for this one. Runs on the
  nodes; it judges nothing.
  """

  @held :held
  @plugin {:gate}

  @doc "The index that a table needs to be held, of which Mnesia is to know first."
  @spec index() :: tuple()
  def index, do: @plugin

  @doc "From now on commits with `row/2` are held here."
  @spec close() :: :ok
  def close do
    parent = self()

    pid =
      spawn(fn ->
        Process.register(self(), __MODULE__)
        send(parent, {self(), :closed})
        keep([])
      end)

    receive do
      {^pid, :closed} -> :ok
    end
  end

  @doc "Lets all that is held go on, and holds nothing any more."
  @spec open() :: :ok
  def open do
    ref = Process.monitor(__MODULE__)
    send(__MODULE__, :open)

    receive do
      {:DOWN, ^ref, :process, _pid, _reason} -> :ok
    end
  end

  @doc "Tells whether a commit is held here."
  @spec held?() :: boolean()
  def held? do
    ref = make_ref()
    send(__MODULE__, {:held?, self(), ref})

    receive do
      {^ref, held?} -> held?
    end
  end

  defp keep(waiting) do
    receive do
      {:wait, pid, ref} -> keep([{pid, ref} | waiting])
      {:held?, pid, ref} -> send(pid, {ref, waiting != []}) && keep(waiting)
      :open -> for {pid, ref} <- waiting, do: send(pid, ref)
    end
  end

  @doc "A row that is held."
  @spec row(atom(), term()) :: tuple()
  def row(tab, key), do: {tab, key, @held}

  @doc "The plugin: one value for all rows."
  @spec values(atom(), term(), tuple()) :: [term()]
  def values(_tab, _position, row) do
    if elem(row, 2) == @held, do: wait(Process.whereis(__MODULE__))
    [0]
  end

  defp wait(nil), do: :ok

  defp wait(gate) do
    # A gate that is opened in this moment holds nobody.
    monitor = Process.monitor(gate)
    ref = make_ref()
    send(gate, {:wait, self(), ref})

    receive do
      ^ref -> Process.demonitor(monitor, [:flush])
      {:DOWN, ^monitor, :process, _pid, _reason} -> :ok
    end
  end

  @doc "Begins a `sync_transaction` that writes a row to be held into each of some tables."
  @spec commit([atom()], term()) :: pid()
  def commit(tabs, key) do
    write = fn -> Enum.each(tabs, &:mnesia.write(row(&1, key))) end

    spawn(fn ->
      {:atomic, :ok} = :mnesia.sync_transaction(write)
      told()
    end)
  end

  defp told do
    receive do
      :never -> :ok
    end
  end

  @doc """
  What becomes of a commit that is held on another node: `:told` that it is done, `:waits` for
  that node, or `:began` as long as it is in its own rows.
  """
  @spec state(pid()) :: :told | :waits | :began
  def state(pid) do
    {:current_stacktrace, stack} = Process.info(pid, :current_stacktrace)

    Enum.find_value(stack, :began, fn
      {__MODULE__, :told, _arity, _place} -> :told
      {:mnesia_tm, :rec_all, _arity, _place} -> :waits
      _other -> nil
    end)
  end
end
