Code.require_file("../../examples/patterns/cache.ex", __DIR__)

defmodule Magnesia.Patterns.CacheTest do
  # The pages of the example: rendered once, for a time, under a cap; and the guide's own lines.
  use Magnesia.DatabaseCase

  alias Magnesia.Patience
  alias MyApp.Pages

  @patience 30_000

  defp start(options \\ []) do
    :ok = Magnesia.stop()
    Application.delete_env(:magnesia, :dir)
    start = {Supervisor, :start_link, [Pages.children(options), [strategy: :rest_for_one]]}
    start_supervised!(%{id: MyApp, start: start, type: :supervisor})
    :ok
  end

  test "a hundred readers at once have a page rendered once" do
    start()
    :ok = Pages.write(1, "Tea", "Green.")
    parent = self()

    render = fn title, _text ->
      send(parent, {:rendered, self()})
      receive do: (:go -> title)
    end

    readers = for _ <- 1..100, do: Task.async(fn -> Pages.page(1, render) end)
    assert_receive {:rendered, renderer}, @patience
    send(renderer, :go)
    assert Enum.uniq(Task.await_many(readers, @patience)) == [{:ok, "Tea"}]
    refute_received {:rendered, _}
    assert Pages.figures().computations == 1
  end

  test "a page is new after its article has changed, and one that is not there is remembered" do
    start()
    assert Pages.page(1) == {:error, :not_found}
    assert Pages.page(1) == {:error, :not_found}
    assert Pages.figures().computations == 1
    :ok = Pages.write(1, "Tea", "Green.")
    assert Pages.page(1) == {:ok, "<h1>Tea</h1><p>Green.</p>"}
    :ok = Pages.write(1, "Tea", "Black.")
    assert Pages.page(1) == {:ok, "<h1>Tea</h1><p>Black.</p>"}
  end

  test "values of one's own have a lifetime and make room under the cap" do
    start(rows: 10)
    :ok = Pages.put(:nothing, nil)
    assert Pages.get(:nothing) == {:ok, nil}
    :ok = Pages.delete(:nothing)
    assert Pages.get(:nothing) == {:error, :not_found}

    :ok = Pages.put(:short, 1, 1)

    Patience.await(
      "it does not come about",
      fn -> Pages.get(:short) == {:error, :not_found} end,
      @patience
    )

    for n <- 1..100, do: :ok = Pages.put(n, n)
    assert Pages.figures().rows <= 10
    assert Pages.figures().evictions >= 90
    assert Enum.count(1..100, &(Pages.get(&1) == {:ok, &1})) in 1..10
  end

  test "the guide's cache: what its lines do" do
    {:atomic, :ok} = :magnesia.create_table(:cache, [])
    assert catch_exit(:magnesia.read(:cache, 1)) == {:aborted, :no_transaction}
    # Of these two Mnesia has only those with three arguments, the lock being the third.
    write = fn -> :magnesia.write(:cache, {:cache, 1, "kept for ever"}) end
    assert :magnesia.transaction(write) == {:atomic, :ok}
    assert :magnesia.transaction(fn -> :magnesia.delete(:cache, 1) end) == {:atomic, :ok}
    refute function_exported?(:mnesia, :write, 2)
    refute function_exported?(:mnesia, :delete, 2)
  end
end
