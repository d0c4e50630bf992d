defmodule Magnesia.Bench.Rows do
  @moduledoc """
  The rows and keys of the benchmark: what is stored, and which key comes next.

  A row is the five-attribute row that all figures are stated for: an integer key, two binaries
  of 26 and 37 bytes, an integer and an atom. Row `i` always has the same content, so a table
  can be filled twice and compared. Keys are drawn by a linear congruential generator with 28
  bits of state: a few nanoseconds a draw, never a big integer, no process state.
  """

  import Bitwise

  @attributes [:id, :first, :second, :number, :state]
  @seed_mask (1 <<< 28) - 1

  @doc "The attribute names of every benchmark table but the ones with a large value."
  @spec attributes() :: [atom]
  def attributes, do: @attributes

  @doc "Row `i` of `table` under the key `key`; `number` is `i rem 1000`."
  @spec row(atom, term, non_neg_integer) :: tuple
  def row(table, key, i), do: {table, key, first(i), second(i), rem(i, 1000), :active}

  @doc "Row `i` of `table` under the key `i`."
  @spec numbered(atom, non_neg_integer) :: tuple
  def numbered(table, i), do: row(table, i, i)

  @doc "The first binary of row `i`: 26 bytes, different in every row."
  @spec first(non_neg_integer) :: binary
  def first(i), do: <<"first.value.of.row", i::64>>

  @doc "The second binary of row `i`: 37 bytes, different in every row."
  @spec second(non_neg_integer) :: binary
  def second(i), do: <<"a.second.and.longer.value.of.", i::64>>

  @doc "A tuple or binary key: the general kind that has no short integer form."
  @spec general_key(non_neg_integer) :: tuple | binary
  def general_key(i) when (i &&& 1) == 0, do: {:user, i}
  def general_key(i), do: <<"user.number.", i::64>>

  @doc "The next state of the generator."
  defmacro next_seed(seed) do
    quote do: unquote(seed) * 1_664_525 + 1_013_904_223 &&& unquote(@seed_mask)
  end

  @doc "A number in `0..count - 1` out of a generator state."
  defmacro pick(seed, count) do
    quote do: (unquote(seed) * unquote(count)) >>> 28
  end

  @doc "A start state for process number `index` of a measurement."
  @spec seed(pos_integer) :: non_neg_integer
  def seed(index), do: rem(index * 97_003_007 + 12_345, @seed_mask)
end
