defmodule Magnesia.Strict.Announcement do
  @moduledoc """
  The events of schema operations: to those who watch the table `schema`, the table that is
  cleared or transformed, and activities.

  A definition is told of as a row `{:schema, table, properties}`, as Mnesia does, once for each
  new version and twice where a table is new. Ordinary writes are told of by the engine itself.
  Outside of a transaction nothing is told.
  """

  alias Magnesia.Engine
  alias Magnesia.Strict.Activity
  alias Magnesia.Strict.Definition
  alias Magnesia.Subscribers
  alias Magnesia.Telemetry

  @doc "Tells that a definition is in force in the place of an older one, or is new."
  @spec defined(Definition.t(), {:ok, Definition.t()} | :error) :: :ok
  def defined(%{version: version}, {:ok, %{version: version}}), do: :ok

  def defined(definition, old) do
    note(definition.name, if(old == :error, do: :created, else: :changed))
    tell(:schema, fn tid -> writes(old, definition, tid) end)
  end

  defp writes({:ok, old}, new, tid), do: write(row(new), [row(old)], tid)
  defp writes(:error, new, tid), do: write(row(new), [], tid) ++ write(row(new), [row(new)], tid)

  @doc """
  Tells of new attributes or a new record name: as Mnesia makes them, with the indexes taken away
  one by one before and put back after.
  """
  @spec reshaped(Definition.t(), {:ok, Definition.t()}) :: :ok
  def reshaped(new, {:ok, old}) do
    note(new.name, :changed)
    before = %{old | version: new.version}
    dropped = for {_, n} <- Enum.with_index(old.index_info, 1), do: without(before, n)
    added = for {_, n} <- Enum.with_index(new.index_info, 1), do: with_first(new, n)
    steps = [old | dropped] ++ [with_first(new, 0) | added]

    tell(:schema, fn tid ->
      steps
      |> Enum.zip(tl(steps))
      |> Enum.flat_map(fn {one, next} -> write(row(next), [row(one)], tid) end)
    end)
  end

  defp without(definition, n) do
    %{definition | index_info: Enum.drop(definition.index_info, n)}
  end

  defp with_first(definition, n) do
    %{definition | index_info: Enum.take(definition.index_info, n)}
  end

  @doc "Tells that a table is gone."
  @spec deleted(Definition.t()) :: :ok
  def deleted(definition) do
    note(definition.name, :deleted)
    row = row(definition)

    tell(:schema, fn tid ->
      [simple: {:delete, row, tid}, detailed: {:delete, :schema, row, :undefined, tid}]
    end)
  end

  @doc "Tells those who watch a table that all its rows are gone."
  @spec cleared(Definition.t()) :: :ok
  def cleared(%{name: tab} = definition) do
    note(tab, :cleared)
    row = row(definition)

    tell(tab, fn tid ->
      [
        simple: {:delete, {:schema, tab}, tid},
        simple: {:write, row, tid},
        detailed: {:delete, :schema, {:schema, tab}, [row], tid},
        detailed: {:write, :schema, row, [], tid}
      ]
    end)
  end

  @doc "The rows of a table that somebody watches, to be compared with those that replace them."
  @spec rows(atom()) :: [tuple()]
  def rows(tab) do
    with [_ | _] <- Subscribers.of_table(tab),
         rows when is_list(rows) <- Engine.select_all(tab, [{:_, [], [:"$_"]}]) do
      rows
    else
      _ -> []
    end
  end

  @doc "Tells of the rows that were rewritten, given those from before."
  @spec transformed(Definition.t(), [tuple()]) :: :ok
  def transformed(_definition, []), do: :ok

  def transformed(%{name: tab}, before) do
    tell(tab, fn tid -> Enum.flat_map(changed(tab, before), &rewritten(&1, tab, tid)) end)
  end

  defp changed(tab, before) do
    for {key, old} <- Enum.group_by(before, &elem(&1, 1)),
        new = Engine.read(tab, key),
        new != old,
        do: {key, old, new}
  end

  defp rewritten({key, old, []}, tab, tid) do
    [simple: {:delete, {tab, key}, tid}, detailed: {:delete, tab, {tab, key}, old, tid}]
  end

  defp rewritten({_key, old, new}, tab, tid) do
    for row <- new,
        event <- [
          simple: {:write, put_elem(row, 0, tab), tid},
          detailed: {:write, tab, row, old, tid}
        ],
        do: event
  end

  @doc "Tells that the running operation's transaction is complete."
  @spec completed() :: :ok
  def completed do
    with [_ | _] <- Subscribers.of(:activity), {_, {:tid, _, _} = tid, _} <- Activity.state() do
      :ok = Engine.publish([{:activity, {:mnesia_activity_event, {:complete, tid}}}])
    else
      _ -> :ok
    end
  end

  defp note(tab, change) do
    Telemetry.execute([:magnesia, :schema, :change], %{count: 1}, %{table: tab, change: change})
  end

  defp write(row, old, tid) do
    [simple: {:write, row, tid}, detailed: {:write, :schema, row, old, tid}]
  end

  defp tell(tab, events) do
    with [_ | _] <- Subscribers.of_table(tab), {_, {:tid, _, _} = tid, _} <- Activity.state() do
      wanted = for {_pid, kind} <- Subscribers.of_table(tab), uniq: true, do: kind

      :ok =
        Engine.publish(
          for {kind, event} <- events.(tid), kind in wanted do
            {{tab, kind}, {:mnesia_table_event, event}}
          end
        )
    else
      _ -> :ok
    end
  end

  defp row(definition), do: {:schema, definition.name, Definition.listed(definition)}
end
