defmodule Magnesia.Event do
  @moduledoc """
  A change of a table, as `Magnesia.subscribe/2` sends it in `{:magnesia, table, event}`.

    * `verb`: `:write`, `:delete`, `:delete_object`, or `:clear` when all rows went
    * `table`, and the `node` whose database it is in
    * `data`: the record, or the key of a `:delete`; nil of a `:clear`
    * `old`: the rows that the key had before; of a `:delete_object` the record itself, there or
      not
    * `cause`: `{:tid, number, pid}` of a transaction, `{:dirty, pid}` of a dirty operation
  """

  @enforce_keys [:verb, :table, :node, :data, :old, :cause]
  defstruct @enforce_keys

  @type t :: %__MODULE__{
          verb: :write | :delete | :delete_object | :clear,
          table: atom(),
          node: node(),
          data: term(),
          old: [tuple()],
          cause: tuple()
        }

  @doc """
  The event that Mnesia's detailed one says, or nil: a clearing comes in two of them.

      iex> event = Magnesia.Event.of({:delete, :city, {:city, "Oslo"}, [], {:dirty, self()}})
      iex> {event.verb, event.table, event.data}
      {:delete, :city, "Oslo"}
  """
  @spec of(tuple()) :: t() | nil
  def of({:write, :schema, _row, [], _cause}), do: nil

  def of({:delete, :schema, {:schema, table}, _old, cause}) do
    new(:clear, table, nil, [], cause)
  end

  def of({:write, table, record, old, cause}), do: new(:write, table, record, old, cause)

  # A key is named as {table, key}, a record is longer.
  def of({:delete, table, {_table, key}, old, cause}), do: new(:delete, table, key, old, cause)

  def of({:delete, table, record, old, cause}) do
    new(:delete_object, table, record, old, cause)
  end

  defp new(verb, table, data, old, cause) do
    %__MODULE__{verb: verb, table: table, node: node(), data: data, old: old, cause: cause}
  end
end
