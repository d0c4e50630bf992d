defmodule Magnesia.ClusterListener do
  @moduledoc """
  A process on a node that subscribes itself by a call and keeps what it is sent. It must never
  judge that.
  """

  @doc "Starts the process and answers when the call in it has answered `:ok`."
  @spec start(module(), atom(), [term()]) :: pid()
  def start(module, function, args) do
    caller = self()

    pid =
      spawn(fn ->
        :ok = apply(module, function, args)
        send(caller, {:listens, self()})
        keep([])
      end)

    receive do
      {:listens, ^pid} -> pid
    end
  end

  defp keep(heard) do
    receive do
      {:heard?, from} ->
        send(from, {:heard, self(), Enum.reverse(heard)})
        keep(heard)

      message ->
        keep([message | heard])
    end
  end

  @doc "What it was sent, in order."
  @spec heard(pid()) :: [term()]
  def heard(pid) do
    send(pid, {:heard?, self()})

    receive do
      {:heard, ^pid, heard} -> heard
    end
  end
end
