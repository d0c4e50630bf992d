defmodule Magnesia.Contract.HarnessTest do
  @moduledoc """
  Shows that the parity harness bites: stock Mnesia agrees with itself, every planted fault is
  found by scripts or by quirks, and the file of deliberate differences cannot excuse more than it
  may.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Parity.{
    Comparison,
    Differences,
    Faulty,
    Generator,
    Normal,
    Order,
    Printer,
    Quirk,
    Runner,
    Script,
    Shrink,
    Subject
  }

  @moduletag capture_log: true
  @moduletag timeout: 300_000
  @quirks Quirk.load(Path.join(__DIR__, "quirks"))

  setup_all do
    on_exit(fn -> Subject.stop(:mnesia) end)
  end

  test "stock Mnesia agrees with itself" do
    report = Runner.run(:mnesia, :mnesia, 1, 150)
    assert report.findings == []
  end

  for {fault, scripts} <- Faulty.faults() do
    test "scripts find the fault #{fault}" do
      faulty = Faulty.module(unquote(fault))
      report = Runner.run(:mnesia, faulty, 1, unquote(scripts), shrink: 40)
      assert [finding] = report.findings
      assert Printer.finding(finding, :mnesia, faulty) =~ "MAGNESIA_SEED=#{finding.seed}"
    end
  end

  test "quirks find faults" do
    for {fault, number} <- [
          one_is_one_point_zero: 1,
          unclamped_counter: 82,
          bag_read_sorted: 11,
          throw_unwrapped: 51,
          missing_table_shape: 75,
          index_twice_is_fine: 91
        ] do
      quirk = Enum.find(@quirks, &(&1.number == number))
      Subject.start_ram(:mnesia)
      stock = Quirk.run(quirk, :mnesia)
      assert stock === Quirk.observed(quirk)
      other = Quirk.run(quirk, Faulty.module(fault))
      assert {:error, text} = Differences.verdict(quirk, stock, other, %{})
      assert text =~ "quirk #{number} differs"
    end
  end

  test "a wart may differ, a contract may not, and a listed difference must differ" do
    reason = "a reason"
    assert {:ok, differences} = Differences.check([%{quirk: 15, reason: reason}], @quirks)
    assert {:error, [text]} = Differences.check([%{quirk: 1, reason: reason}], @quirks)
    assert text =~ "not a wart"
    assert {:error, _} = Differences.check([%{quirk: 9_999, reason: reason}], @quirks)
    assert {:error, _} = Differences.check([%{quirk: 15, reason: " "}], @quirks)
    assert {:error, _} = Differences.check([:anything], @quirks)
    wart = Enum.find(@quirks, &(&1.number == 15))
    assert Differences.verdict(wart, 1, 2, differences) == :ok
    assert {:error, _} = Differences.verdict(wart, 1, 1, differences)
    assert {:error, _} = Differences.verdict(wart, 1, 2, %{})
  end

  test "a script depends on its seed alone" do
    :rand.seed(:exsss, 5)
    script = Generator.script(77)
    :rand.seed(:exsss, 6)
    assert Generator.script(77) == script
    assert Generator.script(78).operations != script.operations
  end

  test "the comparable form keeps numbers and zeros apart and takes processes away" do
    assert Normal.term(-0.0, :m) != Normal.term(0.0, :m)
    assert Normal.term({1, self()}, :m) == {1, :"$pid"}
    assert Normal.term({:aborted, {:x, [{:a, :b, 1, []}]}}, :m) == {:aborted, {:x, :"$stack"}}
    assert Normal.term([1 | :m], :m) == [1 | :"$subject"]
  end

  test "order counts where stock defines it and nowhere else" do
    assert Order.comparable(:exact, {:value, [1, 2]}) !=
             Order.comparable(:exact, {:value, [2, 1]})

    assert Order.comparable(:multiset, {:value, [1, 2]}) == {:value, [1, 2]}
    assert Order.comparable(:multiset, {:value, [2, 1]}) == {:value, [1, 2]}
    rows = [{:b, 2, :x}, {:b, 1, :z}, {:b, 1, :a}]
    assert {:value, [{:b, 1, :z}, {:b, 1, :a}, _]} = Order.comparable(:by_key, {:value, rows})
    assert Order.comparable(:shape, {:exit, :x}) == {:exit, :x}

    wrong = fn old, new ->
      {:value, {:aborted, {~c"Bad transform function", :s, :fun, :n, {~c"Bad arity", old, new}}}}
    end

    one = Order.comparable(:transform, wrong.({:s, 1, 2}, {:s, 1}))
    assert one == Order.comparable(:transform, wrong.({:s, 2, 3}, {:s, 2}))
    assert one != Order.comparable(:transform, wrong.({:s, 1, 2}, {:s, 1, 2, 3}))
    assert one != Order.comparable(:exact, wrong.({:s, 1, 2}, {:s, 1}))
  end

  test "an integer in the form of a larger one is the same integer" do
    spec = :ets.match_spec_compile([{{:"$1"}, [], [[{:round, :"$1"}]]}])
    large = :ets.match_spec_run([{-576_460_752_303_423_488.0}], spec)
    assert Normal.term(large, :m) === [[-576_460_752_303_423_488]]
  end

  test "a long run tells how far it is" do
    test = self()
    Runner.run(:mnesia, :mnesia, 50_000, 1, stretch: 1, reached: &send(test, {:reached, &1}))
    assert_received {:reached, {1, 50_000}}
  end

  test "a record that ends early differs" do
    entry = %{path: [1], operation: :x, mode: :exact, outcome: {:value, 1}}
    assert Comparison.first_difference([entry], [entry]) == nil
    assert %{right: :missing} = Comparison.first_difference([entry], [])
    assert %{left: :missing} = Comparison.first_difference([], [entry])
  end

  test "a failing script shrinks to the operation that fails" do
    calls = for number <- 1..9, do: {:call, :dirty_read, [:s, number]}
    nested = {:activity, {:transaction, []}, [{:caught, {:call, :read, [:s, 42]}}], {:abort, :x}}
    script = %Script{kind: :data, operations: calls ++ [nested]}
    wanted? = &match?({:call, :read, [:s, 42]}, &1)
    shrunk = Shrink.shrink(script, &Script.any?(&1.operations, wanted?), 200)
    assert shrunk.operations == [{:call, :read, [:s, 42]}]
  end
end
