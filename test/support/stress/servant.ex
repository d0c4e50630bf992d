defmodule Magnesia.Stress.Servant do
  @moduledoc """
  The other VM: opens a directory and does what it is told, a line each, on one table. It must
  never decide anything by itself.
  """

  @text String.duplicate("x", 4000)

  @doc "Opens the directory, says its process id, and serves lines until they end."
  @spec main([charlist]) :: :ok
  def main([dir]) do
    {:ok, _started} = Application.ensure_all_started(:elixir)
    Application.put_env(:magnesia, :dir, dir)
    :ok = start(:magnesia.create_schema([node()]))
    answer("pid #{System.pid()}")
    serve()
  end

  defp start(_made_or_there), do: :magnesia.start()

  defp serve do
    case IO.gets("") do
      line when is_binary(line) ->
        line |> String.split() |> perform() |> answer()
        serve()

      _end_of_input ->
        :erlang.halt(0)
    end
  end

  defp answer(text), do: IO.puts("= " <> text)

  defp perform(["create"]) do
    outcome(:magnesia.create_table(:t, disc_copies: [node()]))
  end

  defp perform(["write", number]) do
    record = {:t, String.to_integer(number), @text}
    outcome(:magnesia.transaction(fn -> :magnesia.write(record) end))
  end

  defp perform(["read", number]) do
    case :magnesia.dirty_read(:t, String.to_integer(number)) do
      [{:t, _key, @text}] -> "row"
      [] -> "none"
    end
  end

  defp perform(["backup", file]), do: outcome(:magnesia.backup(String.to_charlist(file)))
  defp perform(["restore", file]), do: outcome(:magnesia.restore(String.to_charlist(file), []))

  defp perform(["count"]), do: "#{:magnesia.table_info(:t, :size)}"

  defp outcome(:ok), do: "ok"
  defp outcome({:atomic, _done}), do: "ok"
  defp outcome({:error, {:EXIT, {:error, {:file_error, _file, reason}}}}), do: "#{reason}"
  defp outcome({:aborted, {kind, text}}) when is_binary(text), do: "#{kind}"
  defp outcome(other), do: inspect(other)
end
