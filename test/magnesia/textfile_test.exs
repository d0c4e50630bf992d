defmodule Magnesia.TextfileTest do
  @moduledoc "Tables as text: the same file and the same answers as of stock Mnesia."

  use ExUnit.Case, async: false

  import ExUnit.CaptureIO

  alias Magnesia.Pair
  alias Magnesia.Parity.Subject

  @moduletag capture_log: true

  setup do
    for subject <- [:mnesia, :magnesia], do: Subject.start_ram(subject)
    file = Path.join(System.tmp_dir!(), "magnesia-text-#{System.pid()}")

    on_exit(fn ->
      Pair.stop()
      File.rm(file)
    end)

    {:ok, text: String.to_charlist(file)}
  end

  defp text(db, file) do
    :ok = db.dump_to_textfile(file)
    File.read!(file)
  end

  test "one writes what the other writes, and reads it back", %{text: file} do
    [stock, ours] =
      for db <- [:mnesia, :magnesia] do
        {:atomic, :ok} = db.create_table(:t, attributes: [:k, :a, :b], record_name: :r)
        for n <- [1, "x", {:y, 1.5}], do: db.dirty_write(:t, {:r, n, [n], %{n: "ä"}})
        text(db, file) |> String.split("\n") |> Enum.sort()
      end

    assert ours == stock
    File.write!(file, "{tables,[{t,[]},{new,[{attributes,[k,v]}]}]}.\n{new,1,a}.\n{t,7,8,9}.\n")

    printed =
      for db <- [:mnesia, :magnesia] do
        said = capture_io(fn -> assert {:atomic, :ok} = db.load_textfile(file) end)
        assert db.dirty_read(:new, 1) == [{:new, 1, :a}]
        assert db.dirty_read(:t, 7) == [{:r, 7, 8, 9}]
        said
      end

    assert [said, said] = printed
  end

  test "what is no such text is refused alike", %{text: file} do
    for text <- ["{tables,", "1.\n", "{tables,[]}.\n{u,1,2}.\n", "{tables,[]}.\nu.\n", ""] do
      File.write!(file, text)

      [{stock, said}, ours] =
        for db <- [:mnesia, :magnesia] do
          me = self()
          said = capture_io(fn -> send(me, Pair.outcome(fn -> db.load_textfile(file) end)) end)
          assert_received outcome
          {outcome, said}
        end

      assert {text, ours} == {text, {stock, said}}
    end

    assert Pair.same(& &1.load_textfile(~c"/nonexistent/text")) == {:value, {:error, :open}}
    assert Pair.same(& &1.dump_to_textfile(~c"/nonexistent/text")) == {:value, :error}
  end
end
