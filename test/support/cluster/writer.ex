defmodule Magnesia.Cluster.Writer do
  @moduledoc """
  Writers on the nodes of a cluster, each doing one step of its script after the other until it
  is stopped or killed.

  What was acknowledged goes to a journal, a file, as the operating system keeps it when the VM
  is killed: a line a step, `ok` when Mnesia said that it was done and `no` when it said that it
  was not, and `end` when the writer was stopped between two steps. It judges nothing.
  """

  alias Magnesia.Cluster.Script

  @stop_ms 40_000

  @doc "Starts a writer on this node."
  @spec start(Script.writer()) :: pid()
  def start(writer) do
    spawn(fn ->
      File.mkdir_p!(Path.dirname(writer.journal))
      {:ok, journal} = :file.open(writer.journal, [:raw, :write])
      loop(writer, journal, 1)
    end)
  end

  defp loop(writer, journal, n) do
    receive do
      {:stop, from} ->
        :ok = :file.write(journal, "end\n")
        send(from, {:stopped, self()})
    after
      0 ->
        {level, ops} = Script.step(writer, n)
        :ok = :file.write(journal, "#{n} #{commit(level, ops)}\n")
        loop(writer, journal, n + 1)
    end
  end

  @doc "Stops a writer after the step that it is in."
  @spec stop(pid()) :: :ok
  def stop(pid) do
    ref = Process.monitor(pid)
    send(pid, {:stop, self()})

    receive do
      {:stopped, ^pid} -> :ok
      {:DOWN, ^ref, :process, ^pid, reason} -> exit({:writer, reason})
    after
      @stop_ms -> exit({:writer_hangs, Process.info(pid, [:current_stacktrace, :messages])})
    end
  end

  defp commit(level, ops) when level in [:transaction, :sync_transaction] do
    case apply(:mnesia, level, [fn -> Enum.each(ops, &perform/1) end]) do
      {:atomic, :ok} -> :ok
      {:aborted, _reason} -> :no
    end
  end

  defp commit(level, [op]) do
    # A copy that failed on another node is told of by some of them.
    case apply(:mnesia, level, [fn -> perform(op) end]) do
      :ok -> :ok
      {:error, _reason} -> :no
    end
  catch
    :exit, {:aborted, _reason} -> :no
  end

  defp perform({:write, tab, row}), do: :mnesia.write(tab, row, :write)
  defp perform({:delete, tab, key}), do: :mnesia.delete(tab, key, :write)
  defp perform({:delete_object, tab, row}), do: :mnesia.delete_object(tab, row, :write)

  defp perform({:bump, tab, key}) do
    count =
      case :mnesia.read(tab, key, :write) do
        [] -> 0
        [{^tab, ^key, _value, count}] -> count
      end

    :mnesia.write(tab, {tab, key, rem(count, 7), count + 1}, :write)
  end
end
