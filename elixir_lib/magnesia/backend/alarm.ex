defmodule Magnesia.Backend.Alarm do
  @moduledoc """
  The alarm of this node: that a write was lost, and why.

  Mnesia ignores what a commit's insert says, so the first write that fails is lost. From then on
  new ones are refused where Mnesia still listens, with the reason, until the disk takes writes
  again. The alarm never concerns tables in memory, and it never raises by itself.
  """

  require Logger

  @doc "The reason in words, or nil."
  @spec reason() :: String.t() | nil
  def reason, do: :persistent_term.get(__MODULE__, nil)

  @doc "Ends the caller's activity with the reason when there is one."
  @spec check(Magnesia.Backend.alias_name()) :: :ok
  def check(:magnesia_ram), do: :ok

  def check(_alias) do
    case :persistent_term.get(__MODULE__, nil) do
      nil -> :ok
      reason -> :mnesia.abort({:magnesia, reason})
    end
  end

  @doc "Sets the alarm; the first reason stays."
  @spec set(term(), String.t()) :: :ok
  def set(tab, reason) do
    if :persistent_term.get(__MODULE__, nil) == nil do
      :persistent_term.put(__MODULE__, reason)

      Logger.error(
        "Magnesia lost a write to #{inspect(tab)}: #{reason}. " <>
          "Tables on disk take no more writes until the disk does"
      )
    end

    :ok
  end

  @doc "Takes the alarm back."
  @spec clear() :: :ok
  def clear do
    if :persistent_term.erase(__MODULE__), do: Logger.notice("Magnesia's disk takes writes again")
    :ok
  end
end
