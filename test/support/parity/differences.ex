defmodule Magnesia.Parity.Differences do
  @moduledoc """
  The deliberate differences: a data file that names numbered quirks with a reason each. It may
  name only what the list of quirks calls a wart, and only what really differs; nothing else is
  excused.
  """

  alias Magnesia.Parity.Quirk

  @type t :: %{(pos_integer | String.t()) => String.t()}

  @doc "The differences of a file, or what is wrong with it."
  @spec load(Path.t(), [Quirk.t()]) :: {:ok, t} | {:error, [String.t()]}
  def load(path, quirks) do
    {entries, _} = Code.eval_file(path)
    check(entries, quirks)
  end

  @doc "Checks entries against the rule."
  @spec check([map], [Quirk.t()]) :: {:ok, t} | {:error, [String.t()]}
  def check(entries, quirks) do
    kinds = Map.new(quirks, &{&1.number, &1.kind})

    case Enum.flat_map(entries, &complaints(&1, kinds)) do
      [] -> {:ok, Map.new(entries, &{&1.quirk, &1.reason})}
      complaints -> {:error, complaints}
    end
  end

  defp complaints(%{quirk: number, reason: reason}, kinds) do
    wart =
      case kinds do
        %{^number => :wart} -> []
        %{^number => kind} -> ["quirk #{number} is a #{kind}, not a wart: it may not differ"]
        _ -> ["there is no quirk #{number}"]
      end

    if String.trim(reason) == "", do: ["quirk #{number} has no reason" | wart], else: wart
  end

  defp complaints(entry, _kinds), do: ["#{inspect(entry)} is not %{quirk: _, reason: _}"]

  @doc "What to say of a quirk on which both modules answered: fine, or why not."
  @spec verdict(Quirk.t(), term, term, t) :: :ok | {:error, String.t()}
  def verdict(quirk, stock, other, differences) do
    case {stock === other, Map.has_key?(differences, quirk.number)} do
      {true, false} -> :ok
      {false, true} -> :ok
      {true, true} -> {:error, "quirk #{quirk.number} is listed as different but is the same"}
      {false, false} -> {:error, "quirk #{quirk.number} differs: #{String.trim(quirk.title)}"}
    end
  end
end
