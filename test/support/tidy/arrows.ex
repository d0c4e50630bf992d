defmodule Magnesia.Tidy.Arrows do
  @moduledoc """
  Who may know whom: the arrows of ARCHITECTURE.md, read from the manifests and the sources of the
  crates, and the one gate between Elixir and the native library.
  """

  alias Magnesia.Tidy.Source

  # A crate and the crates of the project that it may depend on.
  @crates %{
    "term" => [],
    "engine" => ~w(term),
    "store" => ~w(term engine),
    "database" => ~w(term engine store),
    "nif" => ~w(term engine store database),
    "fuzz" => ~w(term engine store database)
  }
  @pure ~w(term engine)
  @impure [
    ~r/\btokio\b/,
    ~r/\bstd::(net|fs|thread)\b/,
    ~r/\bstd::\{[^}]*\b(net|fs|thread)\b/,
    ~r/\b(Instant|SystemTime)::now\b/,
    ~r/\brand::/
  ]
  @impure_crates ~w(tokio rand sled rustix fs4)
  @unsafe ~r/\bunsafe (\{|fn |impl |extern )|#\[unsafe\(/
  @gate "elixir_lib/magnesia/engine.ex"
  @native "elixir_lib/magnesia/native.ex"

  @doc "Arrows that point where none may."
  @spec findings([Magnesia.Tidy.file()]) :: [Magnesia.Tidy.finding()]
  def findings(files) do
    for rule <- [&manifests/1, &pure/1, &rustler/1, &forbid_unsafe/1, &one_unsafe/1, &gate/1],
        {rule, path, line, text} <- rule.(files) do
      %{rule: rule, path: path, line: line, value: 1, text: text}
    end
  end

  defp manifests(files) do
    for {path, lines} <- files,
        [_, crate] <- [Regex.run(~r{^native/([^/]+)/Cargo\.toml$}, path)],
        {section, dependency, n} <- dependencies(lines),
        text = refusal(crate, section, dependency) do
      {:arrow, path, n, text}
    end
  end

  defp refusal(crate, section, "magnesia-" <> other) do
    allowed = Map.get(@crates, crate)

    cond do
      allowed == nil -> "crate #{crate} is unknown here: add its arrows"
      section == "dev-dependencies" or other in allowed -> nil
      true -> "#{crate} must not depend on #{other}"
    end
  end

  defp refusal(crate, _section, "rustler") when crate != "nif", do: "rustler outside nif"
  defp refusal(crate, "dependencies", "eetf"), do: "eetf outside #{crate}'s tests"

  defp refusal(crate, "dependencies", name) when crate in @pure and name in @impure_crates do
    "#{crate} is pure: no #{name}"
  end

  defp refusal(_crate, _section, _name), do: nil

  defp dependencies(lines) do
    {found, _section} =
      Enum.reduce(Source.numbered(lines), {[], nil}, fn {n, line}, {found, section} ->
        case Regex.run(~r/^\[(.*)\]|^([\w-]+)(?:\.\w+)*\s*=/, line) do
          [_, header] -> open_section(found, header, n)
          [_, "", name] when section != nil -> {[{section, name, n} | found], section}
          _other -> {found, section}
        end
      end)

    found
  end

  # `[dependencies]` opens a list, `[dependencies.name]` is one dependency.
  defp open_section(found, header, n) do
    case Regex.run(~r/(?:^|\.)((?:dev-|build-)?dependencies)(?:\.([\w-]+))?$/, header) do
      [_, section] -> {found, section}
      [_, section, name] -> {[{section, name, n} | found], nil}
      nil -> {found, nil}
    end
  end

  defp pure(files) do
    for {path, lines} <- files,
        path =~ ~r{^native/(#{Enum.join(@pure, "|")})/src/.*\.rs$},
        not Source.test_file?(path),
        {n, code} <- Source.code(path, lines),
        regex <- @impure,
        [word | _] <- [Regex.run(regex, code)] do
      {:pure, path, n, "a pure crate must not know `#{word}`"}
    end
  end

  defp rustler(files) do
    for {path, lines} <- files,
        path =~ ~r{^native/(?!nif/).*\.rs$},
        {n, code} <- Source.code(path, lines),
        code =~ ~r/\brustler\b/ do
      {:arrow, path, n, "rustler outside nif"}
    end
  end

  defp forbid_unsafe(files) do
    for {path, lines} <- files,
        path =~ ~r{^native/(?!nif/)[^/]+/src/(lib|main)\.rs$},
        "#![forbid(unsafe_code)]" not in lines do
      {:unsafe, path, 1, "every crate but nif says #![forbid(unsafe_code)]"}
    end
  end

  defp one_unsafe(files) do
    found =
      for {path, lines} <- files,
          path =~ ~r{^native/nif/.*\.rs$},
          {n, code} <- Source.code(path, lines),
          code =~ @unsafe,
          do: {path, n}

    {first, others} = found |> Enum.map(&elem(&1, 0)) |> Enum.uniq() |> Enum.split(1)

    for {path, n} <- found, path in others do
      {:unsafe, path, n, "unsafe lives in one file, and #{first} has some too"}
    end
  end

  defp gate(files) do
    for {"elixir_lib/" <> _ = path, lines} <- files,
        path not in [@gate, @native],
        {n, code} <- Source.code(path, lines),
        code =~ ~r/(^|[^.\w])(Magnesia\.)?Native\b|Magnesia\.\{[^}]*\bNative\b/ do
      {:gate, path, n, "only #{@gate} may call Magnesia.Native"}
    end
  end
end
