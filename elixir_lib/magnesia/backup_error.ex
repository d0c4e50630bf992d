defmodule Magnesia.BackupError do
  @moduledoc """
  A backup that could not be written, read or used: the file, Mnesia's reason and what it means.

      iex> error = Magnesia.BackupError.exception(file: "a.bup", reason: :enoent)
      iex> Exception.message(error)
      "a.bup: no such file or directory"
      iex> error = Magnesia.BackupError.exception(file: "a", reason: {:not_a_log_file, "a"})
      iex> Exception.message(error)
      "a is no backup of Mnesia or Magnesia"
      iex> error = Magnesia.BackupError.exception(file: "a.bup", reason: {:no_exists, :city})
      iex> Exception.message(error)
      "a.bup: table :city does not exist in the database"
  """

  defexception [:file, :reason]

  @type t :: %__MODULE__{file: Path.t(), reason: term()}

  @impl true
  def message(%{file: file, reason: reason}), do: words(reason, file)

  # What a checkpoint or a backup wraps its reason in.
  defp words({:EXIT, {:error, reason}}, file), do: words(reason, file)
  defp words({:error, reason}, file), do: words(reason, file)
  defp words({kind, text}, _file) when kind in [:damaged, :bad_type] and is_binary(text), do: text
  defp words({:file_error, file, reason}, _file), do: "#{file}: #{:file.format_error(reason)}"
  defp words({:not_a_log_file, _}, file), do: "#{file} is no backup of Mnesia or Magnesia"

  defp words({:need_repair, _}, file) do
    "#{file} was not closed: whoever wrote it was stopped in the middle. Make it anew"
  end

  defp words({:node_not_running, _node}, file) do
    "#{file}: the database is not running. Put {Magnesia, dir: \"data\"} under your " <>
      "supervisor, or call Magnesia.start/1"
  end

  defp words({:no_exists, table}, file) do
    "#{file}: table #{inspect(table)} does not exist in the database"
  end

  defp words({[_ | _] = text, [table | _]}, file) when is_atom(table) do
    "#{file}: #{text}: #{inspect(table)}"
  end

  defp words({[_ | _] = text, detail}, file), do: "#{file}: #{text}: #{inspect(detail)}"
  # A refusal of the database itself, in its words.
  defp words({kind, text}, file) when is_atom(kind) and is_binary(text), do: "#{file}: #{text}"
  defp words({:already_exists, _node}, file), do: "#{file}: there is a fallback already"

  defp words({:has_no_disc, _node}, file) do
    "#{file}: the database has no directory, and a fallback needs one"
  end

  defp words(reason, file) when is_atom(reason), do: "#{file}: #{:file.format_error(reason)}"
  defp words(reason, file), do: "#{file}: #{inspect(reason)}"
end
