defmodule Magnesia.Tidy.Source do
  @moduledoc """
  Parts of a source file, by its formatting alone: what is a test, what is documentation, what is
  code. It relies on `cargo fmt` and `mix format` having put a closing brace or `end` under the
  line that it closes. It must never judge.
  """

  @type numbered :: {line :: pos_integer, String.t()}

  @doc "Whether the whole file is a test or serves tests alone."
  @spec test_file?(String.t()) :: boolean
  def test_file?(path) do
    path =~ ~r{^test/|^native/fuzz/|^native/[^/]+/(tests|benches|examples)/} or
      path =~ ~r{_test\.rs$|/tests?\.rs$|/tests?/}
  end

  @doc "The lines with their numbers."
  @spec numbered([String.t()]) :: [numbered]
  def numbered(lines), do: lines |> Enum.with_index(1) |> Enum.map(fn {l, n} -> {n, l} end)

  @doc "Splits a Rust file into what ships and what is behind `#[cfg(test)]`."
  @spec split_rust([String.t()]) :: {production :: [numbered], test :: [numbered]}
  def split_rust(lines), do: split_rust(numbered(lines), [], [])

  defp split_rust([], production, test), do: {Enum.reverse(production), Enum.reverse(test)}

  defp split_rust([{_, line} = head | rest], production, test) do
    if line =~ ~r/^\s*#\[cfg\((test|all\(test\b)/ do
      {item, rest} = take_item(rest, indent(line), [head])
      split_rust(rest, production, item ++ test)
    else
      split_rust(rest, [head | production], test)
    end
  end

  defp take_item([], _indent, taken), do: {taken, []}

  defp take_item([{_, line} = head | rest], indent, taken) do
    at_margin? = indent(line) == indent and line != ""
    code = line |> strip_comment() |> String.trim_trailing()

    if at_margin? and not attribute?(line) and ends_item?(code),
      do: {[head | taken], rest},
      else: take_item(rest, indent, [head | taken])
  end

  defp attribute?(line), do: String.trim_leading(line) =~ ~r/^(#\[|\/\/)/
  defp ends_item?(code), do: String.ends_with?(code, [";", "}", "},", ","])

  @doc "The lines of an Elixir file without its documentation."
  @spec without_docs([String.t()]) :: [numbered]
  def without_docs(lines) do
    {kept, _in_doc?} =
      Enum.reduce(numbered(lines), {[], false}, fn {_, line} = numbered, {kept, in_doc?} ->
        cond do
          in_doc? -> {kept, String.trim(line) != ~s(""")}
          line =~ ~r/^\s*@\w*doc\s+(~[sS])?"""/ -> {kept, true}
          line =~ ~r/^\s*@\w*doc\s+"/ -> {kept, false}
          true -> {[numbered | kept], false}
        end
      end)

    Enum.reverse(kept)
  end

  @doc "The code of a production file: no tests, no documentation, no comments."
  @spec code(String.t(), [String.t()]) :: [numbered]
  def code(path, lines) do
    case Path.extname(path) do
      ".rs" ->
        {production, _test} = split_rust(lines)
        for {n, line} <- production, code = strip_comment(line), do: {n, code}

      _elixir ->
        for {n, line} <- without_docs(lines), not (line =~ ~r/^\s*#/), do: {n, line}
    end
  end

  @doc "How far the line is indented."
  @spec indent(String.t()) :: non_neg_integer
  def indent(line), do: String.length(line) - String.length(String.trim_leading(line))

  defp strip_comment(line), do: Regex.replace(~r{(^|\s)//.*$}, line, "")
end
