defmodule Magnesia.Tidy do
  @moduledoc """
  The project's house rules as a program: reads every file that git knows or would take, and
  reports what breaks a rule.

  A file is a path and its lines, a finding is a rule, a place, a value and a sentence. What
  `tidy_allow.txt` lists is let through at exactly the listed value, so that the list can only
  shrink. It must never run project code, write a file or start anything but `git ls-files`.
  """

  alias Magnesia.Tidy.{Arrows, Limits, Size, Words}

  @type file :: {path :: String.t(), [String.t()]}
  @type finding :: %{
          rule: atom,
          path: String.t(),
          line: pos_integer,
          value: pos_integer,
          text: String.t()
        }

  @read ~w(.rs .ex .exs .toml .md .sh)
  @rules [&Size.findings/1, &Words.findings/1, &Arrows.findings/1, &Limits.findings/1]

  @doc "The files of the tree at `root` that the rules speak about."
  @spec files(Path.t()) :: [file]
  def files(root) do
    {listed, 0} = System.cmd("git", ~w(ls-files --cached --others --exclude-standard), cd: root)

    for path <- listed |> String.split("\n", trim: true) |> Enum.uniq() |> Enum.sort(),
        Path.extname(path) in @read,
        {:ok, content} <- [File.read(Path.join(root, path))] do
      {path, String.split(content, "\n")}
    end
  end

  @doc "Everything in `files` that breaks a rule."
  @spec findings([file]) :: [finding]
  def findings(files), do: Enum.flat_map(@rules, & &1.(files))

  @doc """
  What is wrong, as sentences: findings that `allow` does not list, listed values that are not the
  true ones, and entries that nothing needs any more. `allow` is the text of `tidy_allow.txt`, one
  `rule path value reason` a line.
  """
  @spec judge([finding], String.t()) :: [String.t()]
  def judge(findings, allow) do
    entries = entries(allow)
    grouped = Enum.group_by(findings, &{Atom.to_string(&1.rule), &1.path})

    Enum.flat_map(grouped, fn {key, found} -> judge_group(found, entries[key], key) end) ++
      for {{rule, path} = key, _entry} <- entries, not is_map_key(grouped, key) do
        "tidy_allow.txt: nothing breaks `#{rule}` in #{path} any more: remove the entry"
      end
  end

  defp judge_group(found, nil, _key), do: Enum.map(found, &sentence/1)

  defp judge_group(_found, {_value, ""}, {rule, path}) do
    ["tidy_allow.txt: `#{rule} #{path}` needs a reason"]
  end

  defp judge_group(found, {value, _reason}, {rule, path}) do
    case Enum.reduce(found, 0, &(&1.value + &2)) do
      ^value -> []
      more when more > value -> Enum.map(found, &sentence/1)
      less -> ["tidy_allow.txt: `#{rule} #{path}` may say #{less} now, it says #{value}"]
    end
  end

  defp sentence(found), do: "#{found.path}:#{found.line}: #{found.text} [#{found.rule}]"

  defp entries(allow) do
    for line <- String.split(allow, "\n", trim: true), not String.starts_with?(line, "#") do
      [rule, path, value | reason] = String.split(line)
      {{rule, path}, {String.to_integer(value), Enum.join(reason, " ")}}
    end
    |> Map.new()
  end
end
