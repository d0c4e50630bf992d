defmodule Magnesia.Import.Command do
  @moduledoc "The command line of `mix magnesia.import`: reads arguments, opens the directory."

  alias Magnesia.Backup.Command
  alias Magnesia.Demo.Progress
  alias Magnesia.Import

  @usage """
  Usage: mix magnesia.import MNESIA_DIR --into DIR [options]

  Takes over the tables of a stopped stock Mnesia: its directory is copied, the tables are made in
  the database in DIR and get their rows, all of them or, when anything is wrong, none. MNESIA_DIR
  is only read; DIR is made where it is missing, and no VM may have it open.

  Options
    --into DIR      the database's directory
    --table TABLE   only this table; may be given more than once
    --node NAME     the node that MNESIA_DIR belongs to, where its schema knows several
    --help          this text

  Examples
    mix magnesia.import Mnesia.shop@db1 --into data
    mix magnesia.import Mnesia.shop@db1 --into data --node shop@db1 --table session

  To take over a backup of Mnesia, use mix magnesia.restore.
  The exit status is 0 when done, 1 when nothing was imported, 2 for arguments that can't be used.
  """

  @doc "Imports a directory; returns the exit status."
  @spec main([String.t()]) :: 0 | 1 | 2
  def main(arguments) do
    switches = [into: :string, table: [:string, :keep], node: :string, help: :boolean]

    Command.parsed(arguments, switches, "import", @usage, fn
      [dir], %{into: into} = options -> Command.opened(into, fn -> run(dir, into, options) end)
      _words, _options -> {:refused, "give Mnesia's directory and --into DIR"}
    end)
  end

  defp run(dir, into, options) do
    node = if options[:node], do: String.to_atom(options[:node])
    wanted = options[:table] || :all

    case Import.from_dir(dir, node: node, tables: wanted) do
      {:ok, tables} ->
        rows = tables |> Enum.map(&Magnesia.count/1) |> Enum.sum()
        "importing #{dir}" |> Progress.start(rows) |> Progress.advance(rows) |> Progress.finish()
        {:done, "Imported #{Command.counted(length(tables), "table")} into #{into}."}

      {:error, text} ->
        {:failed, text}
    end
  end
end
