defmodule Magnesia.Contract.AccessScriptsTest do
  @moduledoc """
  Random scripts on fragmented tables, query handles and user properties: no answer of Magnesia
  may differ from stock Mnesia's, nor may a row lie in another fragment at the end. Planted faults
  are found by the same scripts. MAGNESIA_SEED begins with another seed than the usual one and
  MAGNESIA_PARITY_SEEDS sets how many scripts are run.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Parity.{Faulty, Generator, Printer, Runner, Subject}

  @moduletag capture_log: true
  @moduletag timeout: 1_800_000
  @options [generate: &Generator.access_script/2]

  setup_all do
    on_exit(fn -> Enum.each([:mnesia, :magnesia], &Subject.stop/1) end)
  end

  test "answers as stock Mnesia does" do
    count = String.to_integer(System.get_env("MAGNESIA_PARITY_SEEDS", "200"))
    seed = String.to_integer(System.get_env("MAGNESIA_SEED", "1"))
    IO.puts("parity: #{count} scripts on what lies above rows from MAGNESIA_SEED=#{seed}")
    report = Runner.run(:mnesia, :magnesia, seed, count, [limit: 3] ++ @options)
    texts = Enum.map(report.findings, &Printer.finding(&1, :mnesia, :magnesia))
    assert texts == [], Enum.join(texts, "\n")
    assert length(report.unsteady) * 100 <= count, "unsteady: #{inspect(report.unsteady)}"

    for what <- [query: :eval, query: :cursor, function: :change_table_frag, form: :chunks] do
      assert report.coverage[what] > 0
    end
  end

  test "stock Mnesia agrees with itself" do
    report = Runner.run(:mnesia, :mnesia, 1, 40, @options)
    assert report.findings == []
  end

  for {fault, scripts} <- Faulty.access_faults() do
    test "finds the fault #{fault}" do
      faulty = Faulty.module(unquote(fault))
      report = Runner.run(:mnesia, faulty, 1, unquote(scripts), [shrink: 30] ++ @options)
      assert [finding] = report.findings
      assert Printer.finding(finding, :mnesia, faulty) =~ "SEEDS=1 ACCESS=1"
    end
  end
end
