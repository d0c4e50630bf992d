defmodule Magnesia.Parity.Hearing do
  @moduledoc """
  What a script's process hears of events: it subscribes to the fixed tables, to the schema and to
  activities before the script, and takes what came after each operation.

  Order counts where stock Mnesia has one: between commits, among the changes of one key, and of a
  transaction's rows before its end. The keys of one transaction come in the order of a hash
  table. A definition is named, not shown. It must never look at what is in a table.
  """

  alias Magnesia.Parity.{Normal, Script, Subject}

  @doc "Subscribes the caller; every second table in detail, which ones the script's seed says."
  @spec begin(Script.t(), module) :: :ok
  def begin(script, subject) do
    for {table, number} <- Enum.with_index(Subject.table_names(), script.seed || 0) do
      kind = if rem(number, 2) == 0 and script.hears == :all, do: :detailed, else: :simple
      {:ok, _} = subject.subscribe({:table, table, kind})
    end

    {:ok, _} = subject.subscribe({:table, :schema, :simple})
    {:ok, _} = subject.subscribe(:activity)
    :ok
  end

  @doc "The events since the last time, in comparable form."
  @spec events(module) :: [term]
  def events(subject) do
    {strays, events} =
      for {tag, event} <- Subject.messages(subject),
          tag in [:mnesia_table_event, :mnesia_activity_event] do
        {cause(event), named(event)}
      end
      |> Enum.split_with(fn {_cause, event} -> stray?(event, subject) end)

    events
    |> Enum.chunk_by(&elem(&1, 0))
    |> Enum.reject(&empty?(&1, strays))
    |> Enum.map(&chunk/1)
    |> Normal.term(subject)
  end

  # A transaction of nothing but strays has written nothing on the other side.
  defp empty?([{cause, {:complete, _}}], strays), do: List.keymember?(strays, cause, 0)
  defp empty?(_chunk, _strays), do: false

  # Quirk 164.
  defp stray?({:delete_object, row, _cause}, subject), do: stray?(elem(row, 0), row, subject)
  defp stray?({:delete, tab, row, [row], _cause}, subject), do: stray?(tab, row, subject)
  defp stray?(_event, _subject), do: false

  defp stray?(table, row, subject) do
    subject.table_info(table, :arity) != tuple_size(row) or
      elem(row, 0) not in [table, subject.table_info(table, :record_name)]
  catch
    :exit, _no_such_table -> false
  end

  defp cause(event), do: elem(event, tuple_size(event) - 1)

  defp named({verb, {:schema, table, definition}, cause}) when is_list(definition) do
    {verb, {:schema, table}, cause}
  end

  defp named({verb, :schema, {:schema, table, _}, _old, cause}), do: {verb, :schema, table, cause}

  defp named({verb, :schema, {:schema, table}, old, cause}) do
    {verb, :schema, table, length(old), cause}
  end

  defp named(event), do: event

  defp chunk([{{:dirty, _}, _} | _] = events), do: Enum.map(events, &elem(&1, 1))

  defp chunk(events) do
    {ends, changes} =
      events |> Enum.map(&elem(&1, 1)) |> Enum.split_with(&match?({:complete, _}, &1))

    last? = ends == [] or match?({_, {:complete, _}}, List.last(events))
    {Normal.sorted(Map.values(Enum.group_by(changes, &place/1))), length(ends), last?}
  end

  # The key that a change is of.
  defp place({_verb, row, _cause}), do: {elem(row, 0), elem(row, 1)}
  defp place({_verb, table, row, _old, _cause}), do: {table, elem(row, 1)}
  defp place(other), do: other
end
