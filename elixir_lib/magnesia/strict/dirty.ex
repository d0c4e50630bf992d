defmodule Magnesia.Strict.Dirty do
  @moduledoc """
  Operations without an activity: at once, without locks, blind to a transaction's own writes.

  The activity modules come here for their dirty contexts. The order of the checks is the
  callers' contract: the engine is asked first, and what was wrong with the arguments is worked
  out only when it refuses.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Strict.Facts
  alias Magnesia.Strict.Pattern

  @counter :update_counter

  defguardp is_table(tab) when is_atom(tab) and tab != :schema
  defguardp is_record(record) when is_tuple(record) and tuple_size(record) > 2

  @doc """
  Calls a function of this module on a table in this machine's memory; whatever is wrong is a
  `badarg` error, as it is on a bare table.
  """
  @spec bare(atom(), (() -> result)) :: result when result: term()
  def bare(tab, fun) do
    case Facts.fetch(tab) do
      {:ok, facts} when facts.storage in [:ram_copies, :disc_copies] -> or_badarg(fun)
      _ -> :erlang.error(:badarg)
    end
  end

  @doc "Reads a key."
  @spec read(term(), term()) :: [tuple()]
  def read(tab, key) do
    case Engine.read(tab, key) do
      rows when is_list(rows) -> rows
      {:"$magnesia_error", reason} -> refuse(reason, tab, [tab, key])
    end
  end

  @doc "Explains why a read was refused."
  @spec refuse_read(Engine.failure(), term(), term()) :: no_return()
  def refuse_read({:"$magnesia_error", reason}, tab, key), do: refuse(reason, tab, [tab, key])

  @doc "Writes a record; the last argument is the engine's call for it."
  @spec write(term(), term(), function()) :: :ok
  def write(tab, record, put \\ &Engine.write/2) do
    case put.(tab, record) do
      :ok -> :ok
      failure -> refuse_write(failure, tab, record)
    end
  end

  @doc "Explains why a write was refused."
  @spec refuse_write(Engine.failure(), term(), term()) :: no_return()
  def refuse_write({:"$magnesia_error", reason}, tab, record) do
    cond do
      not (is_table(tab) and is_record(record)) -> abort({:bad_type, tab, record})
      reason == :bad_type or not fits?(tab, record) -> abort({:bad_type, record})
      true -> abort(reason, tab, {:no_exists, tab})
    end
  end

  @doc "Deletes a key; the last argument is the engine's call for it."
  @spec delete(term(), term(), function()) :: :ok
  def delete(tab, key, remove \\ &Engine.delete/2)

  def delete(tab, key, remove) when is_table(tab) do
    case remove.(tab, key) do
      :ok -> :ok
      {:"$magnesia_error", reason} -> abort(reason, tab, {:no_exists, {tab, :where_to_commit}})
    end
  end

  def delete(tab, _key, _remove), do: abort({:bad_type, tab})

  @doc "Deletes one exact record; the last argument is the engine's call for it."
  @spec delete_object(term(), term(), function()) :: :ok
  def delete_object(tab, record, remove \\ &Engine.delete_object/2)

  def delete_object(tab, record, remove) when is_table(tab) and is_record(record) do
    if Pattern.has_var(record), do: abort({:bad_type, tab, record})

    case remove.(tab, record) do
      :ok -> :ok
      # No row of the table can equal it.
      {:"$magnesia_error", :bad_type} -> :ok
      {:"$magnesia_error", reason} -> abort(reason, tab, {:no_exists, {tab, :where_to_commit}})
    end
  end

  def delete_object(tab, record, _remove), do: abort({:bad_type, tab, record})

  @doc "Adds to a counter and answers the new value."
  @spec update_counter(term(), term(), term()) :: integer()
  def update_counter(tab, key, incr) when is_table(tab) and is_integer(incr) do
    case Engine.update_counter(tab, key, incr) do
      value when is_integer(value) ->
        value

      {:"$magnesia_error", reason} ->
        if reason == :bad_kind or not counter?(tab), do: abort({:combine_error, tab, @counter})
        abort(reason, tab, {:no_exists, tab})
    end
  end

  def update_counter(tab, _key, incr), do: abort({:bad_type, tab, incr})

  @doc "The rows that a pattern matches."
  @spec match_object(term(), term()) :: [tuple()]
  def match_object(tab, pattern) when is_table(tab) and is_record(pattern) do
    case matching(tab, pattern) do
      [] -> check_length(tab, pattern)
      [_] = row -> row
      rows when is_list(rows) -> index_order(tab, pattern, rows)
      {:"$magnesia_error", reason} -> refuse(reason, tab, [tab, pattern])
    end
  end

  def match_object(tab, pattern), do: abort({:bad_type, tab, pattern})

  @doc "The rows that a pattern matches, in the table's order."
  @spec scan(atom(), tuple()) :: [tuple()]
  def scan(tab, pattern) do
    case matching(tab, pattern) do
      rows when is_list(rows) -> rows
      {:"$magnesia_error", reason} -> refuse(reason, tab, [tab, pattern])
    end
  end

  @doc "The results of a match specification."
  @spec select(term(), term()) :: list()
  def select(tab, spec) when is_table(tab) and is_list(spec) do
    case select_all(tab, spec) do
      rows when is_list(rows) -> rows
      {:"$magnesia_error", reason} -> refuse(reason, tab, [tab, spec])
    end
  end

  def select(tab, spec), do: abort({:bad_type, tab, spec})

  @doc "All keys, each once."
  @spec all_keys(term()) :: [term()]
  def all_keys(tab) when is_table(tab) do
    case Facts.fetch(tab) do
      {:ok, facts} -> Facts.unique_keys(facts, select(tab, Facts.keys_spec(facts)))
      :error -> abort({:no_exists, tab})
    end
  end

  def all_keys(tab), do: abort({:bad_type, tab})

  @doc "The rows in a slot."
  @spec slot(term(), term()) :: [tuple()] | :"$end_of_table"
  def slot(tab, n) when is_table(tab) and is_integer(n) do
    case Engine.slot(tab, n) do
      {:"$magnesia_error", :badarg} -> no_slot(Facts.fetch(tab), tab, n)
      answer -> checked(answer, tab, [tab, n])
    end
  end

  def slot(tab, n), do: abort({:bad_type, tab, n})

  @doc "The first key."
  @spec first(term()) :: term()
  def first(tab) when is_table(tab), do: checked(Engine.first(tab), tab, [tab])
  def first(tab), do: abort({:bad_type, tab})

  @doc "The last key."
  @spec last(term()) :: term()
  def last(tab) when is_table(tab), do: checked(Engine.last(tab), tab, [tab])
  def last(tab), do: abort({:bad_type, tab})

  @doc "The key after another."
  @spec next(term(), term()) :: term()
  def next(tab, key) when is_table(tab), do: checked(Engine.next(tab, key), tab, [tab, key])
  def next(tab, _key), do: abort({:bad_type, tab})

  @doc "The key before another."
  @spec prev(term(), term()) :: term()
  def prev(tab, key) when is_table(tab), do: checked(Engine.prev(tab, key), tab, [tab, key])
  def prev(tab, _key), do: abort({:bad_type, tab})

  # A bound key among constants and wildcards needs no query.
  defp matching(tab, pattern) do
    if Pattern.key_only?(pattern) do
      case Engine.read(tab, elem(pattern, 1)) do
        rows when is_list(rows) -> Enum.filter(rows, &Pattern.fits?(pattern, &1))
        failure -> failure
      end
    else
      Engine.select_all(tab, Pattern.rows(pattern))
    end
  end

  # Whether a record could be one of the table's is asked before whether it may be written.
  defp fits?(tab, record) do
    case Facts.fetch(tab) do
      {:ok, facts} -> {elem(record, 0), tuple_size(record)} == {facts.record_name, facts.arity}
      :error -> true
    end
  end

  defp counter?(tab) do
    case Facts.fetch(tab) do
      {:ok, facts} -> facts.type != :bag and facts.arity == 3
      :error -> true
    end
  end

  # A negative number is refused before the table is looked for.
  defp no_slot({:ok, %{storage: :disc_only_copies}}, _tab, n) when n >= 0, do: :"$end_of_table"
  defp no_slot({:ok, _}, tab, n), do: abort({:badarg, [tab, n]})
  defp no_slot(:error, tab, n), do: abort({:no_exists, [tab, n]})

  # A specification without clauses matches nothing.
  defp select_all(tab, []) do
    case Engine.size(tab) do
      size when is_integer(size) -> []
      failure -> failure
    end
  end

  defp select_all(tab, spec), do: Engine.select_all(tab, spec)

  # A pattern of another length matches nothing, but an index beyond its end is an error.
  defp check_length(tab, pattern) do
    with {:ok, facts} when facts.arity > tuple_size(pattern) <- Facts.fetch(tab),
         true <- Pattern.has_var(elem(pattern, 1)),
         true <- beyond?(facts.index, pattern) do
      abort({:bad_type, tab, pattern})
    else
      _ -> []
    end
  end

  # An ordered set's rows that are found through an index come the other way round.
  defp index_order(tab, pattern, rows) when elem(pattern, 1) == :_ do
    case Facts.fetch(tab) do
      {:ok, %{type: :ordered_set, index: indexes}} ->
        bound? = Enum.any?(indexes, &(not Pattern.has_var(:erlang.element(&1, pattern))))
        if bound?, do: :lists.reverse(rows), else: rows

      _ ->
        rows
    end
  end

  defp index_order(_tab, _pattern, rows), do: rows

  defp beyond?([pos | _], pattern) when pos > tuple_size(pattern), do: true

  defp beyond?([pos | rest], pattern) do
    Pattern.has_var(:erlang.element(pos, pattern)) and beyond?(rest, pattern)
  end

  defp beyond?([], _pattern), do: false

  defp or_badarg(fun) do
    try do
      fun.()
    catch
      :exit, {:aborted, {reason, _}} when reason in [:badarg, :no_exists] ->
        :erlang.error(:badarg)
    end
  end

  defp checked({:"$magnesia_error", reason}, tab, args), do: refuse(reason, tab, args)
  defp checked(value, _tab, _args), do: value

  @spec refuse(term(), term(), [term()]) :: no_return()
  defp refuse(_reason, tab, _args) when not is_table(tab), do: abort({:bad_type, tab})
  defp refuse(reason, _tab, args) when reason in [:badarg, :no_key], do: abort({:badarg, args})
  defp refuse(:closed, _tab, args), do: abort({:no_exists, args})
  defp refuse(reason, tab, args), do: abort(reason, tab, {:no_exists, args})
end
