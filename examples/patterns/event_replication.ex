defmodule MyApp.EventReplication do
  @moduledoc """
  Events of the application for any process on any node: by type, each subscriber once, whoever
  publishes. Nobody has to be told of nodes that come or go, and a subscriber that dies is
  forgotten.

  Events are `{type, id, data}`; a subscriber gets `{:magnesia, {MyApp.EventReplication, type},
  event}`. Nothing is kept: what must not be missed goes through a log, see `MyApp.WriteAheadLog`.
  """

  alias Magnesia.Events

  @doc "Subscribes the caller to the events of a type, published on any connected node."
  def subscribe(type), do: Events.listen({__MODULE__, type})

  @doc "Ends the caller's subscription."
  def unsubscribe(type), do: Events.ignore({__MODULE__, type})

  @doc "Sends an event to its subscribers on this node and all connected ones."
  def publish({type, _id, _data} = event) do
    Events.publish({__MODULE__, type}, event, scope: :cluster)
  end

  @doc "Subscribes the caller to the changes of a table in every connected node's database."
  def follow(table), do: Magnesia.subscribe(table, scope: :cluster)
end
