defmodule Magnesia.TableTest do
  # Table modules: structs in and out of every call, and what does not compile.
  use Magnesia.DatabaseCase

  alias Magnesia.NotFoundError
  alias Magnesia.Table.Sortable
  alias Magnesia.TestTables.City
  alias Magnesia.TestTables.Event
  alias Magnesia.TestTables.User
  alias Magnesia.TestTables.Visit

  @ann %User{
    id: 1,
    name: "Ann",
    age: 40,
    joined: ~D[2024-02-29],
    seen: ~U[2026-01-02 03:04:05.6Z]
  }
  @bob %User{id: 2, name: "Bob", age: 30, country: :se}

  defp users(_context) do
    :ok = User.create()
    {:ok, @ann} = User.put(@ann)
    {:ok, @bob} = User.put(@bob)
    :ok
  end

  defp by_id(rows), do: Enum.sort_by(rows, & &1.id)

  describe "rows" do
    setup :users

    test "are structs through the module and tuples through the name" do
      assert User.get(1) == @ann
      assert User.fetch(2) == {:ok, @bob}
      assert User.fetch(3) == :error
      assert User.get(3, :none) == :none
      assert User.get_by(name: "Bob") == @bob
      assert User.get_all(1) == [@ann]
      assert User.has_key?(2) and not User.has_key?(3)
      assert_raise NotFoundError, fn -> User.fetch!(3) end

      assert {:users, 2, "Bob", :se, 30, nil, nil, [], {:se, 30}} = Magnesia.get(:users, 2)
      assert [{:users, 2, "Bob", _, _, _, _, _, _}] = :magnesia.dirty_read(:users, 2)
    end

    test "are structs in every call that takes a table" do
      assert by_id(Magnesia.select(User, [{:>, :age, 10}])) == [@ann, @bob]
      assert Magnesia.match(User, country: :se) == [@bob]
      assert Magnesia.dirty_match(User, country: :se) == [@bob]
      assert Magnesia.dirty_select(User, [{:<, :age, 35}]) == [@bob]
      assert Magnesia.dirty_get(User, 1) == @ann
      assert Magnesia.dirty_get_all(User, 2) == [@bob]
      assert Magnesia.all_by(User, [name: "Ann"], require_index: true) == [@ann]
      assert User |> Magnesia.stream(chunk: 1) |> by_id() == [@ann, @bob]
      assert Magnesia.fold(User, 0, fn %User{age: age}, sum -> age + sum end) == 70
      assert Enum.sort(Magnesia.keys(User)) == [1, 2]
      assert {Magnesia.count(User), Magnesia.count(User, country: :no)} == {2, 1}
      assert Magnesia.to_map(@bob).name == "Bob"
      assert Magnesia.info(User).name == :users
      assert Magnesia.wait([User]) == :ok
      assert Magnesia.clear_table(User) == :ok
      assert User.all() == []
    end

    test "are written by every call that takes a row" do
      cid = %User{id: 3, name: "Cid"}
      assert Magnesia.put(cid) == {:ok, cid}
      assert Magnesia.insert(cid) == {:error, :already_exists}
      assert User.insert_new(%{cid | id: 4}) == {:ok, %{cid | id: 4}}
      assert Magnesia.dirty_put(%{cid | id: 5}) == {:ok, %{cid | id: 5}}
      assert Magnesia.replace(User, %{cid | id: 6}) == {:error, :not_found}
      assert User.update(3, &%{&1 | age: 9}) == {:ok, %{cid | age: 9}}
      assert User.update(3, age: 10, tags: [:a]) == {:ok, %{cid | age: 10, tags: [:a]}}
      assert User.update(9, age: 10) == {:error, :not_found}
      assert Magnesia.get_and_update(User, 3, &{&1.age, %{&1 | age: 11}}) == 10
      new = %{cid | age: 12, tags: []}
      assert Magnesia.compare_and_swap(User, cid, new) == {:error, :stale}
      assert Magnesia.compare_and_swap(User, User.get(3), new) == :ok
      assert Magnesia.delete_object(new) == :ok
      assert Magnesia.get_and_update(User, 4, fn _row -> :pop end) == %{cid | id: 4}
      assert Magnesia.dirty_delete(User, 5) == :ok
      assert User.delete(2) == :ok
      assert User.all() == [@ann]
    end

    test "are checked before they are written" do
      for {changes, words} <- [
            {%{id: nil}, "id must be :integer, not nil"},
            {%{name: :bob}, "name must be :string, not :bob"},
            {%{joined: ~U[2026-01-02 03:04:05Z]}, "joined must be :date, not ~U"},
            {%{seen: %{~U[2026-01-02 03:04:05Z] | time_zone: "Europe/Oslo"}}, "seen must be :utc"}
          ] do
        error = assert_raise ArgumentError, fn -> User.put(Map.merge(@ann, changes)) end
        assert error.message =~ words
      end

      assert_raise ArgumentError, ~r/rows %Magnesia.TestTables.User/, fn ->
        Magnesia.put(User, %City{name: "Oslo"})
      end

      assert_raise ArgumentError, ~r/of no Magnesia.Table/, fn -> Magnesia.put(~D[2024-02-29]) end

      assert_raise ArgumentError, ~r/no attribute :nam, did you mean :name/, fn ->
        User.update(1, nam: "x")
      end

      assert User.get(1) == @ann
    end

    test "that were stored otherwise are told of" do
      :ok = User.drop()
      :ok = Magnesia.create_table(:users, attributes: [:id, :name])
      :ok = :magnesia.dirty_write({:users, 1, "Ann"})
      error = assert_raise ArgumentError, fn -> User.get(1) end
      assert error.message =~ "does not fit Magnesia.TestTables.User"
      assert {:error, %{reason: {:mismatch, :users, _}}} = User.ensure()
    end

    test "take part in transactions, their own writes seen" do
      assert {:ok, [%User{name: "Ann"}, %User{name: "Bo"}, %User{name: "Cid"}]} =
               User.transaction(fn ->
                 User.put(%User{id: 3, name: "Cid"})
                 User.update(2, name: "Bo")
                 3 = User.count()
                 by_id(User.all())
               end)

      assert {:error, %{reason: :no}} =
               User.transaction(fn ->
                 User.delete(1)
                 Magnesia.rollback(:no)
               end)

      assert User.get(1) == @ann
    end
  end

  describe "times" do
    setup :users

    test "come back as they were and are compared by what they mean" do
      assert User.get(1).seen == ~U[2026-01-02 03:04:05.6Z]
      assert Magnesia.select(User, [{:>, :joined, ~D[2024-02-28]}, {:!=, :joined, nil}]) == [@ann]
      assert Magnesia.match(User, seen: ~U[2026-01-02 03:04:05.600000Z]) == [@ann]

      assert Magnesia.select(User, [{:>, :seen, ~U[2026-01-02 03:04:05.600Z]}]) == [@bob]
      span = [{:<, ~D[2024-01-01], :joined}, {:<, :joined, ~D[2025-01-01]}]
      assert Magnesia.select(User, span) == [@ann]
      assert Magnesia.select(User, [{:in, :joined, [~D[2024-02-29], ~D[1999-01-01]]}]) == [@ann]
      assert Magnesia.select(User, [{:in, :joined, []}]) == []
      assert Magnesia.select(User, [{:not, {:joined, ~D[2024-02-29]}}]) == [@bob]
    end

    test "order the rows whose key they are" do
      :ok = Event.create()
      days = [~U[2025-12-31 23:59:59.999999Z], ~U[1969-07-20 20:17:40Z], ~U[2026-01-01 00:00:00Z]]
      for {at, n} <- Enum.with_index(days), do: {:ok, _} = Event.put(%Event{at: at, what: n})
      sorted = Enum.sort(days, DateTime)
      assert Magnesia.keys(Event) == sorted
      assert Enum.map(Event.stream(), & &1.at) == sorted
      assert Magnesia.first(Event) == {:ok, hd(sorted)}
      assert Magnesia.next(Event, hd(sorted)) == {:ok, Enum.at(sorted, 1)}
      assert [%Event{what: 2}] = Enum.to_list(Event.stream(from: ~U[2026-01-01 00:00:00Z]))
      assert %Event{what: 1} = Event.fetch!(~U[1969-07-20 20:17:40Z])
      assert Event.all() == :mine
    end

    test "are the same after the way to a stored form and back, in order" do
      seed = String.to_integer(System.get_env("MAGNESIA_SEED", "#{System.os_time()}"))
      :rand.seed(:exsss, seed)
      line = "MAGNESIA_SEED=#{seed} mix test test/magnesia/table_test.exs"

      times =
        for _ <- 1..500 do
          digits = :rand.uniform(7) - 1
          unit = Integer.pow(10, 6 - digits)
          micros = div(:rand.uniform(1_000_000) - 1, unit) * unit
          second = :rand.uniform(120_000_000_000)
          DateTime.from_gregorian_seconds(second, {micros, digits})
        end

      for time <- times,
          {type, value} <- [
            utc_datetime: time,
            naive_datetime: DateTime.to_naive(time),
            time: DateTime.to_time(time),
            date: DateTime.to_date(time)
          ] do
        assert Sortable.decode(Sortable.encode(value), type) == value, line
      end

      for [a, b] <- Enum.chunk_every(times, 2), DateTime.compare(a, b) == :lt do
        assert Sortable.encode(a) < Sortable.encode(b), line
      end
    end
  end

  describe "a table" do
    test "is created, found, described and dropped" do
      refute User.exists?()
      assert User.ensure() == :ok
      assert User.ensure() == :ok
      assert {:error, %{reason: {:already_exists, :users}}} = User.create()
      assert User.exists?()
      assert User.wait() == :ok
      assert Enum.sort(User.info().index) == [:age, :"country+age", :name]
      assert User.__table__(:attributes) == [:id, :name, :country, :age, :joined, :seen, :tags]
      assert User.__table__(:key) == :id
      assert User.drop() == :ok
      refute User.exists?()
      assert City.create(type: :set) == :ok
      assert City.info().type == :set
    end

    test "is a child's table" do
      :ok = Magnesia.stop()
      Application.delete_env(:magnesia, :dir)
      start_supervised!({Magnesia, tables: [User, {City, storage: :ram}, town: []]})
      assert Magnesia.tables() == [City, :town, :users] |> Enum.sort()
      assert {:ok, _} = City.put(City.of("Oslo"))
      assert City.count() == 1001

      assert_raise ArgumentError, ~r/tables must be a list of table modules/, fn ->
        Magnesia.start(tables: [String])
      end
    end

    test "may be a bag" do
      :ok = Visit.create()
      rows = for place <- ["Oslo", "Rome"], do: %Visit{person: "Ann", place: place}
      Enum.each(rows, &Visit.put/1)
      assert Visit.get_all("Ann") == rows
      assert_raise ArgumentError, ~r/is a bag/, fn -> Visit.get("Ann") end
    end
  end

  describe "a declaration" do
    test "that is wrong does not compile, and says what would be right" do
      for {body, words} <- [
            {"use Magnesia.Table, typ: :bag, attributes: [:a, :b]", "did you mean :type?"},
            {"use Magnesia.Table, type: :bags, attributes: [:a, :b]",
             ":set, :ordered_set or :bag"},
            {"use Magnesia.Table, attributes: [:id, :name], index: [:nam]",
             "did you mean :name?"},
            {"use Magnesia.Table, attributes: [:id, :name], index: [[:id, :nam]]", "mean :name?"},
            {"use Magnesia.Table, attributes: [:id, :name], index: [[:id]]", "two attributes"},
            {"use Magnesia.Table, attributes: [:id, :name], key: :idd", "did you mean :id?"},
            {"use Magnesia.Table, attributes: [:id, :n], types: [m: :any]", "no attribute :m"},
            {"use Magnesia.Table, attributes: [:id]", "two attributes or more"},
            {"use Magnesia.Table, attributes: [:id, :id]", ":id is named twice"},
            {"use Magnesia.Table\nfield :a, :sting\nfield :b", "did you mean :string?"},
            {"use Magnesia.Table\nfield :a, :any, indx: true", "did you mean :index?"},
            {"use Magnesia.Table\nfield :a\nfield :a", "field :a is declared twice"},
            {"use Magnesia.Table\nfield :a, :integer, order: true", "for dates and times"},
            {"use Magnesia.Table, attributes: [:a, :b]\nfield :c", "beside attributes:"}
          ] do
        code = "defmodule Magnesia.TableTest.Wrong do\n#{body}\nend"
        error = assert_raise CompileError, fn -> Code.compile_string(code, "wrong.ex") end
        assert error.description =~ words
        assert error.file =~ "wrong.ex" and error.line in 2..4
      end
    end

    test "makes a misspelt attribute of a struct a compile error" do
      # What it is called depends on the release of Elixir.
      assert catch_error(Code.eval_string("%Magnesia.TestTables.User{nmae: 1}"))
      assert %User{name: 1}.name == 1
    end
  end
end
