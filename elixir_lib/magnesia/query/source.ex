defmodule Magnesia.Query.Source do
  @moduledoc """
  The table of a query while it is compiled: which attributes there are, where they stand in a
  record, and how the query refers to them.

  Of a table module all is known; of a table that is named by its name, positions are variables
  of the code that is made, which looks them up when it runs. Nothing is looked up here.
  """

  alias Magnesia.Options
  alias Magnesia.Table.Declaration

  @enforce_keys [:binding, :table]
  defstruct [:binding, :table, :facts, numbers: %{}, bound: MapSet.new()]

  @typedoc """
  A query's table: `facts` of its module or nil, the number of each attribute's variable, and the
  attributes whose place in the head a value has taken.
  """
  @type t :: %__MODULE__{
          binding: atom(),
          table: Macro.t(),
          facts: map() | nil,
          numbers: %{atom() => pos_integer()},
          bound: MapSet.t(atom())
        }

  @doc "The source of `binding in table`."
  @spec new(Macro.t(), Macro.Env.t()) :: t()
  def new({:in, _, [{binding, _, context}, table]}, env)
      when is_atom(binding) and is_atom(context) do
    case Macro.expand(table, env) do
      name when is_atom(name) ->
        %__MODULE__{binding: binding, table: name, facts: facts(name, env)}

      {:^, _, [expression]} ->
        %__MODULE__{binding: binding, table: expression}

      other ->
        refuse(other)
    end
  end

  def new(other, _env), do: refuse(other)

  defp refuse(other) do
    raise ArgumentError,
          "a query begins with `row in Table`: a table module, a table's name or ^name, " <>
            "not #{Macro.to_string(other)}"
  end

  defp facts(module, %{module: module} = env) when module != nil do
    if Module.get_attribute(module, :magnesia_declaration) do
      Map.new(Declaration.facts(Declaration.close(env)))
    end
  end

  defp facts(module, _env) do
    with "Elixir." <> _ <- Atom.to_string(module),
         {:module, _} <- Code.ensure_compiled(module),
         true <- function_exported?(module, :__table__, 1) do
      Map.new(
        for fact <- [
              :name,
              :key,
              :attributes,
              :types,
              :type,
              :index,
              :compound,
              :order,
              :record_name
            ] do
          {fact, module.__table__(fact)}
        end
      )
    else
      _ -> nil
    end
  end

  @doc "Numbers the attributes that some code refers to; one that does not exist is an error."
  @spec number(t(), Macro.t()) :: t()
  def number(source, code) do
    {_code, names} =
      Macro.prewalk(code, [], fn part, names ->
        case attribute(part, source) do
          {:ok, name} -> {part, [name | names]}
          :error -> {part, names}
        end
      end)

    names = names |> Enum.reverse() |> Enum.uniq()
    Enum.each(names, &known!(&1, source))
    %{source | numbers: Map.new(Enum.with_index(names, 1))}
  end

  @doc "Raises unless there is such an attribute, as far as that is known."
  @spec known!(atom(), t()) :: :ok
  def known!(name, %{facts: %{attributes: attributes}, table: table}) do
    if name not in attributes do
      Options.unknown!("table #{inspect(table)} has no attribute", name, attributes)
    end

    :ok
  end

  def known!(_name, _source), do: :ok

  @doc "The attribute that an expression is, or `:error`."
  @spec attribute(Macro.t(), t()) :: {:ok, atom()} | :error
  def attribute({{:., _, [{binding, _, context}, name]}, _, []}, %{binding: binding})
      when is_atom(context) and is_atom(name),
      do: {:ok, name}

  def attribute(_expression, _source), do: :error

  @doc "Tells whether an expression is made of the row."
  @spec of_row?(Macro.t(), t()) :: boolean()
  def of_row?(expression, source) do
    {_code, found?} =
      Macro.prewalk(expression, false, fn
        part, true -> {part, true}
        part, false -> {part, match?({:ok, _}, attribute(part, source))}
      end)

    found?
  end

  @doc "The attribute that an expression is, if its times are stored in their order."
  @spec sortable(Macro.t(), t()) :: {:ok, atom()} | :error
  def sortable(expression, %{facts: %{order: order}} = source) do
    with {:ok, name} <- attribute(expression, source) do
      if name in order, do: {:ok, name}, else: :error
    end
  end

  def sortable(_expression, _source), do: :error

  @doc "Tells whether an attribute's times are stored in their order."
  @spec time?(atom(), t()) :: boolean()
  def time?(name, %{facts: %{order: order}}), do: name in order
  def time?(_name, _source), do: false

  @doc "Tells whether the key or an index finds an attribute's values, as far as is known."
  @spec indexed?(atom(), t()) :: boolean()
  def indexed?(name, %{facts: %{key: key, index: index}}), do: name in [key | index]
  def indexed?(_name, _source), do: true

  @doc "The position of an index over several attributes."
  @spec compound_position({atom(), [atom()]}, t()) :: pos_integer()
  def compound_position(compound, %{facts: facts}) do
    length(facts.attributes) + 2 + Enum.find_index(facts.compound, &(&1 == compound))
  end

  @doc "Raises for an attribute whose values have no order in the engine."
  @spec orderable!(atom(), t()) :: :ok
  def orderable!(name, %{facts: %{types: types, order: order}, table: table}) do
    times = Magnesia.Table.Sortable.types()

    if types[name] in times and name not in order do
      raise ArgumentError,
            "#{inspect(table)}: #{name} is compared by order, which its values have only when " <>
              "they are declared with order: true"
    end

    :ok
  end

  def orderable!(_name, _source), do: :ok

  @doc "The variable of an attribute in the head."
  @spec variable(atom(), t()) :: atom()
  def variable(name, source), do: :"$#{Map.fetch!(source.numbers, name)}"

  @doc "Code for an attribute's position in a record."
  @spec position(atom(), t()) :: Macro.t()
  def position(name, %{facts: nil} = source) do
    Macro.var(:"position_#{Map.fetch!(source.numbers, name)}", __MODULE__)
  end

  def position(name, %{facts: %{attributes: attributes}}) do
    Enum.find_index(attributes, &(&1 == name)) + 2
  end

  @doc "Code for the term that stands for an attribute in guards and results."
  @spec reference(atom(), t()) :: Macro.t()
  def reference(name, source) do
    if name in source.bound do
      {:{}, [], [:element, position(name, source), :"$_"]}
    else
      variable(name, source)
    end
  end
end
