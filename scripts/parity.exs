# Random scripts and numbered quirks on stock Mnesia and on Magnesia: no answer may differ.
#
#     MIX_ENV=test mix run --no-start scripts/parity.exs --seeds 2000 [--long] [--against MODULE]
#
# MAGNESIA_SEED sets the first seed. `--long` also fails when something was never reached.
# `--access` runs scripts on fragmented tables, query handles and properties instead.

alias Magnesia.Parity.{Coverage, Differences, Generator, Printer, Quirk, Runner, Subject}

{options, []} =
  OptionParser.parse!(System.argv(),
    strict: [
      seeds: :integer,
      long: :boolean,
      against: :string,
      limit: :integer,
      access: :boolean
    ]
  )

:logger.set_primary_config(:level, :critical)
count = Keyword.get(options, :seeds, 2_000)
other = options |> Keyword.get(:against, "magnesia") |> String.to_atom()
random = :rand.uniform(1_000_000_000)
seed = "MAGNESIA_SEED" |> System.get_env("#{random}") |> String.to_integer()
contract = Path.expand("../test/contract", __DIR__)
quirks = Quirk.load(Path.join(contract, "quirks"))
{:ok, differences} = Differences.load(Path.join(contract, "differences.exs"), quirks)

limits = [limit: :infinity, printable_limit: :infinity, width: 96]

for subject <- Enum.uniq([:mnesia, other]), do: Subject.start_ram(subject)

complaints =
  for quirk <- quirks,
      stock = Quirk.run(quirk, :mnesia),
      answer = Quirk.run(quirk, other),
      {:error, complaint} <- [Differences.verdict(quirk, stock, answer, differences)] do
    IO.puts("""
    #{complaint}
      run: #{String.trim(quirk.run)}
      :mnesia: #{inspect(stock, limits)}
      #{inspect(other)}: #{inspect(answer, limits)}
    """)

    quirk.number
  end

IO.puts("parity: #{length(quirks)} quirks, #{length(complaints)} differ")
IO.puts("parity: #{count} scripts from MAGNESIA_SEED=#{seed}")
started = System.monotonic_time(:millisecond)

report =
  Runner.run(:mnesia, other, seed, count,
    limit: Keyword.get(options, :limit, 10),
    avoid: Map.keys(differences),
    generate: if(options[:access], do: &Generator.access_script/2, else: &Generator.script/2),
    each: &IO.puts(Printer.finding(&1, :mnesia, other)),
    reached: &IO.puts(Printer.reached(&1))
  )

seconds = div(System.monotonic_time(:millisecond) - started, 1_000)
blind = if options[:access], do: [], else: Coverage.blind_spots(report.coverage)
Enum.each(Coverage.lines(report.coverage), &IO.puts/1)

IO.puts(
  "parity: #{report.scripts} scripts in #{seconds} s, #{length(report.findings)} differences, " <>
    "unsteady: #{inspect(report.unsteady)}, never reached: #{inspect(blind)}"
)

Enum.each(Enum.uniq([:mnesia, other]), &Subject.stop/1)
failed? = complaints != [] or report.findings != [] or (options[:long] && blind != [])
if failed?, do: System.halt(1)
