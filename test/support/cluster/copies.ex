defmodule Magnesia.Cluster.Copies do
  @moduledoc """
  The copies of a table on the nodes of a cluster, compared row by row: by look-up and by walk,
  in number, in the order of a bag's rows, and in the indexes. It never asks another node for
  what a node has.
  """

  alias Magnesia.Cluster.Script
  alias Magnesia.HotNodes

  @all [{:_, [], [:"$_"]}]
  @row_bytes 1_000

  @typedoc "Rows by key, in the order of a look-up."
  @type copy :: %{term() => [tuple()]}

  @doc "Says in words where nodes differ, or gives the copies of all tables by table."
  @spec read([HotNodes.peer()], [Script.table()]) ::
          {:ok, %{atom() => copy()}} | {:error, String.t()}
  def read(peers, tables) do
    Enum.reduce_while(tables, {:ok, %{}}, fn table, {:ok, copies} ->
      case same(peers, table) do
        {:ok, copy} -> {:cont, {:ok, Map.put(copies, table.name, copy)}}
        {:error, text} -> {:halt, {:error, "#{table.name}: #{text}"}}
      end
    end)
  end

  defp same(peers, %{name: tab, order: order}) do
    copies =
      for peer <- peers, here?(peer, tab) do
        {peer.node, HotNodes.call(peer, __MODULE__, :local, [tab, order])}
      end

    unsound = for {node, {:error, text}} <- copies, do: "on #{node} #{text}"

    case {unsound, copies} do
      {[], []} -> {:error, "no node has a copy"}
      {[], [{first, {:ok, copy}} | others]} -> compare(first, copy, others)
      {unsound, _copies} -> {:error, Enum.join(unsound, "; ")}
    end
  end

  defp here?(peer, tab), do: tab in HotNodes.mnesia(peer, :system_info, [:local_tables])

  defp compare(first, copy, others) do
    case for {node, {:ok, other}} <- others, other != copy, do: {node, other} do
      [] -> {:ok, copy}
      [{node, other} | _more] -> {:error, "#{first} and #{node} differ: #{words(copy, other)}"}
    end
  end

  @doc "Where two copies differ, in words."
  @spec words(copy(), copy()) :: String.t()
  def words(one, other) do
    keys = for key <- Map.keys(Map.merge(one, other)), one[key] != other[key], do: key
    shown = for key <- Enum.take(keys, 3), do: inspect({key, one[key], other[key]})
    "#{length(keys)} keys, as #{Enum.join(shown, ", ")}"
  end

  @doc "This node's own copy, or what is wrong with it. Runs on the node."
  @spec local(atom(), :place | :tail | :none) :: {:ok, copy()} | {:error, String.t()}
  def local(tab, order) do
    rows = :mnesia_lib.db_select(tab, @all)
    copy = for row <- rows, uniq: true, into: %{}, do: look_up(tab, elem(row, 1))
    found = Enum.concat(Map.values(copy))

    cond do
      Enum.sort(found) != Enum.sort(rows) ->
        {:error, "look-ups find #{length(found)} rows and a walk other #{length(rows)}"}

      :mnesia.table_info(tab, :size) != length(rows) ->
        {:error, "are #{length(rows)} rows, its size is #{:mnesia.table_info(tab, :size)}"}

      true ->
        with :ok <- indexes(tab, rows), do: {:ok, copy |> ordered(order) |> short()}
    end
  end

  defp ordered(copy, :none), do: Map.new(copy, fn {key, rows} -> {key, Enum.sort(rows)} end)
  defp ordered(copy, _order), do: copy

  # Large rows are compared by what they come to, as a copy is read by another VM.
  defp short(copy), do: Map.new(copy, fn {key, rows} -> {key, Enum.map(rows, &short_row/1)} end)

  defp short_row(row) do
    if :erlang.external_size(row) > @row_bytes,
      do: {:md5, :erlang.md5(:erlang.term_to_binary(row))},
      else: row
  end

  defp look_up(tab, key), do: {key, :mnesia_lib.db_get(tab, key)}

  defp indexes(tab, rows) do
    wrong = Enum.reject(:mnesia.table_info(tab, :index), &index?(tab, &1, rows))
    if wrong == [], do: :ok, else: {:error, "the index on #{inspect(wrong)} is not the table's"}
  end

  defp index?(tab, position, rows) do
    groups = rows |> Enum.sort() |> Enum.group_by(&elem(&1, position - 1))

    reads? = Enum.all?(groups, fn {value, rows} -> index_read(tab, value, position) == rows end)

    pairs = for row <- rows, uniq: true, do: {elem(row, position - 1), elem(row, 1)}
    reads? and entries(tab, position) in [:stock, Enum.sort(pairs)]
  end

  defp index_read(tab, value, position),
    do: Enum.sort(:mnesia.dirty_index_read(tab, value, position))

  # What an index has too many isn't seen by reads.
  defp entries(tab, position) do
    case :mnesia.table_info(tab, :storage_type) do
      {:ext, alias_name, module} ->
        index = {tab, :index, {position, :ordered}}
        Enum.sort(for {pair} <- module.select(alias_name, index, @all), do: pair)

      _stock ->
        :stock
    end
  end
end
