without_parens = [field: 1, field: 2, field: 3, fields: 1, from: 2]

[
  inputs: [
    "{mix,.formatter}.exs",
    "{elixir_lib,examples,test,bench,scripts}/**/*.{ex,exs}"
  ],
  locals_without_parens: without_parens,
  export: [locals_without_parens: without_parens]
]
