defmodule Magnesia.PublishingListener do
  @moduledoc """
  A process on a node that listens to a table and a topic of the whole cluster and tells what it
  has heard. It must never judge that.
  """

  alias Magnesia.Events

  @name :publishing_listener

  @doc "Starts the process; it is subscribed."
  @spec listen() :: :ok
  def listen do
    caller = self()

    pid =
      spawn(fn ->
        :ok = Magnesia.subscribe(:s, scope: :cluster)
        :ok = Events.listen(:topic)
        send(caller, :listens)
        keep([])
      end)

    Process.register(pid, @name)

    receive do
      :listens -> :ok
    end
  end

  defp keep(heard) do
    receive do
      {:heard?, from} ->
        send(from, {:heard, heard})
        keep(heard)

      {:magnesia, :s, event} ->
        keep([{event.node, event.data} | heard])

      {:magnesia, :topic, n} ->
        keep([n | heard])
    end
  end

  @doc "What it has heard, the last first."
  @spec heard() :: [term]
  def heard do
    send(@name, {:heard?, self()})

    receive do
      {:heard, heard} -> heard
    end
  end

  @doc "How many processes of all nodes are known here to be subscribed."
  @spec groups() :: [non_neg_integer]
  def groups do
    for group <- [{:table, :s, :cluster}, {:topic, :topic}],
        do: length(:pg.get_members(Events.Groups, group))
  end
end
