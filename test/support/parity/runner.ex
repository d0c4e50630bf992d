defmodule Magnesia.Parity.Runner do
  @moduledoc """
  Runs many scripts against two modules and gathers the differences, shrunk. It must never stop at
  a difference before it has been shrunk, nor report one that does not show twice. A module that
  needs a VM of its own is given as that VM.
  """

  alias Magnesia.Parity.{Comparison, Coverage, Generator, Interpreter, Script, Shrink, Subject}
  alias Magnesia.Parity.Vm

  @stretch 1_000

  @type subject :: module | Vm.t()

  @type finding :: %{seed: integer, script: Script.t(), difference: Comparison.difference()}
  @type report :: %{
          first_seed: integer,
          scripts: non_neg_integer,
          findings: [finding],
          unsteady: [integer],
          coverage: Coverage.t()
        }

  @doc """
  Runs `count` scripts from `first_seed` on. Options: `limit`, how many findings are enough;
  `shrink`, how many runs shrinking one may take; `each`, a fun told every finding at once;
  `avoid`, quirks that differ on purpose; `rewrite`, a fun that takes other such things out;
  `generate`, a fun that makes the script of a seed; `reached`, a fun told the number of scripts
  and the seed after every thousandth, or other `stretch`.
  """
  @spec run(subject, subject, integer, non_neg_integer, keyword) :: report
  def run(stock, other, first_seed, count, options \\ []) do
    Enum.each(Enum.uniq([stock, other]), &fresh/1)

    report = %{
      first_seed: first_seed,
      scripts: 0,
      findings: [],
      unsteady: [],
      coverage: Coverage.new()
    }

    stretch = Keyword.get(options, :stretch, @stretch)

    first_seed
    |> Stream.iterate(&(&1 + 1))
    |> Enum.take(count)
    |> Enum.reduce_while(report, fn seed, report ->
      report = try_seed(seed, stock, other, options, report)
      if rem(report.scripts, stretch) == 0, do: told(options, :reached, {report.scripts, seed})
      enough? = length(report.findings) >= Keyword.get(options, :limit, 1)
      {if(enough?, do: :halt, else: :cont), report}
    end)
  end

  @doc "The first difference of a script between two modules, or nil."
  @spec difference(Script.t(), subject, subject) :: Comparison.difference() | nil
  def difference(script, stock, other) do
    left = record(script, stock)
    Comparison.first_difference(left, record(script, other))
  end

  @doc "Starts a subject with its fixed tables empty."
  @spec fresh(subject) :: :ok
  def fresh(%Vm{} = vm), do: Vm.fresh(vm)

  def fresh(subject) do
    Subject.start_ram(subject)
    Subject.fresh_tables(subject)
  end

  defp record(script, %Vm{} = vm), do: Vm.run(vm, script)
  defp record(script, subject), do: Interpreter.run(script, subject)

  defp try_seed(seed, stock, other, options, report) do
    rewrite = Keyword.get(options, :rewrite, & &1)
    generate = Keyword.get(options, :generate, &Generator.script/2)
    script = rewrite.(generate.(seed, Keyword.get(options, :avoid, [])))
    left = record(script, stock)
    right = record(script, other)
    coverage = Coverage.add(report.coverage, script, left)
    report = %{report | scripts: report.scripts + 1, coverage: coverage}

    case Comparison.first_difference(left, right) do
      nil -> report
      _difference -> confirm(script, stock, other, options, report)
    end
  end

  # A difference must show again and again, and stock Mnesia must agree with itself where it
  # shows: it dumps its log when it likes, and a key deleted meanwhile can be stepped from.
  defp confirm(script, stock, other, options, report) do
    again = difference(script, stock, other)

    steady? =
      again != nil and Enum.all?(1..3, fn _ -> difference(script, stock, other) != nil end)

    if not steady? or difference(script, stock, stock) != nil do
      %{report | unsteady: [script.seed | report.unsteady]}
    else
      budget = Keyword.get(options, :shrink, 300)
      # A smaller script that differs elsewhere would tell of something else.
      fails? = &(what(difference(&1, stock, other)) == what(again))
      shrunk = Shrink.shrink(script, fails?, budget)
      difference = difference(shrunk, stock, other) || again
      finding = %{seed: script.seed, script: shrunk, difference: difference}
      told(options, :each, finding)
      %{report | findings: [finding | report.findings]}
    end
  end

  defp told(options, name, news), do: Keyword.get(options, name, fn _ -> :ok end).(news)

  defp what(nil), do: nil
  defp what(%{operation: {:call, function, _}}), do: function
  defp what(%{operation: {_player, {:call, function, _}}}), do: function
  defp what(%{operation: operation}) when is_tuple(operation), do: elem(operation, 0)
  defp what(%{operation: operation}), do: operation
end
