defmodule Magnesia.Contract.HotScriptsTest do
  @moduledoc """
  Runs random scripts on stock Mnesia twice, with its own tables and with tables under one of our
  aliases, each in a VM of its own: no answer may differ but as `hot_differences.exs` says. The
  seeds are always the same; MAGNESIA_SEED begins with another one and MAGNESIA_PARITY_SEEDS sets
  how many scripts are run over all aliases. New seeds are tried by `scripts/parity.exs --hot`.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Parity.{Allowance, Planted, Printer, Runner, Script, Storage, Vm}

  @moduletag timeout: 1_800_000
  @storages Map.keys(Storage.aliases())

  for storage <- @storages do
    test "#{Storage.aliases()[storage]} answers random scripts as #{storage} does" do
      storage = unquote(storage)
      count = div(String.to_integer(System.get_env("MAGNESIA_PARITY_SEEDS", "2000")), 3) + 1
      seed = String.to_integer(System.get_env("MAGNESIA_SEED", "1")) + offset(storage, count)
      IO.puts("parity: #{count} scripts on #{storage} from MAGNESIA_SEED=#{seed}")
      {stock, hot} = sides(storage)
      rewrite = &Allowance.apply_to(&1, storage)
      report = Runner.run(stock, hot, seed, count, limit: 3, rewrite: rewrite)
      texts = Enum.map(report.findings, &Printer.finding(&1, storage, Storage.aliases()[storage]))
      assert texts == [], Enum.join(texts, "\n")
      assert length(report.unsteady) * 100 <= count, "unsteady: #{inspect(report.unsteady)}"
      Enum.each([stock, hot], &Vm.stop/1)
    end

    test "every listed difference of #{storage} is one" do
      storage = unquote(storage)
      {stock, hot} = sides(storage)
      Enum.each([stock, hot], &Runner.fresh/1)

      for name <- Allowance.names(storage), name != :slice_sizes do
        assert Runner.difference(Allowance.shown(name), stock, hot), "#{name} is the same"
      end

      Enum.each([stock, hot], &Vm.stop/1)
    end
  end

  test "the differences that are taken out are those that are listed, each with a reason" do
    {entries, _} = Code.eval_file(Path.join(__DIR__, "hot_differences.exs"))
    listed = for %{name: name, reason: reason} <- entries, String.trim(reason) != "", do: name
    assert Enum.sort(listed) == Allowance.known() |> Keyword.keys() |> Enum.sort()
  end

  test "taking out differences keeps everything else" do
    calls = [{:call, :dirty_read, [:s, 1]}, {:call, :dirty_next, [:o, 1]}]
    script = %Script{kind: :data, operations: [{:activity, {:ets, []}, calls, {:return, 1}}]}
    assert [{:activity, {:async_dirty, []}, ^calls, _}] = changed(script)
  end

  for fault <- Planted.faults() do
    test "scripts find the fault #{fault} in a backend" do
      {stock, hot} = sides(:ram_copies)
      :ok = Vm.call(hot, Planted, :plant, [unquote(fault)])
      rewrite = &Allowance.apply_to(&1, :ram_copies)
      report = Runner.run(stock, hot, 1, 400, limit: 1, shrink: 10, rewrite: rewrite)
      assert [finding] = report.findings
      assert Printer.finding(finding, :ram_copies, :magnesia_ram) =~ "MAGNESIA_SEED="
      Enum.each([stock, hot], &Vm.stop/1)
    end
  end

  defp changed(script), do: Allowance.apply_to(script, :ram_copies).operations

  defp sides(storage), do: {Vm.start(:stock, storage), Vm.start(:hot, storage)}

  defp offset(storage, count), do: Enum.find_index(@storages, &(&1 == storage)) * count
end
