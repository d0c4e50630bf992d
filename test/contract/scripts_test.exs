defmodule Magnesia.Contract.ScriptsTest do
  @moduledoc """
  Runs random scripts on stock Mnesia and on Magnesia in one VM: no answer may differ. The seeds
  are always the same; MAGNESIA_SEED begins with another one and MAGNESIA_PARITY_SEEDS sets how
  many scripts are run. New seeds are tried by `scripts/parity.exs`.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Parity.{Avoidance, Differences, Printer, Quirk, Runner, Script, Subject}

  @moduletag capture_log: true
  @moduletag timeout: 1_800_000

  setup_all do
    on_exit(fn -> Enum.each([:mnesia, :magnesia], &Subject.stop/1) end)
  end

  test "answers the kept scripts as stock Mnesia does" do
    {kept, _} = Code.eval_file(Path.join(__DIR__, "kept_scripts.exs"))

    Enum.each([:mnesia, :magnesia], &Runner.fresh/1)

    for {kind, operations} <- kept do
      script = %Script{kind: kind, operations: operations}
      difference = Runner.difference(script, :mnesia, :magnesia)
      assert difference == nil, Printer.code(script) <> inspect(difference, pretty: true)
    end
  end

  test "avoids what differs on purpose, and needs to" do
    Enum.each([:mnesia, :magnesia], &Runner.fresh/1)

    for {quirk, operations} <- Avoidance.shown() do
      script = %Script{kind: :data, operations: operations}
      avoided = %Script{kind: :data, operations: Avoidance.apply_to(operations, [quirk])}
      assert Runner.difference(script, :mnesia, :magnesia) != nil, "quirk #{quirk}"
      difference = Runner.difference(avoided, :mnesia, :magnesia)
      assert difference == nil, Printer.code(avoided) <> inspect(difference, pretty: true)
    end
  end

  test "answers random scripts as stock Mnesia does" do
    count = String.to_integer(System.get_env("MAGNESIA_PARITY_SEEDS", "2000"))
    seed = String.to_integer(System.get_env("MAGNESIA_SEED", "1"))
    IO.puts("parity: #{count} scripts from MAGNESIA_SEED=#{seed}")
    quirks = Quirk.load(Path.join(__DIR__, "quirks"))
    {:ok, differences} = Differences.load(Path.join(__DIR__, "differences.exs"), quirks)
    reached = &IO.puts(Printer.reached(&1))
    options = [limit: 3, avoid: Map.keys(differences), reached: reached]
    report = Runner.run(:mnesia, :magnesia, seed, count, options)
    texts = Enum.map(report.findings, &Printer.finding(&1, :mnesia, :magnesia))
    assert texts == [], Enum.join(texts, "\n")
    assert length(report.unsteady) * 100 <= count, "unsteady: #{inspect(report.unsteady)}"
  end
end
