defmodule Magnesia.ExportTest do
  @moduledoc """
  Exports of directories whole and damaged: what is refused, what is saved, what is loaded again.
  """

  use Magnesia.DatabaseCase, async: false

  import ExUnit.CaptureIO

  alias Magnesia.Export

  doctest Magnesia.Export.Terms

  @moduletag :disc

  @odd [
    "text",
    "Grüße",
    <<255, 0, 34, 92>>,
    <<5::3>>,
    <<0::9>>,
    ~c"list",
    [955, 10, 127, 159],
    [1 | 2],
    %{1 => %{a: [1.0e300, -0.0, 1.0]}, "k" => :"Ø b'c"},
    -(2 ** 90),
    {},
    [],
    {:table, :a, []},
    {:row, :a, {:a, 1}},
    :"$end",
    nil
  ]

  setup %{dir: dir} do
    file = dir <> ".terms"
    on_exit(fn -> File.rm(file) end)
    {:ok, terms: file}
  end

  test "all of an intact directory is saved and loaded again", %{dir: dir, terms: file} do
    options = [disc_copies: [node()], attributes: [:a, :b, :c], index: [:c], type: :bag]
    {:atomic, :ok} = :magnesia.create_table(:bag, [record_name: :entry, load_order: 3] ++ options)
    :ok = Magnesia.create_table(:odd, storage: :disc_only, user_properties: [{:p, self()}])

    :ok =
      Magnesia.create_table(:order, type: :ordered_set, storage: :disc, access_mode: :read_only)

    for n <- 1..2500, m <- [1, 0], do: :magnesia.dirty_write(:bag, {:entry, div(n, 2), n, m})
    odd = @odd ++ [self(), make_ref(), &is_atom/1, fn -> :a end, [%{a: {self()}}]]
    for {term, n} <- Enum.with_index(odd), do: :magnesia.dirty_write({:odd, n, term})
    facts = facts()
    rows = rows()
    :stopped = :magnesia.stop()

    assert {{:ok, %{damage: [], tables: tables}}, text} = exported(dir, file)
    assert tables == [{:bag, :disc, 5000}, {:odd, :disc_only, length(odd)}, {:order, :disc, 0}]
    assert text =~ ~r/^bag +disc +5000$/m
    assert text =~ "Saved #{5000 + length(odd)} rows of 3 tables to #{file}."
    refute File.exists?(file <> ".rows")
    assert {:ok, [{:table, :bag, _} | _]} = :file.consult(file)

    anew(dir)
    assert Export.load(file) == {:ok, %{bag: 5000, odd: length(odd), order: 0}}
    assert rows() == rows
    assert facts() == facts
    assert {:error, text} = Export.load(file)
    assert text =~ "exists already"
  end

  for {where, pattern} <- [log: "log-*.mlog", snapshot: "snap-*.msnap", manifest: "MANIFEST"] do
    test "a damaged #{where}: the start names it, the rest is saved", %{dir: dir, terms: file} do
      {:atomic, :ok} = :magnesia.create_table(:t, disc_copies: [node()])
      text = String.duplicate("x", 300)
      for n <- 1..2000, do: :magnesia.dirty_write({:t, n, text})
      :dumped = :magnesia.dump_log()
      for n <- 2001..2100, do: :magnesia.dirty_write({:t, n, text})
      :stopped = :magnesia.stop()

      damaged =
        Path.wildcard(Path.join(dir, unquote(pattern))) |> Enum.max_by(&File.stat!(&1).size)

      flip(damaged)
      before = contents(dir)

      assert {:error, {:damaged, text}} = :magnesia.start()
      assert text =~ Path.basename(damaged) and text =~ ~r/at byte \d+/
      assert text =~ "mix magnesia.export #{dir} --to FILE"

      assert {{:ok, %{damage: [damage], tables: [{:t, :disc, saved}]}}, printed} =
               exported(dir, file)

      assert damage =~ ~r/^#{Path.basename(damaged)}: damaged at byte \d+: /
      assert printed =~ "Damaged, and left out:\n  #{damage}\n"
      assert contents(dir) == before

      assert saved in %{log: 2099..2099, snapshot: 800..1999, manifest: 2100..2100}[
               unquote(where)
             ]

      anew(dir)
      assert Export.load(file) == {:ok, %{t: saved}}
      assert :magnesia.table_info(:t, :size) == saved
      assert :magnesia.dirty_read(:t, 2100) == [{:t, 2100, String.duplicate("x", 300)}]
    end
  end

  test "the command says how it went by its status", %{dir: dir, terms: file} do
    {:atomic, :ok} = :magnesia.create_table(:t, disc_copies: [node()])
    for n <- 1..50, do: :magnesia.dirty_write({:t, n, n})
    assert {2, text} = command([dir, "--to", file])
    assert text =~ "in use by process"
    refute File.exists?(file)
    :stopped = :magnesia.stop()

    assert {0, _} = command([dir, "--to", file])
    assert {2, text} = command([dir, "--to", file])
    assert text =~ "exists already"
    File.rm!(file)
    [log] = Path.wildcard(Path.join(dir, "log-*.mlog"))
    flip(log)
    assert {1, _} = command([dir, "--to", file])
    assert {2, _} = command([dir <> "-none", "--to", file <> "-none"])
    assert {2, text} = command([dir])
    assert text =~ "Usage: mix magnesia.export"
    assert {0, text} = command(["--help"])
    assert text =~ "Usage: mix magnesia.export"
  end

  test "a file that is no export is refused in words", %{terms: file} do
    for text <- ["{row, t, ", "{table, 1.", "\xFF"] do
      File.write!(file, text)
      assert {:error, words} = Export.load(file)
      assert is_binary(words)
    end

    assert {:error, words} = Export.load(file <> "-none")
    assert words =~ "no such file"
  end

  defp exported(dir, file) do
    with_io(fn -> Export.run(dir, file) end)
  end

  defp command(arguments) do
    {{status, out}, err} = with_io(:stderr, fn -> with_io(fn -> Export.main(arguments) end) end)
    {status, out <> err}
  end

  defp anew(dir) do
    File.rm_rf!(dir)
    :ok = :magnesia.create_schema([node()])
    :ok = :magnesia.start()
  end

  defp rows do
    for tab <- [:bag, :odd, :order], into: %{} do
      {tab,
       Enum.sort(:magnesia.dirty_match_object(tab, :magnesia.table_info(tab, :wild_pattern)))}
    end
  end

  defp facts do
    for tab <- [:bag, :odd, :order], into: %{} do
      volatile = [:load_reason, :memory, :cookie, :version, :cstruct]
      {tab, tab |> :magnesia.table_info(:all) |> Keyword.drop(volatile)}
    end
  end

  defp flip(file) do
    bytes = File.read!(file)
    half = div(byte_size(bytes), 2)
    <<before::binary-size(half), byte, rest::binary>> = bytes
    File.write!(file, <<before::binary, Bitwise.bxor(byte, 16), rest::binary>>)
  end

  defp contents(dir) do
    for file <- Path.wildcard(Path.join(dir, "**")), File.regular?(file), into: %{} do
      {file, File.read!(file)}
    end
  end
end
