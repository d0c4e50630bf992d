Code.require_file("../../examples/patterns/users.ex", __DIR__)

defmodule Magnesia.Patterns.UsersTest do
  # Users, orders and who came lately; and what the guide's own lines would have given.
  use Magnesia.DatabaseCase

  import MyApp.Records

  alias MyApp.Users

  @now ~U[2024-03-02 12:00:00Z]

  setup %{dir: dir} do
    :ok = Magnesia.stop()
    start_supervised!({Users, dir: dir})
    :ok
  end

  test "a user is found by id and by address, and is there after a restart", %{dir: dir} do
    {:atomic, :ok} = Users.add(1, "ann@example.org", "Ann", @now)
    ann = %{id: 1, email: "ann@example.org", name: "Ann", created_at: @now}
    assert Users.get(1) == {:ok, ann}
    assert Users.get_by_email("ann@example.org") == {:ok, ann}
    assert Users.get(2) == {:error, :not_found}
    assert Users.get_by_email("bob@example.org") == {:error, :not_found}
    :ok = stop_supervised(Magnesia)
    start_supervised!({Users, dir: dir})
    assert Users.get(1) == {:ok, ann}
  end

  test "an address that changes is found under the new one alone" do
    {:atomic, :ok} = Users.add(1, "ann@example.org", "Ann", @now)
    {:atomic, :ok} = Users.add(1, "ann@example.com", "Ann", @now)
    assert {:ok, %{id: 1}} = Users.get_by_email("ann@example.com")
    assert Users.get_by_email("ann@example.org") == {:error, :not_found}
  end

  test "what is there is sold once, however many want it, and stock and orders agree" do
    :ok = Users.product!(1, "tea", 4, 1_000)
    buy = fn buyer -> for n <- 1..250, do: Users.sell({buyer, n}, buyer, 1, 1) end
    tasks = for buyer <- 1..8, do: Task.async(fn -> buy.(buyer) end)
    answers = tasks |> Task.await_many(60_000) |> List.flatten()
    assert Enum.frequencies(answers) == %{{:ok, 4} => 1_000, {:error, :out_of_stock} => 1_000}
    assert [%{id: 1, price: 4, stock: 0}] = Users.products("tea")
    assert length(Users.active_orders()) == 1_000
    assert Users.sell(11, 1, 2, 1) == {:error, :no_such_product}
    assert Users.products("coffee") == []
  end

  test "orders are found by pattern" do
    for {id, user} <- [{1, :ann}, {2, :bob}, {3, :ann}], do: Users.order!(id, user, 10 * id)
    [first | _] = Users.orders_of(:ann)
    {:atomic, :ok} = :magnesia.transaction(fn -> :magnesia.write(order(first, status: :sent)) end)
    assert length(Users.active_orders()) == 2
    assert Enum.sort(for order(id: id) <- Users.orders_of(:ann), do: id) == [1, 3]
    # Without `_: :_` the fields that are not named must be their defaults.
    assert :magnesia.dirty_match_object(order(user_id: :ann)) == []
  end

  test "both ways of asking for the last days agree, across months and years" do
    days = [-400, -61, -31, -8, -7, -6, -1, 0]

    for {day, id} <- Enum.with_index(days) do
      {:atomic, :ok} = Users.add(id, "#{id}", "#{id}", DateTime.add(@now, day * 86_400, :second))
    end

    for window <- [1, 7, 31, 365, 500] do
      looked_at = for user(id: id) <- Users.recent(window, @now), do: id
      assert Enum.sort(looked_at) == Users.recent_ids(window, @now)

      assert Users.recent_ids(window, @now) ==
               for({d, id} <- Enum.with_index(days), -d <= window, do: id)
    end

    # What `>` says of two DateTimes.
    refute ~U[2024-01-02 00:00:00Z] > ~U[2023-12-31 00:00:00Z]
  end

  test "a read without a transaction says so, and a row of another tag is refused" do
    assert catch_exit(:magnesia.read(:users, 1)) == {:aborted, :no_transaction}
    untagged = {:user, 1, "a", "b", @now}

    assert {:aborted, {:bad_type, ^untagged}} =
             :magnesia.transaction(fn -> :magnesia.write(:users, untagged) end)
  end
end
