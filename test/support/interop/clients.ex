defmodule Magnesia.Interop.Clients do
  @moduledoc """
  Clients of a program that are at work all the while: each does its days one after the other,
  and they are counted, those that failed too, with why. What a day is, is the test's.
  """

  import ExUnit.Assertions

  alias Magnesia.Interop.Program

  @enough 20

  @type t :: %{
          tasks: [Task.t()],
          counts: :counters.counters_ref(),
          failures: :ets.table()
        }

  @doc "Starts a client for each name; `day` is called with the name and the number of the day."
  @spec start([String.t()], (String.t(), pos_integer() -> term())) :: t()
  def start(names, day) do
    clients = %{counts: :counters.new(2, []), failures: :ets.new(:failures, [:public, :bag])}
    tasks = for name <- names, do: Task.async(fn -> live(clients, name, day, 1) end)
    Map.put(clients, :tasks, tasks)
  end

  defp live(clients, name, day, number) do
    try do
      day.(name, number)
      :counters.add(clients.counts, 1, 1)
    rescue
      error ->
        :ets.insert(clients.failures, {number, name, Exception.message(error)})
        :counters.add(clients.counts, 2, 1)
    end

    receive do
      :enough -> :ok
    after
      0 -> live(clients, name, day, number + 1)
    end
  end

  @doc "Says how many days there were, and how many of them failed, as a table moved."
  @spec note(t()) :: :ok
  def note(clients) do
    Program.note("#{days(clients)} client days, #{failed(clients)} cut short by a move")
  end

  defp days(clients), do: :counters.get(clients.counts, 1)
  defp failed(clients), do: :counters.get(clients.counts, 2)

  @doc "Waits for days that begin from now on: none may fail. Those under way may, from a move."
  @spec assert_days_pass(t(), String.t()) :: :ok
  def assert_days_pass(clients, words) do
    begun = days(clients) + failed(clients)
    turn = 2 * length(clients.tasks)
    over? = fn -> days(clients) + failed(clients) >= begun + turn end
    Program.wait("clients go on #{words}", over?)
    {so_far, failures} = {days(clients), failed(clients)}
    enough? = fn -> days(clients) >= so_far + @enough or failed(clients) > failures end
    Program.wait("clients go on #{words}", enough?)
    if failed(clients) != failures, do: flunk("#{words}: #{why(clients)}")
    :ok
  end

  defp why(clients) do
    {number, name, message} = clients.failures |> :ets.tab2list() |> Enum.max()
    "day #{number} of #{name} failed: #{message}"
  end

  @doc "Lets each client end its day, and ends them."
  @spec stop(t()) :: :ok
  def stop(clients) do
    for task <- clients.tasks, do: send(task.pid, :enough)
    _ = Task.await_many(clients.tasks, 120_000)
    :ok
  end
end
