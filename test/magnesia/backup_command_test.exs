defmodule Magnesia.BackupCommandTest do
  @moduledoc """
  The command lines of backups and imports, and imports of a stock Mnesia: what is done, printed
  and refused, and the exit status.
  """

  use ExUnit.Case, async: false

  import ExUnit.CaptureIO

  alias Magnesia.Backup.Command
  alias Magnesia.Import

  @moduletag capture_log: true
  @moduletag timeout: 240_000

  doctest Magnesia.Import

  setup do
    :stopped = :magnesia.stop()
    :stopped = :mnesia.stop()
    root = Path.join(System.tmp_dir!(), "magnesia-command-#{System.pid()}")
    File.rm_rf!(root)
    File.mkdir_p!(root)

    on_exit(fn ->
      :magnesia.stop()
      :mnesia.stop()
      File.rm_rf!(root)
      for application <- [:magnesia, :mnesia], do: Application.delete_env(application, :dir)
    end)

    {:ok, root: root, data: Path.join(root, "data"), bup: Path.join(root, "a.bup")}
  end

  defp said(fun, status) do
    capture_io(fn -> assert fun.() == status end)
  end

  defp refused(fun, status) do
    capture_io(:stderr, fn -> capture_io(fn -> assert fun.() == status end) end)
  end

  defp filled(data) do
    :ok = Magnesia.start(dir: data)
    :ok = Magnesia.create_table(:a, storage: :disc)
    :ok = Magnesia.create_table(:b, storage: :disc_only, type: :bag)
    for n <- 1..50, table <- [:a, :b], do: :magnesia.dirty_write({table, n, n})
    :ok = Magnesia.stop()
  end

  test "a backup is made, checked and restored", %{root: root, data: data, bup: bup} do
    filled(data)
    text = said(fn -> Command.backup([data, "--to", bup]) end, 0)
    assert text =~ ~r/saving 2 tables +100 rows in/
    assert text =~ "Saved 100 rows to #{bup}, #{File.stat!(bup).size} bytes."
    text = said(fn -> Command.check([bup]) end, 0)
    assert text =~ "#{bup} is whole: 100 rows of 2 tables, made on #{node()} at 2"
    assert text =~ ~r/^  a +50$/m
    other = Path.join(root, "other")
    text = said(fn -> Command.restore([bup, "--into", other, "--table", "a"]) end, 0)
    assert text =~ "Restored 1 table into #{other}."
    :ok = Magnesia.start(dir: other)
    assert {Magnesia.tables(), Magnesia.count(:a)} == {[:a], 50}
    {:ok, _row} = Magnesia.put({:a, 99, :new})
    :ok = Magnesia.stop()
    assert said(fn -> Command.restore([bup, "--into", other, "--keep"]) end, 0) =~ "2 tables"
    :ok = Magnesia.start(dir: other)
    assert {Magnesia.count(:a), Magnesia.count(:b)} == {51, 50}
    # While it is open here, nothing that needs it can be done.
    assert Enum.count(Magnesia.Backup.stream(bup)) == 100
    :ok = Magnesia.stop()
    File.write!(bup, "x", [:append])
    assert refused(fn -> Command.check([bup]) end, 1) =~ "it ends inside an item"
    assert refused(fn -> Command.restore([bup, "--into", other]) end, 1) =~ "#{bup}: byte "

    assert_raise Magnesia.BackupError, ~r/ends inside/, fn ->
      Enum.to_list(Magnesia.Backup.stream(bup))
    end
  end

  test "what can't be done is refused with its status", %{root: root, bup: bup} do
    none = Path.join(root, "none")
    assert refused(fn -> Command.backup([none, "--to", bup]) end, 1) =~ "holds no database"
    refute File.exists?(none)
    assert refused(fn -> Command.check([none]) end, 1) =~ "no such file or directory"
    assert refused(fn -> Command.backup(["--too", bup]) end, 2) =~ "cannot use --too"
    assert refused(fn -> Command.restore([]) end, 2) =~ "give a file and --into DIR"
    assert refused(fn -> Import.Command.main([]) end, 2) =~ "Usage: mix magnesia.import"

    assert refused(fn -> Import.Command.main([none, "--into", none]) end, 1) =~
             "no schema of Mnesia"

    for {main, name} <- [
          {&Command.backup/1, "backup"},
          {&Command.restore/1, "restore"},
          {&Command.check/1, "check"},
          {&Import.Command.main/1, "import"}
        ] do
      assert said(fn -> main.(["--help"]) end, 0) =~ "Usage: mix magnesia.#{name}"
      assert said(fn -> main.(["--help"]) end, 0) =~ "Examples\n  mix magnesia.#{name}"
    end
  end

  defp stock(dir) do
    Application.put_env(:mnesia, :dir, String.to_charlist(dir))
    :ok = :mnesia.create_schema([node()])
    :ok = :mnesia.start()

    {:atomic, :ok} =
      :mnesia.create_table(:person, disc_copies: [node()], type: :bag, index: [:val])

    {:atomic, :ok} = :mnesia.create_table(:visit, disc_only_copies: [node()])
    {:atomic, :ok} = :mnesia.create_table(:now, ram_copies: [node()])
    for n <- 1..300, table <- [:person, :visit, :now], do: :mnesia.dirty_write({table, n, {n}})
  end

  defp rows(db, table), do: Enum.sort(db.dirty_match_object({table, :_, :_}))

  test "the tables of a Mnesia that runs here are taken over", %{root: root, data: data} do
    assert {:error, "Mnesia is not running here: no"} = Import.from_mnesia()
    stock(Path.join(root, "stock"))
    :ok = Magnesia.start(dir: data)
    assert {:ok, [:now, :person, :visit]} = Import.from_mnesia()

    for table <- [:now, :person, :visit],
        do: assert(rows(:magnesia, table) == rows(:mnesia, table))

    assert :magnesia.table_info(:visit, :storage_type) == :disc_only_copies
    assert :magnesia.table_info(:person, :type) == :bag
    :mnesia.dirty_delete({:person, 7})
    assert {:ok, [:person]} = Import.from_mnesia(tables: [:person])
    assert rows(:magnesia, :person) == rows(:mnesia, :person)
  end

  test "the tables of a stopped Mnesia's directory are taken over", %{root: root, data: data} do
    dir = Path.join(root, "stock")
    stock(dir)
    wanted = for table <- [:person, :visit], do: {table, rows(:mnesia, table)}
    :stopped = :mnesia.stop()
    before = for file <- File.ls!(dir), do: {file, File.read!(Path.join(dir, file))}
    assert said(fn -> Import.Command.main([dir, "--into", data]) end, 0) =~ "Imported 3 tables"
    assert before == for(file <- File.ls!(dir), do: {file, File.read!(Path.join(dir, file))})
    :ok = Magnesia.start(dir: data)
    for {table, rows} <- wanted, do: assert(rows(:magnesia, table) == rows)
    assert :magnesia.table_info(:now, :size) == 0
    assert {:error, text} = Import.from_dir(dir, node: :other@host)
    assert text =~ "is not of :other@host but of [#{inspect(node())}]"
  end
end
