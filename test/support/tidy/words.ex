defmodule Magnesia.Tidy.Words do
  @moduledoc """
  Names and words: what a file may be called, what it must begin with, and what no merged file
  contains. The banned words are written in two halves here, else this file would break its rule.
  """

  alias Magnesia.Tidy.Source

  @code ~w(.rs .ex .exs)
  @empty_names ~w(utils util helpers misc manager)
  @banned for {left, right} <- [
                {"TO", "DO"},
                {"FIX", "ME"},
                {"todo", "!("},
                {"unimplemented", "!("},
                {"dbg", "!("},
                {"#[ig", "nore"},
                {"tag :", "skip"},
                {"tag skip", ":"},
                {"/wo", "rk/"}
              ],
              do: left <> right
  @print ~r/\b(?:e?println|e?print)!\(/
  @sleeps for module <- ~w(Process. :timer. thread::), do: module <> "sleep"

  @doc "Names, headers and words that break a rule."
  @spec findings([Magnesia.Tidy.file()]) :: [Magnesia.Tidy.finding()]
  def findings(files) do
    for {path, lines} <- files,
        rule <- rules(Path.extname(path)),
        {rule, line, text} <- rule.(path, lines) do
      %{rule: rule, path: path, line: line, value: 1, text: text}
    end
  end

  defp rules(".rs"),
    do: [&name/2, &function_name/2, &rust_header/2, &print/2, &banned/2, &sleep/2]

  defp rules(extension) when extension in @code do
    [&name/2, &function_name/2, &elixir_header/2, &spec/2, &banned/2, &sleep/2]
  end

  defp rules(_text), do: [&banned/2]

  defp name(path, _lines) do
    for part <- Path.split(Path.rootname(path)),
        part == "common" or Enum.any?(String.split(part, "_"), &(&1 in @empty_names)) do
      {:name, 1, "`#{part}` says nothing: name the thing"}
    end
  end

  defp function_name(path, lines) do
    for {n, line} <- Source.code(path, lines),
        [_, name] <- [Regex.run(~r/^\s*(?:pub(?:\([^)]*\))? )?(?:fn|mod|defp?) (\w+)/, line)],
        name in ["common" | @empty_names] do
      {:name, n, "`#{name}` says nothing: name the thing"}
    end
  end

  defp rust_header(_path, ["//!" <> _ | _]), do: []
  defp rust_header(_path, _lines), do: [{:header, 1, "a Rust file starts with //!"}]

  # A library has no business on the terminal of the program that it serves.
  defp print("native/" <> _ = path, lines) do
    for {n, code} <- Source.code(path, lines),
        not Source.test_file?(path),
        [word] <- [Regex.run(@print, code)] do
      {:print, n, "`#{word}`: a library does not print"}
    end
  end

  defp print(_path, _lines), do: []

  defp elixir_header(path, lines) do
    if Path.extname(path) == ".ex", do: modules_without_header(lines), else: []
  end

  defp modules_without_header(lines) do
    marks =
      for {n, line} <- Source.numbered(lines),
          [_, mark] <- [Regex.run(~r/^\s*(defmodule|@moduledoc|def|defp) /, line)],
          do: {mark, n}

    for [{"defmodule", n}, {next, _}] <- Enum.chunk_every(marks ++ [{"", 0}], 2, 1, :discard),
        next != "@moduledoc" do
      {:header, n, "a module begins with @moduledoc"}
    end
  end

  # Public functions of the library carry a type; those of a behaviour have it from there, and the
  # native stubs have it at the gate.
  defp spec("elixir_lib/magnesia/native.ex", _lines), do: []

  defp spec("elixir_lib/" <> _, lines) do
    specified = MapSet.new(scan(lines, ~r/^\s*@spec (\w+[?!]?)/), fn {name, _n} -> name end)
    implemented = implemented(Enum.map(Source.without_docs(lines), &elem(&1, 1)))

    for {name, n} <-
          lines |> scan(~r/^\s*(?:def|defdelegate) (\w+[?!]?)/) |> Enum.uniq_by(&elem(&1, 0)),
        name not in specified and name not in implemented do
      {:spec, n, "public function #{name} has no @spec"}
    end
  end

  defp spec(_path, _lines), do: []

  defp scan(lines, regex) do
    for {n, line} <- Source.without_docs(lines),
        [_, name] <- [Regex.run(regex, line)],
        do: {name, n}
  end

  defp implemented(lines) do
    for [mark, head] <- Enum.chunk_every(lines, 2, 1, :discard),
        mark =~ ~r/^\s*@impl /,
        [_, name] <- [Regex.run(~r/^\s*def (\w+[?!]?)/, head)],
        do: name
  end

  defp banned(_path, lines) do
    for {n, line} <- Source.numbered(lines), word <- @banned, line =~ word do
      {:banned, n, "`#{word}` must not be merged"}
    end
  end

  defp sleep("bench/" <> _, _lines), do: []

  defp sleep(_path, lines) do
    for {n, line} <- Source.numbered(lines), word <- @sleeps, line =~ word <> "(" do
      {:sleep, n, "`#{word}`: wait for a condition with a deadline instead"}
    end
  end
end
