defmodule Magnesia.Contract.HotScriptsTest do
  @moduledoc """
  Runs random scripts on stock Mnesia twice, with its own tables and with tables under one of our
  aliases, each in a VM of its own: no answer may differ but as `hot_differences.exs` says. The
  seeds are always the same; MAGNESIA_SEED begins with another one and MAGNESIA_PARITY_SEEDS sets
  how many scripts are run over all aliases. New seeds are tried by `scripts/parity_hot.exs`.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Parity.{Allowance, Moves, Planted, Printer, Runner, Script, Storage, Vm}

  @moduletag timeout: 1_800_000
  @storages Map.keys(Storage.aliases())
  @hot {:hot, :ram_copies}

  for storage <- @storages do
    test "#{Storage.aliases()[storage]} answers random scripts as #{storage} does" do
      storage = unquote(storage)
      count = div(String.to_integer(System.get_env("MAGNESIA_PARITY_SEEDS", "2000")), 3) + 1
      seed = String.to_integer(System.get_env("MAGNESIA_SEED", "1")) + offset(storage, count)
      IO.puts("parity: #{count} scripts on #{storage} from MAGNESIA_SEED=#{seed}")
      {stock, hot} = sides(storage)
      rewrite = &Moves.insert(Allowance.apply_to(&1, storage))
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

  test "changes of storage on the hot side go from stock tables to ours and back" do
    hot = Vm.start(:hot, :ram_copies)
    Runner.fresh(hot)
    call = fn function, arguments -> Vm.call(hot, Storage, :call, [@hot, function, arguments]) end
    {:atomic, :ok} = call.(:create_table, [:t1, []])
    :ok = Vm.call(hot, :mnesia, :dirty_write, [{:t1, 1, 1}])

    seen =
      for _ <- 1..3, storage <- [:disc_copies, :ram_copies, :disc_only_copies] do
        node = Vm.call(hot, :erlang, :node, [])
        assert call.(:change_table_copy_type, [:t1, node, storage]) == {:atomic, :ok}
        assert call.(:table_info, [:t1, storage]) == [node]
        {:aborted, _} = call.(:change_table_copy_type, [:t1, node, storage])
        assert Vm.call(hot, :mnesia, :dirty_read, [:t1, 1]) == [{:t1, 1, 1}]
        Vm.call(hot, :mnesia, :table_info, [:t1, :storage_type])
      end

    {ours, stock} = Enum.split_with(seen, &is_tuple/1)
    assert ours != [] and stock != []
    Vm.stop(hot)
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
      repeat = "MAGNESIA_SEED=#{finding.seed} make parity SEEDS=1 HOT=1 STORAGE=ram_copies\n"
      assert Printer.finding(finding, :ram_copies, :magnesia_ram) =~ repeat
      Enum.each([stock, hot], &Vm.stop/1)
    end
  end

  defp changed(script), do: Allowance.apply_to(script, :ram_copies).operations

  defp sides(storage), do: {Vm.start(:stock, storage), Vm.start(:hot, storage)}

  defp offset(storage, count), do: Enum.find_index(@storages, &(&1 == storage)) * count
end
