Code.require_file("../../examples/patterns/lock_service.ex", __DIR__)

defmodule Magnesia.Patterns.LockServiceTest do
  # The invoices of the example: sent once, also when a sender hangs or dies.
  use Magnesia.DatabaseCase

  alias MyApp.Invoices

  @patience 30_000

  setup %{dir: dir} do
    :ok = Magnesia.stop()

    children = Invoices.children(dir: dir)
    start = {Supervisor, :start_link, [children, [strategy: :rest_for_one]]}
    start_supervised!(%{id: MyApp, start: start, type: :supervisor})
    {:ok, _row} = Invoices.open(7)
    :ok
  end

  # A delivery that begins, says so, and goes on when it is told to.
  defp held(parent) do
    fn _id ->
      send(parent, {:delivering, self()})
      receive(do: (:go -> :ok))
    end
  end

  test "twenty processes at once: one sends, the others find it sent" do
    parent = self()
    deliver = fn id -> send(parent, {:delivered, id}) end
    tasks = for _ <- 1..20, do: Task.async(fn -> Invoices.send_out(7, deliver) end)
    answers = Task.await_many(tasks, @patience)
    assert Enum.frequencies(answers) == %{sent: 1, already_sent: 19}
    assert_received {:delivered, 7}
    refute_received {:delivered, 7}
  end

  test "a sender that dies is followed by the next" do
    parent = self()
    {dying, monitor} = spawn_monitor(fn -> Invoices.send_out(7, held(parent)) end)
    assert_receive {:delivering, ^dying}, @patience
    next = Task.async(fn -> Invoices.send_out(7, fn _ -> :ok end) end)
    Process.exit(dying, :kill)
    assert_receive {:DOWN, ^monitor, _, _, :killed}, @patience
    assert Task.await(next, @patience) == :sent
  end

  test "a sender that hung past its lease cannot overwrite the next one's note" do
    parent = self()
    late = Task.async(fn -> Invoices.send_out(7, held(parent), 1) end)
    assert_receive {:delivering, hung}, @patience
    assert Invoices.send_out(7, fn _ -> :ok end) == :sent
    {:invoices, 7, :sent, token} = Magnesia.get(:invoices, 7)
    send(hung, :go)
    assert Task.await(late, @patience) == {:error, :overtaken}
    assert Magnesia.get(:invoices, 7) == {:invoices, 7, :sent, token}
  end
end
