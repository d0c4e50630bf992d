defmodule Magnesia.Telemetry.Opening do
  @moduledoc """
  The events of the database being opened, with its tables, and closed.

  The figures of the tables are asked for once they are all in place. What opens or closes a
  database is not known here.
  """

  alias Magnesia.Engine
  alias Magnesia.Strict.Copies
  alias Magnesia.Strict.Definition
  alias Magnesia.Telemetry

  @doc "Runs a fun that opens the database between its events."
  @spec open((() -> answer)) :: answer when answer: :ok | {:error, term()}
  def open(fun) do
    Telemetry.span([:magnesia, :database, :open], %{node: node()}, fn ->
      answer = fun.()
      loaded = if answer == :ok, do: Enum.map(tables(), &load/1), else: []

      measurements = %{
        tables: length(loaded),
        rows: loaded |> Enum.map(& &1.rows) |> Enum.sum(),
        memory: loaded |> Enum.map(& &1.memory) |> Enum.sum()
      }

      {answer, measurements, Map.put(Telemetry.result(answer), :directory, Copies.directory())}
    end)
  end

  defp tables do
    for %{name: name} = table <- Definition.all(),
        name != :schema and table.storage != :unknown,
        do: table
  end

  defp load(table) do
    measurements = %{
      rows: count(Engine.size(table.name)),
      memory: count(Engine.memory(table.name))
    }

    metadata = %{table: table.name, storage: table.storage, type: table.type}
    Telemetry.execute([:magnesia, :table, :load], measurements, metadata)
    measurements
  end

  defp count(count) when is_integer(count), do: count
  defp count({:"$magnesia_error", _gone}), do: 0

  @doc "Runs a fun that closes the database, and tells how long it took."
  @spec close((() -> answer)) :: answer when answer: term()
  def close(fun) do
    began = :erlang.monotonic_time()
    answer = fun.()
    duration = :erlang.monotonic_time() - began
    Telemetry.execute([:magnesia, :database, :close], %{duration: duration}, %{node: node()})
    answer
  end
end
