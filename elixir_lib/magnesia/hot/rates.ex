defmodule Magnesia.Hot.Rates do
  @moduledoc """
  How often the tables of a running Mnesia are read and written on this node, by a sample.

  Stock tables count nothing, so the VM's call tracing is switched on for Mnesia's own inner
  functions, and off again after the sample's time or #{20_000} calls, whichever comes first: on a
  busy node that is a few milliseconds. A read is a look-up of a key (`mnesia_lib:db_get/2`), by
  a transaction, a dirty call or for an index; a scan is not counted. A write is a row that is
  written, deleted or counted up (`db_put`, `db_erase`, `db_match_erase`, `db_update_counter`),
  also on behalf of another node. Where somebody else traces these functions, nothing is known.
  """

  @calls_max 20_000
  @second_of_three [{[:_, :"$1", :_], [{:is_atom, :"$1"}], [{:message, :"$1"}]}]
  @second_of_four [{[:_, :"$1", :_, :_], [{:is_atom, :"$1"}], [{:message, :"$1"}]}]
  @traced [
    {{:mnesia_lib, :db_get, 2}, [{[:"$1", :_], [{:is_atom, :"$1"}], [{:message, :"$1"}]}]},
    {{:mnesia_lib, :db_put, 3}, @second_of_three},
    {{:mnesia_lib, :db_erase, 3}, @second_of_three},
    {{:mnesia_lib, :db_match_erase, 3}, @second_of_three},
    {{:mnesia_lib, :db_update_counter, 4}, @second_of_four}
  ]

  @type rates :: %{atom() => {reads :: float(), writes :: float()}}

  @doc "Reads and writes a second by table; tables that were not touched are left out."
  @spec take(number()) :: {:ok, rates()} | :unknown
  def take(seconds) do
    if free?() do
      Task.await(Task.async(fn -> traced(round(seconds * 1000)) end), :infinity)
    else
      :unknown
    end
  end

  defp free? do
    Enum.all?(@traced, fn {function, _spec} ->
      :erlang.trace_info(function, :traced) in [{:traced, false}, :undefined]
    end)
  end

  # The flags on processes go with the process that is told, which is this one.
  defp traced(limit_ms) do
    for {function, spec} <- @traced, do: :erlang.trace_pattern(function, spec, [:local])
    _ = :erlang.trace(:all, true, [:call, :arity])
    began = :erlang.monotonic_time(:microsecond)
    counts = collect(%{}, @calls_max, began + limit_ms * 1000)
    spent = max(:erlang.monotonic_time(:microsecond) - began, 1)
    {:ok, Map.new(counts, fn {tab, {r, w}} -> {tab, {rate(r, spent), rate(w, spent)}} end)}
  after
    for {function, _spec} <- @traced, do: :erlang.trace_pattern(function, false, [:local])
  end

  defp rate(count, microseconds), do: count * 1_000_000 / microseconds

  defp collect(counts, 0, _until), do: counts

  defp collect(counts, left, until) do
    wait = max(div(until - :erlang.monotonic_time(:microsecond), 1000), 0)

    receive do
      {:trace, _pid, :call, {:mnesia_lib, :db_get, 2}, tab} ->
        collect(counted(counts, tab, {1, 0}), left - 1, until)

      {:trace, _pid, :call, _function, tab} ->
        collect(counted(counts, tab, {0, 1}), left - 1, until)
    after
      wait -> counts
    end
  end

  defp counted(counts, tab, {reads, writes}) do
    Map.update(counts, tab, {reads, writes}, fn {r, w} -> {r + reads, w + writes} end)
  end
end
