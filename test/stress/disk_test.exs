defmodule Magnesia.Stress.DiskTest do
  # What a full, missing, damaged, foreign or taken directory gets: an error in words and nothing
  # lost; memory and disk agree, and later writes work when there is room again.
  use ExUnit.Case, async: false

  @moduletag :stress
  @moduletag capture_log: true
  @moduletag timeout: 120_000

  @text String.duplicate("x", 4000)
  @limit_bytes 600_000
  @child_ms 60_000

  setup do
    :stopped = :magnesia.stop()
    unique = "magnesia-disk-#{System.pid()}-#{:erlang.unique_integer([:positive])}"
    dir = Path.join(System.tmp_dir!(), unique)
    use_dir(dir)

    on_exit(fn ->
      :magnesia.stop()
      File.rm_rf!(dir)
      Application.delete_env(:magnesia, :dir)
    end)

    {:ok, dir: dir}
  end

  test "a full disk aborts the transaction; with room later ones work", %{dir: dir} do
    child = child(dir, ["--fsize=#{@limit_bytes}:unlimited"])
    assert eval(child, "create") == "ok"
    assert {written, "disc_full"} = fill(child, 1)
    assert written > 10
    # Nothing of the refused one is there; what was there is.
    assert eval(child, "count") == "#{written}"
    assert eval(child, "read #{written}") == "row"
    assert eval(child, "read #{written + 1}") == "none"
    # Room again.
    {_, 0} = System.cmd("prlimit", ["--pid", child.pid, "--fsize=unlimited:unlimited"])
    assert eval(child, "write #{written + 1}") == "ok"
    assert eval(child, "count") == "#{written + 1}"
    kill(child)
    start(dir)
    assert :magnesia.table_info(:t, :size) == written + 1
    assert :magnesia.dirty_read(:t, written + 1) == [{:t, written + 1, @text}]
  end

  test "a full disk refuses a backup and a restore, and both leave what was there", %{dir: dir} do
    bup = dir <> ".bup"
    on_exit(fn -> for file <- [bup, bup <> ".BUPTMP"], do: File.rm(file) end)
    made(dir, 200, fn -> :ok = :magnesia.backup(String.to_charlist(bup)) end)
    kept = File.read!(bup)
    child = child(dir, [])
    assert eval(child, "write 1000") == "ok"
    limit = "--fsize=#{@limit_bytes}:unlimited"
    {_, 0} = System.cmd("prlimit", ["--pid", child.pid, limit])
    assert eval(child, "backup #{bup}") == "efbig"
    assert File.read!(bup) == kept
    refute File.exists?(bup <> ".BUPTMP")
    assert eval(child, "restore #{bup}") == "disc_full"
    assert eval(child, "count") == "201"
    assert eval(child, "read 1000") == "row"
    {_, 0} = System.cmd("prlimit", ["--pid", child.pid, "--fsize=unlimited:unlimited"])
    assert eval(child, "restore #{bup}") == "ok"
    assert eval(child, "count") == "200"
    kill(child)
    start(dir)
    assert :magnesia.table_info(:t, :size) == 200
  end

  test "a VM that dies in a restore leaves all old rows or all new ones", %{dir: dir} do
    bup = dir <> ".bup"
    on_exit(fn -> for file <- [bup, bup <> ".BUPTMP"], do: File.rm(file) end)
    made(dir, 400, fn -> :ok = :magnesia.backup(String.to_charlist(bup)) end)

    for round <- 1..8 do
      child = child(dir, [])
      for n <- 1..20, do: assert(eval(child, "write #{1000 + n}") == "ok")
      Port.command(child.port, "restore #{bup}\n")
      # The later the round, the further the restore has come.
      deadline = System.monotonic_time(:millisecond) + round * 4
      Magnesia.Pair.until(fn -> System.monotonic_time(:millisecond) >= deadline end)
      kill(child)
      start(dir)
      assert :magnesia.table_info(:t, :size) in [400, 420]
      late = for n <- 1..20, :magnesia.dirty_read(:t, 1000 + n) != [], do: n
      assert late == [] or length(late) == 20
      assert length(:magnesia.dirty_all_keys(:t)) == :magnesia.table_info(:t, :size)
      :stopped = :magnesia.stop()
    end
  end

  test "a missing directory is refused and nothing is made", %{dir: dir} do
    File.mkdir_p!(dir)
    missing = Path.join([dir, "there", "is", "none"])
    use_dir(missing)
    Application.put_env(:magnesia, :schema_location, :disc)
    File.write!(Path.join(dir, "there"), "a file")
    outcome = :magnesia.start()
    Application.delete_env(:magnesia, :schema_location)
    assert {:error, {_kind, text}} = outcome
    assert text =~ "there"
    assert File.read!(Path.join(dir, "there")) == "a file"
    assert :magnesia.system_info(:is_running) == :no
  end

  test "a newer format is refused and nothing is touched", %{dir: dir} do
    made(dir, 100)
    # Version 7 with the right checksum, as a later release would write it.
    path = Path.join(dir, "MANIFEST")
    <<magic::binary-8, _version::32, _crc::32, rest::binary>> = File.read!(path)
    head = magic <> <<7::32-little>>
    File.write!(path, head <> <<crc32c(head)::32-little>> <> rest)
    before = contents(dir)
    assert {:error, {:too_new, text}} = :magnesia.start()
    assert text =~ "MANIFEST" and text =~ "7"
    assert contents(dir) == before
  end

  test "damage in the middle of the log is named with file and offset", %{dir: dir} do
    made(dir, 100)

    [log | _] =
      Path.wildcard(Path.join(dir, "log-*.mlog")) |> Enum.sort_by(&(-File.stat!(&1).size))

    place = div(File.stat!(log).size, 2)
    flip(log, place)
    before = contents(dir)
    assert {:error, {:damaged, text}} = :magnesia.start()
    assert text =~ Path.basename(log)
    [offset] = Regex.run(~r/at byte (\d+)/, text, capture: :all_but_first)
    # The record that the byte is in.
    assert String.to_integer(offset) in (place - 2 * byte_size(@text))..place
    assert contents(dir) == before
  end

  test "damage in a snapshot is named with file and offset", %{dir: dir} do
    made(dir, 100, &:magnesia.dump_log/0)
    [snapshot] = Path.wildcard(Path.join(dir, "snap-*.msnap"))
    flip(snapshot, div(File.stat!(snapshot).size, 2))
    before = contents(dir)
    assert {:error, {:damaged, text}} = :magnesia.start()
    assert text =~ Path.basename(snapshot) and text =~ ~r/at byte \d+/
    assert contents(dir) == before
  end

  test "a torn end of the log is no damage", %{dir: dir} do
    made(dir, 100)

    [log | _] =
      Path.wildcard(Path.join(dir, "log-*.mlog")) |> Enum.sort_by(&(-File.stat!(&1).size))

    File.write!(log, binary_part(File.read!(log), 0, File.stat!(log).size - 100))
    start(dir)
    assert :magnesia.table_info(:t, :size) == 99
  end

  test "a second VM on the directory is told who has it", %{dir: dir} do
    made(dir, 10)
    child = child(dir, [])
    assert eval(child, "count") == "10"
    assert {:error, {:in_use, text}} = :magnesia.start()
    assert text =~ dir and text =~ child.pid
    assert :magnesia.system_info(:is_running) == :no
    # It goes on undisturbed, and when it is gone the directory is free.
    assert eval(child, "write 11") == "ok"
    kill(child)
    start(dir)
    assert :magnesia.table_info(:t, :size) == 11
  end

  defp use_dir(dir), do: Application.put_env(:magnesia, :dir, String.to_charlist(dir))

  defp start(dir) do
    use_dir(dir)
    assert :magnesia.start() == :ok
  end

  defp made(dir, rows, last \\ fn -> :ok end) do
    use_dir(dir)
    :ok = :magnesia.create_schema([node()])
    start(dir)
    {:atomic, :ok} = :magnesia.create_table(:t, disc_copies: [node()])

    for n <- 1..rows do
      {:atomic, :ok} = :magnesia.transaction(fn -> :magnesia.write({:t, n, @text}) end)
    end

    last.()
    :stopped = :magnesia.stop()
  end

  defp contents(dir) do
    for file <- File.ls!(dir), file != "LOCK", into: %{} do
      {file, File.read!(Path.join(dir, file))}
    end
  end

  defp flip(path, place) do
    <<before::binary-size(place), byte, rest::binary>> = File.read!(path)
    File.write!(path, [before, Bitwise.bxor(byte, 0x40), rest])
  end

  # Bit by bit, as docs/disk.md defines it.
  defp crc32c(bytes) do
    folded = for <<byte <- bytes>>, reduce: 0xFFFFFFFF, do: (crc -> shift(crc, byte))
    Bitwise.bxor(folded, 0xFFFFFFFF)
  end

  defp shift(crc, byte) do
    Enum.reduce(1..8, Bitwise.bxor(crc, byte), fn _, crc ->
      half = Bitwise.bsr(crc, 1)
      if Bitwise.band(crc, 1) == 1, do: Bitwise.bxor(half, 0x82F63B78), else: half
    end)
  end

  # Writes rows one by one until one is refused: how many were taken, and why the next was not.
  defp fill(child, n) do
    case eval(child, "write #{n}") do
      "ok" -> fill(child, n + 1)
      refusal -> {n - 1, refusal}
    end
  end

  # Another VM with the directory open, under limits of its own, that does what a line says.
  defp child(dir, limits) do
    paths = for path <- :code.get_path(), entry <- ["-pa", to_string(path)], do: entry
    erl = Path.join([:code.root_dir(), "bin", "erl"])
    run = ["-noshell", "-run", "#{Magnesia.Stress.Servant}", "main", dir]

    port =
      Port.open({:spawn_executable, System.find_executable("sh")}, [
        :binary,
        :exit_status,
        line: 1000,
        # Past its limit a write shall fail, as on a full disk, instead of ending the VM.
        args: ["-c", "trap '' XFSZ; exec prlimit \"$@\"", "sh"] ++ limits ++ [erl] ++ paths ++ run
      ])

    assert "pid " <> pid = line(port)
    on_exit(fn -> System.cmd("kill", ["-9", pid], stderr_to_stdout: true) end)
    %{port: port, pid: pid}
  end

  defp eval(%{port: port}, command) do
    Port.command(port, command <> "\n")
    line(port)
  end

  defp line(port) do
    receive do
      {^port, {:data, {:eol, "= " <> line}}} -> line
      {^port, {:data, {:eol, _noise}}} -> line(port)
      {^port, {:exit_status, status}} -> flunk("the other VM ended with status #{status}")
    after
      @child_ms -> flunk("the other VM does not answer")
    end
  end

  defp kill(%{port: port, pid: pid}) do
    {_, 0} = System.cmd("kill", ["-9", pid])
    assert_receive {^port, {:exit_status, _}}, @child_ms
  end
end
