defmodule Magnesia.Bench do
  @moduledoc """
  The benchmark suite: reads the arguments, builds fixtures, measures, reports.

  It never fails on a time. Its result is 1 when a figure could not be measured at all or two
  sides gave different answers, 2 for bad arguments, 0 otherwise.
  """

  alias Magnesia.Bench.{Catalogue, Fixtures, HotPair, Measures, Report, World}

  @usage """
  Usage: mix magnesia.bench [options]

  Measures Magnesia against ETS, stock Mnesia and the bare disk in one run and prints for each
  figure one line

      bench <name> magnesia=<figure> <peer>=<figure> ratio=<x>

  Figures are nanoseconds an operation (memory.1m: bytes a row). ratio is the peer's figure
  divided by ours: above 1 Magnesia is faster or smaller. cpu_* is the CPU time of the whole VM.

  Options
    --only PREFIX     only the figures whose name starts with PREFIX
    --list            print the names of the figures and stop
    --smoke           tiny tables, one round: shows that every figure can be measured
    --rounds N        alternating rounds a figure (default 7; the medians are reported)
    --rows N          rows of the large tables (default 1000000)
    --dir DIR         where the databases live (default: the system's temporary directory)
    --subject MODULE  magnesia, or mnesia to measure stock against itself: the machine's noise
    --help            this text

  Examples
    mix magnesia.bench
    mix magnesia.bench --only read.set
    mix magnesia.bench --only tx. --rounds 3
    mix magnesia.bench --smoke
    make bench ONLY=ordered
  """

  @switches [
    only: :string,
    list: :boolean,
    smoke: :boolean,
    rounds: :integer,
    rows: :integer,
    dir: :string,
    subject: :string,
    help: :boolean
  ]

  @full %{
    rows: 1_000_000,
    rows_small: 100_000,
    rows_huge: 10_000_000,
    rounds: 7,
    round_ms: 200
  }
  @smoke %{rows: 2_000, rows_small: 500, rows_huge: 5_000, rounds: 1, round_ms: 0}

  @doc "Runs the suite with command-line arguments; returns the exit status."
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
    lines = Catalogue.lines(Map.get(options, :only, ""))

    cond do
      lines == [] -> refuse(["--only #{options.only}: no such figure"])
      options[:subject] not in [nil, "magnesia", "mnesia"] -> refuse(["--subject"])
      Map.get(options, :rounds, 1) < 1 or Map.get(options, :rows, 1) < 1 -> refuse(["below 1"])
      options[:list] -> Enum.each(lines, &IO.puts(&1.name)) && 0
      true -> measure(lines, plan(options))
    end
  end

  defp refuse(words) do
    IO.puts(:stderr, "magnesia.bench: cannot use: #{Enum.join(words, " ")}\n\n#{@usage}")
    2
  end

  defp plan(options) do
    base = if options[:smoke], do: @smoke, else: @full
    parent = Map.get_lazy(options, :dir, &System.tmp_dir!/0)

    base
    |> Map.merge(Map.take(options, [:rounds, :rows]))
    |> Map.put(:dir, Path.join(parent, "magnesia-bench-#{System.pid()}"))
    |> Map.put(:subject, String.to_existing_atom(Map.get(options, :subject, "magnesia")))
  end

  defp measure(lines, plan) do
    :logger.set_primary_config(:level, :error)
    File.mkdir_p!(plan.dir)
    describe(plan)

    measured =
      try do
        lines |> Enum.chunk_by(& &1.fixture) |> Enum.flat_map(&fixture(&1, plan))
      after
        File.rm_rf!(plan.dir)
      end

    IO.puts("\n" <> Report.table(measured))
    if Enum.any?(measured, &match?({_line, :error}, &1)), do: 1, else: 0
  end

  defp describe(plan) do
    IO.puts(
      "# OTP #{System.otp_release()}, Elixir #{System.version()}, " <>
        "#{System.schedulers_online()} schedulers, #{plan.rounds} alternating rounds, medians"
    )

    IO.puts(
      "# row: integer key, binaries of 26 and 37 bytes, integer, atom; " <>
        "figures in ns an operation unless unit= says otherwise; databases in #{plan.dir}"
    )
  end

  defp fixture([%{fixture: fixture} | _] = lines, plan) do
    World.open(plan, fixture)
    built = Fixtures.build(fixture, Enum.map(lines, & &1.peer), plan)

    try do
      Enum.map(lines, fn line -> {line, one(line, built, plan)} end)
    after
      HotPair.stop(built)
    end
  catch
    kind, reason ->
      complain("fixture #{fixture}", kind, reason, __STACKTRACE__)
      Enum.map(lines, fn line -> {line, :error} end)
  after
    World.close(plan, fixture)
  end

  defp one(line, built, plan) do
    result = Measures.run(line.name, built, plan)
    IO.puts(Report.line(line, result))
    result
  catch
    kind, reason ->
      complain("bench #{line.name}", kind, reason, __STACKTRACE__)
      :error
  end

  defp complain(what, kind, reason, stack) do
    IO.puts(:stderr, "# #{what} failed: #{Exception.format(kind, reason, stack)}")
  end
end
