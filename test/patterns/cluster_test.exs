defmodule Magnesia.Patterns.ClusterTest do
  # The cluster of the example on three nodes, its fragments on two: real VMs, a real network.
  use ExUnit.Case, async: false

  alias Magnesia.Agreement
  alias Magnesia.Events
  alias Magnesia.HotNodes
  alias Magnesia.Patience
  alias MyApp.Cluster
  alias MyApp.Sessions

  @moduletag timeout: 300_000
  @deadline 60_000
  @example Path.expand("../../examples/patterns/cluster.ex", __DIR__)
  # Compiled once, for the nodes.
  @code Code.compile_file(@example)

  defp start(count) do
    peers = HotNodes.start_all(for _ <- 1..count, do: [log: :emergency])

    for peer <- peers, {module, code} <- @code do
      {:module, _} = HotNodes.call(peer, :code, :load_binary, [module, ~c"#{@example}", code])
    end

    for peer <- peers do
      {:ok, _} = HotNodes.call(peer, :application, :ensure_all_started, [:magnesia])
    end

    peers
  end

  defp connect([first | rest]) do
    for peer <- rest, do: true = HotNodes.call(first, :net_kernel, :connect_node, [peer.node])
  end

  # A process on a node that keeps what it gets.
  defp listener(peer, subscribe, args) do
    HotNodes.call(peer, Magnesia.ClusterListener, :start, [Cluster, subscribe, args])
  end

  defp heard(peer, pid), do: HotNodes.call(peer, Magnesia.ClusterListener, :heard, [pid])

  test "a cluster is founded, joined, followed, checked, left and found to differ" do
    [a, b, c] = peers = start(3)
    connect([a, b])
    assert HotNodes.call(a, Cluster, :found, []) == :ok
    assert HotNodes.call(a, Cluster, :create_tables, []) == :ok
    assert HotNodes.call(a, Cluster, :add_user, [1, "ann@example.org", "Ann"]) == :ok
    assert HotNodes.call(c, Cluster, :join, [b.node]) == :ok
    nodes = Enum.sort([a.node, b.node, c.node])

    for peer <- [a, b, c] do
      assert HotNodes.call(peer, Cluster, :members, []) == %{running: nodes, stopped: []}
      assert Enum.sort(HotNodes.mnesia(peer, :table_info, [:users, :magnesia_disc])) == nodes
      {:ok, row} = HotNodes.call(peer, Cluster, :user_by_email, ["ann@example.org"])
      assert elem(row, 1) == 1
    end

    topics = for peer <- [a, b, c], do: {peer, listener(peer, :subscribe, [])}
    changes = for peer <- [a, b, c], do: {peer, listener(peer, :follow, [:users])}
    group = {:topic, {Cluster, :users}}
    known = fn peer -> length(HotNodes.call(peer, :pg, :get_members, [Events.Groups, group])) end
    Patience.await("it does not come about", fn -> Enum.all?([a, b, c], &(known.(&1) == 3)) end)
    assert HotNodes.call(b, Cluster, :add_user, [2, "bob@example.org", "Bob"]) == :ok

    for {peer, pid} <- topics do
      Patience.await("it does not come about", fn -> heard(peer, pid) != [] end)
      assert heard(peer, pid) == [{:magnesia, {Cluster, :users}, {:added, 2}}]
    end

    for {peer, pid} <- changes do
      Patience.await("it does not come about", fn -> heard(peer, pid) != [] end)

      assert [{:mnesia_table_event, {:write, :users, {:users, 2, _, _, _}, [], _}}] =
               heard(peer, pid)
    end

    assert HotNodes.call(b, Cluster, :check, []) == :ok

    :stopped = HotNodes.mnesia(c, :stop, [])

    Patience.await("it does not come about", fn ->
      HotNodes.call(a, Cluster, :members, []).stopped == [c.node]
    end)

    assert {:error, %{users: {:agree, %{missing: missing}}}} =
             HotNodes.call(a, Cluster, :check, [])

    assert missing == [c.node]
    :ok = HotNodes.call(b, Cluster, :add_user, [3, "cid@example.org", "Cid"])
    assert HotNodes.call(c, Cluster, :start, []) == :ok
    assert HotNodes.call(c, Cluster, :check, []) == :ok
    agree_while_written(peers)
    differ(a, [a, b, c])

    :stopped = HotNodes.mnesia(c, :stop, [])

    Patience.await("it does not come about", fn ->
      HotNodes.call(a, Cluster, :members, []).stopped == [c.node]
    end)

    assert HotNodes.call(a, Cluster, :remove, [c.node]) == :ok
    assert HotNodes.call(a, Cluster, :members, []).running == Enum.sort([a.node, b.node])
  end

  # Rows on their way from one node to the others are no differences.
  defp agree_while_written(peers) do
    add = fn peer, id -> HotNodes.call(peer, Cluster, :add_user, [id, "#{peer.node}", "Dee"]) end
    write = fn peer -> for n <- 1..60, do: :ok = add.(peer, 100 + rem(n, 7)) end
    writers = for peer <- peers, do: Task.async(fn -> write.(peer) end)

    looks =
      fn -> HotNodes.call(hd(peers), Agreement, :check, [:users, [wait: 30_000]]) end
      |> Stream.repeatedly()
      |> Stream.transform(nil, fn look, _ ->
        if Enum.any?(writers, &Process.alive?(&1.pid)), do: {[look], nil}, else: {:halt, nil}
      end)
      |> Enum.to_list()

    Task.await_many(writers, @deadline)
    assert looks != []
    for look <- looks, do: assert({:agree, %{missing: []}} = look)
    for id <- 100..106, do: {:atomic, :ok} = delete(hd(peers), id)
    agree_when_it_has_come(peers, System.monotonic_time(:millisecond) + @deadline)
  end

  # A row that was away at the first look, which the count of rows tells, and comes then.
  defp agree_when_it_has_come([a, b, _c] = peers, deadline) do
    [row] = HotNodes.call(b, Magnesia.Engine, :read, [[:users], 1])
    :ok = HotNodes.call(a, Magnesia.Engine, :delete, [[:users], 1])
    check = fn -> HotNodes.call(b, Agreement, :check, [:users, [wait: 30_000]]) end
    look = Task.async(check)
    # Time for the looks that must not be the last.
    for _ <- 1..300, do: [] = HotNodes.call(a, Magnesia.Engine, :read, [[:users], 1])
    :ok = HotNodes.call(a, Magnesia.Engine, :write, [[:users], row])
    assert {:agree, %{rows: rows}} = Task.await(look, @deadline)

    if rows |> Map.values() |> Enum.uniq() |> length() == 1 do
      assert System.monotonic_time(:millisecond) < deadline
      agree_when_it_has_come(peers, deadline)
    end
  end

  defp delete(peer, id) do
    HotNodes.mnesia(peer, :sync_transaction, [&:mnesia.delete/1, [{:users, id}]])
  end

  # Behind Mnesia's back one copy is changed: a row gone, a row that is another, a row more.
  defp differ(peer, [a, b, c]) do
    :ok = HotNodes.call(a, Magnesia.Engine, :delete, [[:users], 1])
    rows = for id <- [2, 9], do: {:users, id, "other", "Other", nil}
    for row <- rows, do: :ok = HotNodes.call(b, Magnesia.Engine, :write, [[:users], row])

    assert {:differ, report} = HotNodes.call(peer, Agreement, :check, [:users, [wait: 1_000]])
    assert report.rows == %{a.node => 2, b.node => 4, c.node => 3}
    assert [%{key: 1} = one, %{key: 2} = two, %{key: 9} = nine] = report.differences
    assert {one.rows[a.node], length(one.rows[c.node])} == {[], 1}
    assert two.rows[b.node] == [hd(rows)]
    assert two.rows[a.node] == two.rows[c.node]
    assert nine.rows == %{a.node => [], b.node => [List.last(rows)], c.node => []}
    assert {:error, %{users: {:differ, _}} = bad} = HotNodes.call(peer, Cluster, :check, [])
    assert Map.keys(bad) == [:users]

    # A node that can't be asked is told, not taken for alike.
    _ = HotNodes.call(c, Code, :compiler_options, [[ignore_module_conflict: true]])
    of_another_release = "defmodule Magnesia.Agreement do\nend"
    [{Agreement, _code}] = HotNodes.call(c, Code, :compile_string, [of_another_release])
    unreached = HotNodes.call(peer, Agreement, :check, [:users])
    assert {:error, {:not_reached, node, {:exception, :undef, _}}} = unreached
    assert node == c.node
  end

  test "fragments are spread over the pool and used from every node" do
    [a, b] = peers = start(2)
    connect(peers)
    assert HotNodes.call(a, Cluster, :found, []) == :ok
    assert HotNodes.call(a, Sessions, :create, [4, [a.node, b.node]]) == :ok

    for id <- 1..200,
        do: :ok = HotNodes.call(Enum.at(peers, rem(id, 2)), Sessions, :put, [id, "u", id])

    for peer <- peers do
      assert HotNodes.call(peer, Sessions, :count, []) == 200

      for id <- [1, 2, 199, 200] do
        assert HotNodes.call(peer, Sessions, :fetch, [id]) == {:ok, {:sessions, id, "u", id}}
      end

      assert HotNodes.call(peer, Sessions, :fetch, [201]) == :error
    end

    assert HotNodes.call(b, Sessions, :grow, []) == :ok
    layout = HotNodes.call(a, Sessions, :layout, [])
    assert length(layout) == 5
    assert Enum.sum(for {_name, _storage, _node, rows} <- layout, do: rows) == 200
    assert [:ram_copies | hot] = for({_name, storage, _node, _rows} <- layout, do: storage)
    assert Enum.uniq(hot) == [:magnesia_ram]
    per_node = Enum.frequencies(for {_name, _storage, node, _rows} <- layout, do: node)
    assert Enum.sort(Map.values(per_node)) == [2, 3]
    for id <- 1..200, do: {:ok, _} = HotNodes.call(a, Sessions, :fetch, [id])

    # Copies of two storages, and the rows of a bag in another order on each.
    options = [type: :bag, magnesia_ram: [a.node], ram_copies: [b.node]]
    {:atomic, :ok} = HotNodes.mnesia(a, :create_table, [:bag, options])
    for v <- 1..3, do: :ok = HotNodes.call(a, Magnesia.Engine, :write, [[:bag], {:bag, 1, v}])
    for v <- [3, 2, 1], do: true = HotNodes.call(b, :ets, :insert, [:bag, {:bag, 1, v}])
    assert {:agree, %{rows: rows}} = HotNodes.call(a, Agreement, :check, [:bag])
    assert rows == %{a.node => 3, b.node => 3}
  end
end
