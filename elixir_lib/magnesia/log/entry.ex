defmodule Magnesia.Log.Entry do
  @moduledoc """
  One entry of a change log.

    * `number`: its place in the log: one more than the entry before it
    * `verb`: `:write`, `:delete`, `:delete_object`, `:clear`, or `:append` for an entry that
      `Magnesia.Log.append/2` made
    * `table`: the table that was changed, or the log itself
    * `data`: the record, or the key of a `:delete`, or what was appended; `[]` of a `:clear`
    * `first`: the number of the first entry of the same commit
  """

  @enforce_keys [:number, :verb, :table, :data, :first]
  defstruct @enforce_keys

  @type t :: %__MODULE__{
          number: pos_integer(),
          verb: :write | :delete | :delete_object | :clear | :append,
          table: atom(),
          data: term(),
          first: pos_integer()
        }

  @doc "The entry of a row."
  @spec of(tuple()) :: t()
  def of({_log, number, verb, table, data, first}) do
    %__MODULE__{number: number, verb: verb, table: table, data: data, first: first}
  end
end
