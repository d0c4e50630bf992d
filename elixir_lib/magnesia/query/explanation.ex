defmodule Magnesia.Query.Explanation do
  @moduledoc """
  How a query finds its rows and puts them in order.

  | field | holds |
  |---|---|
  | `table` | the table's name |
  | `access` | `:keys`, `:index`, `:index_range`, `:key_range` or `:all` |
  | `attributes` | those whose key or index is used |
  | `values` | how many keys or values are looked up |
  | `rows` | how many rows the table has: no more are looked at |
  | `order` | `:none`, `:key`, `:reverse_key` or `:sorted` (in memory) |
  | `could_index` | attributes of the conditions that have no index, when none was used |

  The engine is asked which way it would take; no row is read. `to_string/1` gives it in words.
  """

  alias Magnesia.Conditions
  alias Magnesia.Context
  alias Magnesia.Engine
  alias Magnesia.Query
  alias Magnesia.Query.Run

  defstruct [:table, :access, :rows, :order, attributes: [], values: nil, could_index: []]

  @type t :: %__MODULE__{
          table: atom(),
          access: :keys | :index | :index_range | :key_range | :all,
          attributes: [atom()],
          values: non_neg_integer() | nil,
          rows: non_neg_integer(),
          order: :none | :key | :reverse_key | :sorted,
          could_index: [atom()]
        }

  @doc "Explains a query."
  @spec of(Query.t()) :: t()
  def of(query) do
    Context.run_here(query.name, fn ->
      definition = Conditions.definition(query.name)
      order = Run.order(query)
      spec = Query.to_spec(query)

      explanation = %__MODULE__{
        table: query.name,
        access: :all,
        rows: Magnesia.Scan.size(query.name),
        order: order(order, query, definition)
      }

      access(
        Engine.select_access(query.name, spec, direction(order)),
        explanation,
        query,
        definition
      )
    end)
  end

  defp direction({:engine, order}), do: order
  defp direction({:sorted, _directions}), do: :any

  defp access({:keys, count}, explanation, _query, definition) do
    %{explanation | access: :keys, attributes: [hd(definition.attributes)], values: count}
  end

  defp access({:index, position, count}, explanation, _query, definition) do
    %{explanation | access: :index, attributes: names(position, definition), values: count}
  end

  defp access({:index_range, position}, explanation, _query, definition) do
    %{explanation | access: :index_range, attributes: names(position, definition)}
  end

  defp access(:key_range, explanation, _query, definition) do
    %{explanation | access: :key_range, attributes: [hd(definition.attributes)]}
  end

  defp access(:all, explanation, query, definition) do
    indexed = Enum.flat_map(definition.index, &names(&1, definition))
    %{explanation | could_index: Enum.uniq(query.narrowing) -- indexed}
  end

  defp names(position, definition), do: [Enum.at(definition.attributes, position - 2)]

  # What comes in the order of keys by itself is said to.
  defp order({:sorted, _directions}, _query, _definition), do: :sorted
  defp order({:engine, :desc}, _query, _definition), do: :reverse_key
  defp order({:engine, :asc}, _query, %{type: :ordered_set}), do: :key
  defp order({:engine, _any}, _query, _definition), do: :none

  defimpl String.Chars do
    @moduledoc "An explanation in words, one line."

    @impl true
    def to_string(explanation) do
      "#{name(explanation.table)}: #{found(explanation)}#{ordered(explanation.order)}"
    end

    defp name(table), do: table |> Atom.to_string() |> String.replace_prefix("Elixir.", "")

    defp found(%{access: :keys, values: count, attributes: [key]}) do
      "#{count(count, "key")} looked up by #{inspect(key)}"
    end

    defp found(%{access: :index, values: count, attributes: [name]}) do
      "the rows of #{count(count, "value")} in the index on #{inspect(name)}"
    end

    defp found(%{access: :index_range, attributes: [name]}) do
      "the rows of a range of the index on #{inspect(name)}"
    end

    defp found(%{access: :key_range, attributes: [key]}) do
      "the rows of a range of the key #{inspect(key)}"
    end

    defp found(%{access: :all, rows: rows, could_index: []}), do: "all #{count(rows, "row")}"

    defp found(%{access: :all, rows: rows, could_index: names}) do
      "all #{count(rows, "row")}, an index on #{Enum.map_join(names, " or ", &inspect/1)} " <>
        "would narrow them"
    end

    defp count(1, word), do: "1 #{word}"
    defp count(number, word), do: "#{number} #{word}s"

    defp ordered(:none), do: ""
    defp ordered(:key), do: "; in the order of keys"
    defp ordered(:reverse_key), do: "; in the reverse order of keys"
    defp ordered(:sorted), do: "; sorted in memory"
  end
end
