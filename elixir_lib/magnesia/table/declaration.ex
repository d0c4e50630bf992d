defmodule Magnesia.Table.Declaration do
  @moduledoc """
  What a table module declares, gathered and checked while the module is compiled.

  A mistake is a `CompileError` at the line of the declaration, with the nearest name that would
  be right. The code of the module is made from a declaration by `Magnesia.Table.Code`; no table
  is created here.
  """

  alias Magnesia.Options
  alias Magnesia.Table.Generated
  alias Magnesia.Table.Sortable
  alias Magnesia.Table.Type

  @attribute :magnesia_declaration

  @enforce_keys [:module, :options]
  defstruct [:module, :options, fields: [], compound: []]

  @typedoc "One attribute."
  @type field :: %{
          name: atom(),
          type: atom(),
          default: term(),
          order: boolean(),
          generate: Generated.rule()
        }
  @typedoc "A declaration: its fields have the key first, `options` are for `create_table/2`."
  @type t :: %__MODULE__{
          module: module(),
          options: keyword(),
          fields: [field()],
          compound: [{atom(), [atom()]}]
        }

  @passed [
    :type,
    :storage,
    :record_name,
    :access_mode,
    :load_order,
    :majority,
    :local_content,
    :ram_copies,
    :disc_copies,
    :disc_only_copies,
    :user_properties,
    :storage_properties,
    :frag_properties
  ]

  defp rules do
    known = {fn _ -> true end, "what Magnesia.create_table/2 takes"}

    [
      name: {&(is_atom(&1) and &1 not in [nil, true, false]), "an atom"},
      attributes: {&attributes?/1, "a list of names, or name: default pairs after them"},
      types: {&Keyword.keyword?/1, "a keyword list of attributes and their types"},
      autogenerate: {&Keyword.keyword?/1, "a keyword list of attributes and what they get"},
      key: {&is_atom/1, "an attribute"},
      index: {&is_list/1, "a list of attributes, or of lists of them"},
      unique: {&is_list/1, "a list of attributes"}
    ] ++ Enum.map(@passed, &{&1, known})
  end

  defp field_rules do
    flag = {&is_boolean/1, "true or false"}
    any = {fn _ -> true end, "any term"}
    [default: any, index: flag, unique: flag, order: flag, autogenerate: any]
  end

  defp attributes?(names), do: is_list(names) and Enum.all?(names, &attribute?/1)

  defp attribute?({name, _default}), do: is_atom(name)
  defp attribute?(name), do: is_atom(name)

  @doc "Begins the declaration of a module; one with `attributes` is complete at once."
  @spec open(Macro.Env.t(), keyword()) :: t()
  def open(env, options) do
    place = "use Magnesia.Table in #{inspect(env.module)}"

    declaration =
      checked(env, fn ->
        Options.validate!(options, rules(), place)
        %__MODULE__{module: env.module, options: options}
      end)

    Module.put_attribute(env.module, @attribute, declaration)
    declaration
  end

  @doc "Adds an attribute."
  @spec add(Macro.Env.t(), atom(), atom(), keyword()) :: :ok
  def add(env, name, type, options) do
    declaration =
      checked(env, fn ->
        declaration = Module.get_attribute(env.module, @attribute)
        place = "field #{inspect(name)}"
        if declaration.options[:attributes], do: raise(ArgumentError, twice(place))
        Options.validate!(options, field_rules(), place)

        if Enum.any?(declaration.fields, &(&1.name == name)) do
          raise ArgumentError, "#{place} is declared twice"
        end

        grown(declaration, field(name, type, options, place), options)
      end)

    Module.put_attribute(env.module, @attribute, declaration)
  end

  defp twice(place), do: "#{place} beside attributes: say them all in one of the two"

  defp grown(declaration, field, options) do
    lists =
      for option <- [:index, :unique], options[option], reduce: declaration.options do
        lists -> Keyword.update(lists, option, [field.name], &(&1 ++ [field.name]))
      end

    %{declaration | fields: declaration.fields ++ [field], options: lists}
  end

  defp field(name, type, options, place) do
    order? = Keyword.get(options, :order, false)

    cond do
      not is_atom(name) or name in [nil, true, false] ->
        raise ArgumentError, "#{place}: an attribute's name is an atom"

      type not in Type.names() ->
        Options.unknown!("#{place}: there is no type", type, Type.names())

      order? and type not in Sortable.types() ->
        raise ArgumentError,
              "#{place}: order: true is for dates and times; #{inspect(type)} values have " <>
                "their own order"

      options[:default] != nil and options[:autogenerate] not in [nil, false] ->
        raise ArgumentError, "#{place}: a value is generated where there is none: no default:"

      true ->
        generate = Generated.check!(options[:autogenerate], type, place)
        default = options[:default]
        %{name: name, type: type, default: default, order: order?, generate: generate}
    end
  end

  @doc "The complete declaration, checked as a whole."
  @spec close(Macro.Env.t()) :: t()
  def close(env) do
    checked(env, fn ->
      env.module
      |> Module.get_attribute(@attribute)
      |> with_attributes()
      |> with_key()
      |> with_indexes()
      |> with_options()
    end)
  end

  @doc "What `__table__/1` of the module answers, by name."
  @spec facts(t()) :: keyword()
  def facts(%{fields: fields, options: options, compound: compound}) do
    {name, options} = Keyword.pop!(options, :name)

    [
      name: name,
      key: hd(fields).name,
      attributes: Enum.map(fields, & &1.name),
      types: for(field <- fields, do: {field.name, field.type}),
      type: Keyword.get(options, :type, :set),
      index: options[:index],
      compound: compound,
      order: for(field <- fields, field.order, do: field.name),
      autogenerate: for(field <- fields, field.generate != nil, do: field.name),
      sequences: for(field <- fields, field.generate == :sequence, do: field.name),
      record_name: Keyword.get(options, :record_name, name),
      options: options
    ]
  end

  defp with_attributes(%{options: options} = declaration) do
    {types, options} = Keyword.pop(options, :types, [])
    {generated, options} = Keyword.pop(options, :autogenerate, [])

    fields =
      case options[:attributes] do
        nil -> declaration.fields
        attributes -> Enum.map(attributes, &short(&1, types, generated))
      end

    names = Enum.map(fields, & &1.name)
    Enum.each(types, fn {name, _type} -> known!("types:", name, names) end)

    if options[:attributes] do
      Enum.each(generated, fn {name, _rule} -> known!("autogenerate:", name, names) end)
    else
      generated == [] || raise ArgumentError, "autogenerate: goes with attributes:, or to a field"
    end

    cond do
      length(fields) < 2 ->
        raise ArgumentError, "a table has two attributes or more, the key and another"

      names != Enum.uniq(names) ->
        raise ArgumentError, "attribute #{inspect(hd(names -- Enum.uniq(names)))} is named twice"

      true ->
        %{declaration | fields: fields, options: options}
    end
  end

  defp short({name, default}, types, generated), do: short(name, types, generated, default)
  defp short(name, types, generated), do: short(name, types, generated, nil)

  defp short(name, types, generated, default) do
    options = [default: default, autogenerate: generated[name]]
    field(name, Keyword.get(types, name, :any), options, "attribute #{inspect(name)}")
  end

  defp with_key(%{options: options, fields: fields} = declaration) do
    {key, options} = Keyword.pop(options, :key, hd(fields).name)
    known!("key:", key, Enum.map(fields, & &1.name))
    {[field], others} = Enum.split_with(fields, &(&1.name == key))
    %{declaration | fields: [field | others], options: options}
  end

  defp with_indexes(%{options: options, fields: fields} = declaration) do
    names = Enum.map(fields, & &1.name)
    {compound, single} = Enum.split_with(Keyword.get(options, :index, []), &is_list/1)
    Enum.each(List.flatten([compound, single]), &known!("index:", &1, names))

    compound = for parts <- compound, do: {derived!(parts), parts}
    index = Enum.uniq(single -- [hd(names)]) ++ Keyword.keys(compound)
    %{declaration | options: Keyword.put(options, :index, index), compound: compound}
  end

  defp derived!([_, _ | _] = parts) do
    if parts != Enum.uniq(parts), do: raise(ArgumentError, "index: #{inspect(parts)} repeats")
    parts |> Enum.join("+") |> String.to_atom()
  end

  defp derived!(parts) do
    raise ArgumentError, "index: a list has two attributes or more, not #{inspect(parts)}"
  end

  defp with_options(%{options: options, module: module} = declaration) do
    names = Enum.map(declaration.fields, & &1.name) ++ Keyword.keys(declaration.compound)
    options = Keyword.put(options, :attributes, names)
    {name, options} = Keyword.pop(options, :name, module)
    :ok = Magnesia.Tables.check!(name, options, "use Magnesia.Table in #{inspect(module)}")
    %{declaration | options: [{:name, name} | options]}
  end

  defp known!(words, name, names) do
    name in names || Options.unknown!("#{words} there is no attribute", name, names)
  end

  defp checked(env, fun) do
    fun.()
  rescue
    error in ArgumentError ->
      raise CompileError, file: env.file, line: env.line, description: error.message
  end
end
