defmodule Magnesia.Cluster.HalfWay do
  @moduledoc """
  Halts the loading of tables on a node when some chunks have come, so that one end of it can be
  killed then and not sooner or later. Runs on the receiving node, which has one scheduler lest
  rows come faster than they are counted. The process that receives is suspended, nothing of it is
  replaced.
  """

  alias Magnesia.Backend

  @call {Backend, :receive_data, 5}

  @doc "From now on the loading of some tables halts after a number of chunks."
  @spec arm([atom()], pos_integer()) :: :ok
  def arm(tabs, chunks) do
    parent = self()

    {pid, ref} =
      spawn_monitor(fn ->
        Process.register(self(), __MODULE__)
        {:module, Backend} = Code.ensure_loaded(Backend)
        1 = :erlang.trace_pattern(@call, true, [:local])
        _ = :erlang.trace(:all, true, [:call])
        send(parent, {self(), :armed})
        watch(Map.new(tabs, &{&1, chunks}), %{})
      end)

    receive do
      {^pid, :armed} -> :ok
      {:DOWN, ^ref, :process, ^pid, reason} -> exit(reason)
    end
  end

  @doc "The node that each table which is halted came from."
  @spec halted() :: %{atom() => node()}
  def halted do
    ref = make_ref()
    send(__MODULE__, {:halted, self(), ref})

    receive do
      {^ref, halted} -> halted
    end
  end

  @doc "Lets all loading go on."
  @spec release() :: :ok
  def release do
    ref = Process.monitor(__MODULE__)
    send(__MODULE__, :release)

    receive do
      {:DOWN, ^ref, _, _, _} -> :ok
    end
  end

  # With the one who suspended them those who are go on.
  defp watch(left, halted) do
    receive do
      {:trace, pid, :call, {Backend, :receive_data, [_rows, _alias, tab, sender, _state]}} ->
        case left do
          %{^tab => 1} ->
            # Another may come to its number while this one is awaited.
            true = :erlang.suspend_process(pid, [:asynchronous])
            watch(Map.delete(left, tab), Map.put(halted, tab, node(sender)))

          %{^tab => chunks} ->
            watch(%{left | tab => chunks - 1}, halted)

          _other ->
            watch(left, halted)
        end

      {:halted, from, ref} ->
        send(from, {ref, halted})
        watch(left, halted)

      :release ->
        _ = :erlang.trace(:all, false, [:call])
        :erlang.trace_pattern(@call, false, [:local])
    end
  end
end
