defmodule Magnesia.Stress.LargeTableTest do
  # A table on magnesia_disc_only beyond what dets holds and beyond what the VM may use of memory:
  # written, restarted in good order, read at random. MAGNESIA_LARGE_MB says how large; the long
  # tier has it at 3 GB.
  use ExUnit.Case, async: false

  alias Magnesia.HotNodes

  @moduletag :stress
  @moduletag timeout: :infinity

  @mb String.to_integer(System.get_env("MAGNESIA_LARGE_MB", "32"))
  @row_bytes 8_192
  @rows div(@mb * 1_048_576, @row_bytes)
  @samples 2_000
  # What a VM with one node's Mnesia takes by itself, the engine's caches and held writes.
  @memory_bytes 1_000_000_000

  test "#{@mb} MB on disk are there after a restart, with memory bounded all the while" do
    peer = HotNodes.start()
    :ok = HotNodes.cluster([peer])
    options = [attributes: [:k, :v, :w], magnesia_disc_only: [peer.node]]
    {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [:large, options])

    for first <- 1..@rows//1_000 do
      last = min(first + 999, @rows)
      :ok = HotNodes.call(peer, Magnesia.HotLoad, :large, [:large, first, last, @row_bytes])
      assert resident(peer) < @memory_bytes, "at row #{last}"
    end

    assert HotNodes.mnesia(peer, :table_info, [:large, :size]) == @rows
    HotNodes.stop(peer)
    assert bytes_in(peer.dir) > @mb * 1_048_576

    peer = HotNodes.again(peer)
    :ok = HotNodes.load(peer)
    assert HotNodes.mnesia(peer, :table_info, [:large, :size]) == @rows

    for _ <- 1..@samples do
      k = :rand.uniform(@rows)
      row = Magnesia.HotLoad.large_row(:large, k, @row_bytes)
      assert HotNodes.mnesia(peer, :dirty_read, [:large, k]) == [row]
    end

    assert HotNodes.mnesia(peer, :dirty_read, [:large, @rows + 1]) == []
    assert resident(peer) < @memory_bytes
    HotNodes.stop(peer)
  end

  defp resident(peer) do
    status = File.read!("/proc/#{peer.os_pid}/status")
    [kb] = Regex.run(~r/VmRSS:\s+(\d+)/, status, capture: :all_but_first)
    String.to_integer(kb) * 1024
  end

  defp bytes_in(dir) do
    files = Path.wildcard(Path.join(dir, "magnesia/**"))
    Enum.sum(for file <- files, File.regular?(file), do: File.stat!(file).size)
  end
end
