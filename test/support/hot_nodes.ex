defmodule Magnesia.HotNodes do
  @moduledoc """
  VMs of their own with a stock Mnesia and the three aliases. They end with the test and can be
  killed as the operating system kills. What they do is the test's.
  """

  alias Magnesia.OtherVm

  # A machine that has other work may take long to start a VM and to load a table.
  @boot_ms 120_000
  @load_ms 60_000

  @type peer :: %{
          pid: pid(),
          node: node(),
          dir: String.t(),
          os_pid: String.t(),
          options: keyword()
        }

  @doc """
  Starts a VM; `name`, `dir` and Mnesia's settings in `mnesia` may be given, `log`, the least
  level of what it prints, and `args` of the VM.
  """
  @spec start(keyword()) :: peer()
  def start(options \\ []), do: options |> boot() |> end_with_test()

  @doc "Starts several VMs at once."
  @spec start_all([keyword()]) :: [peer()]
  def start_all(all) do
    all
    |> Enum.map(&Task.async(fn -> boot(&1) end))
    |> Task.await_many(@boot_ms)
    |> Enum.map(&end_with_test/1)
  end

  defp boot(options) do
    number = "#{System.pid()}_#{:erlang.unique_integer([:positive])}"
    name = options[:name] || :"hot_#{number}"
    dir = options[:dir] || Path.join(System.tmp_dir!(), "magnesia-hot-node-#{number}")

    mnesia = [{:dir, String.to_charlist(dir)} | options[:mnesia] || []]
    vm = OtherVm.start(name, options[:args] || [], mnesia)
    level = options[:log] || :notice
    :ok = OtherVm.call(vm, :logger, :set_primary_config, [:level, level], @boot_ms)
    os_pid = vm |> OtherVm.call(:os, :getpid, [], @boot_ms) |> List.to_string()
    options = Keyword.merge(options, name: name, dir: dir)
    Map.merge(vm, %{dir: dir, os_pid: os_pid, options: options})
  end

  defp end_with_test(peer) do
    ExUnit.Callbacks.on_exit({__MODULE__, peer.dir, peer.os_pid}, fn -> remove(peer) end)
    peer
  end

  @doc "Calls a function on a VM."
  @spec call(peer(), module(), atom(), [term()]) :: term()
  def call(peer, module, function, args), do: OtherVm.call(peer, module, function, args, 60_000)

  @doc "Calls a function of Mnesia on a VM."
  @spec mnesia(peer(), atom(), [term()]) :: term()
  def mnesia(peer, function, args), do: call(peer, :mnesia, function, args)

  @doc "Kills a VM as the operating system kills, and waits until it is gone."
  @spec kill(peer()) :: :ok
  def kill(peer), do: kill_all([peer])

  @doc """
  Kills several VMs at once: all are halted first, lest one be told of another's death and go on
  without it.
  """
  @spec kill_all([peer()]) :: :ok
  def kill_all(peers) do
    refs = for peer <- peers, do: {peer, Process.monitor(peer.pid)}

    :ok = signal("-STOP", peers)
    Enum.each(peers, &await_halt(&1, System.monotonic_time(:millisecond) + @load_ms))
    :ok = signal("-KILL", peers)
    Enum.each(refs, &await_death/1)
  end

  defp signal(name, peers) do
    {_, 0} = System.cmd("kill", [name | Enum.map(peers, & &1.os_pid)])
    :ok
  end

  # A thread may run on for some time where others want the processor.
  defp await_halt(peer, deadline) do
    halted? =
      for stat <- Path.wildcard("/proc/#{peer.os_pid}/task/*/stat"), reduce: true do
        halted? -> halted? and File.read!(stat) =~ ") T "
      end

    cond do
      halted? -> :ok
      System.monotonic_time(:millisecond) > deadline -> raise "#{peer.node} is not halted"
      true -> await_halt(peer, deadline)
    end
  end

  defp await_death({peer, ref}) do
    receive do
      {:DOWN, ^ref, _, _, _} -> :ok
    after
      10_000 -> raise "#{peer.node} was killed and is still there"
    end
  end

  @doc "Starts a VM with the name and directory of one that is gone."
  @spec again(peer()) :: peer()
  def again(peer), do: start(peer.options)

  @doc "Stops Mnesia in good order and ends its VM."
  @spec stop(peer()) :: :ok
  def stop(peer) do
    :stopped = mnesia(peer, :stop, [])
    :peer.stop(peer.pid)
  end

  @doc "Limits the files that a VM may write to some bytes, or lets it write again."
  @spec limit_files(peer(), pos_integer() | :unlimited) :: :ok
  def limit_files(peer, bytes) do
    {_, 0} = System.cmd("prlimit", ["--pid", peer.os_pid, "--fsize=#{bytes}:unlimited"])
    :ok
  end

  defp remove(peer) do
    if Process.alive?(peer.pid), do: :peer.stop(peer.pid)
    File.rm_rf!(peer.dir)
  end

  @doc "Starts Mnesia on some VMs as one cluster with its schema on disk and the aliases."
  @spec cluster([peer()]) :: :ok
  def cluster([first | _] = peers) do
    for peer <- peers, do: true = call(first, :net_kernel, :connect_node, [peer.node])
    types = [backend_types: Magnesia.Backend.backend_types()]
    :ok = mnesia(first, :create_schema, [Enum.map(peers, & &1.node), types])
    for peer <- peers, do: :ok = mnesia(peer, :start, [])
    for peer <- peers, do: :ok = mnesia(peer, :wait_for_tables, [[:schema], @load_ms])
    :ok
  end

  @doc "Starts Mnesia on a VM and waits for all tables."
  @spec load(peer()) :: :ok
  def load(peer), do: load_all([peer])

  @doc """
  Starts Mnesia on VMs, on all at once, and waits for all tables. A node may have to ask another
  how a transaction ended before its start is done.
  """
  @spec load_all([peer()]) :: :ok
  def load_all(peers) do
    starts = Enum.map(peers, &Task.async(fn -> mnesia(&1, :start, []) end))
    for started <- Task.await_many(starts, 2 * @load_ms), do: :ok = started

    for peer <- peers do
      tables = mnesia(peer, :system_info, [:tables])
      :ok = :peer.call(peer.pid, :mnesia, :wait_for_tables, [tables, @load_ms], 2 * @load_ms)
    end

    :ok
  end

  @doc "All rows of a VM's own copy, sorted."
  @spec rows(peer(), atom()) :: [tuple()]
  def rows(peer, tab) do
    Enum.sort(call(peer, :mnesia_lib, :db_select, [tab, [{:_, [], [:"$_"]}]]))
  end
end
