defmodule Magnesia.BenchTest do
  @moduledoc """
  The benchmark suite can be run and keeps its line format; times are never asserted.

  The suite is not part of the library, so each test runs it in a VM of its own.
  """

  use ExUnit.Case, async: true

  @line ~r/^bench (\S+) \w+=\d+\.\d (ets|mnesia|file|itself)=\d+\.\d ratio=\d+\.\d\d /

  @names ~w(
    memory.1m read.set.p1 read.set.p2 read.set.p4 read.set.mnesia read.hot write.set.p1
    write.set.p4 write.ram.mnesia scan.none scan.tenth scan.all fold.tx tx.rw.p1 tx.rw.p4 tx.read
    tx.empty tx.hotkey.p4 ordered.read ordered.next ordered.write ordered.range scan.none.ordered
    scan.tenth.ordered ordered.read.general ordered.next.general ordered.write.general
    read.value1k read.value10k index.read index.write2 write.disc.mnesia tx.disc sync.p1 sync.p64
    disconly.write disconly.read start.1m backup.1m restore.1m traverse.1m backup.writers.p1
    backup.writers.all growth.set growth.ordered table.struct query.select query.key cache.hit
    events.one events.thousand log.stream log.resume
    hot.memory hot.read.p1 hot.read.p1.limit hot.read.p4 hot.read.p4.limit
    hot.write.p1 hot.write.p1.limit hot.write.p4 hot.write.p4.limit hot.tx.p1
    hot.tx.p1.limit hot.tx.p4 hot.tx.p4.limit hot.scan hot.scan.limit
    hot.ordered.read hot.ordered.read.limit hot.ordered.next hot.ordered.next.limit hot.range
    hot.range.limit hot.disc.start hot.disc.start.limit hot.disconly.read hot.disconly.read.limit
    hot.disconly.write hot.disconly.write.limit hot.load hot.load.limit
  )

  test "every figure has its line, none is missing" do
    {output, 0} = bench(["--list"])
    assert String.split(output) == @names
  end

  @tag timeout: 120_000
  test "a smoke run of one prefix prints a line for each of its figures and a table" do
    {output, status} = bench(["--smoke", "--only", "read."])
    assert status == 0, output

    assert measured(output) == Enum.filter(@names, &String.starts_with?(&1, "read."))
    assert output =~ "# peer ets: [:set, :public, {:keypos, 2}]"
    assert output =~ ~r/^name +figure +ours +peer +ratio +goal +reached$/m
  end

  @tag timeout: 120_000
  test "a smoke run of the hot tables prints a line for each figure and for each limit" do
    {output, status} = bench(["--smoke", "--only", "hot"])
    assert status == 0, output

    assert measured(output) == Enum.filter(@names, &String.starts_with?(&1, "hot."))
    assert output =~ ~r/^bench hot.read.p1.limit noop=/m
    assert output =~ ~r/^bench hot.read.p1 magnesia=/m
  end

  test "help shows examples; an unknown figure is refused" do
    {help, 0} = bench(["--help"])
    assert help =~ "mix magnesia.bench --only read.set"
    {refusal, 2} = bench(["--only", "nonsense"])
    assert refusal =~ "no such figure"
  end

  test "two sides with different answers are an error, not a ratio" do
    script = """
    {:ok, _, _} = Kernel.ParallelCompiler.compile(Path.wildcard("bench/support/*.ex"))
    alias Magnesia.Bench.{Measures, Rows, World}
    :ok = :mnesia.start()
    row = fn tag, i -> Rows.row(tag, i, i) end
    ours = World.table(:mnesia, :ours, [attributes: Rows.attributes()], 10, row)
    ets = World.ets([:set, :public, {:keypos, 2}], 9, &row.(:row, &1))
    plan = %{subject: :mnesia, rounds: 1, round_ms: 0}
    Measures.run("scan.all", %{ours: ours, ets: ets, rows: 10}, plan)
    """

    {output, 1} = elixir(["-e", script])
    assert output =~ "the two sides disagree: 10 rows against 9"
  end

  # The names of the figures that were printed, in order.
  defp measured(output) do
    for line <- String.split(output, "\n"), [_, name, _] <- [Regex.run(@line, line)], do: name
  end

  defp bench(arguments), do: elixir(["bench/run.exs" | arguments])

  defp elixir(arguments) do
    ebin = Magnesia.Demo |> :code.which() |> Path.dirname()
    System.cmd("elixir", ["-pa", ebin | arguments], stderr_to_stdout: true, cd: root())
  end

  defp root, do: Path.expand("..", __DIR__)
end
