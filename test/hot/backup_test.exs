defmodule Magnesia.Hot.BackupTest do
  @moduledoc """
  Checkpoints, backups, restores and fallbacks that hold tables of each alias.
  """
  use Magnesia.HotCase

  alias Magnesia.Backend
  alias Magnesia.Engine

  setup %{dir: dir} do
    for alias_name <- aliases(), kind <- [:set, :ordered_set, :bag] do
      tab = create(alias_name, name(alias_name, kind), type: kind, index: [:v])
      for k <- 1..200, do: :ok = :mnesia.dirty_write({tab, k, rem(k, 5), "w"})
    end

    {:ok, backup: String.to_charlist(Path.join(dir, "BACKUP"))}
  end

  defp name(alias_name, kind), do: :"#{alias_name}_#{kind}"
  defp tabs, do: for(a <- aliases(), k <- [:set, :ordered_set, :bag], do: name(a, k))

  defp change do
    for tab <- tabs() do
      for k <- 1..50, do: :ok = :mnesia.dirty_delete(tab, k)
      for k <- 51..100, do: :ok = :mnesia.dirty_write({tab, k, 9, "changed"})
      :ok = :mnesia.dirty_write({tab, 1000, 9, "new"})
    end
  end

  test "a restored backup has the rows as they were", %{backup: file} do
    before = Map.new(tabs(), &{&1, rows(&1)})
    assert :ok = :mnesia.backup(file)
    change()
    assert {:atomic, restored} = :mnesia.restore(file, default_op: :recreate_tables)
    assert tabs() -- restored == []
    for tab <- tabs(), do: assert({tab, rows(tab)} == {tab, before[tab]})
    for tab <- tabs(), do: assert(length(:mnesia.dirty_index_read(tab, 1, :v)) == 40)
    change()
    assert {:atomic, _} = :mnesia.restore(file, default_op: :clear_tables)
    for tab <- tabs(), do: assert({tab, rows(tab)} == {tab, before[tab]})
    for tab <- tabs(), do: assert(length(:mnesia.dirty_index_read(tab, 1, :v)) == 40)
  end

  test "a checkpoint that overrides nothing shows rows of its time while others write", %{
    backup: file
  } do
    before = Map.new(tabs(), &{&1, rows(&1)})

    for override <- [true, false] do
      options = [name: :point, max: tabs(), ram_overrides_dump: override, allow_remote: true]
      {:ok, :point, _nodes} = :mnesia.activate_checkpoint(options)
      change()
      assert :ok = :mnesia.backup_checkpoint(:point, file)
      :ok = :mnesia.deactivate_checkpoint(:point)
      assert Enum.all?(Engine.tables(:hot), &(not String.contains?("#{&1}", "retainer")))
      {:atomic, _} = :mnesia.restore(file, default_op: :recreate_tables)
      for tab <- tabs(), do: assert({tab, rows(tab)} == {tab, before[tab]})
    end
  end

  test "a backup may be traversed, and loaded as a fallback at the next start", %{backup: file} do
    before = Map.new(tabs(), &{&1, rows(&1)})
    assert :ok = :mnesia.backup(file)
    count = fn item, acc -> {[item], acc + if(elem(item, 0) in tabs(), do: 1, else: 0)} end
    assert {:ok, 1800} = :mnesia.traverse_backup(file, file ++ ~c"2", count, 0)
    change()
    assert :ok = :mnesia.install_fallback(file ++ ~c"2")
    restart()
    for tab <- tabs(), do: assert({tab, rows(tab)} == {tab, before[tab]})
    for tab <- tabs(), do: assert(length(:mnesia.dirty_index_read(tab, 1, :v)) == 40)
    assert Backend.alarm() == nil
  end
end
