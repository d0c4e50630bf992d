defmodule Magnesia.Notebook do
  @moduledoc """
  Runs a Livebook notebook: its cells marked `elixir`, in order, each going on from the one
  before, as Livebook does. Where a cell's output stands below it, the cell must give that. The
  setup cell, which installs the library, is the caller's: it is left out. It must run in a VM of
  its own, as a notebook defines modules and starts a database.
  """

  @output ~s(<!-- livebook:{"output":true} -->)

  @doc "The cells with their line and the output below them, nil where there is none."
  @spec cells(Path.t()) :: [{pos_integer(), String.t(), String.t() | nil}]
  def cells(path) do
    path
    |> File.read!()
    |> String.split("\n")
    |> Enum.with_index(1)
    |> blocks()
    |> joined()
  end

  # Fenced blocks in order, each with its line and the last line of text before it.
  defp blocks(lines), do: blocks(lines, "", [])

  defp blocks([], _before, found), do: Enum.reverse(found)

  defp blocks([{"```" <> kind, n} | rest], before, found) do
    {code, [_fence | rest]} = Enum.split_while(rest, fn {line, _n} -> line != "```" end)
    text = Enum.map_join(code, "\n", &elem(&1, 0))
    blocks(rest, "", [{kind, before, n + 1, text} | found])
  end

  defp blocks([{"", _n} | rest], before, found), do: blocks(rest, before, found)
  defp blocks([{line, _n} | rest], _before, found), do: blocks(rest, line, found)

  defp joined([{"elixir", _, n, code}, {"", @output, _, output} | rest]) do
    [{n, code, output} | joined(rest)]
  end

  defp joined([{"elixir", _, n, code} | rest]), do: [{n, code, nil} | joined(rest)]
  defp joined([]), do: []

  @doc "Runs the cells after the setup cell; answers what was not as it says, in words."
  @spec run(Path.t()) :: [String.t()]
  def run(path) do
    [_setup | cells] = cells(path)
    start = {[], Code.env_for_eval(file: path)}
    {failures, _state} = Enum.flat_map_reduce(cells, start, &cell(&1, &2, path))
    failures
  end

  defp cell({line, code, output}, {binding, env}, path) do
    quoted = Code.string_to_quoted!(code, file: path, line: line)
    {value, binding, env} = Code.eval_quoted_with_env(quoted, binding, env)
    given = inspect(value, pretty: true)
    failures = if output in [nil, given], do: [], else: ["#{path}:#{line}: gave #{given}"]
    {failures, {binding, env}}
  rescue
    error -> {["#{path}:#{line}: raised #{Exception.message(error)}"], {binding, env}}
  end
end
