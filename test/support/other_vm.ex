defmodule Magnesia.OtherVm do
  @moduledoc """
  A VM of its own with the code of this one, driven over its standard input, so that this one
  needs no name. Such VMs find each other by Erlang's distribution on 127.0.0.1. What runs there
  and when it ends is the caller's.
  """

  # Past a limit of its files a write shall fail, as on a full disk, instead of ending the VM.
  @exec {~c"/bin/sh", [~c"-c", ~c"trap '' XFSZ; exec erl \"$@\"", ~c"sh"]}

  @type t :: %{pid: pid(), node: node()}

  @doc """
  Starts a VM with a name, arguments for it, and settings of the Mnesia that is yet to be started
  there.
  """
  @spec start(atom(), [String.t()], keyword()) :: t()
  def start(name, args, mnesia) do
    {:ok, pid, node} =
      :peer.start(%{
        name: name,
        host: ~c"127.0.0.1",
        longnames: true,
        connection: :standard_io,
        exec: @exec,
        args:
          Enum.flat_map(:code.get_path(), &[~c"-pa", &1]) ++
            [~c"-kernel", ~c"prevent_overlapping_partitions", ~c"false"] ++
            Enum.map(args, &String.to_charlist/1)
      })

    vm = %{pid: pid, node: node}

    for {key, value} <- mnesia do
      :ok = call(vm, :application, :set_env, [:mnesia, key, value], :infinity)
    end

    for application <- [:elixir, :logger] do
      {:ok, _} = call(vm, :application, :ensure_all_started, [application], :infinity)
    end

    vm
  end

  @doc "Calls a function on a VM."
  @spec call(map(), module(), atom(), [term()], timeout()) :: term()
  def call(%{pid: pid}, module, function, arguments, timeout),
    do: :peer.call(pid, module, function, arguments, timeout)
end
