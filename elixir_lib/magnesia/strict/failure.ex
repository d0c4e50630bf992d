defmodule Magnesia.Strict.Failure do
  @moduledoc """
  How a failure leaves the strict module: as an exit of `{:aborted, reason}`.

  Translates the engine's reasons into the terms that callers match on. It decides nothing about
  transactions; that an exit ends one is `Magnesia.Strict.Activity`'s business.
  """

  @doc "Exits with `{:aborted, reason}`; a reason that is already wrapped is not wrapped again."
  @spec abort(term()) :: no_return()
  def abort({:aborted, _} = reason), do: exit(reason)
  def abort(reason), do: exit({:aborted, reason})

  @doc """
  Aborts with an engine's reason. `missing` is what the call says of a table that is not there.
  """
  @spec abort(term(), atom(), term()) :: no_return()
  def abort(reason, tab, missing), do: abort(translate(reason, tab, missing))

  @doc "The strict form of an engine's reason that has no table to name."
  @spec translate(term()) :: term()
  def translate(:closed), do: {:node_not_running, node()}
  def translate({:not_unique, tab, position}), do: Magnesia.Unique.reason(tab, position)
  def translate(reason), do: reason

  @doc "The strict form of an engine's reason."
  @spec translate(term(), term(), term()) :: term()
  def translate(:no_table, _tab, missing), do: missing
  def translate(:read_only, tab, _missing), do: {:no_exists, tab}
  def translate(:closed, _tab, {:no_exists, {_, _}}), do: {:node_not_running, node()}
  def translate(:closed, _tab, missing), do: missing
  def translate(reason, _tab, _missing), do: translate(reason)
end
