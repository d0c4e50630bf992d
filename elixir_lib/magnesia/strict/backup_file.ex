defmodule Magnesia.Strict.BackupFile do
  @moduledoc """
  Backup files in Mnesia's own format, read and written without Mnesia.

  The callbacks are those of a backup module, with the returns of `mnesia_backup`, which this
  module stands for. Such a file is a log of `disk_log`: eight bytes, then an item for each term.
  A backup is written beside its file and takes its place when it is complete. What is damaged is
  named with its place in the file, where `disk_log` passes over it. What items mean is not known
  here.
  """

  alias Magnesia.Engine

  @closed <<1, 2, 3, 4, 99, 88, 77, 11>>
  @opened <<1, 2, 3, 4, 6, 7, 8, 9>>
  @mark 0x6257_4C41
  @head_bytes 8
  @digested_bytes 65_528
  @digest_bytes 16
  # What is read at once: each part goes to two other threads and back, and of terms no more than
  # a process's young heap should hold.
  @chunk_bytes 1_048_576

  @enforce_keys [:file, :fd]
  defstruct [:file, :fd, :tmp, offset: @head_bytes, rest: "", items: 0]

  @typedoc "An open file."
  @opaque t :: %__MODULE__{}

  # Writing

  @doc "Begins a backup beside `file`, which stays what it is until the backup is complete."
  @spec open_write(Path.t() | charlist()) :: {:ok, t()} | {:error, term()}
  def open_write(file) do
    tmp = :lists.concat([charlist(file), ~c".BUPTMP"])
    _ = :file.delete(tmp)

    case :file.open(tmp, [:raw, :binary, :write, :exclusive]) do
      {:ok, fd} -> write_log(%__MODULE__{file: file, fd: fd, tmp: tmp}, @opened)
      {:error, reason} -> {:error, {:file_error, tmp, reason}}
    end
  end

  defp charlist(file) when is_binary(file), do: String.to_charlist(file)
  defp charlist(file), do: file

  defp named(:ok, _file), do: :ok
  defp named({:error, reason}, file), do: {:error, {:file_error, file, reason}}

  @doc "Adds items."
  @spec write(t(), [term()]) :: {:ok, t()} | {:error, term()}
  def write(backup, items), do: write_log(backup, Engine.items_write(items))

  @doc "Adds items that are in the form of the file already."
  @spec write_log(t(), iodata()) :: {:ok, t()} | {:error, term()}
  def write_log(backup, bytes) do
    with {:error, reason} <- put(backup, bytes) do
      _ = abort_write(backup)
      {:error, reason}
    else
      :ok -> {:ok, backup}
    end
  end

  defp put(backup, bytes), do: named(:file.write(backup.fd, bytes), backup.tmp)

  @doc "Puts the backup in its place, on disk."
  @spec commit_write(t()) :: {:ok, Path.t() | charlist()} | {:error, term()}
  def commit_write(%{fd: fd, tmp: tmp} = backup) do
    with :ok <- named(:file.datasync(fd), tmp),
         :ok <- named(:file.pwrite(fd, 0, @closed), tmp),
         :ok <- named(:file.datasync(fd), tmp),
         :ok <- named(:file.close(fd), tmp),
         :ok <- :file.rename(tmp, backup.file) do
      {:ok, backup.file}
    end
  end

  @doc "Removes the beginnings of a backup."
  @spec abort_write(t()) :: {:ok, Path.t() | charlist()}
  def abort_write(%__MODULE__{} = backup) do
    _ = :file.close(backup.fd)
    _ = :file.delete(backup.tmp)
    {:ok, backup.file}
  end

  # Reading

  @doc "Opens a backup."
  @spec open_read(Path.t() | charlist()) :: {:ok, t()} | {:error, term()}
  def open_read(file) do
    with {:ok, fd} <- :file.open(file, [:raw, :binary, :read]) do
      case :file.read(fd, @head_bytes) do
        {:ok, @closed} -> {:ok, %__MODULE__{file: file, fd: fd}}
        {:ok, @opened} -> refuse(fd, {:need_repair, file})
        {:error, reason} -> refuse(fd, reason)
        _ -> refuse(fd, {:not_a_log_file, file})
      end
    end
  end

  defp refuse(fd, reason) do
    _ = :file.close(fd)
    {:error, reason}
  end

  @doc "Some more items; none at the end."
  @spec read(t()) :: {:ok, t(), [term()]} | {:error, term()}
  def read(backup) do
    case chunk(backup) do
      :eof -> ended(backup)
      {:error, reason} -> {:error, reason}
      bytes -> read_items(backup, bytes)
    end
  end

  defp read_items(backup, bytes) do
    case Engine.items_read(bytes) do
      {:ok, [], 0} -> read(took(backup, bytes, 0, 0))
      {:ok, items, used} -> {:ok, took(backup, bytes, used, length(items)), items}
      {:damaged, why, items, used} -> damaged(took(backup, bytes, used, length(items)), why)
    end
  end

  @doc """
  Some more bytes of the file, whatever they are: what was left, and more. `:eof` after the last,
  though some may be left.
  """
  @spec chunk(t(), pos_integer()) :: binary() | :eof | {:error, term()}
  def chunk(backup, size \\ @chunk_bytes) do
    # Of an item that is longer than a chunk, more is read each time.
    case :file.read(backup.fd, max(size, byte_size(backup.rest))) do
      {:ok, bytes} when is_binary(bytes) and backup.rest == "" -> bytes
      {:ok, bytes} when is_binary(bytes) -> backup.rest <> bytes
      :eof -> :eof
      {:error, reason} -> {:error, {:file_error, backup.file, reason}}
    end
  end

  @doc "The file after so many of the bytes of a chunk, which were so many items, were used."
  @spec took(t(), binary(), non_neg_integer(), non_neg_integer()) :: t()
  def took(backup, bytes, used, items) do
    <<_used::binary-size(used), rest::binary>> = bytes
    %{backup | offset: backup.offset + used, rest: rest, items: backup.items + items}
  end

  @doc "Where the file stands at its end: complete, or cut."
  @spec ended(t()) :: {:ok, t(), []} | {:error, {:damaged, String.t()}}
  def ended(%{rest: ""} = backup), do: {:ok, backup, []}
  def ended(backup), do: damaged(backup, "it ends inside an item")

  @doc "What is wrong with the file, where, and how much there is before."
  @spec damaged(t(), String.t()) :: {:error, {:damaged, String.t()}}
  def damaged(%{file: file, offset: offset, items: items}, why) do
    {:error,
     {:damaged, "#{file}: byte #{offset}: #{why}; the #{items} items before it are whole"}}
  end

  @doc "Closes a backup that was read."
  @spec close_read(t()) :: {:ok, Path.t() | charlist()} | {:error, term()}
  def close_read(backup) do
    with :ok <- :file.close(backup.fd), do: {:ok, backup.file}
  end

  @doc "The bytes that the item takes with which some bytes begin."
  @spec item_bytes(binary()) :: {:ok, pos_integer()} | :short | {:damaged, String.t()}
  def item_bytes(<<size::32, @mark::32, rest::binary>>) do
    length = if size < @digested_bytes, do: size, else: size + @digest_bytes
    if byte_size(rest) < length, do: :short, else: {:ok, @head_bytes + length}
  end

  def item_bytes(bytes) when byte_size(bytes) < @head_bytes, do: :short
  def item_bytes(_bytes), do: {:damaged, "no item begins here"}
end
