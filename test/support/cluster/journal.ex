defmodule Magnesia.Cluster.Journal do
  @moduledoc """
  What the writers of a cluster were told, and what their rows may be after that.

  A step that was acknowledged is there. One that Mnesia refused, or that was under way when the
  writer's VM died, is there as a whole or not at all; where only nodes are left that had a copy
  and no part in the decision, single operations of the last may be there. From this follow all
  the states that the writer's rows may be in: usually one. Pure but for reading the files.
  """

  alias Magnesia.Cluster.Script

  # More steps of unknown outcome than any run has.
  @states_max 20_000

  @typedoc "Rows by table and key."
  @type state :: %{{atom(), term()} => [tuple()]}

  @doc "The number of steps that were acknowledged so far."
  @spec acknowledged(Script.writer()) :: non_neg_integer()
  def acknowledged(writer), do: Enum.count(steps(writer), fn {_n, told} -> told == :ok end)

  @doc "The states that a writer's own rows may be in; `torn?` for a last step in part."
  @spec states(Script.writer(), boolean()) :: [state()]
  def states(writer, torn?) do
    tables = Map.new(writer.tables, &{&1.name, &1})

    writer
    |> steps()
    |> Enum.reduce([%{}], fn {n, told}, states ->
      {_level, ops} = Script.step(writer, n)
      own = Enum.reject(ops, &match?({:bump, _tab, _key}, &1))
      after_step(states, own, told, torn?, tables)
    end)
  end

  defp after_step(states, ops, :ok, _torn?, tables) do
    states |> Enum.map(&perform_all(&1, ops, tables)) |> bounded()
  end

  defp after_step(states, ops, :killed, true, tables) do
    Enum.reduce(ops, states, &after_step(&2, [&1], :no, true, tables))
  end

  defp after_step(states, ops, _unknown, _torn?, tables) do
    bounded(states ++ Enum.map(states, &perform_all(&1, ops, tables)))
  end

  defp bounded(states) do
    states = Enum.uniq(states)
    if length(states) > @states_max, do: raise("too many steps of unknown outcome")
    states
  end

  defp perform_all(state, ops, tables) do
    Enum.reduce(ops, state, fn op, state ->
      {tab, _key} = target = Script.target(op)

      case Script.apply_to(Map.get(state, target, []), op, tables[tab]) do
        [] -> Map.delete(state, target)
        rows -> Map.put(state, target, rows)
      end
    end)
  end

  @doc "How often a writer has counted shared rows of some tables up: at least, and at most."
  @spec bumps(Script.writer(), [atom()]) :: {non_neg_integer(), non_neg_integer()}
  def bumps(writer, tabs) do
    for {n, told} <- steps(writer),
        {:bump, tab, _key} <- elem(Script.step(writer, n), 1),
        tab in tabs,
        reduce: {0, 0} do
      {least, most} -> if told == :ok, do: {least + 1, most + 1}, else: {least, most + 1}
    end
  end

  # A line that the kill has cut, or that is not there, is a step of unknown outcome.
  defp steps(writer) do
    lines =
      case File.read(writer.journal) do
        {:ok, text} -> text |> String.split("\n") |> Enum.drop(-1)
        {:error, :enoent} -> []
      end

    case List.last(lines) do
      "end" -> lines |> Enum.drop(-1) |> Enum.map(&told/1)
      _killed -> Enum.map(lines, &told/1) ++ [{length(lines) + 1, :killed}]
    end
  end

  defp told(line) do
    [n, told] = String.split(line)
    {String.to_integer(n), if(told == "ok", do: :ok, else: :no)}
  end
end
