defmodule Magnesia.Backend.Copying do
  @moduledoc """
  Copies of a table from node to node, in chunks, while writes go on.

  The sender hands out rows in chunks of about 64 KiB, by what a row takes on average; Mnesia
  paces it and applies the writes of the meantime afterwards. A table in memory is emptied before
  and filled. One on disk is made beside the old one and put in its place when it is complete:
  should the sender die, and the receiver before it has loaded from another, the receiver may be
  where the table comes from next. All calls of one load come from one process. Nothing here knows
  nodes or messages.
  """

  alias Magnesia.Backend
  alias Magnesia.Backend.Cursor
  alias Magnesia.Backend.Names
  alias Magnesia.Backend.Refusal
  alias Magnesia.Backend.Retreat
  alias Magnesia.Engine

  @chunk_bytes 65_536
  @rows_max 1000
  @sampled 20
  @all [{:_, [], [:"$_"]}]

  @doc "What Mnesia's sender calls for the first chunk and for each after it."
  @spec sender(Backend.table()) :: {:standard, (() -> term()), (Cursor.t() -> term())}
  def sender(tab) do
    first = fn -> Backend.select(:magnesia_ram, tab, @all, rows_a_chunk(tab)) end
    {:standard, first, &Backend.select/1}
  end

  defp rows_a_chunk(tab) do
    bytes = max(average(tab), sample(tab))
    @chunk_bytes |> div(max(bytes, 1)) |> max(1) |> min(@rows_max)
  end

  defp average(tab) do
    ref = Names.ref(tab)

    with size when is_integer(size) and size > 0 <- Engine.size(ref),
         bytes when is_integer(bytes) <- Engine.memory(ref) do
      div(bytes, size)
    else
      _ -> 0
    end
  end

  # What a table on disk takes is known only after some time.
  defp sample(tab) do
    case Backend.select(:magnesia_ram, tab, @all, @sampled) do
      {rows, _cursor} -> div(:erlang.external_size(rows), length(rows))
      :"$end_of_table" -> 0
    end
  end

  @typedoc "A table that is being made, when there is one."
  @type state :: nil | term()

  @doc "Says that rows from another node follow."
  @spec begin(Backend.alias_name(), Backend.table()) :: :ok
  def begin(:magnesia_ram, tab) do
    with {:"$magnesia_error", _reason} = failure <- Engine.table_clear(Names.ref(tab)) do
      Refusal.write(failure, tab)
    end

    :ok
  end

  def begin(_alias, tab) do
    _ = Process.put({__MODULE__, tab}, true)
    :ok
  end

  @doc "Takes the rows of a chunk that came; ends the load when the disk doesn't."
  @spec receive_rows(Backend.alias_name(), Backend.table(), [tuple()], pid(), state()) :: state()
  def receive_rows(:magnesia_ram, tab, rows, _sender, state) do
    Enum.each(rows, &Backend.insert(:magnesia_ram, tab, &1))
    state
  end

  def receive_rows(_alias, tab, rows, sender, state) do
    copy = checked(state || start(tab), tab, sender)
    _ = checked(Engine.transform_rows(copy, rows), tab, sender)
    copy
  end

  @doc "All rows have come."
  @spec complete(Backend.alias_name(), Backend.table(), pid(), state()) :: :ok
  def complete(:magnesia_ram, _tab, _sender, _state), do: :ok

  def complete(_alias, tab, sender, state) do
    copy = checked(state || start(tab), tab, sender)
    _ = checked(Engine.transform_commit(copy), tab, sender)
    _ = Process.delete({__MODULE__, tab})
    :ok
  end

  defp start(tab) do
    with {_, _, name, arity, _, _, properties} <- Engine.table_definition([tab]) do
      Engine.transform_start([tab], name, arity, properties)
    end
  end

  defp checked({:"$magnesia_error", reason}, tab, sender) do
    Retreat.begin(tab, sender, Refusal.words(reason))
  end

  defp checked(copy_or_ok, _tab, _sender), do: copy_or_ok

  @doc """
  Tells whether a table is to be deleted because its sender died, and has rows of before.

  Mnesia has its own tables on disk keep theirs then. It deletes twice, in the process that
  received.
  """
  @spec interrupted?(Backend.table()) :: boolean()
  def interrupted?(tab) do
    Process.get({__MODULE__, tab}, false) and rows?(Engine.size(Names.ref(tab)))
  end

  defp rows?(size), do: is_integer(size) and size > 0
end
