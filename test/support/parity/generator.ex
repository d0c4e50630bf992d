defmodule Magnesia.Parity.Generator do
  @moduledoc """
  Makes the script of a seed: most work on the fixed tables, some define tables, some put two
  processes in conflict. The same seed must make the same script, whatever ran before.
  """

  import Magnesia.Parity.Random

  alias Magnesia.Parity.{
    AccessSource,
    Avoidance,
    DuelSource,
    OperationSource,
    SchemaSource,
    Script
  }

  @doc "The script of a seed, without what shows the quirks to avoid."
  @spec script(integer, [pos_integer | String.t()]) :: Script.t()
  def script(seed, avoid \\ []) do
    seeded(seed, fn ->
      kind = weighted([{86, fn -> :data end}, {8, fn -> :schema end}, {6, fn -> :duel end}])
      %Script{seed: seed, kind: kind, operations: operations(kind, avoid)}
    end)
  end

  @doc "The script of a seed on fragmented tables, query handles and properties."
  @spec access_script(integer, [pos_integer | String.t()]) :: Script.t()
  def access_script(seed, _avoid \\ []) do
    seeded(seed, fn ->
      %Script{seed: seed, kind: :access, operations: AccessSource.operations()}
    end)
  end

  defp operations(:data, avoid) do
    context = OperationSource.top(avoid)
    opening = OperationSource.opening(context)
    operations = list(4, 22, fn -> OperationSource.operation(context) end)
    Avoidance.apply_to(opening ++ operations, avoid)
  end

  defp operations(:schema, _avoid),
    do: SchemaSource.opening() ++ list(6, 24, &SchemaSource.operation/0)

  defp operations(:duel, _avoid), do: DuelSource.operations()
end
