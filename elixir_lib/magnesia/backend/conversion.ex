defmodule Magnesia.Backend.Conversion do
  @moduledoc """
  Changes of a table's storage that keep its rows on every release.

  Mnesia before 4.23.3 makes a `:disc_copies` table of an external one without writing its rows
  to disk: they are there until the next restart. Such a change goes by a storage between, whose
  own way to `:disc_copies` is sound. What a change costs, and when to make it, is the caller's.
  """

  @sound_version [4, 23, 3]
  # What dets can hold is two gigabytes; rows of ours take less memory than there.
  @dets_bytes 1_000_000_000
  # Mnesia carries the rows over in a file. Without a directory it loses them, or goes down.
  @no_directory "a change of storage needs a Mnesia with its schema on disk: " <>
                  ":mnesia.change_table_copy_type(:schema, node(), :disc_copies) comes first"

  @doc "See `Magnesia.Backend.convert/3`."
  @spec convert(atom(), atom(), node()) :: {:atomic, :ok} | {:aborted, term()}
  def convert(tab, storage, node) do
    if node == node() and not :mnesia.system_info(:use_dir) do
      {:aborted, {:magnesia, @no_directory}}
    else
      go(way(tab, storage, node), tab, storage, node)
    end
  catch
    # A table that is not there.
    :exit, {:aborted, reason} -> {:aborted, reason}
  end

  defp go([], tab, storage, node), do: :mnesia.change_table_copy_type(tab, node, storage)
  defp go([between], tab, storage, node), do: change(tab, node, [between, storage])

  defp way(tab, :disc_copies, node) do
    cond do
      not external?(tab, node) or sound?() -> []
      fits_dets?(tab) -> [:disc_only_copies]
      true -> [:ram_copies]
    end
  end

  defp way(_tab, _storage, _node), do: []

  defp external?(tab, node) do
    external = :mnesia.table_info(tab, :external_copies)
    Enum.any?(external, fn {_alias, nodes} -> node in nodes end)
  end

  defp sound? do
    version = :mnesia.system_info(:version) |> List.to_string() |> String.split(".")
    Enum.map(version, &String.to_integer/1) >= @sound_version
  end

  # On the disk all the while; dets has no ordered sets.
  defp fits_dets?(tab) do
    words = :mnesia.table_info(tab, :memory)
    small? = is_integer(words) and words * :erlang.system_info(:wordsize) < @dets_bytes
    small? and :mnesia.table_info(tab, :type) != :ordered_set
  end

  defp change(tab, node, [between, storage]) do
    with {:atomic, :ok} <- :mnesia.change_table_copy_type(tab, node, between) do
      :mnesia.change_table_copy_type(tab, node, storage)
    end
  end
end
