defmodule Magnesia.Backend.Retreat do
  @moduledoc """
  The end of a load from another node whose rows the disk doesn't take.

  Mnesia asks of no chunk whether it could be taken: it would have half a table, and read it. So
  the load ends as Mnesia ends one whose sender died, but with the reason: what adds a copy aborts
  with it, and a load at a start is tried from other nodes. It never returns, and rows on disk of
  before the load stay.
  """

  require Logger

  alias Magnesia.Backend

  @doc "Ends the load that the caller does; `words` are the reason."
  @spec begin(atom(), pid(), String.t()) :: no_return()
  def begin(tab, sender, words) do
    Logger.error("Magnesia could not take #{inspect(tab)} from #{node(sender)}: #{words}")
    send(sender, {:copier_done, node()})
    :ok = Backend.close_table(:magnesia_disc, tab)
    :ok = Backend.delete_table(:magnesia_disc, tab)
    _ = :mnesia_checkpoint.tm_del_copy(tab, node())
    _ = :mnesia_controller.sync_del_table_copy_whereabouts(tab, node())
    _ = :mnesia_tm.unblock_tab(tab)
    forget_events()
    :mnesia.abort({:magnesia, words})
  end

  # What was written meanwhile, kept for rows that don't come.
  defp forget_events do
    receive do
      {:mnesia_table_event, _event} -> forget_events()
    after
      0 -> :ok
    end
  end
end
