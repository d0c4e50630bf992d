defmodule Magnesia.Strict.Index do
  @moduledoc """
  Reads by an indexed attribute, in an activity and dirty.

  The indexes themselves are kept in the engine; this room finds the position, checks the value
  and merges a transaction's own rows.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Strict.Dirty
  alias Magnesia.Strict.Facts
  alias Magnesia.Strict.Locks
  alias Magnesia.Strict.Own
  alias Magnesia.Strict.Pattern
  alias Magnesia.Strict.Selection

  defguardp is_table(tab) when is_atom(tab) and tab != :schema
  defguardp is_record(record) when is_tuple(record) and tuple_size(record) > 2

  @doc "Reads by index in the activity that the process carries."
  @spec read(tuple() | :undefined, term(), term(), term()) :: [tuple()]
  def read({:magnesia, tid, ts}, tab, value, attr), do: read(tid, ts, tab, value, attr, :read)
  def read({mod, tid, ts}, tab, value, attr), do: mod.index_read(tid, ts, tab, value, attr, :read)
  def read(_, _tab, _value, _attr), do: abort(:no_transaction)

  @doc "Reads by index in a given activity."
  @spec read(tuple(), term(), term(), term(), term(), term()) :: [tuple()]
  def read({:tid, _, _}, ctx, tab, value, attr, lock) when is_table(tab) do
    pos = Facts.position(tab, attr)

    cond do
      lock != :read -> abort({:bad_type, tab, lock})
      Pattern.has_var(value) -> abort({:bad_type, tab, attr, value})
      true -> read_locked(ctx, tab, value, pos)
    end
  end

  def read(_tid, _ts, tab, value, attr, _lock), do: dirty_read(tab, value, attr)

  @doc "Reads by index without an activity."
  @spec dirty_read(term(), term(), term()) :: [tuple()]
  def dirty_read(tab, value, attr) when is_table(tab) do
    pos = Facts.position(tab, attr)
    if Pattern.has_var(value), do: abort({:bad_type, tab, attr, value})

    case by_index(tab, value, pos) do
      rows when is_list(rows) -> rows
      {:"$magnesia_error", reason} -> refuse(reason, tab, [tab, value, pos])
    end
  end

  def dirty_read(tab, _value, _attr), do: abort({:bad_type, tab})

  @doc "Matches through an index in the activity that the process carries."
  @spec match_object(tuple() | :undefined, term(), term(), term(), term()) :: [tuple()]
  def match_object({:magnesia, tid, ts}, tab, pattern, attr, lock) do
    match_object(tid, ts, tab, pattern, attr, lock)
  end

  def match_object({mod, tid, ts}, tab, pattern, attr, lock) do
    mod.index_match_object(tid, ts, tab, pattern, attr, lock)
  end

  def match_object(_, _tab, _pattern, _attr, _lock), do: abort(:no_transaction)

  @doc "Matches through an index in a given activity."
  @spec match_object(tuple(), term(), term(), term(), term(), term()) :: [tuple()]
  def match_object({:tid, _, _}, ctx, tab, pattern, attr, lock)
      when is_table(tab) and is_record(pattern) do
    pos = Facts.position(tab, attr)

    cond do
      is_integer(pos) and pos > tuple_size(pattern) -> abort({:bad_type, tab, pos})
      lock != :read -> abort({:bad_type, tab, lock})
      true -> match_locked(ctx, tab, pattern, attr)
    end
  end

  def match_object(_tid, _ts, tab, pattern, attr, _lock) do
    dirty_match_object(tab, pattern, attr)
  end

  @doc "Matches through an index without an activity."
  @spec dirty_match_object(term(), term(), term()) :: [tuple()]
  def dirty_match_object(tab, pattern, attr) when is_table(tab) and is_record(pattern) do
    pos = Facts.position(tab, attr)

    cond do
      not is_integer(pos) -> Dirty.match_object(tab, pattern)
      pos > tuple_size(pattern) -> abort({:bad_type, tab, pos})
      not Pattern.has_var(elem(pattern, 1)) -> Dirty.match_object(tab, pattern)
      true -> match_value(tab, pattern, attr, pos)
    end
  end

  def dirty_match_object(tab, pattern, _attr), do: abort({:bad_type, tab, pattern})

  defp read_locked(ctx, tab, value, pos) do
    kind = indexed_kind(tab, pos)
    Locks.hold_table(ctx, tab, :read)

    case by_index(tab, value, pos) do
      rows when is_list(rows) ->
        Locks.note_read(tab)
        # A bag's objects come the other way round than outside a transaction.
        rows = if kind == :bag, do: :lists.reverse(rows), else: rows
        merge(Selection.own(ctx, tab), rows, tab, value, pos)

      {:"$magnesia_error", reason} ->
        abort(reason, tab, {:no_exists, tab})
    end
  end

  defp indexed_kind(tab, pos) do
    case Facts.fetch(tab) do
      {:ok, facts} -> if pos in facts.index, do: facts.type, else: refuse_position(tab, pos)
      :error -> :unknown
    end
  end

  @spec refuse_position(atom(), term()) :: no_return()
  # The reason depends on whether the table is read-locked already.
  defp refuse_position(tab, pos) do
    if Locks.table_read_locked?(tab) do
      abort({:no_exist, tab, {:index, pos}})
    else
      abort({:no_exists, tab, {:index, [pos]}})
    end
  end

  @doc "Merges a transaction's own operations into the rows with a value."
  @spec merge(Own.ops(), [tuple()], atom(), term(), pos_integer()) :: [tuple()]
  def merge([], rows, _tab, _value, _pos), do: rows

  def merge(ops, rows, tab, value, pos) do
    facts = Facts.fetch!(tab, :wild_pattern)
    pattern = :erlang.setelement(pos, Facts.wild_pattern(facts), value)
    Own.merge_matching(ops, rows, facts.type, pattern)
  end

  defp match_locked(ctx, tab, pattern, attr) do
    Locks.hold_table(ctx, tab, :read)
    rows = dirty_match_object(tab, pattern, attr)

    case Selection.own(ctx, tab) do
      [] -> rows
      ops -> Own.merge_matching(ops, rows, Facts.fetch!(tab, :setorbag).type, pattern)
    end
  end

  defp match_value(tab, pattern, attr, pos) do
    value = :erlang.element(pos, pattern)
    if Pattern.has_var(value), do: abort({:bad_type, tab, attr, value})

    case Facts.fetch(tab) do
      {:ok, facts} ->
        if pos in facts.index or elem(pattern, 1) != :_ do
          Dirty.match_object(tab, pattern)
        else
          abort({:badarg, [tab, pattern, pos]})
        end

      :error ->
        abort({:no_exists, [tab, pattern, pos]})
    end
  end

  # Mnesia matches the value with what its index holds, and a match tells 0.0 from -0.0 where the
  # VM's own comparison does not yet.
  defp by_index(tab, value, pos) when is_integer(pos) and pos > 0 do
    case Engine.index_read(tab, value, pos) do
      [_ | _] = rows -> if zero?(value), do: matching(rows, tab, value, pos), else: rows
      rows_or_failure -> rows_or_failure
    end
  end

  defp by_index(tab, _value, _pos) do
    case Engine.size(tab) do
      size when is_integer(size) -> {:"$magnesia_error", :bad_position}
      failure -> failure
    end
  end

  # Whether a value may hold a zero: what is in a tuple is looked at, what is in that is not.
  defp zero?(value) when is_tuple(value), do: zero?(value, tuple_size(value))
  defp zero?(value), do: doubtful?(value)

  defp zero?(_tuple, 0), do: false
  defp zero?(tuple, n), do: doubtful?(:erlang.element(n, tuple)) or zero?(tuple, n - 1)

  defp doubtful?(value) when is_float(value), do: value == 0.0
  defp doubtful?(value), do: is_tuple(value) or is_map(value) or (is_list(value) and value != [])

  defp matching(rows, tab, value, pos) do
    wild = Facts.wild_pattern(Facts.fetch!(tab, :wild_pattern))
    Own.run(rows, Pattern.rows(:erlang.setelement(pos, wild, value)))
  end

  @spec refuse(term(), atom(), [term()]) :: no_return()
  defp refuse(reason, _tab, args) when reason in [:bad_position, :badarg] do
    abort({:badarg, args})
  end

  defp refuse(reason, tab, args), do: abort(reason, tab, {:no_exists, args})
end
