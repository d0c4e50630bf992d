defmodule Magnesia.Telemetry.Writing do
  @moduledoc """
  The events of dumps and syncs of the log, of backups and of restores.

  Each runs the fun that does the work, and answers what that answers.
  """

  alias Magnesia.Engine
  alias Magnesia.Telemetry
  alias Magnesia.Telemetry.Switch
  alias Magnesia.Telemetry.Transaction

  @doc "Runs a fun that dumps the log."
  @spec dump((() -> answer)) :: answer when answer: :ok | {:error, term()}
  def dump(fun) do
    Telemetry.span([:magnesia, :log, :dump], %{}, fn ->
      before = log_bytes()
      answer = fun.()
      {answer, %{bytes_before: before, bytes_after: log_bytes()}, Telemetry.result(answer)}
    end)
  end

  defp log_bytes do
    case Engine.log_info() do
      %{bytes: bytes} -> bytes
      {:"$magnesia_error", _closed} -> 0
    end
  end

  @doc "Runs a fun that waits for the log to be on the disk."
  @spec sync((() -> answer)) :: answer when answer: term()
  def sync(fun), do: if(Switch.on?(), do: Transaction.sync(:asked, fun), else: fun.())

  @doc "Runs a fun that writes a backup and calls the fun that it gets with a table and rows."
  @spec backup(term(), fun(), (fun() -> answer)) :: answer when answer: :ok | {:error, term()}
  def backup(to, progress, fun) do
    Telemetry.span([:magnesia, :backup], %{to: to}, fn ->
      counter = :counters.new(1, [])

      answer =
        fun.(fn table, rows ->
          :counters.add(counter, 1, rows)
          progress.(table, rows)
        end)

      {answer, %{rows: :counters.get(counter, 1)}, Telemetry.result(answer)}
    end)
  end

  @doc "Runs a fun that restores tables and answers which."
  @spec restore(term(), (() -> outcome)) :: outcome
        when outcome: {:atomic, [atom()]} | {:aborted, term()}
  def restore(from, fun) do
    Telemetry.span([:magnesia, :restore], %{from: from}, fn ->
      outcome = fun.()
      {outcome, %{tables: count(outcome)}, Telemetry.result(outcome)}
    end)
  end

  defp count({:atomic, tables}), do: length(tables)
  defp count(_aborted), do: 0
end
