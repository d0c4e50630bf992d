defmodule Magnesia.SupervisionTest do
  # The database as a child: ready before the next child starts, flushed when it stops.
  use Magnesia.DatabaseCase

  alias Magnesia.SchemaError

  setup %{dir: dir} do
    :ok = Magnesia.stop()
    Application.delete_env(:magnesia, :dir)
    {:ok, dir: Path.join(dir, "deep/data")}
  end

  defmodule Next do
    @moduledoc false
    use Agent

    def start_link(_), do: Agent.start_link(fn -> Magnesia.get(:city, "Oslo", :none) end)
  end

  defp tables, do: [city: [attributes: [:name, :country], storage: :disc, index: [:country]]]

  defp supervise(children), do: Supervisor.start_link(children, strategy: :one_for_one)

  test "tables are usable when the next child starts, and the directory is made", %{dir: dir} do
    {:ok, supervisor} = supervise([{Magnesia, dir: dir, tables: tables()}, Next])
    {Next, next, _, _} = List.keyfind(Supervisor.which_children(supervisor), Next, 0)
    assert Agent.get(next, & &1) == :none
    assert Magnesia.info() == %{running?: true, dir: dir, tables: [:city]}
    Supervisor.stop(supervisor)
    refute Magnesia.info().running?
  end

  test "what was acknowledged is there after an orderly stop", %{dir: dir} do
    {:ok, supervisor} = supervise([{Magnesia, dir: dir, tables: tables()}])
    for n <- 1..500, do: Magnesia.put({:city, n, :no})
    Magnesia.dirty_put({:city, "Oslo", :no})
    Supervisor.stop(supervisor)

    {:ok, supervisor} = supervise([{Magnesia, dir: dir, tables: tables()}, Next])
    {Next, next, _, _} = List.keyfind(Supervisor.which_children(supervisor), Next, 0)
    assert Agent.get(next, & &1) == {:city, "Oslo", :no}
    assert Magnesia.count(:city) == 501
    assert length(Magnesia.all_by(:city, country: :no)) == 501
    Supervisor.stop(supervisor)
  end

  test "a crash of the child is followed by a start with the same data", %{dir: dir} do
    {:ok, supervisor} = supervise([{Magnesia, dir: dir, tables: tables()}])
    Magnesia.put({:city, "Oslo", :no})
    [{Magnesia, pid, _, _}] = Supervisor.which_children(supervisor)
    monitor = Process.monitor(pid)
    Process.exit(pid, :kill)
    assert_receive {:DOWN, ^monitor, _, _, :killed}, 5_000
    assert [{Magnesia, _, _, _}] = Supervisor.which_children(supervisor)
    assert Magnesia.get(:city, "Oslo") == {:city, "Oslo", :no}
    Supervisor.stop(supervisor)
  end

  test "a table that differs from its declaration stops the start and is named", %{dir: dir} do
    Process.flag(:trap_exit, true)
    :ok = Magnesia.start(dir: dir, tables: tables())
    :ok = Magnesia.stop()
    wrong = [city: [attributes: [:name, :land], storage: :disc]]

    assert {:error, {:shutdown, {:failed_to_start_child, Magnesia, %SchemaError{} = error}}} =
             supervise([{Magnesia, dir: dir, tables: wrong}])

    assert error.table == :city
    assert Exception.message(error) =~ ":land"
  end

  test "a disc table without a directory stops the start with a hint" do
    assert {:error, %SchemaError{table: :city, hint: hint}} = Magnesia.start(tables: tables())
    assert hint =~ "dir:"
  end

  test "one VM has one directory at a time", %{dir: dir} do
    :ok = Magnesia.start(dir: dir)
    assert :ok = Magnesia.start(dir: dir)
    assert {:error, %SchemaError{} = error} = Magnesia.start(dir: dir <> "2")
    assert Exception.message(error) =~ "Magnesia.stop/0"
    assert :ok = Magnesia.stop()
    assert :ok = Magnesia.stop()
  end

  test "a directory that cannot be made is an error", %{dir: dir} do
    File.mkdir_p!(Path.dirname(dir))
    File.write!(dir, "a file")
    assert {:error, %SchemaError{} = error} = Magnesia.start(dir: dir)
    assert Exception.message(error) =~ dir
    refute Magnesia.info().running?
  end

  test "options are checked" do
    assert_raise ArgumentError, ~r/did you mean :tables/, fn -> Magnesia.start(table: []) end
    assert_raise ArgumentError, fn -> Magnesia.start(dir: 7) end
    assert_raise ArgumentError, fn -> Magnesia.start_link(wait: -1) end
  end
end
