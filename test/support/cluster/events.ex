defmodule Magnesia.Cluster.Events do
  @moduledoc """
  What a node's Mnesia reports of an inconsistent database, kept for who asks. Runs on the node
  and judges nothing.
  """

  @doc "Begins to keep reports."
  @spec start() :: :ok
  def start do
    parent = self()

    pid =
      spawn(fn ->
        Process.register(self(), __MODULE__)
        {:ok, _node} = :mnesia.subscribe(:system)
        send(parent, {self(), :subscribed})
        keep([])
      end)

    receive do
      {^pid, :subscribed} -> :ok
    end
  end

  defp keep(reports) do
    receive do
      {:mnesia_system_event, {:inconsistent_database, context, node}} ->
        keep([{context, node} | reports])

      {:reports, from, ref} ->
        send(from, {ref, reports})
        keep(reports)

      _other ->
        keep(reports)
    end
  end

  @doc "The reports so far, context and node, the last one first."
  @spec inconsistent() :: [{atom(), node()}]
  def inconsistent do
    ref = make_ref()
    send(__MODULE__, {:reports, self(), ref})

    receive do
      {^ref, reports} -> reports
    end
  end
end
