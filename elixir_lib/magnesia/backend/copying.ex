defmodule Magnesia.Backend.Copying do
  @moduledoc """
  Copies of a table from node to node, in chunks, while writes go on.

  The sender hands out rows in chunks of about 64 KiB, by what a row takes on average; Mnesia
  paces it and applies the writes of the meantime afterwards. A receiver's table was emptied
  before (see `Magnesia.Backend.Tables.load/3`). Nothing here knows nodes or messages.
  """

  alias Magnesia.Backend
  alias Magnesia.Backend.Cursor
  alias Magnesia.Backend.Names
  alias Magnesia.Engine

  @chunk_bytes 65_536
  @rows_max 1000

  @doc "What Mnesia's sender calls for the first chunk and for each after it."
  @spec sender(Backend.table()) :: {:standard, (() -> term()), (Cursor.t() -> term())}
  def sender(tab) do
    spec = [{:_, [], [:"$_"]}]
    first = fn -> Backend.select(:magnesia_ram, tab, spec, rows_a_chunk(tab)) end
    {:standard, first, &Backend.select/1}
  end

  defp rows_a_chunk(tab) do
    ref = Names.ref(tab)

    with size when is_integer(size) and size > 0 <- Engine.size(ref),
         bytes when is_integer(bytes) and bytes > 0 <- Engine.memory(ref) do
      (@chunk_bytes * size) |> div(bytes) |> max(1) |> min(@rows_max)
    else
      _ -> @rows_max
    end
  end

  @doc "Writes the rows of a chunk that came."
  @spec receive_rows(Backend.table(), [tuple()]) :: :ok
  def receive_rows(tab, rows) do
    Enum.each(rows, &Backend.insert(:magnesia_ram, tab, &1))
  end
end
