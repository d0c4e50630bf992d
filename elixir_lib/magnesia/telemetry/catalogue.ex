defmodule Magnesia.Telemetry.Catalogue do
  @moduledoc """
  The list of all events: what each measures, in which unit, and what it says besides.

  The tables in the text of `Magnesia.Telemetry` are made of this list, and the tests compare it
  with what is emitted. Nothing is emitted here.
  """

  @typedoc "Whether an event is rare, or so frequent that it is made only while somebody listens."
  @type pace :: :rare | :frequent | :sampled
  @typedoc "An event: its name, pace, measurements with their units, metadata, and meaning."
  @type entry ::
          {[atom(), ...], pace(), keyword(String.t()), keyword(String.t()), String.t()}

  @start [monotonic_time: "native time", system_time: "native time"]
  @stop [duration: "native time", monotonic_time: "native time"]
  @span [telemetry_span_context: "reference, the same for start and stop"]
  @result [result: ":ok or :error", error: "nil or why not"]
  @raised [kind: ":error, :exit or :throw", reason: "term", stacktrace: "stack trace"]

  @transaction @span ++
                 [
                   activity: ":transaction or :sync_transaction",
                   access: "access module"
                 ]
  @outcome [restarts: "count", lock_waits: "count", lock_wait_time: "native time"]

  @transactions [
    {[:transaction, :start], :frequent, @start, @transaction, "an outermost transaction begins"},
    {[:transaction, :stop], :frequent, @stop ++ @outcome,
     @transaction ++ [result: ":commit or :abort", reason: "nil or why it was aborted"],
     "it has committed, or was aborted on purpose or by the database"},
    {[:transaction, :exception], :frequent, @stop ++ @outcome,
     @transaction ++ [kind: ":error", reason: "exception or term", stacktrace: "stack trace"],
     "it was aborted because its fun raised"},
    {[:transaction, :restart], :frequent, [duration: "native time, waiting to run again"],
     [table: "table or :global", item: ":record, :table or :global", lock: "kind of lock"],
     "it gave way to an older one and runs again"},
    {[:lock, :wait], :frequent, [duration: "native time"],
     [table: "table or :global", item: ":record, :table or :global", lock: "kind of lock"],
     "a transaction has waited for a lock"},
    {[:transactions], :rare,
     [commits: "count", failures: "count", restarts: "count", log_writes: "count"],
     [period: "milliseconds"], "what has happened since the last of these, each second with any"},
    {[:operations], :sampled, [calls: "count", per_second: "calls a second"],
     [table: "table", operation: "class of operation", sample: "milliseconds"],
     "how often a table is used, estimated from a sample each ten seconds"}
  ]

  @database [
    {[:database, :open, :start], :rare, @start, @span ++ [node: "node"],
     "the database is being opened"},
    {[:database, :open, :stop], :rare, @stop ++ [tables: "count", rows: "count", memory: "bytes"],
     @span ++ [node: "node", directory: "path, nil in memory"] ++ @result,
     "it is open and its tables are loaded, or why not"},
    {[:database, :open, :exception], :rare, @stop, @span ++ [node: "node"] ++ @raised,
     "opening it has crashed"},
    {[:table, :load], :rare, [rows: "count", memory: "bytes"],
     [table: "table", storage: "storage", type: "type"], "a table was there at an opening"},
    {[:database, :close], :rare, [duration: "native time"], [node: "node"], "it is closed"},
    {[:schema, :change], :rare, [count: "1"],
     [table: "table", change: ":created, :changed, :deleted or :cleared"],
     "a definition has changed, or all rows of a table went"}
  ]

  @log [
    {[:log, :dump, :start], :rare, @start, @span, "a dump that was asked for begins"},
    {[:log, :dump, :stop], :rare, @stop ++ [bytes_before: "bytes", bytes_after: "bytes"],
     @span ++ @result, "it has ended, with the log's length before and after"},
    {[:log, :dump, :exception], :rare, @stop, @span ++ @raised, "it has crashed"},
    {[:log, :shortened], :rare, [bytes: "bytes", log_bytes: "bytes left"], [],
     "a dump in the background has ended, noticed within a second"},
    {[:log, :sync], :frequent, [duration: "native time"], [cause: ":commit or :asked"],
     "a commit, or a call, has waited for the disk"},
    {[:overload], :rare, [value: "bytes or count", limit: "bytes or count"],
     [what: ":dump_log, :message_queue or :lock_queue", process: "pid or nil"],
     "a limit of `Magnesia.Overload` is passed"}
  ]

  @copies [
    {[:backup, :start], :rare, @start, @span ++ [to: "file or the module's term"],
     "a backup begins"},
    {[:backup, :stop], :rare, @stop ++ [rows: "count"],
     @span ++ [to: "file or the module's term"] ++ @result, "it has ended"},
    {[:backup, :exception], :rare, @stop, @span ++ [to: "file or the module's term"] ++ @raised,
     "it has crashed"},
    {[:restore, :start], :rare, @start, @span ++ [from: "file or the module's term"],
     "a restore begins"},
    {[:restore, :stop], :rare, @stop ++ [tables: "count"],
     @span ++ [from: "file or the module's term"] ++ @result, "it has ended"},
    {[:restore, :exception], :rare, @stop,
     @span ++ [from: "file or the module's term"] ++ @raised, "it has crashed"}
  ]

  @migration [version: "version", module: "module", direction: ":up or :down"]
  @consumer [log: "change log", consumer: "its name"]

  @library [
    {[:migration, :start], :rare, @start, @span ++ @migration, "a migration begins"},
    {[:migration, :stop], :rare, @stop, @span ++ @migration ++ @result, "it has ended"},
    {[:migration, :exception], :rare, @stop, @span ++ @migration ++ @raised, "it has crashed"},
    {[:change_log, :batch, :start], :rare, @start, @span ++ @consumer,
     "a consumer begins a transaction with entries"},
    {[:change_log, :batch, :stop], :rare, @stop ++ [entries: "count", position: "number"],
     @span ++ @consumer, "its bookmark is at the last of them"},
    {[:change_log, :batch, :exception], :rare, @stop, @span ++ @consumer ++ @raised,
     "its fun has failed; the process ends"},
    {[:change_log, :trim], :rare, [entries: "count"], [log: "change log"],
     "entries were deleted"},
    {[:cache, :eviction], :frequent, [count: "rows"], [cache: "cache"],
     "rows made room for another"},
    {[:cache, :expiration], :rare, [count: "rows"], [cache: "cache"],
     "rows whose time was over were swept"},
    {[:cache, :computation], :frequent, [duration: "native time"], [cache: "cache"],
     "`Magnesia.Cache.fetch/4` has called its fun"}
  ]

  @groups [
    {"Transactions and operations", @transactions},
    {"The database and its tables", @database},
    {"The log, and overload", @log},
    {"Backups", @copies},
    {"Migrations, change logs, caches", @library}
  ]

  @entries for {_title, entries} <- @groups,
               {name, pace, measurements, metadata, about} <- entries,
               do: {[:magnesia | name], pace, measurements, metadata, about}

  @doc "All events."
  @spec entries() :: [entry()]
  def entries, do: @entries

  @frequent for {name, :frequent, _, _, _} <- @entries, do: name

  @doc "The names of the events that are made only while somebody listens to one of them."
  @spec frequent() :: [[atom(), ...]]
  def frequent, do: @frequent

  @doc "The list as tables for people."
  @spec markdown() :: String.t()
  def markdown do
    Enum.map_join(@groups, "\n", fn {title, entries} ->
      "### #{title}\n\n| event | when | measurements | metadata |\n|---|---|---|---|\n" <>
        Enum.map_join(entries, &row/1)
    end)
  end

  defp row({name, pace, measurements, metadata, about}) do
    mark = %{rare: "", frequent: " *", sampled: " **"}[pace]

    "| `#{inspect([:magnesia | name])}`#{mark} | #{about} | #{cell(measurements)} | " <>
      "#{cell(metadata)} |\n"
  end

  defp cell([]), do: "none"
  defp cell(fields), do: Enum.map_join(fields, "; ", fn {name, unit} -> "`#{name}`: #{unit}" end)
end
