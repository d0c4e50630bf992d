defmodule Magnesia.Hot.HotTest do
  @moduledoc """
  Listing the tables of a stock Mnesia and moving them to the engine and back: in this VM, under
  load, with a fault that is planted, and on another node.
  """
  use Magnesia.HotCase

  import ExUnit.CaptureIO

  alias Magnesia.Backend
  alias Magnesia.Engine
  alias Magnesia.Hot
  alias Magnesia.Hot.Command
  alias Magnesia.Hot.Watch
  alias Magnesia.HotNodes

  @stock [:ram_copies, :disc_copies, :disc_only_copies]

  defp fill(tab, count) do
    for k <- 1..count, do: :ok = :mnesia.dirty_write({tab, k, rem(k, 5), "value #{k}"})
    rows(tab)
  end

  defp storage(tab), do: Magnesia.Hot.Survey.storage(tab)

  defp command(arguments) do
    parent = self()

    errors =
      capture_io(:stderr, fn ->
        output = capture_io(fn -> send(parent, {:status, Command.main(arguments)}) end)
        send(parent, {:output, output})
      end)

    assert_received {:status, status}
    assert_received {:output, output}
    {status, output, errors}
  end

  describe "the list" do
    test "has each table with its size, memory, and where it should go" do
      fill(create(:disc_only_copies, :dets), 10)
      fill(create(:magnesia_ram, :ours), 20)
      create(:ram_copies, :empty)
      assert {:ok, rows} = Hot.list(sample: 0.05)
      by_table = Map.new(rows, &{&1.table, &1})
      assert Enum.sort(Map.keys(by_table)) == [:dets, :empty, :ours]
      assert %{size: 10, advice: :magnesia_disc_only, estimate: 0} = by_table.dets
      assert %{size: 20, storage: :magnesia_ram, advice: nil, estimate: nil} = by_table.ours
      assert %{size: 0, advice: nil, estimate: 0} = by_table.empty
    end

    test "counts reads and writes by table, dirty and in transactions" do
      for tab <- [:read, :written, :both], do: fill(create(:ram_copies, tab), 5)

      pid =
        load(fn k ->
          :mnesia.dirty_read(:read, k)
          :mnesia.dirty_write({:written, k, k, "w"})

          :mnesia.transaction(fn ->
            [row] = :mnesia.read(:both, rem(k, 5) + 1, :write)
            :mnesia.write(row)
          end)
        end)

      assert {:ok, rows} = Hot.list(sample: 0.3)
      stop(pid)
      by_table = Map.new(rows, &{&1.table, &1})
      assert by_table.read.reads > 0 and by_table.read.writes == 0
      assert by_table.written.writes > 0 and by_table.written.reads == 0
      assert by_table.both.writes > 0 and by_table.both.reads > 0
      assert :erlang.trace_info({:mnesia_lib, :db_get, 2}, :traced) == {:traced, false}
    end

    test "says ? where another traces already, and leaves his trace alone" do
      fill(create(:ram_copies, :t), 5)
      1 = :erlang.trace_pattern({:mnesia_lib, :db_get, 2}, true, [:local])
      assert {:ok, [%{reads: nil, writes: nil} = row]} = Hot.list(sample: 0.05)
      assert :erlang.trace_info({:mnesia_lib, :db_get, 2}, :traced) == {:traced, :local}
      :erlang.trace_pattern({:mnesia_lib, :db_get, 2}, false, [:local])
      assert Command.table([row]) =~ ~r/^  t +ram_copies +set +5 +\? +\? /m
    end

    test "estimates the memory of a table within a quarter" do
      shapes = [
        fn k -> {k, k, "short"} end,
        fn k -> {k, <<k::64, 0::size(200)-unit(8)>>, :atom} end,
        fn k -> {{:user, k}, [1, 2, 3], %{a: k, b: "text"}} end,
        fn k -> {"key #{k}", k * 1.5, {k, :x, nil}} end
      ]

      for {shape, n} <- Enum.with_index(shapes), type <- [:set, :ordered_set, :bag] do
        tab = create(:ram_copies, :"m_#{n}_#{type}", type: type)

        for k <- 1..5_000,
            do: :ok = :mnesia.dirty_write(:erlang.insert_element(1, shape.(k), tab))

        assert {:ok, plan} = Hot.plan(tab, :magnesia_ram)
        assert {:ok, _} = Hot.move(tab, :magnesia_ram)
        real = :mnesia.table_info(tab, :memory) * :erlang.system_info(:wordsize)
        assert_in_delta plan.estimate / real, 1.0, 0.25, "#{tab}: #{plan.estimate}, is #{real}"
      end
    end
  end

  describe "a move" do
    for type <- [:set, :ordered_set, :bag] do
      @tag type: type
      test "of a #{type} keeps the rows, there and back", %{type: type} do
        stock = if type == :ordered_set, do: @stock -- [:disc_only_copies], else: @stock

        for from <- stock, to <- aliases() do
          tab = create(from, :"#{from}_#{to}", type: type)
          rows = fill(tab, 200)
          assert {:ok, report} = Hot.move(tab, to)
          assert %{table: ^tab, from: ^from, to: ^to, rows: 200, rows_before: 200} = report
          assert {storage(tab), rows(tab)} == {to, rows}
          assert {:ok, back} = Hot.move(tab, from)
          assert back.checksum == report.checksum
          assert {storage(tab), rows(tab)} == {from, rows}
        end
      end
    end

    test "under transactions keeps what they wrote" do
      tab = create(:ram_copies, :t)
      fill(tab, 2_000)
      {:atomic, :ok} = :mnesia.create_table(:journal, attributes: [:n, :v], ram_copies: [node()])

      pid =
        load(fn n ->
          {:atomic, :ok} =
            :mnesia.transaction(fn ->
              :mnesia.write({tab, rem(n, 500), n, "transaction"})
              :mnesia.delete({tab, 1_000 + rem(n, 500)})
              :mnesia.write({:journal, rem(n, 500), n})
            end)
        end)

      for to <- [:magnesia_ram, :magnesia_disc, :disc_copies, :magnesia_disc_only, :ram_copies] do
        assert {:ok, %{to: ^to}} = Hot.move(tab, to)
      end

      stop(pid)
      journal = rows(:journal)
      assert journal != []

      for {:journal, k, n} <- journal,
          do: assert([{^tab, ^k, ^n, _}] = :mnesia.dirty_read(tab, k))
    end

    test "under dirty writes keeps what they wrote, or says that it was not done" do
      tab = create(:ram_copies, :t)
      fill(tab, 2_000)
      written = :ets.new(:written, [:public])

      for to <- [:magnesia_ram, :disc_copies, :magnesia_disc, :ram_copies] do
        pid = load(fn n -> dirty(tab, rem(n, 100), n, written) end)
        result = Hot.move(tab, to)
        stop(pid)

        case result do
          {:ok, %{to: ^to}} ->
            for {k, n} <- :ets.tab2list(written),
                do: assert([{^tab, ^k, ^n, "dirty"}] = :mnesia.dirty_read(tab, k))

          # What Mnesia itself lost of it must have been seen.
          {:error, text} ->
            assert text =~ ~r/taken back and is|nothing was changed/
            :ets.delete_all_objects(written)
        end
      end
    end

    test "under dirty writers that never pause is done and checked, or says why not" do
      tab = create(:ram_copies, :t)
      fill(tab, 500)

      for _ <- 1..2 do
        to = if storage(tab) == :ram_copies, do: :magnesia_ram, else: :ram_copies
        pids = for n <- 1..4, do: load(&restless(tab, rem(&1, 100) * 4 + n, &1))
        from = storage(tab)
        result = Hot.move(tab, to)
        Enum.each(pids, &stop/1)

        case result do
          {:ok, %{to: ^to}} ->
            assert storage(tab) == to

          {:error, text} ->
            assert text =~ ~r/faster than|differ from before/
            assert text =~ ~r/nothing was changed|taken back and is|stays/
            assert storage(tab) == from
        end

        assert :mnesia.table_info(tab, :size) in 500..900
      end
    end

    @tag timeout: 120_000
    test "whose watch can't keep up with the writers is refused, or taken back when late" do
      for stage <- [:before, :after] do
        tab = create(:ram_copies, stage)
        rows = fill(tab, 50)

        hold = fn event ->
          if match?({^stage, 0, _}, event), do: :erlang.suspend_process(watch())
        end

        assert {:error, text} = Hot.move(tab, :magnesia_ram, report: hold)
        assert text =~ "#{tab} is written faster than its writes can be followed"
        assert text =~ if(stage == :before, do: "nothing was changed", else: "it was taken back")
        assert {storage(tab), rows(tab)} == {:ram_copies, rows}
      end
    end

    test "ends its watch when it is a million events behind" do
      create(:ram_copies, :t)
      {:ok, watch} = Watch.start(:t)
      ref = Process.monitor(watch.pid)
      :ok = Watch.settle(watch)
      true = :erlang.suspend_process(watch.pid)
      for _ <- 1..1_050_000, do: send(watch.pid, :event)
      true = :erlang.resume_process(watch.pid)
      assert_receive {:DOWN, ^ref, :process, _pid, {:shutdown, :behind}}, 60_000
      assert Watch.settle(watch) == {:error, :behind}
    end

    test "that loses a row behind Mnesia's back is found and taken back" do
      for to <- aliases(), fault <- [:lost, :changed, :added] do
        tab = create(:ram_copies, :"#{fault}_#{to}")
        rows = fill(tab, 100)

        report = fn event -> if match?({:after, 0, _}, event), do: plant(tab, to, fault) end
        assert {:error, text} = Hot.move(tab, to, report: report)
        assert text =~ "differ from before"
        assert text =~ "taken back and is ram_copies again"
        assert storage(tab) == :ram_copies
        left = rows(tab)
        assert left != rows and length(left) in 99..101
      end
    end

    @tag :ram
    test "of a Mnesia in memory is refused, which would lose the rows" do
      tab = create(:ram_copies, :t)
      rows = fill(tab, 50)
      assert {:error, text} = Hot.move(tab, :magnesia_ram)
      assert text =~ "needs a Mnesia with its schema on disk"
      assert {storage(tab), rows(tab)} == {:ram_copies, rows}
    end

    test "that Mnesia refuses changes nothing, and bad input gets a reason" do
      tab = create(:ram_copies, :t, type: :ordered_set)
      rows = fill(tab, 50)

      for {tab, to, reason} <- [
            {:t, :ram_copies, "is ram_copies already"},
            {:t, :fast, "there is no storage :fast"},
            {:t, :disc_only_copies, "no ordered_set"},
            {:none, :magnesia_ram, "there is no table :none"},
            {:schema, :magnesia_ram, "Mnesia's own"}
          ] do
        assert {:error, text} = Hot.move(tab, to)
        assert text =~ reason
      end

      assert {storage(tab), rows(tab)} == {:ram_copies, rows}
      assert {:error, text} = Hot.list(sample: 0)
      assert text =~ "a number of seconds"
      :stopped = :mnesia.stop()
      assert {:error, "Mnesia is not running on" <> _} = Hot.move(tab, :magnesia_ram)
    end
  end

  describe "the command" do
    test "lists, plans without changing, moves and moves back" do
      rows = fill(create(:ram_copies, :session), 300)
      assert {0, list, ""} = command(["--sample", "0.05"])
      assert list =~ ~r/^  table +storage +type +rows +reads\/s +writes\/s +memory +estimated/m
      assert list =~ ~r/^  session +ram_copies +set +300 +0 +0 +\d+ KiB +\d+ KiB +-$/m

      definition = :mnesia.table_info(:session, :all)
      assert {0, text, ""} = command(["session", "--to", "magnesia_ram", "--dry-run"])
      assert text =~ "session: ram_copies to magnesia_ram, 300 rows"
      assert :mnesia.table_info(:session, :all) == definition
      assert Engine.tables(:hot) in [[], [:schema]]

      assert {0, text, ""} = command(["session", "--to", "magnesia_ram"])
      assert text =~ ~r/  moving +300 rows in /
      assert text =~ ~r/session is magnesia_ram: 300 rows, checksum \d+, as before/
      assert {storage(:session), rows(:session)} == {:magnesia_ram, rows}

      assert {0, _text, ""} = command(["session", "--to", "ram_copies"])
      assert {storage(:session), rows(:session)} == {:ram_copies, rows}
    end

    test "refuses what it can't do, in words and with a status" do
      assert {0, help, ""} = command(["--help"])
      assert help =~ "Examples"

      for {arguments, status, words} <- [
            {["--fast"], 2, "cannot use --fast"},
            {["--sample", "x"], 2, "cannot use --sample x"},
            {["--cokie", "x"], 2, "cannot use --cokie (did you mean --cookie?)"},
            {["t", "--too", "magnesia_ram"], 2, "cannot use --too (did you mean --to?)"},
            {["t", "--to", "magnesia_ram", "--dry_run"], 2, "did you mean --dry-run?"},
            {["--dry-run"], 2, "--dry-run needs a table"},
            {["t", "--to", "magnesia_rom"], 1, "there is no table :t"},
            {["--node", "shop"], 1, "shop is no name of a node: it has the form NAME@HOST"},
            {["--node", "a@b@c"], 1, "a@b@c is no name of a node"},
            {["session"], 2, "Give --to STORAGE"},
            {["a", "b", "--to", "magnesia_ram"], 2, "one table at a time"},
            {["none", "--to", "magnesia_ram"], 1, "there is no table :none"},
            {["--dir", "/nonexistent"], 1, "is no directory of a Mnesia"}
          ] do
        assert {^status, _output, errors} = command(arguments)
        assert errors =~ words
      end

      :stopped = :mnesia.stop()
      assert {1, _output, errors} = command([])
      assert errors =~ "give --node NAME@HOST or --dir DIR"
    end

    test "works on the directory of a stopped Mnesia", %{dir: dir} do
      rows = fill(create(:disc_copies, :session), 100)
      :stopped = :mnesia.stop()
      arguments = ["session", "--to", "magnesia_disc", "--dir", dir]
      assert {0, text, ""} = command(arguments)
      assert text =~ "session is magnesia_disc: 100 rows"
      assert :mnesia.system_info(:is_running) == :no
      :ok = :mnesia.start()
      :ok = :mnesia.wait_for_tables([:session], 10_000)
      assert {storage(:session), rows(:session)} == {:magnesia_disc, rows}
    end

    test "works on a running node, from a VM of its own" do
      peer = HotNodes.start()
      :ok = HotNodes.cluster([peer])
      options = [attributes: [:k, :v, :w], ram_copies: [peer.node]]
      {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [:session, options])
      for k <- 1..50, do: :ok = HotNodes.mnesia(peer, :dirty_write, [{:session, k, k, "w"}])
      cookie = HotNodes.call(peer, :erlang, :get_cookie, [])
      there = ["--node", "#{peer.node}", "--cookie", "#{cookie}"]

      assert {list, 0} = elsewhere(["--sample", "0.05" | there])
      assert list =~ ~r/^  session +ram_copies +set +50 /m
      assert {text, 0} = elsewhere(["session", "--to", "magnesia_ram" | there])
      assert text =~ "session is magnesia_ram: 50 rows"
      assert HotNodes.mnesia(peer, :table_info, [:session, :magnesia_ram]) == [peer.node]
      assert length(HotNodes.rows(peer, :session)) == 50
      assert {text, 1} = elsewhere(["none", "--to", "magnesia_ram" | there])
      assert text =~ "there is no table :none"
      assert {text, 1} = elsewhere(["--node", "nobody@127.0.0.1"])
      assert text =~ "nobody@127.0.0.1 doesn't answer"
    end
  end

  describe "the command, from a VM of its own," do
    test "names what is wrong with the node" do
      bare = bare_node()
      assert {text, 1} = elsewhere(["--node", "#{bare}"])
      assert text =~ "Magnesia is not in the code path of #{bare}: add magnesia"
      assert {text, 1} = elsewhere(["--node", "#{bare}", "--cookie", "another"])
      assert text =~ "#{bare} doesn't answer: is its name right, and the cookie?"

      peer = HotNodes.start()
      assert {text, 1} = elsewhere(["--node", "#{peer.node}"])
      assert text =~ "Mnesia is not running on #{peer.node}"
      assert {text, 1} = elsewhere(["--node", "#{peer.node}", "--sample", "0"])
      assert text =~ ~r/Mnesia is not running|a number of seconds/
    end

    test "works on the directory of a stopped node, as that node and no other" do
      peer = HotNodes.start()
      :ok = HotNodes.cluster([peer])
      options = [attributes: [:k, :v, :w], disc_copies: [peer.node]]
      {:atomic, :ok} = HotNodes.mnesia(peer, :create_table, [:session, options])
      for k <- 1..50, do: :ok = HotNodes.mnesia(peer, :dirty_write, [{:session, k, k, "w"}])
      there = ["session", "--to", "magnesia_disc", "--dir", peer.dir, "--node"]

      assert {text, 1} = elsewhere(there ++ ["#{peer.node}"])
      assert text =~ "#{peer.node} can't be started here: it may be running"
      HotNodes.stop(peer)

      assert {text, 1} = elsewhere(there ++ ["stranger@127.0.0.1"])
      assert text =~ "#{peer.dir} is of #{peer.node}, not of stranger@127.0.0.1: give --node"
      assert {text, 0} = elsewhere(there ++ ["#{peer.node}"])
      assert text =~ "session is magnesia_disc: 50 rows"

      peer = HotNodes.again(peer)
      :ok = HotNodes.load(peer)
      assert HotNodes.mnesia(peer, :table_info, [:session, :magnesia_disc]) == [peer.node]
      assert length(HotNodes.rows(peer, :session)) == 50
    end
  end

  # A VM that has nothing but OTP.
  defp bare_node do
    name = :"bare_#{System.pid()}_#{:erlang.unique_integer([:positive])}"
    options = %{name: name, host: ~c"127.0.0.1", longnames: true, connection: :standard_io}
    {:ok, pid, node} = :peer.start(options)
    on_exit(fn -> if Process.alive?(pid), do: :peer.stop(pid) end)
    node
  end

  defp watch do
    Enum.find(Process.list(), fn pid ->
      with {:dictionary, words} <- Process.info(pid, :dictionary),
           do: words[:"$initial_call"] == {Watch, :init, 1}
    end)
  end

  defp restless(tab, k, n) do
    :ok = :mnesia.dirty_write({tab, k, n, "dirty"})
  catch
    :exit, {:aborted, _reason} -> :failed
  end

  # The table is not there for a moment, and such a write fails.
  defp dirty(tab, k, n, written) do
    :ets.delete(written, k)
    :ok = :mnesia.dirty_write({tab, k, n, "dirty"})
    :ets.insert(written, {k, n})
    # As many as others may write beside a test.
    receive do
      :never -> :ok
    after
      1 -> :ok
    end
  catch
    :exit, {:aborted, _reason} -> :failed
  end

  defp elsewhere(arguments) do
    paths = Enum.flat_map(:code.get_path(), &["-pa", List.to_string(&1)])
    script = "System.halt(Magnesia.Hot.Command.main(System.argv()))"
    System.cmd("elixir", paths ++ ["-e", script, "--" | arguments], stderr_to_stdout: true)
  end

  # Writes until it is told to stop; not sooner than after its first round.
  defp load(fun) do
    parent = self()

    pid =
      spawn_link(fn ->
        fun.(1)
        send(parent, {self(), :running})
        load_on(fun, 2)
      end)

    assert_receive {^pid, :running}, 10_000
    pid
  end

  defp load_on(fun, n) do
    receive do
      {:stop, from} -> send(from, {self(), :stopped})
    after
      0 ->
        fun.(n)
        load_on(fun, n + 1)
    end
  end

  defp stop(pid) do
    send(pid, {:stop, self()})
    assert_receive {^pid, :stopped}, 10_000
  end

  # Past Mnesia, into the copy that is new.
  defp plant(tab, to, :lost), do: Backend.delete(to, tab, 7)
  defp plant(tab, to, :changed), do: Backend.insert(to, tab, {tab, 7, 0, "another"})
  defp plant(tab, to, :added), do: Backend.insert(to, tab, {tab, 101, 0, "more"})
end
