defmodule Magnesia.Guide do
  @moduledoc """
  Runs the code of a guide: its blocks marked `elixir`, in order, each going on from the one
  before. In a block that has `iex>` lines each expression must give what stands below it, written
  as an Elixir term or as `** (Exception) message`; any other block must only run.
  """

  @doc "Runs a guide and answers what was not as it says, one line of words each."
  @spec run(Path.t()) :: [String.t()]
  def run(path) do
    _options = Code.compiler_options(ignore_module_conflict: true)
    start = {[], Code.env_for_eval(file: path)}

    {failures, _state} =
      path
      |> File.read!()
      |> steps()
      |> Enum.flat_map_reduce(start, fn step, state -> step(step, path, state) end)

    failures
  after
    Code.compiler_options(ignore_module_conflict: false)
  end

  @doc "The code of a guide with its line and, of an `iex>` line, what it must give."
  @spec steps(String.t()) :: [{pos_integer(), String.t(), String.t() | nil}]
  def steps(text) do
    text
    |> String.split("\n")
    |> Enum.with_index(1)
    |> Enum.chunk_by(fn {line, _n} -> String.starts_with?(line, "```") end)
    |> Enum.chunk_every(2, 1, :discard)
    |> Enum.filter(&match?([[{"```elixir", _}], _code], &1))
    |> Enum.flat_map(fn [_fence, code] -> block(code) end)
  end

  defp block([{_line, n} | _] = lines) do
    if Enum.any?(lines, fn {line, _n} -> String.starts_with?(line, "iex>") end) do
      examples(lines)
    else
      [{n, Enum.map_join(lines, "\n", &elem(&1, 0)), nil}]
    end
  end

  defp examples([]), do: []
  defp examples([{"", _} | rest]), do: examples(rest)

  defp examples([{"iex> " <> code, n} | rest]) do
    {more, rest} = Enum.split_while(rest, fn {line, _} -> String.starts_with?(line, "...>") end)
    {wanted, rest} = Enum.split_while(rest, fn {line, _} -> line != "" and not iex?(line) end)
    more = for {"...>" <> line, _n} <- more, do: line
    wanted = for {line, _n} <- wanted, do: line
    wanted = if wanted != [], do: Enum.join(wanted, "\n")
    [{n, Enum.join([code | more], "\n"), wanted} | examples(rest)]
  end

  defp iex?(line), do: String.starts_with?(line, "iex>")

  defp step({line, code, wanted}, path, {binding, env}) do
    {given, state} = evaluate(code, line, binding, env)

    case compare(given, wanted, elem(state, 1)) do
      :ok -> {[], state}
      words -> {["#{path}:#{line}: #{words}"], state}
    end
  end

  defp evaluate(code, line, binding, env) do
    quoted = Code.string_to_quoted!(code, file: env.file, line: line)
    {value, binding, env} = Code.eval_quoted_with_env(quoted, binding, env)
    {{:ok, value}, {binding, env}}
  rescue
    error -> {{:raised, error}, {binding, env}}
  end

  defp compare({:ok, _value}, nil, _env), do: :ok

  defp compare({:raised, error}, "** " <> wanted, _env) do
    given = "(#{inspect(error.__struct__)}) #{Exception.message(error)}"
    if String.contains?(given, wanted), do: :ok, else: "raised #{given}, not #{wanted}"
  end

  defp compare({:raised, error}, _wanted, _env) do
    "raised (#{inspect(error.__struct__)}) #{Exception.message(error)}"
  end

  defp compare({:ok, value}, wanted, env) do
    {right, _binding} = Code.eval_string(wanted, [], env)
    if right === value, do: :ok, else: "gave #{inspect(value)}, not #{wanted}"
  end
end
