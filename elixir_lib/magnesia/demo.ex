defmodule Magnesia.Demo do
  @moduledoc """
  The demo behind `mix magnesia.demo`: a real Mnesia database moves into Magnesia.

  It builds a stock database out of this machine's Debian packages, backs it up with
  `:mnesia.backup/1`, restores that file into Magnesia, runs the patterns of Mnesia guides on both
  and shows the same answers beside both times. Its last act kills a writing VM with `kill -9` and
  shows that every acknowledged row is there. It touches nothing outside its own directory.
  """

  alias Magnesia.Demo.{Comparison, Crash, Import, Packages, Patterns, Progress}

  @usage """
  Usage: mix magnesia.demo [options]

  Moves a stock Mnesia database (this machine's Debian packages) into Magnesia, compares answers
  and times, then kills a writing VM and counts what survived.

  Options
    --quick      3000 rows and a short last act, for a first look
    --dir DIR    where the two databases go (default: a fresh temporary directory)
    --keep       leave the databases there at the end
    --help       this text

  Examples
    mix magnesia.demo
    mix magnesia.demo --quick
    mix magnesia.demo --dir /tmp/demo --keep

  The exit status is 0 when all answers agree and nothing was lost, 1 otherwise.
  """

  @switches [quick: :boolean, dir: :string, keep: :boolean, help: :boolean]

  @doc "Runs the demo with command-line arguments; returns the exit status."
  @spec main([String.t()]) :: 0 | 1 | 2
  def main(arguments) do
    case OptionParser.parse(arguments, strict: @switches) do
      {options, [], []} -> dispatch(Map.new(options))
      {_options, rest, invalid} -> refuse(rest ++ Enum.map(invalid, &elem(&1, 0)))
    end
  end

  defp dispatch(%{help: true}) do
    IO.puts(@usage)
    0
  end

  defp dispatch(options) do
    :ok = :logger.set_primary_config(:level, :error)
    name = "magnesia-demo-#{System.pid()}"
    dir = Map.get_lazy(options, :dir, fn -> Path.join(System.tmp_dir!(), name) end)

    if File.exists?(dir) do
      refuse(["--dir #{dir}, which exists already"])
    else
      File.mkdir_p!(dir)
      play(options, Path.expand(dir))
    end
  end

  defp refuse(words) do
    IO.puts(:stderr, "magnesia.demo: cannot use: #{Enum.join(words, " ")}\n\n#{@usage}")
    2
  end

  defp play(options, dir) do
    now = DateTime.truncate(DateTime.utc_now(), :second)

    case Packages.rows(if(options[:quick], do: 3_000, else: :all), now) do
      {:ok, rows, known} ->
        move(dir, rows, known)
        compared = compare(rows, now)
        crash = crash(dir, if(options[:quick], do: 400, else: 2_000))
        close(dir, options, Enum.all?(compared, & &1.same?), crash)

      {:error, reason} ->
        IO.puts(:stderr, "magnesia.demo: #{reason}")
        1
    end
  after
    _ = :mnesia.stop()
    _ = :magnesia.stop()
    unless options[:keep], do: File.rm_rf!(dir)
  end

  defp move(dir, rows, known) do
    title("1. A stock Mnesia database: #{length(rows)} of the #{known} this machine knows")
    open(:mnesia, Path.join(dir, "stock"))
    load(rows)
    backup = Path.join(dir, "stock.backup")
    :ok = :mnesia.backup(String.to_charlist(backup))
    megabytes = :erlang.float_to_binary(File.stat!(backup).size / 1.0e6, decimals: 1)
    IO.puts("  backed up with :mnesia.backup/1: #{megabytes} MB")

    title("2. The same data in Magnesia, out of that backup file")
    open(:magnesia, Path.join(dir, "magnesia"))
    bar = Progress.start("restoring into Magnesia", length(rows))
    {counts, bar} = Import.run(backup, bar, &Progress.advance/2)
    Progress.finish(bar)
    true = counts == %{packages: length(rows)}
  end

  defp open(db, dir) do
    Application.put_env(db, :dir, String.to_charlist(dir))
    :ok = db.create_schema([node()])
    :ok = db.start()
  end

  defp load(rows) do
    options = [attributes: Packages.attributes(), disc_copies: [node()]]
    {:atomic, :ok} = :mnesia.create_table(:packages, options)
    bar = Progress.start("loading into stock Mnesia", length(rows))

    rows
    |> Enum.chunk_every(1_000)
    |> Enum.reduce(bar, fn chunk, bar ->
      {:atomic, :ok} = :mnesia.transaction(fn -> Enum.each(chunk, &:mnesia.write/1) end)
      Progress.advance(bar, length(chunk))
    end)
    |> Progress.finish()
  end

  defp compare(rows, now) do
    title("3. The same calls on both, :mnesia.f(...) and :magnesia.f(...)")
    IO.puts(Comparison.heading())
    names = for row <- Enum.take_every(rows, max(1, div(length(rows), 5_000))), do: elem(row, 1)
    Comparison.run(Patterns.all(names, now), &IO.puts(Comparison.text(&1)))
  end

  defp crash(dir, longest_ms) do
    title("4. kill -9 while it writes")

    IO.puts(
      "  A second VM writes transactions, each to two tables, and prints each id as soon as"
    )

    IO.puts(
      "  the transaction is acknowledged. It is killed at a random moment, the directory is"
    )

    IO.puts("  opened again here. First stock Mnesia, which may hold its last commits in memory:")
    :stopped = :mnesia.stop()
    tell(Crash.run(:mnesia, Path.join(dir, "journal-stock"), longest_ms))
    IO.puts("  Now Magnesia:")
    :stopped = :magnesia.stop()
    outcome = Crash.run(:magnesia, Path.join(dir, "journal"), longest_ms)
    tell(outcome)
    outcome
  end

  defp tell({:ok, outcome}) do
    unheard =
      if outcome.unheard > 0,
        do: " (and #{outcome.unheard} whose answer the kill cut off)",
        else: ""

    IO.puts("    process #{outcome.pid} killed")
    IO.puts("    acknowledged #{outcome.acknowledged}, found #{outcome.found}#{unheard}")
    IO.puts("    in one table only: #{outcome.halves}")
  end

  defp tell({:error, reason}), do: IO.puts("    #{reason}")

  defp close(dir, options, same?, crash) do
    safe? = match?({:ok, %{lost: 0, halves: 0, acknowledged: n}} when n > 0, crash)
    if options[:keep], do: IO.puts("\n  The databases are in #{dir}.")
    IO.puts("")
    IO.puts(if same?, do: "Every answer was the same.", else: "SOME ANSWERS DIFFER, see above.")
    IO.puts(if safe?, do: "Nothing acknowledged was lost.", else: "ROWS WERE LOST, see above.")

    IO.puts(
      "Read on: README.md for a start in your own project, docs/limits.md for what to expect."
    )

    if same? and safe?, do: 0, else: 1
  end

  defp title(text), do: IO.puts("\n#{text}")
end
