defmodule Magnesia.Backend.Leftovers do
  @moduledoc """
  Rows of a fallback that Mnesia left in files of its own.

  For a table in memory a fallback's rows go to a `.DCL` file beside an empty `.DCD` file, which
  Mnesia reads for its own tables alone. They are put into the table when it is loaded, and the
  files are removed, as they would be dead weight from then on.
  """

  require Logger

  alias Magnesia.Engine

  @doc "Puts rows that a fallback left for a table into it."
  @spec take(atom(), Magnesia.Backend.Names.ref()) :: :ok
  def take(tab, ref) do
    changes = :mnesia_lib.tab2dcl(tab)

    if :mnesia_monitor.use_dir() and File.exists?(changes) do
      put_all(changes, ref)
      _ = File.rm(changes)
      _ = File.rm(:mnesia_lib.tab2dcd(tab))
      :ok
    else
      :ok
    end
  end

  defp put_all(file, ref) do
    log = {__MODULE__, ref}
    options = [name: log, file: file, repair: true, mode: :read_only]

    case :disk_log.open(options) do
      {:error, reason} ->
        Logger.error("Magnesia can't read #{file} of a fallback: #{inspect(reason)}")

      _open ->
        put_from(:disk_log.chunk(log, :start), log, ref)
        :ok = :disk_log.close(log)
    end
  end

  defp put_from({continuation, terms}, log, ref) do
    Enum.each(terms, &put(&1, ref))
    put_from(:disk_log.chunk(log, continuation), log, ref)
  end

  defp put_from({continuation, terms, _bad_bytes}, log, ref) do
    put_from({continuation, terms}, log, ref)
  end

  defp put_from(_end, _log, _ref), do: :ok

  defp put({{_tab, _key}, record, :write}, ref), do: Engine.write(ref, record)
  defp put({{_tab, key}, _oid, :delete}, ref), do: Engine.delete(ref, key)
  defp put(_header, _ref), do: :ok
end
