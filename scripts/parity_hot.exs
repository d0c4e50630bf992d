# Random scripts on stock Mnesia with its own tables and with tables under our aliases, each side
# in a VM of its own: no answer may differ but as test/contract/hot_differences.exs says.
#
#     MIX_ENV=test mix run --no-start scripts/parity_hot.exs --seeds 2000 [--storage ram_copies]
#
# MAGNESIA_SEED sets the first seed. The scripts are shared among the storages.

alias Magnesia.Parity.{Allowance, Moves, Printer, Runner, Storage, Vm}

{options, []} =
  OptionParser.parse!(System.argv(), strict: [seeds: :integer, storage: :string, limit: :integer])

:logger.set_primary_config(:level, :critical)
all = Map.keys(Storage.aliases())
storages = Enum.filter(all, &(options[:storage] in [nil, "#{&1}"]))
count = div(Keyword.get(options, :seeds, 2_000), max(length(storages), 1)) + 1
random = :rand.uniform(1_000_000_000)
first = "MAGNESIA_SEED" |> System.get_env("#{random}") |> String.to_integer()

findings =
  for storage <- storages do
    [stock, hot] = for side <- [:stock, :hot], do: Vm.start(side, storage)
    other = Storage.aliases()[storage]
    IO.puts("parity: #{count} scripts on #{other} from MAGNESIA_SEED=#{first}")
    started = System.monotonic_time(:millisecond)

    report =
      Runner.run(stock, hot, first, count,
        limit: Keyword.get(options, :limit, 10),
        rewrite: &Moves.insert(Allowance.apply_to(&1, storage)),
        each: &IO.puts(Printer.finding(&1, storage, other))
      )

    seconds = div(System.monotonic_time(:millisecond) - started, 1_000)

    IO.puts(
      "parity: #{report.scripts} scripts on #{other} in #{seconds} s, " <>
        "#{length(report.findings)} differences, unsteady: #{inspect(report.unsteady)}"
    )

    Enum.each([stock, hot], &Vm.stop/1)
    length(report.findings)
  end

if storages == [] or Enum.sum(findings) > 0, do: System.halt(1)
