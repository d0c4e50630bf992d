defmodule Magnesia.Demo.Writer do
  @moduledoc """
  The program that the demo kills: it runs in a VM of its own and writes until it dies.

  Every transaction writes the same id to two tables; only when it has returned is the id printed.
  Whatever was printed must be there after the kill, and no id may be in one table only.
  """

  @tables [:ledger, :mirror]
  @ids_max 5_000_000
  @databases %{~c"magnesia" => :magnesia, ~c"mnesia" => :mnesia}

  @doc "The tables that the writer fills."
  @spec tables() :: nonempty_list(:ledger | :mirror)
  def tables, do: @tables

  @doc "The row that belongs to `id` in `table`."
  @spec row(atom, pos_integer) :: tuple
  def row(table, id), do: {table, id, "entry number #{id}", rem(id, 97)}

  @doc """
  Creates the tables in a directory, then writes and prints `ack <id>` until it is killed.

  The arguments are those of `erl -run`: the directory, and `magnesia` or `mnesia`.
  """
  @spec main([charlist]) :: no_return
  def main([dir, database]) do
    db = Map.fetch!(@databases, database)
    Application.put_env(db, :dir, dir)
    :ok = db.create_schema([node()])
    :ok = db.start()

    for table <- @tables do
      options = [attributes: [:id, :text, :check], disc_copies: [node()]]
      {:atomic, :ok} = db.create_table(table, options)
    end

    :ok = db.wait_for_tables(@tables, 30_000)
    IO.puts("pid #{System.pid()}")
    write(db, 1)
    System.halt(3)
  end

  defp write(_db, id) when id > @ids_max, do: :ok

  defp write(db, id) do
    {:atomic, :ok} =
      db.transaction(fn ->
        Enum.each(@tables, fn table -> :ok = db.write(table, row(table, id), :write) end)
      end)

    IO.puts("ack #{id}")
    write(db, id + 1)
  end
end
