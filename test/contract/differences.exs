# Where the strict module differs from stock Mnesia on purpose: `%{quirk: number, reason: text}`.
# Only a quirk of the kind `:wart` may stand here, and only one whose answers really differ.
[
  %{
    quirk: 94,
    reason: "an ets activity writes through the same checks and keeps indexes in step"
  },
  %{
    quirk: 132,
    reason: "the flat tuple gets what its author meant, as it can mean nothing else"
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
    quirk: 148,
    reason: "steps in a set go on over equal numbers of both kinds, which are keys of their own"
  },
  %{
    quirk: 150,
    reason: "a read lock on all fragments is an ordinary wish and is granted"
  },
  %{
    quirk: 151,
    reason: "a query on a fragmented table sees the transaction's operations on that table alone"
  },
  %{
    quirk: 152,
    reason: "rows move one by one, so that none is lost"
  },
  %{
    quirk: 164,
    reason: "only what could have been there is told of as deleted"
  },
  %{
    quirk: 165,
    reason: "only the object that is given is deleted, whatever stands in it"
  },
  %{
    quirk: 170,
    reason: "what never was is not told of as deleted"
  },
  %{
    quirk: "P31",
    reason: "a directory that holds a database is refused with already_exists, so none is lost"
  }
]
