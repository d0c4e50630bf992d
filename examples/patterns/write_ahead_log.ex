defmodule MyApp.WriteAheadLog do
  @moduledoc """
  Operations that are written down first and carried out later, each exactly once and in order,
  whatever dies in between.

  `write_operation/2` adds to the log in the caller's transaction, or in one of its own.
  `replay/1` carries out what is not done yet; the bookmark moves in the transaction that does
  it, so an operation has its effect in the database once. An operation that fails stays where
  it is, with those after it, and is tried again by the next replay.
  """

  alias Magnesia.Log

  @log :operations
  @consumer :replay

  @doc "Makes the log; nothing happens when it is there."
  def create, do: Log.create(@log)

  @doc "Writes an operation down."
  def write_operation(operation, data) when is_atom(operation) do
    Log.append(@log, {operation, data, DateTime.utc_now()})
  end

  @doc """
  Carries out everything that is not done yet with a fun of an operation and its data, which
  answers `:ok` or `{:error, reason}`. Answers how many were done, or the first that could not.
  """
  def replay(execute) when is_function(execute, 2), do: replay(execute, 0)

  defp replay(execute, done) do
    case Magnesia.transaction(fn -> step(execute) end) do
      {:ok, :done} -> {:ok, done}
      {:ok, :more} -> replay(execute, done + 1)
      {:error, error} -> {:error, error.reason, done}
    end
  end

  # One operation a transaction: its own writes and the bookmark, or neither.
  defp step(execute) do
    position = Log.bookmark(@log, @consumer)

    case Log.read(@log, position, 1) do
      [] ->
        :done

      [%{number: number, data: {operation, data, _at}}] ->
        carry_out(execute, number, operation, data)
    end
  end

  defp carry_out(execute, number, operation, data) do
    case execute.(operation, data) do
      :ok ->
        :ok = Log.acknowledge(@log, @consumer, number)
        :more

      {:error, reason} ->
        Magnesia.rollback({number, operation, reason})
    end
  end

  @doc "The operations that are not done yet, oldest first."
  def pending do
    for entry <- Log.stream(@log, Log.bookmark(@log, @consumer)) do
      {operation, data, _at} = entry.data
      {entry.number, operation, data}
    end
  end

  @doc "Forgets operations that are done."
  def trim, do: Log.trim(@log)
end
