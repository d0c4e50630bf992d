defmodule Magnesia.Hot.Footprint do
  @moduledoc """
  The memory of a table now, and what it would be on this engine, from a sample of its rows.

  The sample is the first #{1_000} rows that a select meets. An estimate for a row in memory is

      32 bytes + its packed size, rounded up to 16    (+ 37 in an ordered set, + 21 in a bag)

  where the packed size is 4 bytes and for each element 2 bytes and: 4 for an atom, 1 and the
  bytes it needs for an integer, 9 for a float, 3 and the bytes for a binary, 3 and the elements
  for a tuple or a list, 5 and the pairs for a map; anything else as in the external format.
  Indexes count once more, by the share that they have now. Rows on disk cost none. Binaries of
  more than 64 bytes lie outside of a stock table and are added to what it says of itself.
  Nothing is changed here.
  """

  @sample 1_000
  @inline_bytes 64

  @typedoc "Bytes now, and afterwards or nil where nothing can be said."
  @type t :: {non_neg_integer(), non_neg_integer() | nil}

  @doc "The memory of a table with a copy on this node, and what it would be as `storage`."
  @spec of(atom(), atom()) :: t()
  def of(tab, storage) do
    size = number(:mnesia.table_info(tab, :size))
    bytes = number(:mnesia.table_info(tab, :memory)) * :erlang.system_info(:wordsize)
    rows = sample(tab)
    {now(tab, bytes, size, rows), after_change(tab, storage, size, rows)}
  end

  defp number(value) when is_integer(value), do: value
  defp number(_unknown), do: 0

  defp sample(tab) do
    select = fn -> :mnesia.select(tab, [{:_, [], [:"$_"]}], @sample, :read) end

    case :mnesia.activity(:async_dirty, select) do
      {rows, _continuation} -> rows
      :"$end_of_table" -> []
    end
  end

  defp now(_tab, bytes, _size, []), do: bytes

  defp now(tab, bytes, size, rows) do
    if :mnesia.table_info(tab, :storage_type) in [:ram_copies, :disc_copies],
      do: bytes + round(size * mean(rows, &outside/1)),
      else: bytes
  end

  defp after_change(_tab, :magnesia_disc_only, _size, _rows), do: 0
  defp after_change(_tab, :magnesia_disc, 0, _rows), do: 0
  defp after_change(_tab, :magnesia_ram, 0, _rows), do: 0

  defp after_change(tab, storage, size, rows) when storage in [:magnesia_ram, :magnesia_disc] do
    kind = %{set: 0, ordered_set: 37, bag: 21}[:mnesia.table_info(tab, :type)]
    indexes = length(:mnesia.table_info(tab, :index))
    # An index has an entry for a row, with the value and the key in it.
    entry = fn row -> 69 + rounded(packed(elem(row, 1)) + 12) end
    row = fn row -> 32 + kind + rounded(row(row)) + indexes * entry.(row) end
    round(size * mean(rows, row))
  end

  defp after_change(_tab, _stock, _size, _rows), do: nil

  defp mean(rows, fun), do: Enum.sum(Enum.map(rows, fun)) / max(length(rows), 1)
  defp rounded(bytes), do: div(bytes + 15, 16) * 16

  defp row(row) do
    [_name | elements] = Tuple.to_list(row)
    4 + Enum.sum(for(element <- elements, do: 2 + packed(element)))
  end

  defp packed(term) when is_atom(term), do: 4
  defp packed(term) when is_integer(term), do: 1 + byte_size(:binary.encode_unsigned(abs(term)))
  defp packed(term) when is_float(term), do: 9
  defp packed(term) when is_binary(term), do: 3 + byte_size(term)
  defp packed(term) when is_tuple(term), do: 3 + elements(Tuple.to_list(term), 0)
  defp packed(term) when is_list(term), do: 3 + elements(term, 0)
  defp packed(term) when is_map(term), do: 5 + elements(Map.to_list(term), 0)
  defp packed(term), do: :erlang.external_size(term)

  defp elements([head | tail], sum), do: elements(tail, sum + packed(head))
  defp elements([], sum), do: sum
  defp elements(improper, sum), do: sum + packed(improper)

  defp outside(row), do: outside([row], 0)

  defp outside([], sum), do: sum

  defp outside([term | rest], sum) when is_binary(term) do
    more = if byte_size(term) > @inline_bytes, do: byte_size(term), else: 0
    outside(rest, sum + more)
  end

  defp outside([term | rest], sum) when is_tuple(term),
    do: outside(Tuple.to_list(term) ++ rest, sum)

  defp outside([term | rest], sum) when is_map(term),
    do: outside(Map.keys(term) ++ Map.values(term) ++ rest, sum)

  defp outside([[head | tail] | rest], sum), do: outside([head, tail | rest], sum)
  defp outside([_other | rest], sum), do: outside(rest, sum)
end
