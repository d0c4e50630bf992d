defmodule Magnesia.Parity.Storage do
  @moduledoc """
  Modules that are stock Mnesia with its tables in a storage, for two sides that differ in nothing
  else: `:stock` keeps `:disc_copies` tables there, `:hot` keeps them in the alias of the same
  promises, and some that are changed in a stock storage. Names of storages are translated on the
  way in and back on the way out, so that both sides speak of the stock ones. Rows and match
  specifications pass untouched.

  Dets has no ordered sets: such a table is a `:disc_copies` one on the stock side, and both
  sides then speak of `:disc_only_copies` where either is meant.
  """

  alias Magnesia.Backend
  alias Magnesia.Parity.{Allowance, Interpreter, Moves, Script, Subject}

  @type storage :: :ram_copies | :disc_copies | :disc_only_copies
  @type side :: :stock | :hot

  @aliases %{
    ram_copies: :magnesia_ram,
    disc_copies: :magnesia_disc,
    disc_only_copies: :magnesia_disc_only
  }
  @storages Map.keys(@aliases)
  @stock_names Map.new(@aliases, fn {storage, name} -> {name, storage} end)
  @translated [:start, :create_table, :change_table_copy_type, :table_info]

  @doc "The storages, each with the alias that promises the same."
  @spec aliases() :: %{storage => atom}
  def aliases, do: @aliases

  @doc "The module of a side."
  @spec module(side, storage) :: module
  def module(side, storage) do
    name = Module.concat([__MODULE__, Macro.camelize("#{side}"), Macro.camelize("#{storage}")])
    unless Code.ensure_loaded?(name), do: define(name, side, storage)
    name
  end

  defp define(name, side, storage) do
    functions =
      for {function, arity} <- :mnesia.module_info(:exports), function != :module_info do
        arguments = Macro.generate_arguments(arity, __MODULE__)

        if function in @translated do
          quote do
            def unquote(function)(unquote_splicing(arguments)) do
              Magnesia.Parity.Storage.call(
                {unquote(side), unquote(storage)},
                unquote(function),
                unquote(arguments)
              )
            end
          end
        else
          quote do
            def unquote(function)(unquote_splicing(arguments)) do
              :mnesia.unquote(function)(unquote_splicing(arguments))
            end
          end
        end
      end

    move =
      quote do
        def move_table(table),
          do:
            Magnesia.Parity.Storage.call({unquote(side), unquote(storage)}, :move_table, [table])
      end

    Module.create(name, [move | functions], Macro.Env.location(__ENV__))
  end

  @doc "A call of the module of a side."
  @spec call({side, storage}, atom, [term]) :: term
  def call(_place, :start, []), do: start()

  def call(place, :create_table, [name, options]) do
    :mnesia.create_table(name, stored(options, place))
  end

  def call(place, :create_table, [[{:name, name} | options]]) do
    :mnesia.create_table([{:name, name} | stored(options, place)])
  end

  def call(place, :change_table_copy_type, [table, node, storage]) do
    :mnesia.change_table_copy_type(table, node, changed(storage, table, place))
  end

  def call({side, _} = place, :table_info, [table, item]) when item in @storages do
    for storage <- meant(item, place),
        name <- if(side == :hot, do: [@aliases[storage], storage], else: [storage]),
        node <- :mnesia.table_info(table, name),
        do: node
  end

  # Moves that `Magnesia.Parity.Moves` puts into scripts.
  # It counts as a transaction.
  def call({:stock, _}, :move_table, [_table]), do: :mnesia.transaction(fn -> :ok end)

  def call({:hot, storage}, :move_table, [table]) do
    ours = @aliases[storage]
    to = if there(table) == ours, do: stock_storage(storage, type(table)), else: ours
    :mnesia.change_table_copy_type(table, node(), to)
  end

  # Where a table of ours is, both sides are asked by the names of storages.
  def call({:hot, _}, :table_info, [table, :external_copies]) do
    Enum.reject(:mnesia.table_info(table, :external_copies), &match?({{_, Backend}, _}, &1))
  end

  def call(_place, function, arguments), do: apply(:mnesia, function, arguments)

  # A Mnesia that is started anew has its schema on disk.
  defp start do
    if :mnesia.system_info(:is_running) == :no do
      dir = :mnesia_lib.dir()
      :ok = File.mkdir_p(Path.dirname("#{dir}"))
      _ = :mnesia.create_schema([node()], backend_types: Backend.backend_types())
    end

    :mnesia.start()
  end

  defp stored(options, {_, default} = place) when is_list(options) do
    if proper?(options) do
      type = Keyword.get(options, :type, :set)
      options = Enum.map(options, &option(&1, type, place))
      if places?(options), do: options, else: placed(options, storage(default, type, place))
    else
      options
    end
  end

  defp stored(options, _place), do: options

  defp placed(options, storage), do: [{storage, [node()]} | List.keydelete(options, storage, 0)]

  defp proper?(options),
    do: not List.improper?(options) and Enum.all?(options, &match?({_, _}, &1))

  defp places?(options) do
    Enum.any?(options, fn {key, nodes} ->
      (key in @storages or is_map_key(@stock_names, key)) and nodes != []
    end)
  end

  defp option({key, nodes}, type, place) when key in @storages do
    {storage(key, type, place), nodes}
  end

  defp option(option, _type, _place), do: option

  # Where a table on the hot side goes: it stays where it is when that is meant, and changes
  # from ours to a stock storage or back two times of three, so that both sides are equal only
  # if such a change is what Mnesia says of it.
  defp changed(storage, table, {:hot, _} = place) when storage in @storages do
    type = type(table)
    ours = storage(storage, type, place)
    there = there(table)

    cond do
      there in [storage, ours] -> there
      type == :ordered_set and storage == :disc_only_copies -> ours
      rem(:erlang.phash2({table, there, storage}), 3) == 0 -> ours
      there in @storages -> ours
      true -> storage
    end
  end

  defp changed(storage, table, place), do: storage(storage, type(table), place)

  defp stock_storage(:disc_only_copies, :ordered_set), do: :disc_copies
  defp stock_storage(storage, _type), do: storage

  defp there(table) do
    case :mnesia.table_info(table, :storage_type) do
      {:ext, name, _module} -> name
      storage -> storage
    end
  catch
    :exit, _no_table -> :unknown
  end

  defp storage(:disc_only_copies, :ordered_set, {:stock, _}), do: :disc_copies
  defp storage(storage, _type, {:hot, _}), do: Map.get(@aliases, storage, storage)
  defp storage(storage, _type, _place), do: storage

  defp type(table) do
    :mnesia.table_info(table, :type)
  catch
    :exit, _no_table -> :unknown
  end

  defp meant(item, {_, :disc_only_copies}) when item != :ram_copies do
    [:disc_copies, :disc_only_copies]
  end

  defp meant(item, _place), do: [item]

  @doc "Carries out a script on a side; what it answers speaks of the stock storages."
  @spec run(Script.t(), side, storage) :: [Interpreter.entry()]
  def run(script, side, storage) do
    entries = Interpreter.run(script, module(side, storage))
    # A moved table has another version and may not be where it was.
    if Moves.any?(script), do: Subject.fresh_tables(module(side, storage))

    for entry <- entries do
      outcome = stock(entry.outcome, {side, storage})
      %{entry | outcome: outcome, mode: Allowance.mode(entry.mode, storage)}
    end
  end

  defp stock({:ext, name, Backend}, place), do: stock(name, place)
  defp stock({{name, Backend}, nodes}, place), do: {stock(name, place), nodes}
  defp stock(:disc_copies, {_, :disc_only_copies}), do: :disc_only_copies

  defp stock(name, place) when is_map_key(@stock_names, name) do
    stock(@stock_names[name], place)
  end

  defp stock(tuple, place) when is_tuple(tuple) do
    tuple |> Tuple.to_list() |> stock(place) |> List.to_tuple()
  end

  defp stock([head | tail], place), do: [stock(head, place) | stock(tail, place)]
  defp stock(map, place) when is_map(map), do: Map.new(map, &stock(&1, place))
  defp stock(term, _place), do: term
end
