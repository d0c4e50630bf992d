defmodule Magnesia.Cluster.Judge do
  @moduledoc """
  Judges the rows of a cluster after some writers have ended: what was there before is there,
  every acknowledged step is, and nothing is that nobody wrote. Copies are compared elsewhere.
  """

  alias Magnesia.Cluster.{Copies, Journal, Script}

  @typedoc "Copies by table."
  @type world :: %{atom() => Copies.copy()}

  @doc """
  Says in words what is wrong with `now`, where `before` and the writers' steps should be; the
  last step of one that was killed may be there in part when `torn?`.
  """
  @spec judge(world(), world(), [Script.writer()], boolean()) :: :ok | {:error, String.t()}
  def judge(before, now, writers, torn?) do
    ids = MapSet.new(writers, & &1.id)

    with :ok <- still(before, now, ids),
         :ok <- each(writers, &own(&1, now, torn?)),
         do: shared(before, now, writers)
  end

  defp each(list, fun) do
    Enum.find_value(list, :ok, fn item -> with :ok <- fun.(item), do: nil end)
  end

  # Rows of nobody who wrote.
  defp still(before, now, ids) do
    each(Map.keys(now), fn tab ->
      [old, new] = for world <- [before, now], do: Map.filter(world[tab], &others?(&1, ids))

      if old == new,
        do: :ok,
        else: {:error, "#{tab} was not left alone, before and now: #{Copies.words(old, new)}"}
    end)
  end

  defp others?({{:shared, _k}, _rows}, _ids), do: false
  defp others?({{_sort, id, _k}, _rows}, ids), do: id not in ids
  defp others?(_still, _ids), do: true

  defp own(writer, now, torn?) do
    found =
      for {tab, copy} <- now, {{_sort, id, _k} = key, rows} <- copy, id == writer.id, into: %{} do
        {{tab, key}, rows}
      end

    here? = fn {{tab, _key}, _rows} -> is_map_key(now, tab) end
    states = writer |> Journal.states(torn?) |> Enum.map(&Map.filter(&1, here?)) |> Enum.uniq()

    if found in states do
      :ok
    else
      nearest = Enum.min_by(states, &distance(&1, found))

      {:error,
       "what #{inspect(writer.id)} wrote, by its journal and as found: " <>
         "#{Copies.words(nearest, found)} (#{length(states)} states are possible)"}
    end
  end

  defp distance(one, other) do
    Enum.count(Map.keys(Map.merge(one, other)), &(one[&1] != other[&1]))
  end

  defp shared(before, now, writers) do
    {least, most} =
      for writer <- writers, reduce: {total(before), total(before)} do
        {least, most} ->
          {acknowledged, begun} = Journal.bumps(writer, Map.keys(now))
          {least + acknowledged, most + begun}
      end

    if total(now) in least..most,
      do: :ok,
      else: {:error, "shared rows count #{total(now)}, they should count #{least} to #{most}"}
  end

  defp total(world) do
    Enum.sum(for {_tab, copy} <- world, {{:shared, _}, [{_, _, _, n}]} <- copy, do: n)
  end
end
