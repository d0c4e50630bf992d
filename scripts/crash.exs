# Kills a VM in the middle of its commits, opens what it left, and checks it, round after round.
#
#     MIX_ENV=test mix run --no-start scripts/crash.exs --runs 60
#
# MAGNESIA_SEED chooses loads and moments; the moment itself is the machine's.

{options, []} = OptionParser.parse!(System.argv(), strict: [runs: :integer])

:logger.set_primary_config(:level, :error)
random = :rand.uniform(1_000_000_000)
seed = "MAGNESIA_SEED" |> System.get_env("#{random}") |> String.to_integer()
dir = Path.join(System.tmp_dir!(), "magnesia-crash-#{System.pid()}")
started = System.monotonic_time(:millisecond)
report = Magnesia.Crash.Rounds.run(dir, Keyword.get(options, :runs, 60), seed)
seconds = div(System.monotonic_time(:millisecond) - started, 1_000)

Enum.each(Enum.take(report.complaints, 20), &IO.puts/1)

IO.puts(
  "crash: #{report.rounds} rounds in #{seconds} s from MAGNESIA_SEED=#{seed}, " <>
    "#{report.acknowledged} acknowledged, #{report.found} found, " <>
    "#{length(report.complaints)} complaints"
)

if report.complaints != [] or report.acknowledged == 0, do: System.halt(1)
