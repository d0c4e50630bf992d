defmodule Magnesia.QueryTest do
  # Queries: the same rows as Elixir's own filter finds, found the way that explain tells.
  use Magnesia.DatabaseCase

  import Magnesia.Query, only: [from: 1, from: 2]

  alias Magnesia.Query
  alias Magnesia.TestTables.City
  alias Magnesia.TestTables.Event
  alias Magnesia.TestTables.User
  alias Magnesia.TransactionError

  @countries [:no, :se, :dk, nil]

  defp users(_context) do
    :ok = User.create()

    users =
      for id <- 1..60 do
        %User{
          id: id,
          name: Enum.at(["Ann", "Anton", "Bob", "Ben", nil], rem(id, 5)),
          country: Enum.at(@countries, rem(id, 4)),
          age: rem(id * 7, 50),
          joined: Date.add(~D[2024-01-01], id),
          tags: Enum.take([:a, :b, :c], rem(id, 4))
        }
      end

    Enum.each(users, &User.put/1)
    {:ok, users: users}
  end

  defp ids(rows), do: rows |> Enum.map(& &1.id) |> Enum.sort()
  defp those(users, fun), do: users |> Enum.filter(fun) |> ids()

  describe "conditions" do
    setup :users

    test "find what Elixir finds", %{users: users} do
      {name, low, country} = {"Ann", 20, :se}
      found = fn query -> ids(Query.all(query)) end

      assert found.(from(u in User)) == Enum.to_list(1..60)
      assert found.(from u in User, where: u.age > ^low) == those(users, &(&1.age > low))
      assert found.(from u in User, where: 20 >= u.age) == those(users, &(20 >= &1.age))
      assert found.(from u in User, where: u.name == ^name) == those(users, &(&1.name == name))
      assert found.(from u in User, where: ^name != u.name) == those(users, &(&1.name != name))

      assert found.(from u in User, where: u.age > 30 and u.name == ^name) ==
               those(users, &(&1.age > 30 and &1.name == name))

      assert found.(from u in User, where: u.age < 9 or u.country == ^country) ==
               those(users, &(&1.age < 9 or &1.country == country))

      assert found.(from u in User, where: u.age not in 5..20) ==
               those(users, &(&1.age not in 5..20))

      assert found.(from u in User, where: u.id in [3, 4, 4, 70]) == [3, 4]
      assert found.(from u in User, where: u.id in ^Enum.to_list(1..300)) == Enum.to_list(1..60)
      assert found.(from u in User, where: u.id not in ^[1, 2]) == Enum.to_list(3..60)
      assert found.(from u in User, where: u.id in []) == []

      two = from u in User, where: u.country in [:no, nil] and u.name in ["Bob", "Ben"]

      assert found.(two) ==
               those(users, &(&1.country in [:no, nil] and &1.name in ["Bob", "Ben"]))

      assert found.(from u in User, where: is_nil(u.name)) == those(users, &is_nil(&1.name))
      assert found.(from u in User, where: u.name == nil) == those(users, &is_nil(&1.name))

      assert found.(from u in User, where: starts_with?(u.name, "An")) ==
               those(users, &(&1.name in ["Ann", "Anton"]))

      assert found.(from u in User, where: rem(u.id, 2) == 0 and u.id / 2 > 20) ==
               those(users, &(rem(&1.id, 2) == 0 and &1.id / 2 > 20))

      assert found.(from u in User, where: length(u.tags) == 2 and hd(u.tags) == :a) ==
               those(users, &(length(&1.tags) == 2))

      assert found.(from u in User, where: u.tags == [:a]) == those(users, &(&1.tags == [:a]))
      assert found.(from u in User, where: u.id == u.age) == those(users, &(&1.id == &1.age))
      assert found.(from u in User, where: u.id == 1, where: u.age == 8) == []
      assert found.(from u in User, where: u.id == 1 and u.id == 2) == []
    end

    test "compare times by what they mean", %{users: users} do
      day = ~D[2024-02-01]
      later = those(users, &(Date.compare(&1.joined, day) == :gt))
      assert ids(Query.all(from u in User, where: u.joined > ^day)) == later
      assert ids(Query.all(from u in User, where: ~D[2024-02-01] < u.joined)) == later
      assert [%User{joined: ^day}] = Query.all(from u in User, where: u.joined == ^day)
      assert length(Query.all(from u in User, where: u.joined in ^[day, Date.add(day, 1)])) == 2
      assert Query.count(from u in User, where: u.joined != ~D[2024-02-01]) == 59

      assert [^day, _] =
               Query.all(
                 from(u in User,
                   where: u.joined >= ^day,
                   order_by: u.joined,
                   limit: 2,
                   select: u.joined
                 )
               )
    end

    test "take values for themselves that a pattern would not" do
      for value <- [:_, :"$1", %{a: 1}, {:"$1", :_}, [:_], 1.0, ~D[2024-02-01]] do
        :ok = Magnesia.ensure_table(:odd, attributes: [:id, :value], index: [:value])
        {:ok, _} = Magnesia.put({:odd, value, value})
        {:ok, _} = Magnesia.put({:odd, 1, %{a: 1, b: 2}})
        {:ok, _} = Magnesia.put({:odd, 2, 1})
        assert Query.all(from o in :odd, where: o.value == ^value) == [{:odd, value, value}]
        assert Query.all(from o in :odd, where: o.id == ^value, select: o.value) == [value]
        assert Query.all(from o in :odd, where: o.id in ^[value]) == [{:odd, value, value}]
        assert Query.count(from o in :odd, where: o.value != ^value) == 2
        :ok = Magnesia.clear_table(:odd)
      end
    end

    test "may look into maps and tuples" do
      :ok = Magnesia.create_table(:deep)
      {:ok, _} = Magnesia.put({:deep, 1, %{city: %{name: "Oslo"}}})
      {:ok, _} = Magnesia.put({:deep, 2, {:at, 7}})
      {:ok, _} = Magnesia.put({:deep, 3, %{}})
      assert Query.all(from d in :deep, where: d.value.city.name == "Oslo", select: d.key) == [1]

      assert Query.all(from d in :deep, where: d.value[:city][:name] == "Oslo", select: d.key) ==
               [1]

      assert Query.all(from d in :deep, where: elem(d.value, 1) == 7, select: d.key) == [2]
      assert Query.all(from d in :deep, where: is_map_key(d.value, :city), select: d.key) == [1]
      assert Query.all(from d in :deep, where: map_size(d.value) == 0, select: d.key) == [3]
    end

    test "run what is pinned once" do
      me = self()
      value = fn -> send(me, :asked) && :no end
      query = from u in User, where: u.country == ^value.() and u.age > 30, select: u.id
      assert_received :asked
      refute_received :asked
      assert Query.all(query) != []
      assert Query.all(query) == Query.all(query)
      refute_received :asked
    end
  end

  describe "results" do
    setup :users

    test "have the shape that select says", %{users: users} do
      one = Enum.at(users, 6)
      assert Query.one(from u in User, where: u.id == 7) == one
      assert Query.one(from u in User, where: u.id == 7, select: {u, u.id}) == {one, 7}
      assert Query.one(from u in User, where: u.id == 7, select: [u.id, u.age]) == [7, 49]
      assert Query.one(from u in User, where: u.id == 7, select: u.age * 2 + 1) == 99

      assert Query.one(from u in User, where: u.id == 7, select: %{id: u.id, at: u.joined}) ==
               %{id: 7, at: ~D[2024-01-08]}

      deep = from u in User, where: u.id == 7, select: {:user, ^[1], %{in: u.country}}
      assert Query.one(deep) == {:user, [1], %{in: nil}}

      assert_raise ArgumentError, ~r/more than one row/, fn -> Query.one(from(u in User)) end
    end

    test "are sorted as asked", %{users: users} do
      all = Query.all(from u in User, order_by: [u.country, u.id], select: {u.country, u.id})
      assert all == Enum.sort(for u <- users, do: {u.country, u.id})

      mixed = from u in User, order_by: [desc: u.age, asc: u.id], select: {u.age, u.id}
      wanted = Enum.sort_by(users, &{-&1.age, &1.id}) |> Enum.map(&{&1.age, &1.id})
      assert Query.all(mixed) == wanted
      assert Query.all(%{mixed | limit: 7}) == Enum.take(wanted, 7)
      assert Query.all(%{mixed | limit: 0}) == []
      limit = 600
      assert length(Query.all(from u in User, order_by: u.age, limit: ^limit)) == 60
      assert Enum.to_list(mixed) == wanted
      assert mixed |> Query.stream(chunk: 7) |> Enum.take(3) == Enum.take(wanted, 3)
      assert Enum.count(mixed) == 60
      assert Query.count(%{mixed | limit: 9}) == 9
    end
  end

  describe "an ordered set" do
    setup do
      :ok = City.create()

      for n <- 1..2_000 do
        name = String.pad_leading("#{n}", 5, "0")
        :magnesia.dirty_write({City, name, rem(n * 37, 1_000), Enum.at([:no, :se], rem(n, 2))})
      end

      :ok = Magnesia.add_index(City, :people)
    end

    test "is walked in both directions, from a bound to a bound" do
      names = for n <- 1..2_000, do: String.pad_leading("#{n}", 5, "0")
      up = from c in City, order_by: c.name, select: c.name
      down = from c in City, order_by: [desc: c.name], select: c.name
      assert Query.all(up) == names
      assert Query.all(down) == Enum.reverse(names)
      assert Enum.to_list(down) == Enum.reverse(names)
      assert down |> Query.stream(chunk: 3) |> Enum.take(4) == ~w(02000 01999 01998 01997)

      within =
        from(c in City,
          where: c.name > "00500" and c.name <= "01500" and c.country == :no,
          order_by: [desc: c.name],
          limit: 3,
          select: c.name
        )

      assert Query.all(within) == ~w(01500 01498 01496)

      assert Query.explain(within).access == :index
      range = from c in City, where: c.name > "00500" and c.people >= 0, order_by: [desc: c.name]
      assert %{access: :key_range, order: :reverse_key} = Query.explain(range)
      assert [%City{name: "02000"}] = Query.all(%{range | limit: 1})
    end

    test "gives ranges of an index in any order, and by keys where that is asked" do
      wanted =
        for n <- 1..2_000, rem(n * 37, 1_000) in 100..199, do: String.pad_leading("#{n}", 5, "0")

      any = from c in City, where: c.people >= 100 and c.people < 200, select: c.name
      assert Query.explain(any).access == :index_range
      assert Enum.sort(Query.all(any)) == wanted
      assert any |> Query.stream(chunk: 7) |> Enum.sort() == wanted
      assert Query.count(any) == length(wanted)
      assert Query.count(%{any | limit: 5}) == 5

      sorted =
        from(c in City,
          where: c.people >= 100 and c.people < 200,
          order_by: c.name,
          select: c.name
        )

      assert Query.explain(sorted).access == :all
      assert Query.all(sorted) == wanted
      assert :magnesia.dirty_select(City, Query.to_spec(any)) == wanted
    end

    test "is read by keys and by values in the order that is asked" do
      for direction <- [:asc, :desc] do
        names = ~w(00003 00010 01000)
        wanted = if direction == :asc, do: names, else: Enum.reverse(names)

        query =
          from(c in City, where: c.name in ^Enum.reverse(names), select: c.name, order_by: c.name)

        query = %{query | order: [{direction, 2, :"$1"}]}
        assert Query.all(query) == wanted
        assert Query.all(%{query | limit: 2}) == Enum.take(wanted, 2)
        assert Query.explain(query).access == :keys

        rare = from c in City, where: c.people == 37, order_by: c.name, select: c.name
        rare = %{rare | order: [{direction, 2, :"$1"}]}
        assert Query.explain(rare).access == :index
        wanted = if direction == :asc, do: ~w(00001 01001), else: ~w(01001 00001)
        assert Query.all(rare) == wanted
        assert Query.all(%{rare | limit: 1}) == Enum.take(wanted, 1)
      end
    end
  end

  describe "in a transaction" do
    setup :users

    test "own writes take part, in every order" do
      Magnesia.transaction!(fn ->
        User.put(%User{id: 100, name: "Zoe", age: 99})
        User.delete(1)
        assert Query.one(from u in User, where: u.age == 99, select: u.name) == "Zoe"

        assert Query.all(from u in User, order_by: [desc: u.age], limit: 1, select: u.id) == [
                 100
               ]

        assert Query.count(from(u in User)) == 60
        assert Enum.count(Query.stream(from(u in User), chunk: 7)) == 60
        assert Query.all(from u in User, where: u.id == 1) == []
      end)

      :ok = Event.create()
      for n <- 1..9, do: Event.put(%Event{at: DateTime.from_unix!(n), what: n})

      Magnesia.transaction!(fn ->
        Event.put(%Event{at: DateTime.from_unix!(10), what: 10})
        Event.delete(DateTime.from_unix!(5))
        down = from e in Event, order_by: [desc: e.at], select: e.what
        assert Query.all(down) == [10, 9, 8, 7, 6, 4, 3, 2, 1]
        assert Query.all(%{down | limit: 2}) == [10, 9]

        assert Query.all(from e in Event, order_by: e.at, limit: 5, select: e.what) == [
                 1,
                 2,
                 3,
                 4,
                 6
               ]

        assert Enum.to_list(Query.stream(down, chunk: 2)) == [10, 9, 8, 7, 6, 4, 3, 2, 1]
      end)
    end

    test "a key's query locks that row alone, any other the table" do
      held = fn query ->
        Magnesia.transaction!(fn ->
          _rows = Query.all(query)

          for {{table, key}, _kind, _tid} when table == :users <-
                :magnesia.system_info(:held_locks),
              do: key
        end)
      end

      id = 3
      assert held.(from u in User, where: u.id == ^id, select: {u.id, u.name}) == [3]
      assert held.(from u in User, where: u.age == 3) == [:______WHOLETABLE_____]
    end
  end

  describe "explain" do
    setup :users

    test "names the key, the index or the range, and what would help" do
      explain = fn query -> {Query.explain(query).access, Query.explain(query).attributes} end
      assert explain.(from u in User, where: u.id == 1) == {:keys, [:id]}
      assert explain.(from u in User, where: u.id in [1, 2]) == {:keys, [:id]}
      assert explain.(from u in User, where: u.name == "Bob") == {:index, [:name]}
      assert explain.(from u in User, where: u.name in ["Bob", "Ben"]) == {:index, [:name]}
      assert explain.(from u in User, where: u.age > 3 and u.age < 9) == {:index_range, [:age]}

      assert explain.(from u in User, where: starts_with?(u.name, "B")) ==
               {:index_range, [:name]}

      compound = :"country+age"
      assert explain.(from u in User, where: u.country == :no) == {:index_range, [compound]}

      assert explain.(from u in User, where: u.country == :no and u.age == 8) |> elem(0) ==
               :index

      assert explain.(from u in User, where: u.country == :no and u.tags > []) ==
               {:index_range, [compound]}

      none = Query.explain(from u in User, where: u.tags == [] and u.joined > ^~D[2024-01-03])
      assert {none.access, none.could_index, none.rows} == {:all, [:joined, :tags], 60}

      assert to_string(none) ==
               "users: all 60 rows, an index on :joined or :tags would narrow them"
    end

    test "an index over two attributes serves a value and a range", %{users: users} do
      low = 10
      query = from u in User, where: u.country == :se and u.age > ^low and u.age <= 30
      assert ids(Query.all(query)) == those(users, &(&1.country == :se and &1.age in 11..30))
      assert [{head, guards, _}] = Query.to_spec(query)
      assert elem(head, 8) == {:se, :_}
      assert {:>, {:element, 9, :"$_"}, {:const, {:se, 10}}} in guards
      :ok = Magnesia.drop_index(User, :age)
      assert Query.explain(query).attributes == [:"country+age"]
      assert ids(Query.all(query)) == those(users, &(&1.country == :se and &1.age in 11..30))
    end
  end

  describe "a plain table" do
    test "is asked by its name, its attributes checked when the query runs" do
      :ok = Magnesia.create_table(:town, attributes: [:name, :mayor], type: :ordered_set)
      for n <- 1..9, do: {:ok, _} = Magnesia.put({:town, n, "m#{rem(n, 3)}"})
      table = :town

      assert Query.all(from t in :town, where: t.mayor == "m0") ==
               for(n <- [3, 6, 9], do: {:town, n, "m0"})

      assert Query.all(from t in ^table, where: t.name > 7, select: t.name) == [8, 9]

      assert Query.all(from t in ^table, where: t.name == 7, select: {t.name, t}) == [
               {7, {:town, 7, "m1"}}
             ]

      assert_raise ArgumentError, ~r/no attribute :mayr, did you mean :mayor/, fn ->
        from(t in :town, where: t.mayr == 1)
      end

      assert_raise TransactionError, ~r/:nowhere does not exist/, fn -> from(t in :nowhere) end
      module = User
      assert_raise ArgumentError, ~r/is a table module/, fn -> from(t in ^module) end
    end

    test "that is dropped meanwhile is an error" do
      :ok = Magnesia.create_table(:town)
      query = from(t in :town)
      :ok = Magnesia.delete_table(:town)

      for run <- [&Query.all/1, &Query.count/1, &Enum.to_list/1, &Query.explain/1] do
        assert_raise TransactionError, ~r/:town does not exist/, fn -> run.(query) end
      end
    end
  end

  test "a time without an order is refused when it is compared by order" do
    :ok = Magnesia.create_table(:town)

    assert_raise ArgumentError, ~r/has no order that the engine knows/, fn ->
      from(t in :town, where: t.value > ^Date.utc_today())
    end
  end

  test "what cannot be done does not compile, and says what can" do
    for {query, words} <- [
          {"from u in User, where: u.nam == 1", "has no attribute :nam, did you mean :name?"},
          {"from u in User, selec: u.name", "no clause :selec, did you mean :select?"},
          {"from u in User, where: u.age > age", "age is a variable of yours: pin it, ^age"},
          {"from u in User, where: u", "u is the whole row here"},
          {"from u in User, where: String.upcase(u.name) == 1",
           "cannot do String.upcase(u.name)"},
          {"from u in User, where: lenght(u.tags) == 1", "did you mean :length?"},
          {"from u in User, order_by: u.age + 1", "order_by: takes attributes, not u.age + 1"},
          {"from u in User, order_by: [dsc: u.age]", "did you mean :desc?"},
          {"from u in User, limit: -1", "limit: is a number or ^number"},
          {"from u in User, limit: 1, limit: 2", "limit: is given twice"},
          {"from User, limit: 1", "a query begins with `row in Table`"},
          {"from u in User, where: u.seen > u.joined and u.at == 1", "no attribute :at"}
        ] do
      code = "import Magnesia.Query\nalias Magnesia.TestTables.User\n" <> query
      error = assert_raise CompileError, fn -> Code.eval_string(code, [], file: "wrong.ex") end
      assert error.description =~ words, "#{query}: #{error.description}"
      assert {error.file, error.line} == {"wrong.ex", 3}
    end
  end

  test "a query shows itself in one line" do
    query = from u in User, where: u.id == 1 and u.age > 3, select: u.id

    assert inspect(query) ==
             "#Magnesia.Query<Magnesia.TestTables.User, [{{:users, 1, :_, :_, :\"$2\", :_, :_, :_, :_}, [{:>, :\"$2\", 3}], [{:element, 2, :\"$_\"}]}]>"
  end
end
