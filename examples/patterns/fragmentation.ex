defmodule MyApp.Visits do
  @moduledoc """
  A table that is spread over fragments, grows by one when a fragment gets too large, and shrinks
  again: used like any other table through the access module `:mnesia_frag`.
  """

  @table :visits

  @doc """
  Makes the table with some fragments, each on disc on the nodes of the pool.

  `storage` is one of `:ram_copies`, `:disc_copies` and `:disc_only_copies`.
  """
  def create(fragments, storage \\ :disc_copies, nodes \\ [node()]) do
    copies = %{
      ram_copies: :n_ram_copies,
      disc_copies: :n_disc_copies,
      disc_only_copies: :n_disc_only_copies
    }

    :magnesia.create_table(@table,
      attributes: [:id, :page, :at],
      index: [:page],
      frag_properties: [
        {:node_pool, nodes},
        {:n_fragments, fragments},
        {Map.fetch!(copies, storage), 1}
      ]
    )
  end

  @doc "Notes a visit."
  def note(id, page, at), do: within(fn -> :magnesia.write({@table, id, page, at}) end)

  @doc "A visit by its id, which asks one fragment."
  def fetch(id) do
    case within(fn -> :magnesia.read(@table, id) end) do
      [visit] -> {:ok, visit}
      [] -> :error
    end
  end

  @doc "The visits of a page, which asks each fragment's index."
  def of_page(page), do: within(fn -> :magnesia.index_read(@table, page, :page) end)

  @doc "How many visits there are, in all fragments."
  def count, do: dirty(fn -> :magnesia.table_info(@table, :size) end)

  @doc "Each fragment with the number of its rows."
  def sizes, do: dirty(fn -> :magnesia.table_info(@table, :frag_size) end)

  @doc """
  Adds fragments until none has more than `most` rows, as far as splitting helps: a fragment more
  takes rows from one of the others, and after as many as there were each has been split.
  """
  def grow(most, limit \\ 64) do
    sizes = sizes()

    if length(sizes) < limit and Enum.any?(sizes, fn {_name, rows} -> rows > most end) do
      {:atomic, :ok} = :magnesia.change_table_frag(@table, {:add_frag, nodes()})
      grow(most, limit)
    else
      length(sizes)
    end
  end

  @doc "Takes fragments away while there is more than one and all rows fit into one less."
  def shrink(most) do
    sizes = sizes()

    if length(sizes) > 1 and count() <= most * (length(sizes) - 1) do
      {:atomic, :ok} = :magnesia.change_table_frag(@table, :del_frag)
      shrink(most)
    else
      length(sizes)
    end
  end

  # Where there are fewest fragments comes first.
  defp nodes do
    for {node, _count} <- dirty(fn -> :magnesia.table_info(@table, :frag_dist) end), do: node
  end

  defp within(fun), do: :magnesia.activity(:transaction, fun, [], :mnesia_frag)
  defp dirty(fun), do: :magnesia.activity(:async_dirty, fun, [], :mnesia_frag)
end
