# Where the strict module differs from stock Mnesia on purpose: `%{quirk: number, reason: text}`.
# Only a quirk of the kind `:wart` may stand here, and only one whose answers really differ.
[
  %{
    quirk: 94,
    reason: "an ets activity writes through the same checks and keeps indexes in step"
  },
  %{
    quirk: 144,
    reason: "locks that an aborted inner level took are held, and so count as asked for"
  },
  %{
    quirk: 145,
    reason: "a transformation keeps the rows that the fun returns as they are, of a bag as well"
  },
  %{
    quirk: "P31",
    reason: "a directory that holds a database is refused with already_exists, so none is lost"
  }
]
