defmodule Magnesia.Test.BackupModule do
  @moduledoc """
  A backup module of a user's own: backups are lists of items in memory, by name. It fails on
  command, as a tape does. It must never be needed by the library.
  """

  @doc "The items of a backup that is complete, or nil."
  @spec items(term()) :: [term()] | nil
  def items(name), do: :persistent_term.get({__MODULE__, :kept, name}, nil)

  @doc "Has the next backups of this name fail after so many items."
  @spec fail_after(term(), non_neg_integer() | nil) :: :ok
  def fail_after(name, count), do: :persistent_term.put({__MODULE__, :fails, name}, count)

  @doc false
  def open_write(name), do: {:ok, {name, []}}

  @doc false
  def write({name, before}, items) do
    limit = :persistent_term.get({__MODULE__, :fails, name}, nil)

    if limit && length(before) + length(items) > limit,
      do: {:error, :tape_is_full},
      else: {:ok, {name, :lists.reverse(items, before)}}
  end

  @doc false
  def commit_write({name, items}) do
    :persistent_term.put({__MODULE__, :kept, name}, :lists.reverse(items))
    {:ok, name}
  end

  @doc false
  def abort_write({name, _items}), do: {:ok, name}

  @doc false
  def open_read(name) do
    case items(name) do
      nil -> {:error, :no_such_tape}
      items -> {:ok, items}
    end
  end

  @doc false
  def read(items) do
    {some, rest} = Enum.split(items, 3)
    {:ok, rest, some}
  end

  @doc false
  def close_read(items), do: {:ok, items}
end
