defmodule Magnesia.Strict.FragmentHash do
  @moduledoc """
  The hash that fragmented tables have unless they name a module of their own: linear hashing, as
  Mnesia's `mnesia_frag_hash` does it, state and numbers the same, so that a row lies in the
  fragment that it lies in there.

  Adding a fragment splits one of the others, taking one away merges it back. No table is known.
  """

  alias Magnesia.Strict.Pattern

  @typedoc "`{:hash_state, fragments, next to split, doublings, function}`."
  @type state ::
          {:hash_state, pos_integer(), pos_integer(), non_neg_integer(), :phash | :phash2}

  @doc "The state of one fragment."
  @spec init_state(term(), :undefined) :: state()
  def init_state(_tab, :undefined), do: {:hash_state, 1, 1, 0, :phash2}

  @doc "The state with one fragment more, whose rows come from which, and what else is written."
  @spec add_frag(tuple()) :: {state(), [pos_integer()], [pos_integer()]}
  def add_frag({:hash_state, n, split, doublings, function}) do
    if Bitwise.bsl(1, doublings) == split do
      {{:hash_state, n + 1, 1, doublings + 1, function}, [split], [n + 1]}
    else
      {{:hash_state, n + 1, split + 1, doublings, function}, [split], [n + 1]}
    end
  end

  def add_frag(state), do: state |> current() |> add_frag()

  @doc "The state with one fragment less, which one goes, and where its rows go."
  @spec del_frag(tuple()) :: {state(), [pos_integer()], [pos_integer()]}
  def del_frag({:hash_state, n, 1, doublings, function}) do
    merged = Bitwise.bsl(1, doublings - 1)
    {{:hash_state, n - 1, merged, doublings - 1, function}, [n], [merged]}
  end

  def del_frag({:hash_state, n, split, doublings, function}) do
    {{:hash_state, n - 1, split - 1, doublings, function}, [n], [split - 1]}
  end

  def del_frag(state), do: state |> current() |> del_frag()

  @doc "The number of the fragment that a key belongs to."
  @spec key_to_frag_number(tuple(), term()) :: pos_integer()
  def key_to_frag_number({:hash_state, n, _split, doublings, function}, key) do
    number = hashed(function, key, Bitwise.bsl(1, doublings + 1))
    if number > n, do: number - Bitwise.bsl(1, doublings), else: number
  end

  def key_to_frag_number(state, key), do: state |> current() |> key_to_frag_number(key)

  @doc "The numbers of the fragments in which a match specification may find something."
  @spec match_spec_to_frag_numbers(tuple(), list()) :: [pos_integer()]
  def match_spec_to_frag_numbers({:hash_state, n, _, _, _} = state, spec) do
    case Pattern.bound_key(spec) do
      {:ok, key} -> [key_to_frag_number(state, key)]
      :error -> Enum.to_list(1..n)
    end
  end

  def match_spec_to_frag_numbers(state, spec) do
    state |> current() |> match_spec_to_frag_numbers(spec)
  end

  # The state of tables made before there was a choice of functions.
  defp current({:hash_state, n, split, doublings}) do
    {:hash_state, n, split, doublings, :phash}
  end

  defp hashed(:phash2, key, range), do: :erlang.phash2(key, range) + 1

  # Deprecated, and what such a table's rows lie by.
  defp hashed(:phash, key, range), do: apply(:erlang, :phash, [key, range])
end
