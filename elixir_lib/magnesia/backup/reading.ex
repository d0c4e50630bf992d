defmodule Magnesia.Backup.Reading do
  @moduledoc """
  What a backup holds, found by reading it to its end: who made it and when, its tables with
  the number of their rows, its size. Nothing is kept of the rows, and no database is needed.
  """

  alias Magnesia.Strict.Traversal

  defstruct node: nil, made: nil, tables: [], rows: 0, bytes: 0

  @type t :: %__MODULE__{
          node: node(),
          made: DateTime.t(),
          tables: [{atom(), non_neg_integer()}],
          rows: non_neg_integer(),
          bytes: non_neg_integer()
        }

  @doc "Reads a file; `progress` is called with the number of items of each part."
  @spec read(Path.t(), (non_neg_integer() -> term())) :: {:ok, t()} | {:error, term()}
  def read(file, progress) do
    count = fn items, header, schema, counts ->
      _ = progress.(length(items))
      {header, schema, Enum.reduce(items, counts(counts), &count/2)}
    end

    with {:ok, {header, schema, counts}} <- Traversal.iterate(:mnesia_backup, count, file, %{}) do
      {:ok, found(header, schema, counts, file)}
    end
  end

  defp counts({_header, _schema, counts}), do: counts
  defp counts(counts), do: counts

  # A key that a backup under writes deletes is no row.
  defp count(item, counts) when tuple_size(item) > 2 do
    Map.update(counts, elem(item, 0), 1, &(&1 + 1))
  end

  defp count(_deletion, counts), do: counts

  defp found({:log_header, _kind, _version, _of, node, time}, schema, counts, file) do
    tables =
      for {:schema, name, _list} <- schema, name != :schema, do: {name, Map.get(counts, name, 0)}

    %__MODULE__{
      node: node,
      made: made(time),
      tables: Enum.sort(tables),
      rows: counts |> Map.values() |> Enum.sum(),
      bytes: File.stat!(file).size
    }
  end

  defp made({mega, seconds, _micro}), do: DateTime.from_unix!(mega * 1_000_000 + seconds)
end
