defmodule Magnesia.Backend.Conversion do
  @moduledoc """
  A change of a table's storage, but where it would cost the rows. What a change costs otherwise,
  and when to make it, is the caller's.
  """

  # Mnesia carries the rows over in a file. Without a directory it loses them, or goes down.
  @no_directory "a change of storage needs a Mnesia with its schema on disk: " <>
                  ":mnesia.change_table_copy_type(:schema, node(), :disc_copies) comes first"

  @doc "See `Magnesia.Backend.convert/3`."
  @spec convert(atom(), atom(), node()) :: {:atomic, :ok} | {:aborted, term()}
  def convert(tab, storage, node) do
    if node == node() and not :mnesia.system_info(:use_dir) do
      {:aborted, {:magnesia, @no_directory}}
    else
      :mnesia.change_table_copy_type(tab, node, storage)
    end
  end
end
