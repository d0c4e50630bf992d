[
  inputs: [
    "{mix,.formatter}.exs",
    "{elixir_lib,examples,test,bench,scripts}/**/*.{ex,exs}"
  ]
]
