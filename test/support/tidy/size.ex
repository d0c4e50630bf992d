defmodule Magnesia.Tidy.Size do
  @moduledoc """
  Lengths of files and functions and widths of lines, as CONTRIBUTING.md bounds them.
  """

  alias Magnesia.Tidy.Source

  @production_lines_max 800
  @test_lines_max 1000
  @function_lines_max 70
  @flat_lines_max 100
  @columns_max %{".rs" => 100, ".ex" => 98, ".exs" => 98}

  # Calls of stock Erlang as they were observed, one a line.
  @recorded "test/contract/quirks/"
  # No formatter can break it.
  @one_literal ~r/^\s*(?:\w+: )?(?:~[sS])?".*"[,)]*$/

  @rust_function ~r/^\s*(?:pub(?:\([^)]*\))? )?(?:(?:const|async|unsafe|extern "C") )*fn (\w+)/
  @elixir_function ~r/^\s*(?:defp?|defmacrop?|test) ([^(,\s]+|"[^"]*")/

  @doc "Files and functions that are too long, lines that are too wide."
  @spec findings([Magnesia.Tidy.file()]) :: [Magnesia.Tidy.finding()]
  def findings(files) do
    for {path, lines} <- files,
        is_map_key(@columns_max, Path.extname(path)),
        rule <- [&file_length/2, &line_width/2, &function_length/2],
        finding <- rule.(path, lines),
        do: finding
  end

  defp file_length(path, lines) do
    {production, test} = parts(path, lines)

    for {part, lines, max} <- [
          {"production", production, @production_lines_max},
          {"test", test, @test_lines_max}
        ],
        length(lines) > max do
      text = "#{length(lines)} #{part} lines, at most #{max}"
      %{rule: :file_length, path: path, line: 1, value: length(lines), text: text}
    end
  end

  defp parts(path, lines) do
    lines = Enum.drop(lines, if(List.last(lines) == "", do: -1, else: 0))

    cond do
      Source.test_file?(path) -> {[], lines}
      Path.extname(path) == ".rs" -> Source.split_rust(lines)
      true -> {Source.without_docs(lines), []}
    end
  end

  defp line_width(path, lines) do
    max = @columns_max[Path.extname(path)]

    for {n, line} <- Source.numbered(lines),
        String.length(line) > max,
        not String.starts_with?(path, @recorded),
        not (line =~ @one_literal) do
      text = "#{String.length(line)} columns, at most #{max}"
      %{rule: :line_width, path: path, line: n, value: 1, text: text}
    end
  end

  defp function_length(path, lines) do
    {head, close} =
      if Path.extname(path) == ".rs", do: {@rust_function, "}"}, else: {@elixir_function, "end"}

    for {name, n, body} <- functions(Source.numbered(lines), head, close),
        max = function_lines_max(body),
        length(body) > max do
      text = "#{name} has #{length(body)} lines, at most #{max}"
      %{rule: :function_length, path: path, line: n, value: length(body), text: text}
    end
  end

  defp function_lines_max(body) do
    if Enum.any?(body, &(&1 =~ "// flat: ")), do: @flat_lines_max, else: @function_lines_max
  end

  defp functions([], _head, _close), do: []

  defp functions([{n, line} | rest], head, close) do
    with [_, name] <- Regex.run(head, line),
         body when is_list(body) <- body(rest, Source.indent(line), close, [line]) do
      [{name, n, body} | functions(rest, head, close)]
    else
      _no_function -> functions(rest, head, close)
    end
  end

  # The lines up to the closing word under the head; nil for a head that opens no block.
  defp body([], _indent, _close, _taken), do: nil

  defp body([{_, line} | rest], indent, close, taken) do
    cond do
      one_line?(hd(taken), taken, close) ->
        nil

      Source.indent(line) > indent or String.trim(line) == "" or line =~ ~r/^\s*[)\]]/ ->
        body(rest, indent, close, [line | taken])

      String.trim(line) == close ->
        Enum.reverse([line | taken])

      String.trim(line) =~ ~r/^(where|\{)$/ ->
        body(rest, indent, close, [line | taken])

      true ->
        nil
    end
  end

  defp one_line?(head, [head], "}"), do: head =~ ~r/[;}]\s*$/
  defp one_line?(head, [head], "end"), do: head =~ ~r/, do: /
  defp one_line?(_last, _taken, _close), do: false
end
