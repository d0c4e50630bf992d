defmodule Magnesia.Bench.Catalogue do
  @moduledoc """
  The list of figures: name, what is measured, against which peer, and the ratio to reach.

  Order is the order of measuring. Lines of one fixture stand together, so that its tables are
  built once. Each time of a hot table is followed by a line that ends in `.limit`: a backend that
  does nothing in the place of ours, without a goal.
  """

  @typedoc "One figure."
  @type line :: %{
          name: String.t(),
          figure: String.t(),
          peer: String.t(),
          goal: float,
          fixture: atom,
          unit: String.t()
        }

  @lines [
    {:set, "memory.1m", "bytes a row, set", "ets", 1.43, "bytes"},
    {:set, "read.set.p1", "dirty_read, random key", "ets", 1.1, "ns"},
    {:set, "read.set.p2", "the same, 2 processes", "ets", 1.1, "ns"},
    {:set, "read.set.p4", "the same, 4 processes", "ets", 1.1, "ns"},
    {:set, "read.set.mnesia", "the same, 1 process", "mnesia", 2.5, "ns"},
    {:set, "read.hot", "the same, 200 keys in cache", "ets", 0.6, "ns"},
    {:set, "write.set.p1", "dirty_write, overwrite", "ets", 1.0, "ns"},
    {:set, "write.set.p4", "the same, 4 processes", "ets", 2.5, "ns"},
    {:set, "write.ram.mnesia", "dirty_write, ram_copies", "mnesia", 4.0, "ns"},
    {:set, "scan.none", "select of a set, 0 % hits, a row", "ets", 8.0, "ns"},
    {:set, "scan.tenth", "select of a set, 10 % hits, a row", "ets", 5.0, "ns"},
    {:set, "scan.all", "select of all whole rows, a row", "ets", 2.0, "ns"},
    {:set, "fold.tx", "foldl in a transaction, a row", "mnesia", 4.0, "ns"},
    {:set, "tx.rw.p1", "transaction: a read and a write", "mnesia", 15.0, "ns"},
    {:set, "tx.rw.p4", "the same, 4 processes", "mnesia", 15.0, "ns"},
    {:set, "tx.read", "transaction: one read", "mnesia", 20.0, "ns"},
    {:set, "tx.empty", "transaction: nothing", "mnesia", 20.0, "ns"},
    {:set, "tx.hotkey.p4", "4 processes update one key", "mnesia", 10.0, "ns"},
    {:ordered, "ordered.read", "dirty_read, integer key", "ets", 2.0, "ns"},
    {:ordered, "ordered.next", "dirty_next, integer key", "ets", 2.0, "ns"},
    {:ordered, "ordered.write", "dirty_write, integer key", "ets", 2.0, "ns"},
    {:ordered, "ordered.range", "100 rows by guards on the key", "ets", 1_000.0, "ns"},
    {:ordered, "scan.none.ordered", "select, 0 % hits, a row", "ets", 2.0, "ns"},
    {:ordered, "scan.tenth.ordered", "select, 10 % hits, a row", "ets", 2.0, "ns"},
    {:general, "ordered.read.general", "tuple and binary keys", "ets", 1.3, "ns"},
    {:general, "ordered.next.general", "tuple and binary keys", "ets", 1.3, "ns"},
    {:general, "ordered.write.general", "tuple and binary keys", "ets", 1.3, "ns"},
    {:value, "read.value1k", "row with a binary of 1 KB", "ets", 0.55, "ns"},
    {:value, "read.value10k", "row with a binary of 10 KB", "ets", 0.4, "ns"},
    {:index, "index.read", "dirty_index_read, one hit", "mnesia", 4.0, "ns"},
    {:index, "index.write2", "dirty_write, two indexes change", "mnesia", 4.0, "ns"},
    {:disc, "write.disc.mnesia", "dirty_write, disc_copies", "mnesia", 4.0, "ns"},
    {:disc, "tx.disc", "transaction: a write, disc_copies", "mnesia", 8.0, "ns"},
    {:sync, "sync.p1", "sync_transaction, fsynced", "file", 0.8, "ns"},
    {:sync, "sync.p64", "the same, 64 processes", "file", 4.0, "ns"},
    {:disconly, "disconly.write", "disc_only_copies, dirty_write", "mnesia", 5.0, "ns"},
    {:disconly, "disconly.read", "disc_only_copies, dirty_read", "mnesia", 5.0, "ns"},
    {:start, "start.1m", "disc_copies, until usable", "mnesia", 3.0, "ns"},
    {:backup, "backup.1m", "backup, a row", "mnesia", 5.0, "ns"},
    {:backup, "restore.1m", "restore, a row", "mnesia", 5.0, "ns"},
    {:backup, "traverse.1m", "traverse_backup, a row", "mnesia", 3.0, "ns"},
    {:backup, "backup.writers.p1", "dirty_write with a backup running", "itself", 0.9, "ns"},
    {:backup, "backup.writers.all", "the same, a process a scheduler", "itself", 0.9, "ns"},
    {:growth_set, "growth.set", "commit, small against large", "itself", 0.67, "ns"},
    {:growth_ordered, "growth.ordered", "commit, small against large", "itself", 0.4, "ns"},
    {:friendly, "table.struct", "row to struct and back, or read it", "itself", 1.0, "ns"},
    {:friendly, "query.select", "a query, or select by hand, a row", "itself", 0.95, "ns"},
    {:friendly, "query.key", "the same for one row by its key", "itself", 0.95, "ns"},
    {:cache, "cache.hit", "Cache.fetch of a random key", "ets", 0.67, "ns"},
    {:events, "events.one", "dirty_write, one subscriber", "itself", 0.25, "ns"},
    {:crowd, "events.thousand", "1,000 that don't read, or one", "itself", 0.1, "ns"},
    {:log, "log.stream", "an entry of a change log, read", "ets", 0.05, "ns"},
    {:log, "log.resume", "one entry, anywhere in the log", "ets", 0.01, "ns"},
    {:hot_set, "hot.memory", "bytes a row, magnesia_ram", "mnesia", 1.43, "bytes"},
    {:hot_set, "hot.read.p1", "dirty_read, magnesia_ram", "mnesia", 1.0, "ns"},
    {:hot_set, "hot.read.p4", "the same, 4 processes", "mnesia", 1.0, "ns"},
    {:hot_set, "hot.write.p1", "dirty_write, magnesia_ram", "mnesia", 1.0, "ns"},
    {:hot_set, "hot.write.p4", "the same, 4 processes", "mnesia", 1.5, "ns"},
    {:hot_set, "hot.tx.p1", "transaction: a read and a write", "mnesia", 0.95, "ns"},
    {:hot_set, "hot.tx.p4", "the same, 4 processes", "mnesia", 0.95, "ns"},
    {:hot_set, "hot.scan", "dirty_select, 10 % hits, a row", "mnesia", 4.0, "ns"},
    {:hot_ordered, "hot.ordered.read", "dirty_read, ordered_set", "mnesia", 1.5, "ns"},
    {:hot_ordered, "hot.ordered.next", "dirty_next, ordered_set", "mnesia", 1.5, "ns"},
    {:hot_ordered, "hot.range", "100 rows by guards on the key", "mnesia", 500.0, "ns"},
    {:hot_disc, "hot.disc.start", "magnesia_disc, until usable", "mnesia", 3.0, "ns"},
    {:hot_disconly, "hot.disconly.read", "dirty_read, magnesia_disc_only", "mnesia", 5.0, "ns"},
    {:hot_disconly, "hot.disconly.write", "dirty_write, magnesia_disc_only", "mnesia", 5.0, "ns"},
    {:hot_load, "hot.load", "copy to another node, a row", "mnesia", 1.5, "ns"}
  ]

  @doc "The lines whose name starts with `prefix`, in the order of measuring."
  @spec lines(String.t()) :: [line]
  def lines(prefix) do
    for line <- @lines,
        {fixture, name, figure, peer, goal, unit} <- with_limit(line),
        String.starts_with?(name, prefix) do
      %{name: name, figure: figure, peer: peer, goal: goal, fixture: fixture, unit: unit}
    end
  end

  defp with_limit({fixture, "hot." <> _ = name, _figure, peer, _goal, "ns"} = line) do
    [line, {fixture, name <> ".limit", "the same, nothing behind Mnesia", peer, 0.0, "ns"}]
  end

  defp with_limit(line), do: [line]
end
