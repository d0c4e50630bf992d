defmodule Magnesia.GeneratedTest do
  # What a table module fills in: numbers, times, what functions answer; and what is refused.
  use Magnesia.DatabaseCase

  alias Magnesia.Table.Generated

  doctest Magnesia.Table.Generated

  defmodule Ticket do
    use Magnesia.Table, name: :tickets, type: :ordered_set, storage: :disc

    fields do
      field :id, :integer, autogenerate: true
      field :code, :string, autogenerate: &__MODULE__.code/0
      field :day, :date, autogenerate: {Date, :new!, [2026, 3, 1]}
      field :queue, :integer, autogenerate: true
      timestamps(order: true)
    end

    def code, do: "fixed"
  end

  defmodule Note do
    use Magnesia.Table,
      attributes: [:id, :text, :at],
      types: [id: :integer, at: :naive_datetime],
      autogenerate: [id: true, at: true]
  end

  describe "a module's rows" do
    @describetag :disc

    setup do
      :ok = Ticket.ensure()
    end

    test "are filled in, and told as they were written" do
      assert {:ok, %Ticket{id: 1, code: "fixed", day: ~D[2026-03-01]} = one} =
               Ticket.put(%Ticket{})

      assert %DateTime{time_zone: "Etc/UTC"} = one.inserted_at
      assert Ticket.fetch!(1) == one
      assert {:ok, %Ticket{id: 2, queue: 2}} = Ticket.insert_new(%Ticket{})
      assert {:ok, %Ticket{id: 3, queue: 3}} = Magnesia.dirty_put(Ticket, %Ticket{})
      assert {:ok, %Ticket{id: 4}} = Magnesia.put(%Ticket{})
      _ = Enum.into([%Ticket{}, %Ticket{}], Ticket.ref())
      assert Enum.map(Ticket.all(), & &1.id) == [1, 2, 3, 4, 5, 6]
    end

    test "keep what they have, but for what is to be new each time" do
      given = ~U[2020-01-01 00:00:00.000000Z]
      row = %Ticket{id: 9, code: "own", queue: 7, inserted_at: given, updated_at: given}

      assert {:ok, %Ticket{id: 9, code: "own", queue: 7, inserted_at: ^given} = row} =
               Ticket.put(row)

      assert DateTime.compare(row.updated_at, given) == :gt

      {:ok, next} = Ticket.update(9, updated_at: given)
      assert DateTime.compare(next.updated_at, given) == :gt
      :ok = Magnesia.get_and_update(Ticket, 9, fn row -> {:ok, %{row | updated_at: given}} end)
      assert Ticket.fetch!(9).updated_at != given
      row = Ticket.fetch!(9)
      assert Magnesia.compare_and_swap(Ticket, row, %{row | updated_at: given}) == :ok
      assert Ticket.fetch!(9).updated_at != given
      assert Ticket.fetch!(9).inserted_at == given
    end

    test "numbers go on after a restart and never meet a row that is there" do
      {:ok, %Ticket{id: 1}} = Ticket.put(%Ticket{})
      for id <- [2, 3], do: Ticket.put(%Ticket{id: id, queue: 0})
      assert {:ok, %Ticket{id: 4}} = Ticket.put(%Ticket{})
      :stopped = :magnesia.stop()
      :ok = :magnesia.start()
      :ok = Ticket.wait()
      :ok = Magnesia.wait([:tickets_sequence])
      assert {:ok, %Ticket{id: 5}} = Ticket.put(%Ticket{})
      # As after the table was restored without its sequence.
      :ok = Magnesia.clear_table(:tickets_sequence)
      assert {:ok, %Ticket{id: 6, queue: 1}} = Ticket.put(%Ticket{})
    end

    test "a transaction that is given up leaves a gap, and many at once share no number" do
      {:error, _} = Ticket.transaction(fn -> Ticket.put(%Ticket{}) && Magnesia.rollback(:no) end)
      assert {:ok, %Ticket{id: 2}} = Ticket.put(%Ticket{})
      puts = fn -> for _ <- 1..100, do: elem(Ticket.insert_new(%Ticket{}), 1).id end
      ids = for(_ <- 1..4, do: Task.async(puts)) |> Task.await_many(60_000) |> List.flatten()
      assert Enum.sort(ids) == Enum.to_list(3..402)
    end

    test "the sequence is stored as the table is, and goes with it" do
      assert Magnesia.info(:tickets_sequence).storage == :disc
      assert Ticket.ensure() == :ok
      {:ok, _row} = Ticket.put(%Ticket{})
      assert Ticket.drop() == :ok
      assert Magnesia.tables() == []
      assert Ticket.create(storage: :ram) == :ok
      assert Magnesia.info(:tickets_sequence).storage == :ram
      assert {:ok, %Ticket{id: 1}} = Ticket.put(%Ticket{})
      # What the declaration says is not what the options above said.
      {:error, %{reason: {:mismatch, :tickets, _}}} = Ticket.ensure()
    end

    test "rows that are written under the table's name get nothing" do
      stored = {:tickets, 1, nil, nil, nil, nil, nil}
      assert Magnesia.put(stored) == {:ok, stored}
      assert Magnesia.put(Ticket, stored) == {:ok, stored}
      assert Ticket.get(1).code == nil
    end
  end

  test "the short form" do
    :ok = Note.create()
    assert {:ok, %Note{id: 1, text: "a", at: %NaiveDateTime{}}} = Note.put(%Note{text: "a"})
    assert Note.__table__(:autogenerate) == [:id, :at]
    assert Note.__table__(:sequences) == [:id]
  end

  test "a sequence that is missing is an error that names it" do
    :ok = Note.create()
    :ok = Magnesia.delete_table(Generated.sequence(Note))
    assert_raise Magnesia.TransactionError, ~r/Note_sequence/, fn -> Note.put(%Note{}) end
    assert Note.ensure() == :ok
    assert {:ok, %Note{id: 1}} = Note.put(%Note{})
  end

  defp refused(code) do
    error = catch_error(Code.eval_string("defmodule Magnesia.GeneratedTest.Bad do\n#{code}\nend"))
    assert %CompileError{} = error
    error.description
  end

  test "what cannot be generated does not compile" do
    field = &"use Magnesia.Table\nfield :id, #{&1}\nfield :v, :any"
    assert refused(field.(":string, autogenerate: true")) =~ "name a function for :string"
    assert refused(field.(":integer, autogenerate: :always")) =~ ":always is for dates and times"
    assert refused(field.(":any, autogenerate: fn -> 1 end")) =~ "name the function"
    assert refused(field.(":any, autogenerate: 7")) =~ "not 7"
    assert refused(field.(":integer, default: 1, autogenerate: true")) =~ "no default:"
    assert refused(field.(":integer, autogenerat: true")) =~ "did you mean :autogenerate?"
    short = "use Magnesia.Table, attributes: [:id, :v], autogenerate: [idd: true]"
    assert refused(short) =~ "did you mean :id?"
    both = "use Magnesia.Table, autogenerate: [id: true]\nfield :id\nfield :v"
    assert refused(both) =~ "or to a field"
  end
end
