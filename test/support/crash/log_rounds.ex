defmodule Magnesia.Crash.LogRounds do
  @moduledoc """
  Rounds of `kill -9` in one directory while a change log is written and consumed: after each, the
  directory is opened here and judged.
  """

  alias Magnesia.Crash.LogLoad
  alias Magnesia.Crash.Victim

  @longest_ms 150

  @doc "Plays rounds in `dir`, which is removed after; what was acknowledged, and the complaints."
  @spec run(Path.t(), pos_integer, integer) :: {non_neg_integer, [String.t()]}
  def run(dir, rounds, seed) do
    :rand.seed(:exsss, {seed, 3, 4})
    result = Enum.reduce_while(1..rounds, {%{}, []}, &round(dir, &1, &2))
    File.rm_rf!(dir)
    {told, complaints} = result
    {told |> Map.values() |> Enum.sum(), complaints}
  end

  defp round(dir, round, {told, []}) do
    told = Map.merge(told, killed(dir, round))
    :ok = LogLoad.open(String.to_charlist(dir))
    complaints = LogLoad.complaints(told)
    :stopped = :magnesia.stop()
    Application.delete_env(:magnesia, :dir)

    case Enum.map(complaints, &"round #{round}: #{&1}") do
      [] -> {:cont, {told, []}}
      complaints -> {:halt, {told, complaints}}
    end
  end

  defp killed(dir, round) do
    Victim.killed(LogLoad, [dir, "#{round}"], :rand.uniform(@longest_ms))
  end
end
