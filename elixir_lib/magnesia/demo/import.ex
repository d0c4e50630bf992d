defmodule Magnesia.Demo.Import do
  @moduledoc """
  Restores a file written by `:mnesia.backup/1` into a running Magnesia.

  The backup is read with Mnesia's own `:mnesia.traverse_backup/6`; tables are created as
  the backup describes them, with their copies on this node, and rows are written in transactions
  of 1,000. Never touches the backup file or the stock database.
  """

  @batch_rows 1_000
  @kept_options [:type, :attributes, :record_name, :load_order, :access_mode, :user_properties]

  @doc """
  Restores `file`; `advance` is called with the number of rows of each written batch.

  Returns the number of rows written to each table.
  """
  @spec run(Path.t(), acc, (acc, pos_integer -> acc)) :: {%{atom => non_neg_integer}, acc}
        when acc: term
  def run(file, acc, advance) do
    state = %{batch: [], waiting: 0, counts: %{}, acc: acc, advance: advance}

    {:ok, state} =
      :mnesia.traverse_backup(
        String.to_charlist(file),
        :mnesia_backup,
        :dummy,
        :read_only,
        fn item, state -> {[item], restore(item, state)} end,
        state
      )

    state = flush(state)
    {state.counts, state.acc}
  end

  defp restore({:schema, :schema, _definition}, state), do: state

  defp restore({:schema, table, definition}, state) do
    {:atomic, :ok} = :magnesia.create_table(table, options(definition))
    :ok = :magnesia.wait_for_tables([table], 30_000)
    %{state | counts: Map.put(state.counts, table, 0)}
  end

  defp restore(row, state) do
    state = %{state | batch: [row | state.batch], waiting: state.waiting + 1}
    if state.waiting == @batch_rows, do: flush(state), else: state
  end

  defp flush(%{waiting: 0} = state), do: state

  defp flush(state) do
    rows = Enum.reverse(state.batch)

    {:atomic, :ok} =
      :magnesia.transaction(fn -> Enum.each(rows, &:magnesia.write(elem(&1, 0), &1, :write)) end)

    counts =
      Enum.reduce(rows, state.counts, fn row, counts ->
        Map.update(counts, elem(row, 0), 1, &(&1 + 1))
      end)

    acc = state.advance.(state.acc, state.waiting)
    %{state | batch: [], waiting: 0, counts: counts, acc: acc}
  end

  @doc false
  @spec options(keyword) :: keyword
  def options(definition) do
    kept = for {name, value} <- definition, name in @kept_options, do: {name, value}

    storage =
      for kind <- [:ram_copies, :disc_copies, :disc_only_copies],
          Keyword.get(definition, kind, []) != [],
          do: {kind, [node()]}

    attributes = Keyword.fetch!(definition, :attributes)

    index =
      for entry <- Keyword.get(definition, :index, []),
          position = position(entry),
          do: Enum.at(attributes, position - 2)

    kept ++ storage ++ [index: index]
  end

  defp position({position, _kind}), do: position
  defp position(position), do: position
end
