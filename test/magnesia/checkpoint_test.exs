defmodule Magnesia.CheckpointTest do
  @moduledoc """
  Checkpoints and the backups of them: the moment that they keep, under load, and how they end.
  """

  use Magnesia.DatabaseCase, async: false

  alias Magnesia.Test.BackupModule

  @moduletag :disc
  @moduletag capture_log: true
  @moduletag timeout: 240_000

  @accounts 300
  @balance 1_000

  setup %{dir: dir} do
    on_exit(fn -> for path <- Path.wildcard(dir <> ".bup*"), do: File.rm!(path) end)
    {:ok, bup: String.to_charlist(dir <> ".bup")}
  end

  defp table(name, options), do: {:atomic, :ok} = :magnesia.create_table(name, options)

  defp items(place, module \\ :mnesia_backup) do
    collect = &{[&1], [&1 | &2]}
    {:ok, items} = :magnesia.traverse_backup(place, module, :dummy, :read_only, collect, [])
    for item <- items, elem(item, 0) != :schema, do: item
  end

  defp keep(name, tables) do
    options = [name: name, max: tables, ram_overrides_dump: true]
    {:ok, ^name, [_node]} = :magnesia.activate_checkpoint(options)
  end

  test "a checkpoint keeps its moment through every kind of change", %{bup: bup} do
    kinds = [
      disc: [disc_copies: [node()]],
      bag: [disc_copies: [node()], type: :bag],
      order: [ram_copies: [node()], type: :ordered_set],
      far: [disc_only_copies: [node()]],
      farbag: [disc_only_copies: [node()], type: :bag],
      counted: [ram_copies: [node()]]
    ]

    for {name, options} <- kinds do
      table(name, options)
      for n <- 1..2_000, do: :magnesia.dirty_write({name, n, n})
    end

    names = Keyword.keys(kinds)
    wanted = Enum.sort(for name <- names, n <- 1..2_000, do: {name, n, n})
    keep(:now, names)
    assert :magnesia.system_info(:checkpoints) == [:now]
    assert :magnesia.table_info(:bag, :checkpoints) == [:now]
    Enum.each(names -- [:counted], &change/1)
    for n <- 1..100, do: :magnesia.dirty_update_counter(:counted, n, 5)

    {:atomic, :ok} =
      :magnesia.transaction(fn ->
        for name <- names, n <- 1_000..1_100, do: :magnesia.delete({name, n})
        :ok
      end)

    assert :ok = :magnesia.backup_checkpoint(:now, bup)
    assert Enum.sort(items(bup)) == wanted
    for name <- [:disc, :far, :bag, :order], do: {:atomic, :ok} = :magnesia.clear_table(name)
    assert :ok = :magnesia.backup_checkpoint(:now, bup)
    assert Enum.sort(items(bup)) == wanted
    # A table that is put in another storage, or restored, is still what it was.
    {:atomic, :ok} = :magnesia.change_table_copy_type(:order, node(), :disc_copies)
    {:atomic, _} = :magnesia.restore(bup, clear_tables: [:disc], default_op: :skip_tables)
    assert :ok = :magnesia.backup_checkpoint(:now, bup)
    assert Enum.sort(items(bup)) == wanted
    assert :ok = :magnesia.deactivate_checkpoint(:now)
    assert {:error, {:no_exists, :now}} = :magnesia.deactivate_checkpoint(:now)
    assert {:error, {:EXIT, _}} = :magnesia.backup_checkpoint(:now, bup)
    assert :magnesia.table_info(:bag, :checkpoints) == []
  end

  defp change(name) do
    for n <- 1..500, do: :magnesia.dirty_write({name, n, :changed})
    for n <- 500..900, do: :magnesia.dirty_delete({name, n})
    for n <- 900..950, do: :magnesia.dirty_delete_object({name, n, n})
    for n <- 2_001..2_100, do: :magnesia.dirty_write({name, n, :new})
  end

  test "of a table in memory a backup has what was dumped, or the rows if asked", %{bup: bup} do
    table(:t, ram_copies: [node()])
    :magnesia.dirty_write({:t, 1, :dumped})
    assert :ok = :magnesia.backup(bup)
    assert items(bup) == []
    {:atomic, :ok} = :magnesia.dump_tables([:t])
    :magnesia.dirty_write({:t, 1, :later})
    assert :ok = :magnesia.backup(bup)
    assert items(bup) == [{:t, 1, :dumped}]
    keep(:rows, [:t])
    assert :ok = :magnesia.backup_checkpoint(:rows, bup)
    assert items(bup) == [{:t, 1, :later}]
  end

  test "an incremental backup leads from one checkpoint to the next", %{bup: bup} do
    table(:t, disc_copies: [node()], type: :bag)
    for n <- 1..1_000, do: :magnesia.dirty_write({:t, n, n})
    keep(:first, [:t])
    :ok = :magnesia.backup_checkpoint(:first, bup)
    for n <- 1..50, do: :magnesia.dirty_write({:t, n, :more})
    for n <- 40..80, do: :magnesia.dirty_delete({:t, n})
    keep(:second, [:t])
    wanted = Enum.sort(:magnesia.dirty_match_object({:t, :_, :_}))
    for n <- 1..100, do: :magnesia.dirty_write({:t, n, :too_late})
    changes = bup ++ ~c".2"
    assert :ok = :magnesia.backup_checkpoint(:second, changes, incremental: :first)
    assert File.stat!(changes).size < File.stat!(bup).size / 2
    {:atomic, [:t]} = :magnesia.restore(bup, [])
    {:atomic, [:t]} = :magnesia.restore(changes, keep_tables: [:t])
    assert Enum.sort(:magnesia.dirty_match_object({:t, :_, :_})) == wanted
  end

  test "money is neither made nor lost in backups under transfers", %{bup: bup} do
    banks = [
      north: [disc_copies: [node()]],
      south: [ram_copies: [node()]],
      east: [disc_only_copies: [node()]]
    ]

    for {bank, options} <- banks do
      table(bank, options)
      for n <- 1..@accounts, do: :magnesia.dirty_write({bank, n, @balance})
    end

    names = Keyword.keys(banks)
    all = length(names) * @accounts
    clerks = for seed <- 1..4, do: spawn_link(fn -> transfer(names, seed, 0) end)

    for _round <- 1..60 do
      keep(:books, names)
      assert :ok = :magnesia.backup_checkpoint(:books, bup)
      :ok = :magnesia.deactivate_checkpoint(:books)
      rows = items(bup)
      assert length(rows) == all
      assert sum(rows) == all * @balance
    end

    for clerk <- clerks do
      send(clerk, {:stop, self()})
      assert_receive {^clerk, moved} when moved > 0, 60_000
    end

    # The last one is restored while nobody writes, and the sum is there again.
    {:atomic, _} = :magnesia.restore(bup, [])

    assert sum(Enum.flat_map(names, &:magnesia.dirty_match_object({&1, :_, :_}))) ==
             all * @balance
  end

  defp sum(rows), do: rows |> Enum.map(&elem(&1, 2)) |> Enum.sum()

  defp transfer(banks, seed, moved) do
    receive do
      {:stop, from} -> send(from, {self(), moved})
    after
      0 ->
        _ = if moved == 0, do: :rand.seed(:exsss, seed)
        [from, to] = for _ <- 1..2, do: {Enum.random(banks), Enum.random(1..@accounts)}

        {:atomic, :ok} =
          :magnesia.transaction(fn ->
            [{_, _, has}] = :magnesia.wread(from)
            :ok = :magnesia.write({elem(from, 0), elem(from, 1), has - 7})
            [{_, _, has}] = :magnesia.wread(to)
            :magnesia.write({elem(to, 0), elem(to, 1), has + 7})
          end)

        transfer(banks, seed, moved + 1)
    end
  end

  test "a module of one's own gets the items, and restores them" do
    table(:t, disc_copies: [node()], record_name: :r)
    for n <- 1..1_200, do: :magnesia.dirty_write(:t, {:r, n, n})
    assert :ok = :magnesia.backup(:tape, BackupModule)

    assert [{:log_header, :backup_log, _, _, _, _}, {:schema, _, _} | _] =
             BackupModule.items(:tape)

    assert length(items(:tape, BackupModule)) == 1_200
    assert {:t, 7, 7} in items(:tape, BackupModule)
    {:atomic, :ok} = :magnesia.clear_table(:t)
    assert {:atomic, [:t]} = :magnesia.restore(:tape, module: BackupModule)
    assert :magnesia.dirty_read(:t, 1_200) == [{:r, 1_200, 1_200}]
    assert {:aborted, :no_such_tape} = :magnesia.restore(:none, module: BackupModule)
    BackupModule.fail_after(:short, 700)
    assert {:error, {:EXIT, {:error, :tape_is_full}}} = :magnesia.backup(:short, BackupModule)
    assert BackupModule.items(:short) == nil
    assert :magnesia.system_info(:checkpoints) == []
    assert :ok = :magnesia.install_fallback(:tape, BackupModule)
    :magnesia.dirty_delete({:t, 1})
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    assert :magnesia.dirty_read(:t, 1) == [{:r, 1, 1}]
  end

  test "a checkpoint ends with its table and with the database", %{bup: bup} do
    table(:t, disc_copies: [node()])
    table(:u, disc_copies: [node()])
    keep(:both, [:t, :u])
    {:ok, :one, _} = :magnesia.activate_checkpoint(name: :one, min: [:u])
    assert :magnesia.system_info(:checkpoints) == [:one, :both]
    {:atomic, :ok} = :magnesia.delete_table(:t)
    assert :magnesia.system_info(:checkpoints) == [:one]
    :stopped = :magnesia.stop()
    :ok = :magnesia.start()
    assert :magnesia.system_info(:checkpoints) == []

    assert {:error, {:EXIT, {:error, {:error, {:no_exists, :one}}}}} =
             :magnesia.backup_checkpoint(:one, bup)

    assert Path.wildcard(to_string(bup) <> "*") == []
  end
end
