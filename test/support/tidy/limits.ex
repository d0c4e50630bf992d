defmodule Magnesia.Tidy.Limits do
  @moduledoc """
  Every bound that a `limits.rs` declares is tested or documented: its name stands in a test or in
  docs/limits.md.
  """

  alias Magnesia.Tidy.Source

  @doc "Bounds that no test and no document names."
  @spec findings([Magnesia.Tidy.file()]) :: [Magnesia.Tidy.finding()]
  def findings(files) do
    witnesses = witnesses(files)

    for {path, lines} <- files,
        Path.basename(path) == "limits.rs",
        {n, code} <- Source.code(path, lines),
        [_, name] <- [Regex.run(~r/^\s*pub const (\w+)/, code)],
        not MapSet.member?(witnesses, name) do
      text = "limit #{name} is named in no test and not in docs/limits.md"
      %{rule: :limit, path: path, line: n, value: 1, text: text}
    end
  end

  defp witnesses(files) do
    for {path, lines} <- files,
        line <- witness_lines(path, lines),
        [name] <- Regex.scan(~r/\b[A-Z][A-Z0-9_]+\b/, line),
        into: MapSet.new(),
        do: name
  end

  defp witness_lines("docs/limits.md", lines), do: lines

  defp witness_lines(path, lines) do
    cond do
      Source.test_file?(path) -> lines
      Path.extname(path) == ".rs" -> for {_, line} <- elem(Source.split_rust(lines), 1), do: line
      true -> []
    end
  end
end
