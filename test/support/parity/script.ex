defmodule Magnesia.Parity.Script do
  @moduledoc """
  A script: what is called, in which order, with which literals, as data. Nested funs are nested
  lists of operations, so that a script can be counted, shrunk and printed. It must never hold a
  fun, a process or anything else that is not a literal.

  Operations:

    * `{:call, function, arguments}`, any function of the module under test
    * `{:activity, kind, operations, ending}`, a fun run in an activity
    * `{:caught, operation}`, an operation whose exit inside a fun is caught
    * `{:walk, :dirty | :activity, :next | :prev, table}`, from one end to the other
    * `{:chunks, table, spec, limit, lock, between}`, a select with a limit and its continuations,
      with operations between the chunks
    * `{:fold, :foldl | :foldr, table, lock | nil}`, collecting rows
    * `{:slots, table}`, all slots of a table
    * `{:query, table, options, text, value, :eval | :cursor}`, a query of `qlc` on a handle, in
      whose text T is the handle and V the value

  An activity of the kind `{:fragments, kind}` has the access module for fragmented tables.

  It `hears` detailed events of every second table, or simple ones only.

  An argument `{:"$fun", name}` stands for a fun of `Magnesia.Parity.Interpreter`.
  """

  @type operation :: tuple
  @type ending :: {:return | :abort | :throw | :exit | :error, term}
  @type t :: %__MODULE__{
          seed: integer | nil,
          kind: :data | :schema | :duel | :access,
          operations: [operation],
          hears: :all | :simple
        }

  @enforce_keys [:kind, :operations]
  defstruct [:seed, :kind, :operations, hears: :all]

  @tables %{
    s: {:set, :s, 3, []},
    o: {:ordered_set, :o, 3, []},
    b: {:bag, :b, 3, []},
    i: {:set, :i, 4, [:v]},
    ib: {:bag, :ib, 4, [:v]},
    io: {:ordered_set, :io, 4, [:v]},
    rn: {:set, :person, 3, []},
    ii: {:set, :ii, 4, [:v, :w]}
  }

  @doc "Type, record name, size of a row and indexed attributes of a fixed table."
  @spec table(atom) :: {atom, atom, pos_integer, [atom]}
  def table(name), do: Map.get(@tables, name, {:unknown, name, 3, [:v]})

  @doc "The names of the fixed tables."
  @spec tables() :: [atom]
  def tables, do: Map.keys(@tables)

  @doc "Whether some operation, at any depth, meets a condition."
  @spec any?([operation], (operation -> boolean)) :: boolean
  def any?(operations, condition) do
    Enum.any?(operations, fn operation ->
      condition.(operation) or any?(inner(operation), condition)
    end)
  end

  @doc "The operations nested in one."
  @spec inner(operation) :: [operation]
  def inner({:activity, _kind, operations, _ending}), do: operations
  def inner({:caught, operation}), do: [operation]
  def inner({:chunks, _, _, _, _, between}), do: between
  def inner(_operation), do: []
end
