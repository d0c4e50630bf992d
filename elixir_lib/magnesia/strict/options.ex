defmodule Magnesia.Strict.Options do
  @moduledoc """
  Reads the options of `create_table` into a definition.

  Names, shapes and what can be told from one option alone is checked here, in the order that
  decides which of several mistakes is reported; `Magnesia.Strict.Rules` judges the whole. No
  table is looked up.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.FragmentLayout
  alias Magnesia.Strict.Rules

  @items [
    :name,
    :type,
    :ram_copies,
    :disc_copies,
    :disc_only_copies,
    :external_copies,
    :load_order,
    :access_mode,
    :majority,
    :index,
    :snmp,
    :local_content,
    :record_name,
    :attributes,
    :user_properties,
    :frag_properties,
    :storage_properties,
    :cookie,
    :version
  ]

  @ets_refused [
    :set,
    :ordered_set,
    :bag,
    :duplicate_bag,
    :public,
    :private,
    :protected,
    :keypos,
    :named_table
  ]
  @dets_refused [:type, :keypos, :repair, :access, :file]

  @doc "The definition that options describe; aborts when they describe none."
  @spec definition(list()) :: Definition.t()
  def definition(options) do
    name = pick(:unknown, :name, options, :must)
    refuse_duplicates(name, keys(name, options))
    options |> copies(name) |> fields(name, options) |> expand_index()
  end

  defp keys(name, [{key, _value} | rest]) do
    item = if is_tuple(key) and tuple_size(key) > 0, do: elem(key, 0), else: key
    if item in @items, do: [key | keys(name, rest)], else: abort({:badarg, name, key})
  end

  defp keys(_name, []), do: []
  defp keys(name, rest), do: abort({:badarg, name, rest})

  defp refuse_duplicates(name, keys) do
    if Rules.duplicates?(keys), do: abort({:badarg, name, ~c"Duplicate keys", keys})
  end

  defp pick(name, key, options, default) do
    case :lists.keyfind(key, 1, options) do
      false when default == :must -> abort({:badarg, name, ~c"Missing key", key, options})
      false -> default
      {^key, value} -> value
      other -> abort({:bad_type, name, other})
    end
  end

  defp copies(options, name) do
    type = pick(name, :type, options, :set)
    ram = pick(name, :ram_copies, options, [])
    disc = pick(name, :disc_copies, options, [])
    disc_only = pick(name, :disc_only_copies, options, [])
    ram = if {ram, disc, disc_only} == {[], [], []}, do: [node()], else: ram

    %Definition{
      name: name,
      type: type,
      ram_copies: ram,
      disc_copies: disc,
      disc_only_copies: disc_only
    }
  end

  defp fields(definition, name, options) do
    definition = %{
      definition
      | local_content: pick(name, :local_content, options, false),
        record_name: pick(name, :record_name, options, name),
        attributes: pick(name, :attributes, options, [:key, :val]),
        snmp: pick(name, :snmp, options, []),
        load_order: pick(name, :load_order, options, 0),
        access_mode: pick(name, :access_mode, options, :read_write),
        majority: pick(name, :majority, options, false)
    }

    user = pick(name, :user_properties, options, [])
    if not is_list(user), do: abort({:bad_type, name, {:user_properties, user}})
    cookie = pick(name, :cookie, options, nil) || Definition.cookie()
    version = pick(name, :version, options, {{2, 0}, []})
    index = pick(name, :index, options, [])
    if not is_list(index), do: abort({:bad_type, name, {:index, [index]}})
    frag = pick(name, :frag_properties, options, [])
    if not is_list(frag), do: abort({:badarg, name, {:frag_properties, frag}})

    %{
      definition
      | user_properties: :lists.sort(user),
        cookie: cookie,
        version: version,
        index_info: index,
        frag_properties: frag |> FragmentLayout.meant(definition) |> :lists.sort(),
        storage_properties: :lists.sort(storage(name, options))
    }
  end

  defp storage(name, options) do
    properties = pick(name, :storage_properties, options, [])
    refuse_storage(name, :ets, properties, @ets_refused)
    refuse_storage(name, :dets, properties, @dets_refused)
    properties
  end

  defp refuse_storage(name, kind, properties, refused) do
    options = :proplists.get_value(kind, properties, [])
    if not is_list(options), do: abort({:badarg, name, {kind, options}})

    Enum.each(options, fn option ->
      tag = if is_tuple(option) and tuple_size(option) > 0, do: elem(option, 0), else: option
      if not is_atom(tag) or tag in refused, do: abort({:badarg, name, option})
    end)
  end

  defp expand_index(%{index_info: []} = definition), do: definition
  defp expand_index(definition), do: Rules.expand_index(definition)
end
