defmodule Magnesia.Bench.Fixtures do
  @moduledoc """
  The tables that a group of figures needs.

  `build/3` returns a map with `rows`, `ours` (a table of the measured database) and, when a
  wanted line asks for that peer, `ets` and `mnesia`.
  """

  alias Magnesia.Bench.{Friendly, Hot, Rows, Told, World}

  @ets_set [:set, :public, {:keypos, 2}]
  @ets_ordered [:ordered_set, :public, {:keypos, 2}]

  @doc "Builds the tables of `fixture`; `peers` are the peers of the wanted lines."
  @spec build(atom, [String.t()], map) :: map
  def build(fixture, peers, plan) do
    IO.puts("# fixture #{fixture}: #{rows(fixture, plan)} rows")
    tables(fixture, peers, plan)
  end

  @doc "How many rows the tables of `fixture` hold."
  @spec rows(atom, map) :: pos_integer
  def rows(fixture, plan)
      when fixture in [:disc, :disconly, :hot_disconly, :value, :sync, :events, :crowd, :log],
      do: plan.rows_small

  def rows(fixture, plan) when fixture in [:growth_set, :growth_ordered], do: plan.rows_huge
  def rows(_fixture, plan), do: plan.rows

  defp tables(:set, peers, plan) do
    before = World.resident_bytes()
    built = three(plan, :set, peers, [type: :set], @ets_set, &int_row/2)
    Map.put(built, :resident_ours, built.resident_after_ours - before)
  end

  defp tables(:ordered, peers, plan),
    do: three(plan, :ordered, peers, [type: :ordered_set], @ets_ordered, &int_row/2)

  defp tables(:general, peers, plan),
    do: three(plan, :general, peers, [type: :ordered_set], @ets_ordered, &general_row/2)

  defp tables(:value, _peers, plan) do
    rows = %{1_000 => plan.rows_small, 10_000 => div(plan.rows_small, 10)}

    for {bytes, count} <- rows, into: %{rows: rows} do
      row = fn tag, i -> {tag, i, <<i::64, 0::size(bytes)-unit(8)>>} end
      name = :"ours_value_#{bytes}"
      ours = World.table(plan.subject, name, [attributes: [:id, :value]], count, row)
      {bytes, {ours, World.ets(@ets_set, count, &row.(:row, &1))}}
    end
  end

  defp tables(:disc, peers, plan),
    do: three(plan, :disc, peers, [disc_copies: [node()]], @ets_set, &int_row/2)

  defp tables(:disconly, peers, plan),
    do: three(plan, :disconly, peers, [disc_only_copies: [node()]], @ets_set, &int_row/2)

  defp tables(:index, peers, plan),
    do: three(plan, :index, peers, [index: [:first, :second]], @ets_set, &int_row/2)

  defp tables(:sync, _peers, plan),
    do: three(plan, :sync, [], [disc_copies: [node()]], @ets_set, &int_row/2)

  defp tables(name, _peers, plan) when name in [:start, :backup] do
    built = three(plan, name, ["mnesia"], [type: :set], @ets_set, &int_row/2)

    for {db, table} <- Enum.uniq([{plan.subject, built.ours}, {:mnesia, built.mnesia}]) do
      {:atomic, :ok} = db.change_table_copy_type(table, node(), :disc_copies)
      :dumped = db.dump_log()
    end

    built
  end

  defp tables(hot, _peers, plan)
       when hot in [:hot_set, :hot_ordered, :hot_disc, :hot_disconly, :hot_load],
       do: Hot.build(hot, rows(hot, plan), plan)

  defp tables(:friendly, _peers, plan), do: Friendly.build(rows(:friendly, plan))
  defp tables(:cache, _peers, plan), do: Friendly.build_cache(rows(:cache, plan))

  defp tables(told, _peers, plan) when told in [:events, :crowd, :log],
    do: Told.build(told, rows(told, plan), plan)

  defp tables(:growth_set, _peers, plan), do: two_sizes(plan, :set)
  defp tables(:growth_ordered, _peers, plan), do: two_sizes(plan, :ordered_set)

  defp three(plan, name, peers, options, ets_options, row) do
    rows = rows(name, plan)
    options = [attributes: Rows.attributes()] ++ options
    ours = World.table(plan.subject, :"ours_#{name}", options, rows, row)
    built = %{rows: rows, ours: ours, resident_after_ours: World.resident_bytes()}

    Enum.reduce(Enum.uniq(peers), built, fn
      "ets", built ->
        Map.put(built, :ets, World.ets(ets_options, rows, &row.(:row, &1)))

      "mnesia", built ->
        IO.puts("# peer mnesia: #{inspect(options)}")
        Map.put(built, :mnesia, World.table(:mnesia, :"peer_#{name}", options, rows, row))

      _other, built ->
        built
    end)
  end

  defp two_sizes(plan, type) do
    options = [attributes: Rows.attributes(), type: type]
    small = World.table(plan.subject, :ours_small, options, plan.rows_small, &int_row/2)
    huge = World.table(plan.subject, :ours_huge, options, plan.rows_huge, &int_row/2)
    %{small: {small, plan.rows_small}, huge: {huge, plan.rows_huge}}
  end

  defp int_row(table, i), do: Rows.row(table, i, i)
  defp general_row(table, i), do: Rows.row(table, Rows.general_key(i), i)
end
