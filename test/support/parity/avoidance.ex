defmodule Magnesia.Parity.Avoidance do
  @moduledoc """
  Takes out of a script what would show a quirk that differs on purpose, so that scripts differ
  only by accident. It must never touch more than the calls that show it.
  """

  alias Magnesia.Parity.Script

  # Locks of an aborted inner transaction count as asked for, or do not.
  @relocking 144

  @doc "Operations without what shows the quirks to avoid."
  @spec apply_to([Script.operation()], [pos_integer | String.t()]) :: [Script.operation()]
  def apply_to(operations, avoid) do
    if @relocking in avoid, do: Enum.map(operations, &relocking/1), else: operations
  end

  defp relocking({:activity, kind, operations, ending}) do
    {operations, _} = Enum.map_reduce(operations, :outer, &relocking/2)
    {:activity, kind, operations, ending}
  end

  defp relocking(operation), do: operation

  # Behind an inner activity, nothing asks whether a record was locked before.
  defp relocking({:activity, kind, operations, ending}, place) do
    {operations, _} = Enum.map_reduce(operations, place, &relocking/2)
    {{:activity, kind, operations, ending}, :behind}
  end

  defp relocking({:caught, operation}, place) do
    {operation, place} = relocking(operation, place)
    {{:caught, operation}, place}
  end

  defp relocking({:call, :lock, [{:record, _, _} = record, _kind]}, :behind) do
    {{:call, :lock, [record, :read]}, :behind}
  end

  defp relocking({:call, :system_info, [:held_locks]}, :behind) do
    {{:call, :system_info, [:is_running]}, :behind}
  end

  defp relocking(operation, place), do: {operation, place}
end
