defmodule Magnesia.Strict.Facts do
  @moduledoc """
  What the data operations need to know of a table: its kind, tag, length, attributes, indexes.

  Read from the definitions that the schema side publishes. It changes nothing and does not
  look at rows.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Engine
  alias Magnesia.Strict.Definition

  @typedoc "A table's definition."
  @type t :: Definition.t()

  @doc "A table's definition, if there is such a table."
  @spec fetch(term()) :: {:ok, t()} | :error
  def fetch(tab), do: Definition.fetch(tab)

  @doc "A table's definition; aborts as a look-up of its `item` does when there is none."
  @spec fetch!(term(), atom()) :: t()
  def fetch!(tab, item) do
    case Definition.fetch(tab) do
      {:ok, definition} -> definition
      :error -> missing!(tab, item)
    end
  end

  @doc "An attribute's position in the record; a position stands for itself."
  @spec position(term(), term()) :: pos_integer() | term()
  def position(_tab, pos) when is_integer(pos), do: pos

  def position(tab, attribute) do
    case Definition.fetch(tab) do
      {:ok, definition} -> position_in(attribute, definition.attributes)
      :error -> missing!(tab, :attributes)
    end
  end

  @doc "The specification that answers every key of a table."
  @spec keys_spec(t()) :: list()
  def keys_spec(facts), do: [{put_elem(wild_pattern(facts), 1, :"$1"), [], [:"$1"]}]

  @doc "The pattern that matches every row of a table."
  @spec wild_pattern(t()) :: tuple()
  def wild_pattern(facts) do
    put_elem(:erlang.make_tuple(facts.arity, :_), 0, facts.record_name)
  end

  @doc "Keys as they were found; of a bag each key once, the greatest first."
  @spec unique_keys(t(), [term()]) :: [term()]
  def unique_keys(%{type: :bag}, keys) do
    keys |> :lists.sort() |> Enum.dedup() |> :lists.reverse()
  end

  def unique_keys(_facts, keys), do: keys

  defp position_in({_} = plugin, _attributes), do: plugin

  defp position_in(attribute, attributes) when is_atom(attribute) do
    find(attribute, attributes, 2)
  end

  defp position_in(attribute, _attributes), do: abort({:bad_type, attribute})

  defp find(attribute, [attribute | _], pos), do: pos
  defp find(attribute, [_ | rest], pos), do: find(attribute, rest, pos + 1)
  defp find(attribute, [], _pos), do: abort({:bad_type, attribute})

  @spec missing!(term(), atom()) :: no_return()
  defp missing!(tab, item) do
    case Engine.tables() do
      {:"$magnesia_error", :closed} -> abort({:node_not_running, node()})
      _ -> abort({:no_exists, {tab, item}})
    end
  end
end
