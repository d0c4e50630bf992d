defmodule Magnesia.Parity.Moves do
  @moduledoc """
  Puts moves of a table into random scripts: on the hot side the table goes from our alias to the
  stock storage of the same promises and back, amid the script; on the stock side nothing happens.
  Tables with an index stay: Mnesia forgets none of the old index's entries when a table that was
  not in ets goes there, a stock one neither, and has them twice until its next start. Scripts
  that ask for a table's version, which a move changes, stay as they are. What a move does is
  said in `Magnesia.Parity.Storage`; the rest of a script is left alone.
  """

  alias Magnesia.Parity.{Script, Subject}

  @every 4

  @doc "Every fourth script on the fixed tables, with one of its tables moved, and moved back."
  @spec insert(Script.t()) :: Script.t()
  def insert(%Script{kind: :data, seed: seed, operations: operations} = script)
      when rem(seed, @every) == 0 do
    text = inspect(operations, limit: :infinity)
    plain = Enum.reject(Subject.table_names(), &Subject.options(&1)[:index])
    used = Enum.filter(plain, &(text =~ ~r/:#{&1}\b/))

    if used == [] or text =~ ~r/table_info, \[:\w+, :(version|cstruct|all)\]/,
      do: script,
      else: %{script | operations: moved(operations, Enum.at(used, rem(seed, length(used))))}
  end

  def insert(script), do: script

  @doc "Tells whether a script moves a table."
  @spec any?(Script.t()) :: boolean
  def any?(script), do: Enum.any?(script.operations, &match?({:call, :move_table, _}, &1))

  defp moved(operations, table) do
    move = {:call, :move_table, [table]}
    third = max(div(length(operations), 3), 1)

    operations
    |> Enum.chunk_every(third)
    |> Enum.intersperse([move])
    |> Enum.concat()
  end
end
