defmodule Magnesia.Strict.Transformation do
  @moduledoc """
  `transform_table`: a table's rows rewritten by a fun, under new attributes.

  The new rows are made beside the old ones and put in their place in one step, so that nobody
  sees both. An index keeps its position in the record, whatever attribute stands there now.

  In a bag the fun's answer counts for each row, which is one of the deliberate differences:
  Mnesia loses the rows of a key that the fun leaves as they are when it changes another one of
  them, and deletes none when it changes none.
  """

  import Magnesia.Strict.Alteration
  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Job
  alias Magnesia.Strict.Alteration
  alias Magnesia.Strict.Announcement
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Rules

  @typep outcome :: Alteration.outcome()
  @typep change :: (tuple() -> tuple()) | :ignore

  @chunk 500

  @doc "Rewrites a table's rows; exits when there is no such table."
  @spec transform_table(term(), change(), term()) :: outcome()
  def transform_table(tab, fun, attributes) do
    case Definition.fetch(tab) do
      {:ok, definition} -> transform_table(tab, fun, attributes, definition.record_name)
      :error -> abort(missing(tab))
    end
  end

  defp missing(tab) do
    case Definition.fetch(:schema) do
      {:ok, _} -> {:no_exists, {tab, :record_name}}
      :error -> {:node_not_running, node()}
    end
  end

  @doc "Rewrites a table's rows and names the records anew."
  @spec transform_table(term(), change(), term(), term()) :: outcome()
  def transform_table(tab, fun, attributes, record_name)
      when (is_function(fun) or fun == :ignore) and is_list(attributes) and
             is_atom(record_name) do
    run(fn -> transform(tab, fun, attributes, record_name) end)
  end

  def transform_table(tab, fun, attributes, record_name) do
    {:aborted, {:bad_type, tab, fun, attributes, record_name}}
  end

  defp transform(:schema, _fun, _attributes, _record_name), do: abort({:bad_type, :schema})

  defp transform(tab, fun, attributes, record_name) do
    definition = locked!(tab, :write)

    next =
      %{Definition.next_version(definition) | attributes: attributes, record_name: record_name}
      |> Rules.check()
      |> Definition.built()

    if fun == :ignore, do: reshape(definition, next), else: rewrite(next, fun)
  end

  defp reshape(%{arity: arity, record_name: name}, %{arity: arity, record_name: name} = next) do
    properties = Definition.properties(next)

    next.name
    |> Engine.table_define(next.access_mode, properties)
    |> settled(next, &Announcement.reshaped/2)
  end

  defp reshape(_definition, next) do
    next.name
    |> Engine.table_reshape(next.record_name, next.arity, Definition.properties(next))
    |> settled(next, &Announcement.reshaped/2)
  end

  defp rewrite(%{name: name} = next, fun) do
    properties = Definition.properties(next)
    handle = Engine.transform_start(name, next.record_name, next.arity, properties)
    with {:"$magnesia_error", reason} <- handle, do: abort(reason, name, {:no_exists, name})
    everything = [{:_, [], [:"$_"]}]
    before = Announcement.rows(name)
    add(Engine.select_chunk(name, everything, @chunk), handle, next, fun)
    settled(Engine.transform_commit(handle), next, &Announcement.reshaped/2)
    Announcement.transformed(next, before)
  end

  defp add({:more, rows, cursor}, handle, next, fun) do
    put(handle, changed(rows, next, fun), next)
    add(Engine.select_chunk_more(cursor, @chunk), handle, next, fun)
  end

  defp add({:done, rows}, handle, next, fun), do: put(handle, changed(rows, next, fun), next)

  defp add({:"$magnesia_error", reason}, _handle, next, _fun) do
    abort(reason, next.name, {:no_exists, next.name})
  end

  defp put(handle, rows, next), do: done(Engine.transform_rows(handle, rows), next.name)

  defp changed(rows, next, fun), do: Job.outside(fn -> change(rows, next, fun) end)

  defp change(rows, next, fun) do
    for row <- rows, new = checked(fun.(row), row, next), new != :delete, do: new
  catch
    _kind, reason -> exit({~c"Bad transform function", next.name, fun, node(), reason})
  end

  defp checked(new, row, next) when is_tuple(new) do
    cond do
      tuple_size(new) != next.arity -> exit({~c"Bad arity", row, new})
      new == row -> new
      elem(new, 0) == next.record_name and elem(new, 1) == elem(row, 1) -> new
      true -> exit({~c"Bad key or Record Name", row, new})
    end
  end

  defp checked(:delete, _row, _next), do: :delete
  defp checked(new, row, _next), do: exit({~c"Bad key or Record Name", row, new})
end
