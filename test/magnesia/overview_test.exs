defmodule Magnesia.OverviewTest do
  @moduledoc """
  What `mix magnesia.info` and `mix magnesia.top` print of the database of this VM, of another
  node and of a directory, what they refuse, and the exit status.
  """

  use Magnesia.DatabaseCase

  import ExUnit.CaptureIO

  alias Magnesia.HotNodes
  alias Magnesia.Overview
  alias Magnesia.Overview.Command
  alias Magnesia.Telemetry.Calls
  alias Magnesia.Telemetry.Scene

  @moduletag timeout: 240_000
  @deadline 60_000

  defp said(command, arguments, status \\ 0) do
    capture_io(fn -> assert apply(Command, command, [arguments]) == status end)
  end

  defp refused(command, arguments, status) do
    capture_io(:stderr, fn -> assert said(command, arguments, status) == "" end)
  end

  defp rows(text), do: for(line <- String.split(text, "\n"), do: String.split(line))

  defp city(options \\ []) do
    options = [attributes: [:name, :country], type: :ordered_set, index: [:country]] ++ options
    :ok = Magnesia.create_table(:city, options)
    for n <- 1..100, do: :ok = :magnesia.dirty_write({:city, n, :no})
  end

  # Holds a lock until it is told to let it go.
  defp holder(key) do
    me = self()

    task =
      Task.async(fn ->
        :magnesia.transaction(fn ->
          receive do: (:take -> :ok)
          :magnesia.write({:city, key, :held})
          send(me, {:held, self()})
          receive do: (:end -> :ok)
        end)
      end)

    Scene.until(fn -> Process.info(task.pid, :status) == {:status, :waiting} end)
    task
  end

  @tag :disc
  test "info has tables, log, last dump, and who holds and waits for locks", %{dir: dir} do
    city(storage: :disc)
    assert said(:info, []) =~ "database in #{dir}\n  log #{bytes()} B, 100 writes"
    assert said(:info, []) =~ "last dump never\n"
    :dumped = :magnesia.dump_log()
    assert said(:info, []) =~ ~r/log \d+ B, 100 writes .*, last dump \d{4}-\d\d-\d\d /
    assert ["city", "ordered_set", "disc_copies", "100", _bytes, _unit, "country"] = city_row([])
    assert said(:info, []) =~ "no lock held\nno lock waited for"
    waiter = holder(7)
    owner = holder(7)
    send(owner.pid, :take)
    assert_receive {:held, _pid}, @deadline
    send(waiter.pid, :take)
    Scene.until(fn -> Overview.take().waiting != [] end)
    text = said(:info, [])
    assert text =~ ~r/^1 lock held$.*^  city, 7 +write +\d+ +#{inspect(owner.pid)}$/ms

    pids = "#{inspect(waiter.pid)} +#{inspect(owner.pid)}"
    assert text =~ ~r/^1 lock waited for$.*^  city, 7 +write +\d+ +#{pids}$/ms

    for task <- [owner, waiter] do
      send(task.pid, :end)
      assert Task.await(task, @deadline) == {:atomic, :ok}
    end

    assert said(:info, []) =~ ~r/  \d+ transactions committed, 0 failed, 0 restarted/
  end

  defp bytes, do: Magnesia.Engine.log_info().bytes

  defp city_row(arguments), do: row(rows(said(:info, arguments)), "city")

  @tag :disc
  test "info of a directory that nobody has open, and of none", %{dir: dir} do
    city(storage: :disc)
    :stopped = :magnesia.stop()
    assert refused(:info, [], 1) =~ "no database runs in this VM: give --node NAME@HOST"
    assert ["city", "ordered_set", "disc_copies", "100" | _] = city_row([dir])
    assert :magnesia.system_info(:is_running) == :no
    assert refused(:info, ["/nowhere"], 1) =~ "/nowhere holds no database"
    assert refused(:info, [dir, "--node", "a@b"], 2) =~ "give a directory or a node, not both"
    assert refused(:info, ["--nod", "a@b"], 2) =~ "cannot use --nod"
    assert said(:info, ["--help"]) =~ "mix magnesia.info --node shop@db1"
    :ok = :magnesia.start()
  end

  test "top has what is read and written, the busiest table first" do
    city()
    :ok = Magnesia.create_table(:hits)
    :ok = Magnesia.create_table(:idle)
    spawn_link(fn -> load_on() end)
    text = said(:top, ["--once", "--every", "0.2"])
    refute text =~ "\e"
    found = rows(text)
    head = ["table", "storage", "reads/s", "writes/s", "waiting", "rows", "bytes"]

    assert [^head, _rule, [first | _], _second, ["idle", _, "0", "0", "0", "0" | _]] =
             found |> Enum.drop_while(&(&1 != head)) |> Enum.take(5)

    assert first in ["city", "hits"]
    assert ["city", "ram_copies", reads, "0", "0", "100" | _] = row(found, "city")
    assert ["hits", "ram_copies", "0", writes, "0", "1" | _] = row(found, "hits")
    assert String.to_integer(reads) > 0 and String.to_integer(writes) > 0
  end

  defp row(rows, name), do: Enum.find(rows, &(List.first(&1) == name))

  defp load_on do
    [_row] = :magnesia.dirty_read(:city, 7)
    :magnesia.dirty_update_counter(:hits, 1, 1)
    load_on()
  end

  test "top counts commits and those who wait, frame after frame" do
    city()
    waiters = for _ <- 1..3, do: holder(7)
    owner = holder(7)
    send(owner.pid, :take)
    assert_receive {:held, _pid}, @deadline
    for task <- waiters, do: send(task.pid, :take)
    Scene.until(fn -> length(Overview.take().waiting) == 3 end)
    text = said(:top, ["--frames", "3", "--every", "0.02"])
    assert length(String.split(text, "commits/s, 0 failures/s, ")) == 4
    assert text =~ "1 lock held, 3 waited for"
    assert ["city", "ram_copies", _, _, "3" | _] = row(rows(text), "city")
    send(owner.pid, :end)

    # Each has the lock when the one before it has ended.
    for _ <- waiters do
      assert_receive {:held, pid}, @deadline
      send(pid, :end)
    end

    Task.await_many([owner | waiters], @deadline)
  end

  test "top draws over what it has drawn, on a terminal" do
    city()
    before = Application.get_env(:elixir, :ansi_enabled)
    Application.put_env(:elixir, :ansi_enabled, true)
    on_exit(fn -> Application.put_env(:elixir, :ansi_enabled, before) end)
    text = said(:top, ["--frames", "2", "--every", "0.02"])
    assert String.starts_with?(text, "\e[H")
    assert text =~ "\e[K\n\e[J"
  end

  test "where somebody else traces the calls top does not know, and does no harm" do
    city()
    function = {Magnesia.Engine, :read, 2}
    1 = :erlang.trace_pattern(function, true, [:local])
    assert Calls.take(10, 10) == :unknown
    text = said(:top, ["--once", "--every", "0.02"])
    assert ["city", "ram_copies", "?", "?", "0", "100" | _] = row(rows(text), "city")
    assert :erlang.trace_info(function, :traced) == {:traced, :local}
    1 = :erlang.trace_pattern(function, false, [:local])
    assert {:ok, counts, _microseconds} = Calls.take(10, 10)
    assert is_map(counts)
    assert :erlang.trace_info(function, :traced) == {:traced, false}
  end

  test "a sample leaves the traces of other functions alone, and no flag of its own" do
    city()
    me = self()
    traced = spawn_link(fn -> receive do: (:end -> :ok) end)
    own = spawn_link(fn -> receive do: (:end -> :ok) end)

    tracer =
      spawn_link(fn ->
        1 = :erlang.trace(traced, true, [:call])
        send(me, :tracing)
        receive do: (:end -> :ok)
      end)

    assert_receive :tracing, @deadline
    assert {:ok, _counts, _microseconds} = Calls.take(20, 10)
    assert :erlang.trace_info(traced, :tracer) == {:tracer, tracer}
    assert :erlang.trace_info(traced, :flags) == {:flags, [:call]}
    assert :erlang.trace_info(own, :flags) == {:flags, []}
    for pid <- [traced, own, tracer], do: send(pid, :end)
  end

  test "what top refuses" do
    assert refused(:top, ["city"], 2) =~ "cannot use city"
    assert refused(:top, ["--frames", "0"], 2) =~ "--frames is at least 1"
    assert refused(:top, ["--every", "0"], 2) =~ "--every is at least 0.01"
    assert refused(:top, ["--node", "shop"], 1) =~ "shop is no name of a node"
    both = ["--node", "a@b", "--cookie", "c", "--cookie-file", "/nowhere"]
    assert refused(:top, both, 1) =~ "give --cookie or --cookie-file"
    file = ["--node", "a@b", "--cookie-file", "/nowhere"]
    assert refused(:top, file, 1) =~ "/nowhere: no such file or directory"
    :stopped = :magnesia.stop()
    assert refused(:top, ["--once"], 1) =~ "no database runs in this VM"
    assert said(:top, ["--help"]) =~ "--cookie-file FILE"
  end

  test "both of another node, with its cookie in a file", %{dir: dir} do
    peer = HotNodes.start()

    there = fn module, function, arguments ->
      :peer.call(peer.pid, module, function, arguments)
    end

    cookie = dir <> ".cookie"
    File.write!(cookie, "#{there.(:erlang, :get_cookie, [])}\n")
    on_exit(fn -> File.rm!(cookie) end)
    {:ok, _started} = there.(:application, :ensure_all_started, [:magnesia])
    at = ["--node", "#{peer.node}", "--cookie-file", cookie]
    assert {text, 1} = elsewhere("info", at)
    assert text =~ "no database runs on #{peer.node}"
    :ok = there.(:magnesia, :start, [])
    :ok = there.(Magnesia, :create_table, [:far, []])
    :ok = there.(:magnesia, :dirty_write, [{:far, 1, 1}])
    assert {text, 0} = elsewhere("info", at)
    assert text =~ "#{peer.node}: database in memory"
    assert ["far", "set", "ram_copies", "1" | _] = row(rows(text), "far")
    assert {text, 0} = elsewhere("top", ["--once", "--every", "0.1" | at])
    assert ["far", "ram_copies", "0", "0", "0", "1" | _] = row(rows(text), "far")
    File.write!(cookie, "another")
    assert {text, 1} = elsewhere("top", ["--once" | at])
    assert text =~ "#{peer.node} doesn't answer: is its name right, and the cookie?"
  end

  defp elsewhere(command, arguments) do
    paths = Enum.flat_map(:code.get_path(), &["-pa", List.to_string(&1)])
    script = "System.halt(Magnesia.Overview.Command.#{command}(System.argv()))"
    System.cmd("elixir", paths ++ ["-e", script, "--" | arguments], stderr_to_stdout: true)
  end
end
