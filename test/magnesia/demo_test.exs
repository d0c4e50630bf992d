defmodule Magnesia.DemoTest do
  @moduledoc """
  The demo from end to end in a VM of its own, and its two checkers on planted faults.

  Never starts a database in the VM of the tests.
  """

  use ExUnit.Case, async: true

  import ExUnit.CaptureIO

  alias Magnesia.Demo.{Comparison, Crash, Import, Packages, Patterns, Progress, Writer}

  @tag timeout: 180_000
  test "the quick demo says the same answer for every pattern and loses nothing" do
    {output, status} = demo(["--quick"])
    assert status == 0, output

    for %{name: name} <- Patterns.all(["x"], DateTime.utc_now()) do
      line = output |> String.split("\n") |> Enum.find(&String.starts_with?(&1, "  " <> name))
      assert line =~ ~r/  yes +[0-9.]+ (us|ms) +[0-9.]+ (us|ms) +[0-9.]+x$/, output
    end

    [_, ours] = String.split(output, "Now Magnesia:")
    [_, acknowledged, found] = Regex.run(~r/acknowledged (\d+), found (\d+)/, ours)
    assert acknowledged == found
    assert String.to_integer(acknowledged) > 0
    assert ours =~ "in one table only: 0"
    assert output =~ "Nothing acknowledged was lost."
  end

  test "help explains the options, a wrong option is refused" do
    {help, 0} = demo(["--help"])
    assert help =~ "Examples"
    {refusal, 2} = demo(["--quik"])
    assert refusal =~ "cannot use: --quik"
  end

  test "a directory that exists is refused and left alone" do
    dir = Path.join(System.tmp_dir!(), "magnesia-demo-test-#{System.pid()}")
    File.mkdir_p!(dir)
    on_exit(fn -> File.rm_rf!(dir) end)
    {output, 2} = demo(["--dir", dir])
    assert output =~ "exists already"
    assert File.ls!(dir) == []
  end

  test "a differing answer is shown as NO with both answers" do
    pattern = %{name: "planted", times: 2, fun: & &1}
    [row] = Comparison.run([pattern], fn _row -> :ok end)
    refute row.same?
    assert Comparison.text(row) =~ ~r/planted +NO .*stock: +:mnesia.*Magnesia: :magnesia/s
  end

  test "a lost row, a half transaction and a damaged row are counted" do
    rows = fn table, ids -> for id <- ids, do: Writer.row(table, id) end
    whole = Crash.compare("1", 3, rows.(:ledger, 1..4), rows.(:mirror, 1..4))
    assert %{acknowledged: 3, found: 3, lost: 0, halves: 0, unheard: 1} = whole

    lost = Crash.compare("1", 3, rows.(:ledger, 1..2), rows.(:mirror, 1..2))
    assert %{found: 2, lost: 1, halves: 0} = lost

    assert %{lost: 1, halves: 1} =
             Crash.compare("1", 3, rows.(:ledger, 1..3), rows.(:mirror, 1..2))

    damaged = [{:mirror, 3, "entry number 4", 3} | rows.(:mirror, 1..2)]
    assert %{lost: 1, halves: 2} = Crash.compare("1", 3, rows.(:ledger, 1..3), damaged)
  end

  test "a table is created as the backup describes it, on this node" do
    definition = [
      name: :t,
      type: :ordered_set,
      disc_copies: [:other@host],
      ram_copies: [],
      index: [{4, :ordered}, 3],
      attributes: [:a, :b, :c],
      cookie: {1, :other@host}
    ]

    assert Import.options(definition) |> Enum.sort() ==
             [
               attributes: [:a, :b, :c],
               disc_copies: [node()],
               index: [:c, :b],
               type: :ordered_set
             ]
  end

  test "package rows have as many fields as attributes" do
    case Packages.rows(10, ~U[2024-01-01 00:00:00Z]) do
      {:ok, rows, _known} ->
        assert length(rows) in 1..10
        assert Enum.all?(rows, &(tuple_size(&1) == length(Packages.attributes()) + 1))

      {:error, reason} ->
        assert reason =~ "needs Debian"
    end
  end

  test "without a terminal the progress bar is one plain line" do
    output =
      capture_io(fn ->
        %{Progress.start("loading", 10) | live?: false}
        |> Progress.advance(10)
        |> Progress.finish()
      end)

    assert output =~ ~r/  loading +10 rows in \d+\.\d s\n$/
  end

  defp demo(arguments) do
    ebin = Magnesia.Demo |> :code.which() |> Path.dirname()
    script = "System.halt(Magnesia.Demo.main(System.argv()))"
    arguments = ["-pa", ebin, "-e", script, "--" | arguments]
    System.cmd("elixir", arguments, stderr_to_stdout: true)
  end
end
