defmodule Magnesia.Parity.Vm do
  @moduledoc """
  A VM of its own with one side of `Magnesia.Parity.Storage`: there is one Mnesia in a VM, and
  two of them are to be compared. It has no name, so that both say the same of their node. It
  ends with the process that started it.
  """

  alias Magnesia.Parity.{Interpreter, Script, Storage, Subject}

  @enforce_keys [:pid, :side, :storage, :subject]
  defstruct @enforce_keys

  @type t :: %__MODULE__{
          pid: pid,
          side: Storage.side(),
          storage: Storage.storage(),
          subject: module
        }

  # A script may hang, and then be shown to hang on both sides.
  @timeout 120_000

  @doc "Starts a VM for a side."
  @spec start(Storage.side(), Storage.storage()) :: t
  def start(side, storage) do
    # What of Mix is needed to find stock Mnesia is not needed there.
    paths = for path <- :code.get_path(), not (to_string(path) =~ ~r"/mix/ebin$"), do: path
    args = Enum.flat_map(paths, &[~c"-pa", &1])
    {:ok, pid, _node} = :peer.start_link(%{connection: 0, args: args})
    {:ok, _} = :peer.call(pid, :application, :ensure_all_started, [:logger], @timeout)
    :ok = :peer.call(pid, :logger, :set_primary_config, [:level, :none], @timeout)
    subject = :peer.call(pid, Storage, :module, [side, storage], @timeout)
    %__MODULE__{pid: pid, side: side, storage: storage, subject: subject}
  end

  @doc "Starts the side's Mnesia with its fixed tables empty."
  @spec fresh(t) :: :ok
  def fresh(vm) do
    call(vm, Subject, :start_ram, [vm.subject])
    call(vm, Subject, :fresh_tables, [vm.subject])
  end

  @doc "As `Magnesia.Parity.Storage.run/3`, there."
  @spec run(t, Script.t()) :: [Interpreter.entry()]
  def run(vm, script), do: call(vm, Storage, :run, [script, vm.side, vm.storage])

  @doc "Ends the VM; its Mnesia's directory is gone."
  @spec stop(t) :: :ok
  def stop(vm) do
    call(vm, Subject, :stop, [vm.subject])
    :peer.stop(vm.pid)
  end

  @doc "Calls a function there."
  @spec call(t, module, atom, [term]) :: term
  def call(vm, module, function, arguments) do
    :peer.call(vm.pid, module, function, arguments, @timeout)
  end
end
