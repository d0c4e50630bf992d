defmodule Magnesia.TestTables do
  @moduledoc """
  Table modules for the tests: one by fields, one in short, one whose key is a time.
  """

  defmodule User do
    @moduledoc "All kinds of fields, an index over two of them."
    use Magnesia.Table, name: :users, index: [[:country, :age]]

    field :id, :integer
    field :name, :string, index: true
    field :country, :atom, default: :no
    field :age, :integer, default: 0, index: true
    field :joined, :date, order: true
    field :seen, :utc_datetime, order: true
    field :tags, :list, default: []
  end

  defmodule City do
    @moduledoc "The short form, ordered by name."
    use Magnesia.Table,
      attributes: [:name, :people, country: :no],
      types: [people: :integer],
      type: :ordered_set,
      index: [:country]

    @doc "A function that uses the struct, which the short form has defined by now."
    @spec of(String.t()) :: t()
    def of(name), do: %__MODULE__{name: name, people: 0}

    @doc "One of the generated functions, replaced."
    def count(conditions \\ []), do: 1000 + super(conditions)
  end

  defmodule Event do
    @moduledoc "A key that is a time, fields in a block, a function that was there before."
    use Magnesia.Table, type: :ordered_set

    fields do
      field :at, :utc_datetime, order: true
      field :what
    end

    @doc "An event of now."
    @spec now(term()) :: t()
    def now(what), do: %__MODULE__{at: DateTime.utc_now(), what: what}

    @doc "Not the one that a table module has."
    @spec all() :: :mine
    def all, do: :mine
  end

  defmodule Visit do
    @moduledoc "A bag."
    use Magnesia.Table, attributes: [:person, :place], type: :bag
  end
end
