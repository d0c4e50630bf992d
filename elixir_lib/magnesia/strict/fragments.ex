defmodule Magnesia.Strict.Fragments do
  @moduledoc """
  Fragmented tables as their definitions tell of them: how a key finds its fragment, what the
  fragments are called, which tables follow another one's fragments.

  The base table is the first fragment; the others are called after it, `tab_frag2` and so on.
  All is read off the base table's `frag_properties`. Nothing is changed here, and no row read.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.FragmentHash

  defstruct [:tab, :foreign_key, :n_fragments, :hash_module, :hash_state]

  @typedoc "How the rows of a base table are spread."
  @type t :: %__MODULE__{
          tab: atom(),
          foreign_key: {atom(), pos_integer()} | :undefined,
          n_fragments: pos_integer(),
          hash_module: module(),
          hash_state: term()
        }

  @doc "How a table's rows are spread, if it is the base of a fragmented table."
  @spec fetch(term()) :: {:ok, t()} | :error
  def fetch(tab) do
    case Definition.fetch(tab) do
      {:ok, %{frag_properties: [_ | _] = properties}} -> spread(tab, properties)
      _ -> :error
    end
  end

  defp spread(tab, properties) do
    with {_, ^tab} <- :lists.keyfind(:base_table, 1, properties),
         {_, module} <- :lists.keyfind(:hash_module, 1, properties) do
      [foreign_key, n, state] =
        for key <- [:foreign_key, :n_fragments, :hash_state] do
          {^key, value} = :lists.keyfind(key, 1, properties)
          value
        end

      {:ok,
       %__MODULE__{
         tab: tab,
         foreign_key: foreign_key,
         n_fragments: n,
         hash_module: module,
         hash_state: state
       }}
    else
      _ -> :error
    end
  end

  @doc "As `fetch/1`; aborts when the table is no base table."
  @spec fetch!(term()) :: t()
  def fetch!(tab) do
    case fetch(tab) do
      {:ok, spread} -> spread
      :error -> abort({:no_exists, tab, :frag_properties, :frag_hash})
    end
  end

  @doc "One property of a table's fragmentation; aborts when it has none of that name."
  @spec property!(term(), atom()) :: term()
  def property!(tab, name) do
    case Definition.fetch(tab) do
      {:ok, definition} -> property_in!(definition, name)
      :error -> abort({:no_exists, {tab, :frag_properties}})
    end
  end

  defp property_in!(%{frag_properties: properties} = definition, name) do
    case :lists.keyfind(name, 1, properties) do
      {^name, value} -> value
      false -> abort({:no_exists, definition.name, name, {:frag_properties, properties}})
    end
  end

  @doc "The fragments' names, the base table's first; of any other table its own name."
  @spec names(term()) :: [term()]
  def names(tab) do
    case fetch(tab) do
      {:ok, %{n_fragments: n}} -> for number <- 1..n, do: name(tab, number)
      :error -> [tab]
    end
  end

  @doc "The name of a fragment."
  @spec name(term(), term()) :: atom()
  def name(tab, 1), do: tab

  def name(tab, number) when is_atom(tab) and is_integer(number) do
    :erlang.binary_to_atom(<<Atom.to_string(tab)::binary, "_frag#{number}"::binary>>)
  end

  def name(tab, number), do: abort({:bad_type, tab, number})

  @doc "The tables whose rows follow a table's fragments."
  @spec foreigners(term()) :: [atom()]
  def foreigners(tab) do
    for definition <- Definition.all(),
        {:ok, %{foreign_key: {^tab, _}}} <- [fetch(definition.name)],
        do: definition.name
  end

  @doc "The position of the value that decides on a row's fragment."
  @spec position(t()) :: pos_integer()
  def position(%{foreign_key: :undefined}), do: 2
  def position(%{foreign_key: {_tab, position}}), do: position

  @doc "The fragment that a row belongs to."
  @spec of_record(term(), tuple()) :: term()
  def of_record(tab, record) do
    case fetch(tab) do
      {:ok, spread} -> name(tab, number(spread, :erlang.element(position(spread), record)))
      :error -> tab
    end
  end

  @doc """
  The fragment that a key belongs to. `{tab, value}` in the place of a table with a foreign key
  gives the value that decides.
  """
  @spec of_key(term(), term()) :: term()
  def of_key({tab, value}, _key) do
    case fetch(tab) do
      {:ok, %{foreign_key: {_, _}} = spread} ->
        name(tab, number(spread, value))

      {:ok, _spread} ->
        abort({:combine_error, tab, :frag_properties, {:foreign_key, :undefined}})

      :error ->
        abort({:no_exists, {tab, :frag_hash}})
    end
  end

  def of_key(tab, key) do
    case fetch(tab) do
      {:ok, spread} -> name(tab, number(spread, key))
      :error -> tab
    end
  end

  @doc "The number of the fragment that a value belongs to."
  @spec number(t(), term()) :: pos_integer()
  def number(%{n_fragments: n} = spread, value) do
    case hash(spread).key_to_frag_number(spread.hash_state, value) do
      number when is_integer(number) and number >= 1 and number <= n ->
        number

      number ->
        abort({~c"key_to_frag_number: Fragment number out of range", number, {:range, 1, n}})
    end
  end

  @doc "The numbers of the fragments that a match specification may find rows in."
  @spec numbers(t(), list()) :: [pos_integer()]
  def numbers(spread, spec) do
    numbers = hash(spread).match_spec_to_frag_numbers(spread.hash_state, spec)
    in_range!(numbers, spread.n_fragments, ~c"match_spec_to_frag_numbers")
    numbers
  end

  @doc "Aborts in the name of a hash function when one of its fragment numbers is out of range."
  @spec in_range!([term()], pos_integer(), charlist()) :: :ok
  def in_range!(numbers, n, function) do
    case Enum.reject(numbers, &(is_integer(&1) and &1 >= 1 and &1 <= n)) do
      [] -> :ok
      bad -> abort({function ++ ~c": Fragment numbers out of range", bad, {:range, 1, n}})
    end
  end

  @doc "The module that serves a hash module's callbacks."
  @spec hash(t() | module()) :: module()
  def hash(%{hash_module: module}), do: hash(module)
  def hash(:mnesia_frag_hash), do: FragmentHash
  def hash(module), do: module
end
