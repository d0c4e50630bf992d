defmodule Magnesia.Strict.Subscription do
  @moduledoc """
  `subscribe`, `unsubscribe` and `report_event`, with Mnesia's arguments and answers.

  The caller is the subscriber. Events come as messages: `{:mnesia_table_event, event}`,
  `{:mnesia_activity_event, event}`, `{:mnesia_system_event, event}`. Who is subscribed is kept
  by `Magnesia.Subscribers`, what a system event means for the operator is said by
  `Magnesia.Notices`; nothing is kept here.
  """

  alias Magnesia.Notices
  alias Magnesia.Subscribers

  @doc "Subscribes the caller."
  @spec subscribe(term()) :: Subscribers.answer()
  def subscribe(what), do: with_stream(what, &Subscribers.subscribe(self(), &1))

  @doc "Ends the caller's subscription."
  @spec unsubscribe(term()) :: Subscribers.answer()
  def unsubscribe(what), do: with_stream(what, &Subscribers.unsubscribe(self(), &1))

  @doc "Sends `{:mnesia_user, term}` as a system event."
  @spec report_event(term()) :: :ok
  def report_event(term), do: Notices.report({:mnesia_user, term})

  defp with_stream(stream, fun) when stream in [:system, :activity], do: fun.(stream)
  defp with_stream({:table, tab}, fun), do: fun.({:table, tab, :simple})
  defp with_stream({:table, _, kind} = s, fun) when kind in [:simple, :detailed], do: fun.(s)
  defp with_stream(what, _fun), do: {:error, {:badarg, what}}
end
