defmodule Magnesia.Table.Type do
  @moduledoc """
  The types that an attribute may have: the guard that a value must pass and the type it has in
  `t:t/0` of the table's struct.

  `:any` lets everything pass and is what an attribute has that names no type. `nil` is allowed
  beside the values of a type, but not for a key. Guards and
  specs are quoted code, for table modules that are compiled.
  """

  @guards [
    integer: :is_integer,
    float: :is_float,
    number: :is_number,
    string: :is_binary,
    binary: :is_binary,
    atom: :is_atom,
    boolean: :is_boolean,
    map: :is_map,
    list: :is_list,
    tuple: :is_tuple,
    pid: :is_pid,
    reference: :is_reference,
    function: :is_function
  ]
  @structs [
    date: Date,
    time: Time,
    naive_datetime: NaiveDateTime,
    datetime: DateTime,
    utc_datetime: DateTime
  ]
  @names [:any] ++ Keyword.keys(@guards) ++ Keyword.keys(@structs)

  @doc """
  The names of all types.

      iex> :utc_datetime in Magnesia.Table.Type.names()
      true
  """
  @spec names() :: [atom()]
  def names, do: @names

  @doc """
  A guard for the value of a variable; `true` lets everything pass.

      iex> Macro.to_string(Magnesia.Table.Type.guard(:integer, quote(do: x)))
      "is_integer(x)"
  """
  @spec guard(atom(), Macro.t()) :: Macro.t()
  def guard(:any, _value), do: true

  def guard(:utc_datetime, value) do
    quote do
      is_struct(unquote(value), DateTime) and
        :erlang.map_get(:time_zone, unquote(value)) == "Etc/UTC"
    end
  end

  def guard(type, value) do
    case @guards[type] do
      nil -> quote(do: is_struct(unquote(value), unquote(@structs[type])))
      name -> {name, [], [value]}
    end
  end

  @doc """
  Tells whether a value has a type.

      iex> Magnesia.Table.Type.fits?(:string, "a")
      true
  """
  @spec fits?(atom(), term()) :: boolean()
  def fits?(:any, _value), do: true
  def fits?(:utc_datetime, value), do: match?(%DateTime{time_zone: "Etc/UTC"}, value)

  for {type, guard} <- @guards do
    def fits?(unquote(type), value), do: unquote(guard)(value)
  end

  for {type, struct} <- @structs, type != :utc_datetime do
    def fits?(unquote(type), value), do: is_struct(value, unquote(struct))
  end

  @doc """
  The type in a typespec.

      iex> Macro.to_string(Magnesia.Table.Type.spec(:string))
      "String.t()"
  """
  @spec spec(atom()) :: Macro.t()
  def spec(:any), do: quote(do: term())
  def spec(:string), do: quote(do: String.t())
  def spec(:function), do: quote(do: fun())

  def spec(type) do
    case @structs[type] do
      nil -> {type, [], []}
      struct -> quote(do: unquote(struct).t())
    end
  end
end
