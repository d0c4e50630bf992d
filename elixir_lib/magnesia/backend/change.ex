defmodule Magnesia.Backend.Change do
  @moduledoc """
  What Mnesia leaves undone when a table's storage changes from one of the aliases or to one.

  It forgets to take the old storage's indexes out of its books, so a position stands there twice
  or three times, with tables that are written and never read; an application that compares its
  indexes with what it wants, as ejabberd does at its start, deletes the one it needs. And before
  4.23.3 it writes no rows to disk for a table that becomes `:disc_copies`: they are gone after
  the next restart. Both are mended here, from callbacks that Mnesia makes in the middle of the
  change: before it builds indexes anew, and while the rows are in its transfer file. Rows of the
  engine's own tables are never touched.
  """

  @sound_version [4, 23, 3]

  @doc "Does what is due before a table's last storage of ours goes, or comes."
  @spec mend(atom()) :: :ok
  def mend(tab) do
    case book({tab, :storage_type}) do
      :disc_copies ->
        _ = unless sound?(), do: write_rows(tab)
        forget_indexes(tab)

      stock when stock in [:ram_copies, :disc_only_copies] ->
        forget_indexes(tab)

      _not_a_change ->
        :ok
    end
  end

  @doc "Takes all indexes of a table out of Mnesia's books; it enters the new ones after that."
  @spec forget_indexes(atom()) :: :ok
  def forget_indexes(tab) do
    work = book({tab, :commit_work}) || []

    case List.keyfind(work, :index, 0) do
      {:index, kind, entries} ->
        :mnesia_lib.set({tab, :index_info}, {:index, kind, []})
        :mnesia_lib.set({tab, :index}, [])
        :mnesia_lib.set({tab, :commit_work}, List.keydelete(work, :index, 0))
        Enum.each(entries, &discard(tab, &1))

      nil ->
        :ok
    end
  end

  defp discard(tab, {{position, _type}, {:ram, ets}}) do
    :mnesia_lib.unset({tab, {:index, plain(position)}})
    true = :ets.info(ets, :id) == :undefined or :ets.delete(ets)
  end

  defp discard(tab, {{position, type}, {:dets, dets}}) do
    position = plain(position)
    :mnesia_lib.unset({tab, {:index, {position, type}}})
    :mnesia_monitor.unsafe_close_dets(dets)
    _ = File.rm(file(tab, position))
    :ok
  end

  # A table of the engine, which goes with its data table.
  defp discard(tab, {{position, type}, {_external, _name}}) do
    :mnesia_lib.unset({tab, {:index, {plain(position), type}}})
  end

  # A plugin is entered with its function.
  defp plain({name, _module, _function}), do: name
  defp plain(position), do: position

  defp file(tab, {name}), do: beside(tab, "_-#{name}-.DAT")
  defp file(tab, position), do: beside(tab, "_#{position}.DAT")
  defp beside(tab, ending), do: IO.chardata_to_string([:mnesia_lib.dir(tab), ending])

  # Only while the transfer file is there: a change that a start finishes may find it gone, and
  # the rows where they belong.
  defp write_rows(tab) do
    transfer = :mnesia_lib.tab2logtmp(tab)
    if File.exists?(transfer), do: write_rows(tab, transfer), else: :ok
  end

  defp write_rows(tab, transfer) do
    unfinished = :mnesia_lib.tab2tmp(tab)
    _ = File.rm(unfinished)
    from = {__MODULE__, tab}
    header = :mnesia_log.dcd_log_header()
    to = :mnesia_log.open_log({tab, :ets2dcd}, header, unfinished, false)

    case :disk_log.open(name: from, file: transfer, mode: :read_only) do
      {:ok, ^from} -> copy(:disk_log.chunk(from, :start), from, to)
      {:repaired, ^from, _recovered, _bad} -> copy(:disk_log.chunk(from, :start), from, to)
    end

    :ok = :disk_log.close(from)
    :mnesia_log.close_log(to)
    File.rename!(unfinished, :mnesia_lib.tab2dcd(tab))
    _ = File.rm(:mnesia_lib.tab2dcl(tab))
    :ok
  end

  defp copy({continuation, rows}, from, to) do
    :ok = :disk_log.log_terms(to, rows)
    copy(:disk_log.chunk(from, continuation), from, to)
  end

  defp copy(:eof, _from, _to), do: :ok

  defp sound? do
    version = :mnesia.system_info(:version) |> List.to_string() |> String.split(".")
    Enum.map(version, &String.to_integer/1) >= @sound_version
  end

  defp book(key) do
    case :ets.lookup(:mnesia_gvar, key) do
      [{^key, value}] -> value
      [] -> nil
    end
  rescue
    # Mnesia is only about to start.
    ArgumentError -> nil
  end
end
