defmodule Magnesia.MnesiaApiTest do
  @moduledoc """
  guides/mnesia-api.md says what `:magnesia` does for each function of `:mnesia`: no function is
  left out, none is made up, and what is said to be there is there.
  """

  use ExUnit.Case, async: true

  @guide Path.expand("../../guides/mnesia-api.md", __DIR__)
  @words ~w(same better refused missing)
  @added [write: 2, delete: 2, match_object: 2, dirty_read: 3]
  # What every module of its language has.
  @usual [module_info: 0, module_info: 1, __info__: 1]

  setup_all do
    {:ok, _} = Application.ensure_all_started(:magnesia)
    rows = @guide |> File.read!() |> String.split("\n") |> Enum.flat_map(&row/1)
    %{rows: rows}
  end

  defp row(line) do
    case Regex.run(~r"^\| `(\w+)/(\d+)` \| (\w+) \|(.*)\|$", line) do
      [_, name, arity, word, note] ->
        [{{String.to_atom(name), String.to_integer(arity)}, word, String.trim(note)}]

      nil ->
        []
    end
  end

  defp exports(module), do: module.module_info(:exports) -- @usual

  test "the table has every function of :mnesia once", %{rows: rows} do
    functions = for {function, _, _} <- rows, do: function
    assert functions -- Enum.uniq(functions) == []
    assert exports(:mnesia) -- functions == []
    if System.otp_release() == "25", do: assert(functions -- exports(:mnesia) == [])
  end

  test "a word says what is done, and what is other than the same is explained", %{rows: rows} do
    assert Enum.reject(rows, fn {_, word, _} -> word in @words end) == []
    assert for({f, word, ""} <- rows, word in ["better", "refused"], do: f) == []
  end

  test ":magnesia has what the table says, and nothing that it does not say", %{rows: rows} do
    there = exports(:magnesia)
    {missing, served} = Enum.split_with(rows, fn {_, word, _} -> word == "missing" end)
    assert for({function, _, _} <- served, function not in there, do: function) == []
    # One that is there now is no longer missing: the table says what it does.
    assert for({function, _, _} <- missing, function in there, do: function) == []
    assert Enum.sort(there -- for({f, _, _} <- rows, do: f)) == Enum.sort(@added)
  end
end
