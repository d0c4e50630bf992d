defmodule Magnesia.Table.Code do
  @moduledoc """
  The code of a table module, made from its declaration: the struct, its type, and the way of a
  struct into a row and back, which is one pattern each so that it costs next to nothing.

  Functions that only call `Magnesia` with the module are `Magnesia.Table.Calls`'. Everything
  here runs when a table module is compiled; what it makes runs for every row.
  """

  alias Magnesia.Table.Declaration
  alias Magnesia.Table.Generated
  alias Magnesia.Table.Type

  @doc "The struct and the conversions as quoted code."
  @spec quoted(Magnesia.Table.Declaration.t()) :: Macro.t()
  def quoted(declaration) do
    quote do
      unquote(definition(declaration))
      unquote(to_record(declaration))
      unquote(from_record(declaration))
      unquote(codecs(declaration))
      unquote(Generated.quoted(declaration.fields))
      unquote(facts(declaration))
    end
  end

  defp definition(%{fields: [key | others] = fields}) do
    defaults = for field <- fields, do: {field.name, Macro.escape(field.default)}

    types = [
      {key.name, Type.spec(key.type)}
      | for(field <- others, do: {field.name, quote(do: unquote(Type.spec(field.type)) | nil)})
    ]

    quote do
      defstruct unquote(defaults)

      unless Module.defines_type?(__MODULE__, {:t, 0}) do
        @typedoc "A row of the table."
        @type t :: %__MODULE__{unquote_splicing(types)}
      end
    end
  end

  defp to_record(%{fields: fields} = declaration) do
    values = for field <- fields, do: {field.name, variable(field.name)}
    guard = fields |> guards() |> Enum.reduce(true, &both/2)
    stored = for field <- fields, do: stored(field)
    by_name = Map.new(Enum.zip(Enum.map(fields, & &1.name), stored))

    derived =
      for {_name, parts} <- declaration.compound, do: {:{}, [], Enum.map(parts, &by_name[&1])}

    record = {:{}, [], [record_name(declaration)] ++ stored ++ derived}

    quote do
      @doc "A row's record, as it is stored. Raises for a value that is not of its type."
      @spec to_record(t()) :: tuple()
      def to_record(%__MODULE__{unquote_splicing(values)}) when unquote(guard) do
        unquote(record)
      end

      def to_record(row), do: Magnesia.Shape.refuse!(__MODULE__, row)
    end
  end

  defp guards([key | others]) do
    [Type.guard(key.type, variable(key.name)) | Enum.map(others, &or_nil/1)]
  end

  defp or_nil(%{type: :any}), do: true

  defp or_nil(%{name: name, type: type}) do
    value = variable(name)
    quote(do: is_nil(unquote(value)) or unquote(Type.guard(type, value)))
  end

  defp both(true, all), do: all
  defp both(guard, true), do: guard
  defp both(guard, all), do: quote(do: unquote(all) and unquote(guard))

  defp stored(%{order: true, name: name}) do
    quote(do: Magnesia.Table.Sortable.encode(unquote(variable(name))))
  end

  defp stored(%{name: name}), do: variable(name)

  defp from_record(%{fields: fields} = declaration) do
    values = for field <- fields, do: variable(field.name)
    unused = List.duplicate({:_, [], nil}, length(declaration.compound))
    record = {:{}, [], [record_name(declaration)] ++ values ++ unused}

    read =
      for field <- fields do
        value = variable(field.name)
        {field.name, if(field.order, do: decode(value, field.type), else: value)}
      end

    quote do
      @doc "The row of a record that was stored."
      @spec from_record(tuple()) :: t()
      def from_record(unquote(record)), do: %__MODULE__{unquote_splicing(read)}
      def from_record(record), do: Magnesia.Shape.refuse_record!(__MODULE__, record)
    end
  end

  defp decode(value, type) do
    quote(do: Magnesia.Table.Sortable.decode(unquote(value), unquote(type)))
  end

  # Of one attribute alone: a key that is looked for, a key that was found.
  defp codecs(%{fields: fields}) do
    sortable = Enum.filter(fields, & &1.order)

    quote do
      @doc false
      @spec __encode__(atom(), term()) :: term()
      unquote_splicing(
        for field <- sortable do
          quote do
            def __encode__(unquote(field.name), value) do
              Magnesia.Table.Sortable.encode(value)
            end
          end
        end
      )

      def __encode__(_attribute, value), do: value

      @doc false
      @spec __decode__(atom(), term()) :: term()
      unquote_splicing(
        for field <- sortable do
          quote do
            def __decode__(unquote(field.name), value) do
              unquote(decode(quote(do: value), field.type))
            end
          end
        end
      )

      def __decode__(_attribute, value), do: value
    end
  end

  defp facts(declaration) do
    facts = Declaration.facts(declaration)
    known = Enum.map_join(facts, ", ", fn {fact, _} -> "`#{inspect(fact)}`" end)
    words = "What the table was declared as; one of #{known}."

    quote do
      @doc unquote(words)
      @spec __table__(atom()) :: term()
      unquote_splicing(
        for {fact, value} <- facts do
          quote do
            def __table__(unquote(fact)), do: unquote(Macro.escape(value))
          end
        end
      )
    end
  end

  defp record_name(declaration), do: Declaration.facts(declaration)[:record_name]

  defp variable(name), do: Macro.var(name, __MODULE__)
end
