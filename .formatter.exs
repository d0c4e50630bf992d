[
  inputs: [
    "{mix,.formatter}.exs",
    "{elixir_lib,test,bench,scripts}/**/*.{ex,exs}"
  ]
]
