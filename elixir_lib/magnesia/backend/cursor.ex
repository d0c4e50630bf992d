defmodule Magnesia.Backend.Cursor do
  @moduledoc """
  Queries of a stock Mnesia: whole, or some rows at a time, and deletion by pattern.

  A cursor is a value that outlives its process and may be stepped twice. Slices are filled up to
  the limit that was asked for, as ets does. An index has tuples without a record name, with the
  key first; heads for it get a place before the key, as the engine's rows have one.
  """

  alias Magnesia.Backend.Names
  alias Magnesia.Backend.Refusal
  alias Magnesia.Engine

  @typedoc "Where a query goes on, with the limit of a slice."
  @type t :: {:magnesia, Engine.cursor(), pos_integer(), term()} | :"$end_of_table"

  @slice_max 1000

  @doc "All results."
  @spec all(Magnesia.Backend.alias_name(), Magnesia.Backend.table(), list()) :: list()
  # The engine refuses what has no clause; ets finds nothing by it.
  def all(_alias, _tab, []), do: []

  def all(_alias, tab, spec) do
    case Engine.select_all(Names.ref(tab), shaped(tab, spec)) do
      rows when is_list(rows) -> rows
      failure -> refuse(failure, tab)
    end
  end

  @doc "The first results, up to a limit."
  @spec first(
          Magnesia.Backend.alias_name(),
          Magnesia.Backend.table(),
          list(),
          pos_integer() | :infinity
        ) :: {list(), t()} | :"$end_of_table"
  def first(alias_name, tab, spec, :infinity) do
    ended(all(alias_name, tab, spec))
  end

  def first(_alias, _tab, _spec, limit) when not is_integer(limit) or limit < 1 do
    :erlang.error(:badarg)
  end

  def first(_alias, _tab, [], _limit), do: :"$end_of_table"

  def first(_alias, tab, spec, limit) do
    slice = Engine.select_chunk(Names.ref(tab), shaped(tab, spec), min(limit, @slice_max))
    fill(slice, limit, limit, [], tab)
  end

  @doc "The results after a cursor."
  @spec next(t()) :: {list(), t()} | :"$end_of_table"
  def next(:"$end_of_table"), do: :"$end_of_table"

  def next({:magnesia, cursor, limit, tab}) do
    fill(Engine.select_chunk_more(cursor, min(limit, @slice_max)), limit, limit, [], tab)
  end

  defp fill({:done, rows}, _missing, _limit, acc, _tab), do: ended(joined(acc, rows))

  defp fill({:more, rows, cursor}, missing, limit, acc, tab) do
    case missing - length(rows) do
      0 ->
        {joined(acc, rows), {:magnesia, cursor, limit, tab}}

      missing ->
        more = Engine.select_chunk_more(cursor, min(missing, @slice_max))
        fill(more, missing, limit, [rows | acc], tab)
    end
  end

  defp fill(failure, _missing, _limit, _acc, tab), do: refuse(failure, tab)

  defp joined([], rows), do: rows
  defp joined(acc, rows), do: :lists.append(:lists.reverse(acc, [rows]))

  defp ended([]), do: :"$end_of_table"
  defp ended(rows), do: {rows, :"$end_of_table"}

  @spec refuse(Engine.failure(), Magnesia.Backend.table()) :: no_return()
  defp refuse({:"$magnesia_error", :badarg}, _tab), do: :erlang.error(:badarg)
  defp refuse(failure, tab), do: Refusal.read(failure, tab)

  defp shaped({_tab, :index, _position}, spec) when is_list(spec) do
    Enum.map(spec, fn
      {head, guards, body} when is_tuple(head) ->
        {Tuple.insert_at(head, 0, :_), guards, Enum.map(body, &shifted/1)}

      clause ->
        clause
    end)
  end

  defp shaped(_tab, spec), do: spec

  # Mnesia asks an index for the key of its tuples in no other way.
  defp shifted({:element, position, :"$_"}), do: {:element, position + 1, :"$_"}
  defp shifted(result), do: result

  @doc """
  Deletes what a pattern matches: everything for `:_`, else one row, or all that match where the
  pattern has variables or maps, which match partially.
  """
  @spec match_delete(Magnesia.Backend.table(), term()) :: :ok | {:error, term()}
  def match_delete(tab, :_), do: done(Engine.table_clear(Names.ref(tab)), tab)

  def match_delete(tab, pattern) do
    if loose?([pattern]) do
      ref = Names.ref(tab)
      rows = Engine.select_all(ref, shaped(tab, [{pattern, [], [:"$_"]}]))
      delete_each(rows, ref, tab)
    else
      done(Engine.delete_object(Names.ref(tab), pattern), tab)
    end
  end

  defp delete_each(rows, ref, tab) when is_list(rows) do
    Enum.reduce(rows, :ok, fn row, result ->
      case done(Engine.delete_object(ref, row), tab) do
        :ok -> result
        error -> error
      end
    end)
  end

  defp delete_each(failure, _ref, tab), do: Refusal.write(failure, tab)

  defp done(:ok, _tab), do: :ok
  defp done(failure, tab), do: Refusal.write(failure, tab)

  defp loose?([]), do: false
  defp loose?([:_ | _rest]), do: true
  defp loose?([part | _rest]) when is_map(part), do: true
  defp loose?([part | rest]) when is_tuple(part), do: loose?(Tuple.to_list(part)) or loose?(rest)
  defp loose?([part | rest]) when is_list(part), do: loose?(part) or loose?(rest)
  defp loose?([part | rest]) when is_atom(part), do: variable?(part) or loose?(rest)
  defp loose?([_part | rest]), do: loose?(rest)
  defp loose?(tail), do: loose?([tail])

  defp variable?(atom), do: :mnesia.has_var(atom)
end
