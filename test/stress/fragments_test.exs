defmodule Magnesia.Stress.FragmentsTest do
  @moduledoc """
  Kills a VM that adds and takes away fragments of a table on disc without pause, again and again:
  after each opening every row is there once, in the fragment that its key belongs to, and no
  fragment is left over.
  """

  use ExUnit.Case, async: true

  alias Magnesia.Strict.Fragments

  @moduletag timeout: 300_000
  @rounds 8
  @rows 600
  @deadline_ms 60_000

  setup do
    dir = Path.join(System.tmp_dir!(), "magnesia-frag-#{:erlang.unique_integer([:positive])}")
    on_exit(fn -> File.rm_rf!(dir) end)
    %{dir: dir}
  end

  test "no row is lost or doubled when the VM dies in a change of fragments", %{dir: dir} do
    for round <- 1..@rounds do
      peer = open(dir)
      if round == 1, do: :ok = call(peer, :fill, [@rows])
      assert call(peer, :state, []) == expected(), "round #{round}"
      changes = call(peer, :change_for_ever, [])
      until(fn -> call(peer, :changes, [changes]) >= rem(round, 4) + 1 end)
      kill(peer)
    end

    peer = open(dir)
    assert call(peer, :state, []) == expected()
    :peer.stop(peer)
  end

  defp open(dir) do
    args = Enum.flat_map(:code.get_path(), &[~c"-pa", &1])
    Process.flag(:trap_exit, true)
    {:ok, peer, _node} = :peer.start_link(%{connection: 0, args: args})
    # The peer has no code of a test file, so that it is given this module's.
    {module, binary, file} = {__MODULE__, code(), ~c"fragments_test"}
    {:module, _} = :peer.call(peer, :code, :load_binary, [module, file, binary])
    :ok = call(peer, :start, [dir])
    peer
  end

  defp code, do: :persistent_term.get(__MODULE__)

  def __after_compile__(_env, binary), do: :persistent_term.put(__MODULE__, binary)
  @after_compile __MODULE__

  defp call(peer, function, arguments) do
    :peer.call(peer, __MODULE__, function, arguments, @deadline_ms)
  end

  # Every key once and in its place.
  defp expected, do: for(key <- 1..@rows, do: {key, 1, true})

  defp kill(peer) do
    pid = :peer.call(peer, :os, :getpid, [])
    {_, 0} = System.cmd("kill", ["-9", to_string(pid)])

    receive do
      {:EXIT, ^peer, _reason} -> :ok
    after
      @deadline_ms -> flunk("the VM lives on")
    end
  end

  defp until(condition, deadline \\ System.monotonic_time(:millisecond) + @deadline_ms) do
    cond do
      condition.() -> :ok
      System.monotonic_time(:millisecond) > deadline -> flunk("it did not come true in time")
      true -> until(condition, deadline)
    end
  end

  # What the VM that is killed does

  @doc false
  def start(dir) do
    Application.put_env(:magnesia, :dir, String.to_charlist(dir))
    {:ok, _} = Application.ensure_all_started(:magnesia)
    Application.put_env(:magnesia, :schema_location, :disc)
    :ok = :magnesia.start()
    :magnesia.wait_for_tables(:magnesia.system_info(:tables), @deadline_ms)
  end

  @doc false
  def fill(rows) do
    properties = [n_fragments: 2, n_disc_copies: 1, node_pool: [node()]]
    {:atomic, :ok} = :magnesia.create_table(:f, frag_properties: properties)
    write = fn -> for n <- 1..rows, do: :magnesia.write({:f, n, n}) end
    :magnesia.activity(:sync_transaction, write, [], :mnesia_frag)
    :ok
  end

  @doc false
  def state do
    {:ok, spread} = Fragments.fetch(:f)
    names = Fragments.names(:f)
    true = Enum.sort([:schema | names]) == Enum.sort(:magnesia.system_info(:tables))

    found =
      for {name, number} <- Enum.with_index(names, 1),
          key <- :magnesia.dirty_all_keys(name),
          do: {key, Fragments.number(spread, key) == number}

    counts = Enum.frequencies_by(found, &elem(&1, 0))
    for {key, right?} <- Enum.sort(found), do: {key, counts[key], right?}
  end

  @doc false
  def change_for_ever do
    changes = :counters.new(1, [])
    spawn(fn -> change(changes, 2) end)
    changes
  end

  @doc false
  def changes(counter), do: :counters.get(counter, 1)

  defp change(changes, n) do
    {:ok, %{n_fragments: now}} = Fragments.fetch(:f)
    grow? = now <= 2 or (now < 7 and rem(n, 7) != 0)
    change = if grow?, do: {:add_frag, [node()]}, else: :del_frag
    {:atomic, :ok} = :magnesia.change_table_frag(:f, change)
    :counters.add(changes, 1, 1)
    change(changes, n + 1)
  end
end
