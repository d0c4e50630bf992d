defmodule Magnesia.Backend.Room do
  @moduledoc """
  Room on the disk for a change of a table's storage, looked for before Mnesia begins it.

  Mnesia carries the rows over in a file of its own and lets go of the old copy before it reads
  that file. It never looks whether the file could be written, so on a disk that is full rows are
  lost, or Mnesia goes down. So the room that the file and the new copy need is taken and given
  back at once, and where it can't be had the change is refused. Who fills the disk after that is
  not met here. Nothing is asked of a node that the change doesn't concern.
  """

  alias Magnesia.Backend
  alias Magnesia.Backend.Place

  # Rows beyond these take what these take on average.
  @measured 100_000
  @chunk 1000
  # What a row takes in a log beside its own bytes, and what Mnesia's own files may take.
  @row_bytes 64
  @spare_bytes 1_048_576
  # A node that doesn't answer is not waited for longer.
  @answer_ms 60_000

  @stock [:ram_copies, :disc_copies, :disc_only_copies]
  @aliases [:magnesia_ram, :magnesia_disc, :magnesia_disc_only]

  @typep storage :: atom() | {:ext, atom(), module()}

  @doc """
  Tells whether a definition, of which the copies of an alias are looked at, changes a table's
  storage on a node whose disk has no room for it.
  """
  @spec check(Backend.alias_name(), Backend.table(), keyword()) :: :ok | {:error, String.t()}
  def check(alias_name, tab, props) do
    Enum.find_value(changes(tab, props), :ok, fn {node, from, to} ->
      with true <- alias_name == (ours(to) || ours(from)),
           {:error, reason} <- ask(node, [tab, from, to]) do
        {:error, reason}
      else
        _of_another_or_room -> nil
      end
    end)
  end

  defp changes(tab, props) do
    for {name, nodes} <- props, to = storage(name), node <- nodes, from = here(node, tab) do
      {node, from, to}
    end
    |> Enum.reject(fn {_node, from, to} -> from == to end)
  end

  defp storage(name) when name in @stock, do: name
  defp storage(name) when name in @aliases, do: {:ext, name, Backend}
  defp storage(_name), do: nil

  defp here(node, tab) do
    case :mnesia_lib.storage_type_at_node(node, tab) do
      :unknown -> nil
      storage -> storage
    end
  catch
    # A table that is yet to be created.
    :exit, _no_such_table -> nil
  end

  defp ours({:ext, name, Backend}), do: name
  defp ours(_other), do: nil

  defp ask(node, arguments) when node == node(), do: apply(__MODULE__, :find, arguments)

  defp ask(node, arguments) do
    case :rpc.call(node, __MODULE__, :find, arguments, @answer_ms) do
      {:error, reason} when is_binary(reason) -> {:error, "on #{node} #{reason}"}
      _room_or_no_answer -> :ok
    end
  end

  @doc "Tells whether this node has room for a change of a table from a storage to another."
  @spec find(atom(), storage(), storage()) :: :ok | {:error, String.t()}
  def find(tab, from, to) do
    # Of a table that isn't loaded Mnesia itself refuses the change.
    if Place.disc?() and not :mnesia_lib.not_active_here(tab) do
      {rows, bytes} = measure(tab, from)
      bytes = bytes + rows * @row_bytes
      mnesia = IO.chardata_to_string(:mnesia_lib.dir())
      take(by_directory([{mnesia, bytes + @spare_bytes} | copy(to, mnesia, bytes)]))
    else
      :ok
    end
  end

  # What the new copy takes. The engine's rows beyond memory are in its log before they are in
  # their files.
  defp copy(storage, mnesia, bytes) do
    case storage do
      {:ext, :magnesia_disc, _module} -> [{Place.directory(), bytes}]
      {:ext, :magnesia_disc_only, _module} -> [{Place.directory(), 2 * bytes}]
      stock when stock in [:disc_copies, :disc_only_copies] -> [{mnesia, 2 * bytes}]
      _memory -> []
    end
  end

  # Dirty writes go on meanwhile.
  defp measure(tab, from) do
    _ = :mnesia_lib.db_fixtable(from, tab, true)

    try do
      {rows, bytes} = sum(:mnesia_lib.db_init_chunk(from, tab, @chunk), from, {0, 0})
      size = :mnesia.table_info(tab, :size)
      if size > rows, do: {size, div(bytes * size, rows)}, else: {rows, bytes}
    after
      :mnesia_lib.db_fixtable(from, tab, false)
    end
  end

  defp sum({found, continuation}, from, {rows, bytes}) do
    bytes = Enum.reduce(found, bytes, &(:erlang.external_size(&1) + &2))
    rows = rows + length(found)

    if rows < @measured,
      do: sum(:mnesia_lib.db_chunk(from, continuation), from, {rows, bytes}),
      else: {max(rows, 1), bytes}
  end

  defp sum(_end_of_table, _from, {rows, bytes}), do: {max(rows, 1), bytes}

  defp by_directory(needs) do
    Enum.reduce(needs, %{}, fn {dir, bytes}, sums ->
      Map.update(sums, dir, bytes, &(&1 + bytes))
    end)
    |> Map.to_list()
  end

  # All of it at once, as it may be on one disk.
  defp take([]), do: :ok

  defp take([{dir, bytes} | more]) do
    path = Path.join(dir, "magnesia-room.TMP")

    case :file.open(path, [:write, :raw, :binary]) do
      {:ok, file} ->
        try do
          with :ok <- allocate(file, dir, bytes), do: take(more)
        after
          _ = :file.close(file)
          _ = :file.delete(path)
        end

      {:error, reason} ->
        {:error, "#{dir} takes no files: #{:file.format_error(reason)}"}
    end
  end

  defp allocate(file, dir, bytes) do
    case :file.allocate(file, 0, bytes) do
      {:error, full} when full in [:enospc, :efbig, :edquot] ->
        {:error,
         "#{dir} has no room for the #{bytes} bytes that a change of storage takes there " <>
           "(#{:file.format_error(full)}); make room and try again"}

      # Some file systems can't say.
      _taken_or_not_known ->
        :ok
    end
  end
end
