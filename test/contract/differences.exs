# Where the strict module differs from stock Mnesia on purpose: `%{quirk: number, reason: text}`.
# Only a quirk of the kind `:wart` may stand here, and only one whose answers really differ.
[]
