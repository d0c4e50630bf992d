defmodule Magnesia.Table.Generated do
  @moduledoc """
  Values that a table module gives to attributes by itself, when a row is written: the next number
  of a sequence, the time, what a function answers.

  `check!/3` reads an `autogenerate` option while a module is compiled, `quoted/1` makes the code
  that fills a row, and the rest is what that code calls. An attribute that has a value keeps it,
  but for `:always`. Rows are not written here; the one thing that is written is a sequence's
  last number.

  A sequence is a table of its own, called after the table it numbers and stored as that is. It
  takes no part in transactions: one that is given up, or runs again, leaves a gap, and nobody
  waits for another's number. A number whose key has a row already is passed over, so that a
  sequence that was lost or fell behind, as when the table alone is restored from a backup, never
  leads to a row being replaced.
  """

  alias Magnesia.Context
  alias Magnesia.Shape
  alias Magnesia.Tables

  @times [:date, :time, :naive_datetime, :datetime, :utc_datetime]

  @typedoc "How an attribute gets its value; nil for one that gets none."
  @type rule :: nil | :sequence | {:now | :always, atom()} | {module(), atom(), [term()]}

  @doc """
  The rule that an `autogenerate` option says for an attribute's type; raises for one that
  says none. `place` is told in the error.

      iex> Magnesia.Table.Generated.check!(true, :integer, "field :id")
      :sequence
      iex> Magnesia.Table.Generated.check!(&DateTime.utc_now/0, :any, "field :at")
      {DateTime, :utc_now, []}
      iex> Magnesia.Table.Generated.check!(true, :map, "field :id")
      ** (ArgumentError) field :id: true is for :integer and for times; name a function for :map
  """
  @spec check!(term(), atom(), String.t()) :: rule()
  def check!(option, _type, _place) when option in [nil, false], do: nil
  def check!(true, :integer, _place), do: :sequence
  def check!(true, type, _place) when type in @times, do: {:now, type}
  def check!(:always, type, _place) when type in @times, do: {:always, type}

  def check!(true, type, place) do
    raise ArgumentError,
          "#{place}: true is for :integer and for times; name a function for #{inspect(type)}"
  end

  def check!(:always, type, place) do
    raise ArgumentError,
          "#{place}: autogenerate: :always is for dates and times, not for #{inspect(type)}"
  end

  def check!({module, name, args}, _type, _place)
      when is_atom(module) and is_atom(name) and is_list(args) do
    {module, name, args}
  end

  def check!(fun, _type, place) when is_function(fun, 0) do
    if Function.info(fun, :type) == {:type, :external} do
      {:module, module} = Function.info(fun, :module)
      {:name, name} = Function.info(fun, :name)
      {module, name, []}
    else
      raise ArgumentError,
            "#{place}: autogenerate: name the function, as &Module.name/0; one without a name " <>
              "is not there any more when the module has been compiled"
    end
  end

  def check!(other, _type, place) do
    raise ArgumentError,
          "#{place}: autogenerate is true, :always, &Module.name/0 or {module, name, args}, " <>
            "not #{inspect(other)}"
  end

  @doc "The function `__generate__/1` of a table module, as quoted code."
  @spec quoted([Magnesia.Table.Declaration.field()]) :: Macro.t()
  def quoted(fields) do
    changes = for %{generate: rule} = field <- fields, rule != nil, do: change(field)

    quote do
      @doc false
      @spec __generate__(t()) :: t()
      def __generate__(%__MODULE__{} = row) do
        unquote_splicing(changes)
        row
      end
    end
  end

  defp change(%{name: name, generate: {:always, type}}) do
    quote(do: row = %{row | unquote(name) => unquote(__MODULE__).now(unquote(type))})
  end

  defp change(%{name: name, generate: rule}) do
    value = value(rule, name)

    quote do
      row =
        case row do
          %{unquote(name) => nil} -> %{row | unquote(name) => unquote(value)}
          _has_one -> row
        end
    end
  end

  defp value(:sequence, name) do
    quote(do: unquote(__MODULE__).number(__MODULE__, unquote(name)))
  end

  defp value({:now, type}, _name), do: quote(do: unquote(__MODULE__).now(unquote(type)))

  defp value({module, name, args}, _name) do
    quote(do: unquote(module).unquote(name)(unquote_splicing(Macro.escape(args))))
  end

  @doc "The time as an attribute of that type has it, in UTC, to the microsecond."
  @spec now(atom()) :: Date.t() | Time.t() | NaiveDateTime.t() | DateTime.t()
  def now(:date), do: Date.utc_today()
  def now(:time), do: Time.utc_now()
  def now(:naive_datetime), do: NaiveDateTime.utc_now()
  def now(_datetime), do: DateTime.utc_now()

  @doc "The next number of an attribute's sequence; of a key's, one that no row has."
  @spec number(module(), atom()) :: pos_integer()
  def number(module, attribute) do
    sequence = sequence(module.__table__(:name))
    next = fn -> :magnesia.dirty_update_counter({sequence, attribute}, 1) end
    number = Context.run_here(sequence, next)

    if attribute == module.__table__(:key) and Magnesia.has_key?(module, number) do
      number(module, attribute)
    else
      number
    end
  end

  @doc """
  The table that keeps the last numbers for a table.

      iex> Magnesia.Table.Generated.sequence(:users)
      :users_sequence
  """
  @spec sequence(atom()) :: atom()
  def sequence(table), do: :"#{table}_sequence"

  @doc "Creates the sequence table of a table module that needs one and has none."
  @spec ensure(atom()) :: Tables.answer()
  def ensure(table) do
    with {name, module} when module != nil <- Shape.of(table),
         [_ | _] <- module.__table__(:sequences),
         sequence = sequence(name),
         false <- sequence in Tables.names() do
      storage = if Tables.info(name).storage == :ram, do: :ram, else: :disc
      Tables.create(sequence, attributes: [:attribute, :last], storage: storage)
    else
      _none_needed -> :ok
    end
  end

  @doc "Deletes the sequence table of a table that is gone."
  @spec drop(atom()) :: Tables.answer()
  def drop(table) do
    with {name, module} when module != nil <- Shape.of(table),
         true <- module.__table__(:sequences) != [] and sequence(name) in Tables.names() do
      Tables.delete(sequence(name))
    else
      _none_there -> :ok
    end
  end
end
