defmodule Magnesia.MigrationTest do
  # Numbered steps, each wholly or not at all, also when it fails or the VM stops half-way.
  use Magnesia.DatabaseCase

  alias Magnesia.Migration
  alias Magnesia.Migration.History
  alias Magnesia.MigrationError

  defmodule CreateUsers do
    @moduledoc false
    use Magnesia.Migration, version: 1

    @doc false
    def up do
      create_table(:users, attributes: [:id, :email, :name], index: [:email])

      execute([:users], fn ->
        for n <- 1..20, do: Magnesia.put({:users, n, "#{n}@example.org", "n#{n}"})
      end)
    end

    @doc false
    def down, do: drop_table(:users)
  end

  defmodule AddStatus do
    @moduledoc false
    use Magnesia.Migration, version: 2

    @doc false
    def up do
      add_attribute(:users, :status, default: :active, after: :id)
      add_index(:users, :status)
    end

    @doc false
    def down, do: remove_attribute(:users, :status)
  end

  defmodule Rename do
    @moduledoc false
    use Magnesia.Migration, version: 5

    @doc false
    def up do
      rename_attribute(:users, :email, :mail)
      change_rows(:users, &%{&1 | mail: String.upcase(&1.mail)})
    end

    @doc false
    def down do
      change_rows(:users, &%{&1 | mail: String.downcase(&1.mail)})
      rename_attribute(:users, :mail, :email)
    end
  end

  defmodule HalfWay do
    @moduledoc false
    use Magnesia.Migration, version: 6

    @doc false
    def up do
      create_table(:extra)
      drop_index(:users, :email)
      add_attribute(:users, :extra)
      execute([:users], fn -> for n <- 1..20, do: Magnesia.delete(:users, n) end)
      drop_table(:hits)
      Process.get(:half_way, fn -> :ok end).()
      add_index(:users, :emial)
    end
  end

  setup %{dir: dir} do
    Application.delete_env(:magnesia, :dir)
    on_exit(fn -> File.rm_rf!(dir <> ".migrations") end)
    {:ok, backups: dir <> ".migrations"}
  end

  doctest Magnesia.Migration

  defp users, do: Enum.sort(Enum.to_list(Magnesia.stream(:users)))
  # Bytes hang on what was there before.
  defp world do
    {Magnesia.tables(), Map.delete(Magnesia.info(:users), :bytes), users(), hits()}
  end

  defp hits, do: Enum.sort(Enum.to_list(Magnesia.stream(:hits)))

  test "go up and down, each once, and are told of", %{backups: backups} do
    all = [Rename, CreateUsers, AddStatus]
    options = [backups: backups]
    states = fn -> for {version, _, state} <- Migration.status(all), do: {version, state} end
    assert states.() == [{1, :down}, {2, :down}, {5, :down}]
    assert Migration.run(all, [to: 2] ++ options) == {:ok, [1, 2]}
    assert states.() == [{1, :up}, {2, :up}, {5, :down}]

    info = Magnesia.info(:users)
    assert info.attributes == [:id, :status, :email, :name]
    assert Enum.sort(info.index) == [:email, :status]

    assert Magnesia.get_by(:users, email: "7@example.org") ==
             {:users, 7, :active, "7@example.org", "n7"}

    assert length(Magnesia.all_by(:users, [status: :active], require_index: true)) == 20

    assert Migration.run(all, options) == {:ok, [5]}
    assert Magnesia.get_by(:users, mail: "7@EXAMPLE.ORG") |> elem(1) == 7
    assert Magnesia.info(:users).index |> Enum.sort() == [:mail, :status]
    assert Migration.run(all, options) == {:ok, []}

    assert Migration.rollback(all, options) == {:ok, [5]}
    assert Migration.rollback(all, [to: 0] ++ options) == {:ok, [2, 1]}
    refute :users in Magnesia.tables()
    assert states.() == [{1, :down}, {2, :down}, {5, :down}]
  end

  test "one that fails leaves all as it was and says where and why", %{backups: backups} do
    options = [backups: backups]
    :ok = Magnesia.create_table(:hits)
    for n <- 1..5, do: Magnesia.put({:hits, n, n})
    assert Migration.run([CreateUsers], options) == {:ok, [1]}
    before = world()

    assert {:error, %MigrationError{} = error} = Migration.run([CreateUsers, HalfWay], options)
    assert {error.version, error.module, error.restored?} == {6, HalfWay, true}
    assert error.step == "add_index(:users, :emial)"
    message = Exception.message(error)
    assert message =~ "migration 6 up (Magnesia.MigrationTest.HalfWay) failed at add_index("
    assert message =~ "no attribute :emial, did you mean :email?"
    assert message =~ "The tables are as they were before it"
    assert world() == before
    assert [{1, CreateUsers, :up}, {6, HalfWay, :down}] = Migration.status([CreateUsers, HalfWay])
  end

  @tag :disc
  test "one that a stop cuts short is put back by the next run", %{dir: dir, backups: backups} do
    options = [backups: backups]
    :ok = Magnesia.create_table(:hits, storage: :disc)
    for n <- 1..5, do: Magnesia.put({:hits, n, n})
    assert Migration.run([CreateUsers], options) == {:ok, [1]}
    assert :magnesia.change_table_copy_type(:users, node(), :disc_copies) == {:atomic, :ok}
    before = world()

    # The process is killed amid the steps and the database closed under it.
    parent = self()

    {pid, monitor} =
      spawn_monitor(fn ->
        Process.put(:half_way, fn ->
          send(parent, :half_way)
          receive(do: (:never -> :ok))
        end)

        Migration.run([CreateUsers, HalfWay], options)
      end)

    assert_receive :half_way, 20_000
    Process.exit(pid, :kill)
    assert_receive {:DOWN, ^monitor, _, _, :killed}, 20_000
    :ok = Magnesia.stop()
    :ok = Magnesia.start(dir: dir)
    :ok = Magnesia.wait(Magnesia.tables())
    assert Magnesia.tables() == [:extra, :magnesia_migrations, :users]
    assert Magnesia.count(:users) == 0
    assert [_, {6, HalfWay, :unfinished}] = Migration.status([CreateUsers, HalfWay])

    assert Migration.run([CreateUsers], options) == {:ok, []}
    assert world() == before
    assert [_, {6, HalfWay, :down}] = Migration.status([CreateUsers, HalfWay])
  end

  test "one that cannot go down, has no backup or is unknown", %{backups: backups} do
    options = [backups: backups]
    :ok = Magnesia.create_table(:hits)
    assert Migration.run([CreateUsers], options) == {:ok, [1]}
    assert [{1, CreateUsers, :unknown}] = Migration.status([])

    defmodule OneWay do
      @moduledoc false
      use Magnesia.Migration, version: 9
      @doc false
      def up, do: create_table(:more)
    end

    assert Migration.run([OneWay], options) == {:ok, [9]}
    assert {:error, error} = Migration.rollback([OneWay], options)
    assert Exception.message(error) =~ "it has no down/0 and cannot be taken back"

    File.mkdir_p!(Path.dirname(backups))
    File.write!(backups <> ".file", "")
    on_exit(fn -> File.rm!(backups <> ".file") end)
    options = [backups: backups <> ".file"]
    assert {:error, error} = Migration.run([AddStatus], options)
    assert Exception.message(error) =~ "no directory for its backup at #{backups}.file"
    assert Magnesia.info(:users).attributes == [:id, :email, :name]
  end

  test "a child that runs them lets the next start, or stops with the error", context do
    backups = context.backups
    children = fn modules -> [{Magnesia.Migration, {modules, backups: backups}}] end
    {:ok, pid} = Supervisor.start_link(children.([CreateUsers]), strategy: :one_for_one)
    assert Magnesia.count(:users) == 20
    Supervisor.stop(pid)
    Process.flag(:trap_exit, true)

    assert {:error, {:shutdown, {:failed_to_start_child, Migration, %MigrationError{}}}} =
             Supervisor.start_link(children.([CreateUsers, HalfWay]), strategy: :one_for_one)
  end

  test "mistakes are named" do
    assert_raise ArgumentError, ~r/String is no migration/, fn -> Migration.run([String]) end

    assert_raise ArgumentError, ~r/both have version 1/, fn ->
      defmodule Twin do
        @moduledoc false
        use Magnesia.Migration, version: 1
        @doc false
        def up, do: :ok
      end

      Migration.run([CreateUsers, Twin])
    end

    assert_raise ArgumentError, ~r/no option :version, did you|no option :vers/, fn ->
      Code.eval_string("defmodule Magnesia.Wrong do use Magnesia.Migration, vers: 1 end")
    end

    assert_raise ArgumentError, ~r/is for a migration's up or down/, fn ->
      Magnesia.Migration.Steps.create_table(:x)
    end

    assert History.all() == %{}
  end

  describe "mix magnesia.migrate" do
    import ExUnit.CaptureIO

    alias Mix.Tasks.Magnesia.Migrate

    defp task(arguments, migrations) do
      parent = self()

      text =
        capture_io(fn ->
          told = capture_io(:stderr, fn -> send(parent, Migrate.main(arguments, migrations)) end)
          IO.puts(told)
        end)

      assert_received status
      {status, text}
    end

    @tag :disc
    test "runs them, lists them, takes them back, and says what is wrong", %{dir: dir} do
      :ok = Magnesia.stop()
      assert {0, text} = task([dir, "--status"], [CreateUsers, AddStatus])
      assert text =~ ~r/1  down        Magnesia.MigrationTest.CreateUsers\n/
      assert {0, "done: 1, 2" <> _} = task([dir], [CreateUsers, AddStatus])
      assert {0, "nothing to be done" <> _} = task([dir], [CreateUsers, AddStatus])
      assert {0, "taken back: 2" <> _} = task([dir, "--rollback"], [CreateUsers, AddStatus])
      assert {1, text} = task([dir], [CreateUsers, HalfWay])
      assert text =~ "migration 6 up (Magnesia.MigrationTest.HalfWay) failed at drop_table(:hits)"
      assert {0, text} = task([dir, "--status"], [CreateUsers, HalfWay])
      assert text =~ ~r/1  up  .*\n +6  down/
      refute Magnesia.info().running?

      assert {2, text} = task([dir, "--too", "3"], [])
      assert text =~ "cannot use --too"
      assert {2, text} = task(["/nowhere"], [])
      assert text =~ "/nowhere is not there"
      assert {0, text} = task(["--help"], [])
      assert text =~ "mix magnesia.migrate data --rollback"
    end
  end
end
