defmodule Magnesia.HotNodes do
  @moduledoc """
  VMs of their own with a stock Mnesia and the three aliases, driven over their standard input,
  so that the VM of the tests needs no name. They find each other by Erlang's distribution, end
  with the test and can be killed as the operating system kills. What they do is the test's.
  """

  @type peer :: %{
          pid: pid(),
          node: node(),
          dir: String.t(),
          os_pid: String.t(),
          options: keyword()
        }

  @doc "Starts a VM; `name`, `dir` and Mnesia's settings in `mnesia` may be given."
  @spec start(keyword()) :: peer()
  def start(options \\ []) do
    number = "#{System.pid()}_#{:erlang.unique_integer([:positive])}"
    name = options[:name] || :"hot_#{number}"
    dir = options[:dir] || Path.join(System.tmp_dir!(), "magnesia-hot-node-#{number}")

    {:ok, pid, node} =
      :peer.start(%{
        name: name,
        host: ~c"127.0.0.1",
        longnames: true,
        connection: :standard_io,
        args:
          Enum.flat_map(:code.get_path(), &[~c"-pa", &1]) ++
            [~c"-kernel", ~c"prevent_overlapping_partitions", ~c"false"]
      })

    for {key, value} <- [{:dir, String.to_charlist(dir)} | options[:mnesia] || []] do
      :ok = :peer.call(pid, :application, :set_env, [:mnesia, key, value])
    end

    {:ok, _} = :peer.call(pid, :application, :ensure_all_started, [:elixir])
    {:ok, _} = :peer.call(pid, :application, :ensure_all_started, [:logger])
    os_pid = pid |> :peer.call(:os, :getpid, []) |> List.to_string()
    options = Keyword.merge(options, name: name, dir: dir)
    peer = %{pid: pid, node: node, dir: dir, os_pid: os_pid, options: options}
    ExUnit.Callbacks.on_exit({__MODULE__, dir, os_pid}, fn -> remove(peer) end)
    peer
  end

  @doc "Calls a function on a VM."
  @spec call(peer(), module(), atom(), [term()]) :: term()
  def call(peer, module, function, args), do: :peer.call(peer.pid, module, function, args, 60_000)

  @doc "Calls a function of Mnesia on a VM."
  @spec mnesia(peer(), atom(), [term()]) :: term()
  def mnesia(peer, function, args), do: call(peer, :mnesia, function, args)

  @doc "Kills a VM as the operating system kills, and waits until it is gone."
  @spec kill(peer()) :: :ok
  def kill(peer) do
    ref = Process.monitor(peer.pid)
    {_, 0} = System.cmd("kill", ["-9", peer.os_pid])

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
    for peer <- peers, do: :ok = mnesia(peer, :wait_for_tables, [[:schema], 10_000])
    :ok
  end

  @doc "Starts Mnesia on a VM and waits for all tables."
  @spec load(peer()) :: :ok
  def load(peer) do
    :ok = mnesia(peer, :start, [])
    :ok = mnesia(peer, :wait_for_tables, [mnesia(peer, :system_info, [:tables]), 20_000])
  end

  @doc "All rows of a VM's own copy, sorted."
  @spec rows(peer(), atom()) :: [tuple()]
  def rows(peer, tab) do
    Enum.sort(call(peer, :mnesia_lib, :db_select, [tab, [{:_, [], [:"$_"]}]]))
  end
end
