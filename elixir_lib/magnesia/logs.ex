defmodule Magnesia.Logs do
  @moduledoc """
  Which tables have a change log: read off their definitions and told to the engine.

  A table that has a log says so with the user property `{:magnesia_log, log}`, and so does the
  log itself, so that a backup or an opening brings logs back with their tables. Entries are
  written by the engine and read by `Magnesia.Log`; no row passes here.
  """

  alias Magnesia.Engine
  alias Magnesia.Strict.Definition

  @property :magnesia_log

  @doc "The user property that gives a table a log."
  @spec property(atom()) :: {atom(), atom()}
  def property(log), do: {@property, log}

  @doc "The name of the property."
  @spec key() :: atom()
  def key, do: @property

  @doc "Tells the engine which tables have a log, when that has changed."
  @spec refresh() :: :ok
  def refresh do
    logs =
      for %{name: tab, user_properties: properties} <- Definition.all(),
          {@property, log} <- properties,
          do: {tab, log}

    tell(Enum.sort(logs))
  end

  @doc "The tables that a log is kept of."
  @spec tables(atom()) :: [atom()]
  def tables(log), do: for({tab, ^log} <- told(), tab != log, do: tab)

  @doc "Tells whether a table is a log."
  @spec log?(atom()) :: boolean()
  def log?(tab), do: {tab, tab} in told()

  # What was told outlives the database being closed: the engine looks the logs up by name.
  defp tell(logs) do
    if logs != told() do
      :ok = Engine.set_logs(logs)
      :persistent_term.put(__MODULE__, logs)
    end

    :ok
  end

  @doc "Makes the engine forget all logs and their numbers: the database is closed."
  @spec forget() :: :ok
  def forget do
    :ok = Engine.set_logs([])
    :persistent_term.put(__MODULE__, [])
  end

  defp told, do: :persistent_term.get(__MODULE__, [])
end
