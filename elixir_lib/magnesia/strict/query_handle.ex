defmodule Magnesia.Strict.QueryHandle do
  @moduledoc """
  `table/1,2`: a table as a query handle of OTP's `qlc`.

  A query looks rows up by key or by an indexed attribute where its filters bind one, otherwise
  it hands its match specification down, so that a table is never read whole when less will do.
  A cursor's process reads for the transaction that made it: the lock and the transaction's own
  rows are settled when the cursor is made, in `Magnesia.Strict.Loan`. No row is read here.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Strict.Activity
  alias Magnesia.Strict.Facts
  alias Magnesia.Strict.Fragments
  alias Magnesia.Strict.Loan
  alias Magnesia.Strict.Plumbing

  @defaults [traverse: :select, lock: :read, n_objects: 100]

  @doc """
  A query handle on a table.

  Options, one or a list: `{:traverse, :select}`, `{:traverse, {:select, spec}}`,
  `{:lock, kind}`, `{:n_objects, rows}` a chunk, and `qlc`'s own `{:key_equality, _}`. A table
  that is not there shows when the query is run.
  """
  @spec table(atom(), term()) :: term()
  def table(tab, options \\ []) do
    listed = if is_list(options), do: options, else: [options]
    [traverse, lock, limit] = for {key, default} <- @defaults, do: pick(key, listed, default)
    rest = Enum.reduce(@defaults, listed, fn {key, _}, rest -> :lists.keydelete(key, 1, rest) end)

    :qlc.table(
      traversal(traverse, tab, limit, lock, options),
      [
        pre_fun: &enter(&1, tab),
        info_fun: &info(tab, &1),
        parent_fun: fn -> activity(tab, lock) end,
        format_fun: &format(&1, tab, limit, lock, listed)
      ] ++ lookup(traverse, tab, lock) ++ rest
    )
  end

  defp pick(key, options, default) do
    case :lists.keyfind(key, 1, options) do
      {^key, value} -> value
      false -> default
    end
  end

  defp traversal(:select, tab, limit, lock, _options) do
    fn spec -> chunks(:magnesia.select(tab, spec, limit, lock)) end
  end

  defp traversal({:select, spec}, tab, limit, lock, _options) do
    fn -> chunks(:magnesia.select(tab, spec, limit, lock)) end
  end

  defp traversal(traverse, tab, _limit, _lock, options) do
    :erlang.error({:badarg, {traverse, [tab, options]}})
  end

  defp chunks(:"$end_of_table"), do: []
  defp chunks({[], more}), do: chunks(:magnesia.select(more))

  # A list whose tail is a fun: the next chunk is read when it is asked for.
  defp chunks({rows, more}), do: continued(rows, fn -> chunks(:magnesia.select(more)) end)

  @dialyzer {:nowarn_function, continued: 2}
  defp continued(rows, more), do: :erlang.++(rows, more)

  defp lookup({:select, _spec}, _tab, _lock), do: []

  defp lookup(:select, tab, lock) do
    [
      lookup_fun: fn
        2, keys -> Enum.flat_map(keys, &:magnesia.read(tab, &1, lock))
        position, values -> Enum.flat_map(values, &:magnesia.index_read(tab, &1, position))
      end
    ]
  end

  # In the process that runs the query, or makes the cursor.
  defp activity(tab, lock) do
    state = Activity.state()
    {:magnesia_activity, if(cursor?(), do: Loan.lend(state, tab, lock), else: state)}
  end

  defp cursor? do
    {:current_stacktrace, frames} = Process.info(self(), :current_stacktrace)
    Enum.any?(frames, &match?({:qlc, :parent_fun, _, _}, &1))
  end

  # In the process that reads.
  defp enter(arguments, tab) do
    lent =
      case :lists.keyfind(:parent_value, 1, arguments) do
        {:parent_value, {:magnesia_activity, state}} -> state
        _ -> :undefined
      end

    case Loan.take(Activity.state(), lent) do
      :undefined -> abort(:no_transaction)
      {_mod, {:tid, _, _}, _store} -> :ok
      _dirty -> there(tab)
    end
  end

  defp there(tab) do
    if Facts.fetch(tab) == :error, do: abort({:no_exists, [tab, true, self()]}), else: :ok
  end

  defp info(tab, :num_of_objects), do: Plumbing.raw_table_info!(tab, :size)
  defp info(_tab, :keypos), do: 2
  defp info(_tab, :is_unique_objects), do: true
  defp info(tab, :is_unique_keys), do: Facts.fetch!(tab, :type).type != :bag

  # The rows of fragments come one fragment after another.
  defp info(tab, :is_sorted_objects) do
    ordered? = Facts.fetch!(tab, :type).type == :ordered_set
    if ordered? and Fragments.fetch(tab) == :error, do: :ascending, else: :no
  end

  defp info(tab, :indices), do: Facts.fetch!(tab, :index).index
  defp info(_tab, _tag), do: :undefined

  defp format(:all, tab, limit, lock, options) do
    {:magnesia, :table, [tab, [{:n_objects, limit}, {:lock, lock} | options]]}
  end

  defp format({:match_spec, spec}, tab, limit, lock, options) do
    chosen = [{:traverse, {:select, spec}}, {:n_objects, limit}, {:lock, lock} | options]
    {:magnesia, :table, [tab, chosen]}
  end

  defp format({:lookup, 2, keys}, tab, _limit, lock, _options) do
    text = ~c"lists:flatmap(fun(V) -> magnesia:read(~w, V, ~w) end, ~w)"
    :io_lib.format(text, [tab, lock, keys])
  end

  defp format({:lookup, position, values}, tab, _limit, _lock, _options) do
    text = ~c"lists:flatmap(fun(V) -> magnesia:index_read(~w, V, ~w) end, ~w)"
    :io_lib.format(text, [tab, position, values])
  end
end
