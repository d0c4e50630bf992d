defmodule Magnesia.BackupExchangeTest do
  @moduledoc """
  Backups exchanged with stock Mnesia in the same VM, both ways: the same items, the same rows,
  by restore and by fallback, for every kind of table and of term.
  """

  use Magnesia.DatabaseCase, async: false

  @moduletag :disc
  @moduletag capture_log: true
  @moduletag timeout: 240_000

  @tables [
    set: [disc_copies: :here, attributes: [:k, :v], index: [:v], user_properties: [{:a, [1]}]],
    bag: [disc_copies: :here, type: :bag, attributes: [:k, :v, :w], index: [:w]],
    ord: [disc_copies: :here, type: :ordered_set, record_name: :entry, load_order: 7],
    far: [disc_only_copies: :here, attributes: [:k, :v]],
    farbag: [disc_only_copies: :here, type: :bag, attributes: [:k, :v]],
    mem: [ram_copies: :here, attributes: [:k, :v]],
    none: [disc_copies: :here]
  ]

  @facts [:type, :storage_type, :attributes, :record_name, :user_properties, :load_order]

  setup %{dir: dir} do
    stock = dir <> "-stock"
    file = dir <> ".bup"
    :stopped = :mnesia.stop()
    Application.put_env(:mnesia, :dir, String.to_charlist(stock))

    on_exit(fn ->
      :stopped = :mnesia.stop()
      Application.delete_env(:mnesia, :dir)
      File.rm_rf!(stock)
      for path <- Path.wildcard(dir <> ".bup*"), do: File.rm!(path)
    end)

    {:ok, bup: String.to_charlist(file)}
  end

  defp stock do
    :ok = :mnesia.create_schema([node()])
    :ok = :mnesia.start()
    :mnesia
  end

  defp make(db) do
    for {name, options} <- @tables do
      options =
        for {key, value} <- options, do: {key, if(value == :here, do: [node()], else: value)}

      {:atomic, :ok} = db.create_table(name, options)
    end

    :ok = db.wait_for_tables(Keyword.keys(@tables), 60_000)
  end

  defp terms do
    [
      "text",
      "",
      String.duplicate("long", 40_000),
      <<5::3>>,
      ~c"list",
      [1 | 2],
      Enum.to_list(1..70_000),
      %{1 => %{a: [1.0e300, -0.5]}, "k" => :"Ø b'c"},
      Map.new(1..100, &{&1, {&1}}),
      -(2 ** 90),
      2 ** 63,
      {},
      [],
      nil,
      :"",
      self(),
      make_ref(),
      hd(Port.list()),
      &is_atom/1,
      List.to_tuple(Enum.to_list(1..300))
    ]
  end

  defp fill(db) do
    for {term, n} <- Enum.with_index(terms()), table <- [:set, :far, :mem] do
      :ok = db.dirty_write({table, n, term})
      if table != :mem, do: :ok = db.dirty_write({table, {:key, term}, n})
    end

    for n <- 1..3_000 do
      :ok = db.dirty_write({:bag, rem(n, 700), n, rem(n, 5)})
      :ok = db.dirty_write(:ord, {:entry, n / 2, rem(n, 3)})
      :ok = db.dirty_write({:set, -n, rem(n, 11)})
      :ok = db.dirty_write({:farbag, rem(n, 50), n})
    end

    {:atomic, :ok} = db.dump_tables([:mem])
  end

  # Rows of a key in a bag keep their order.
  defp rows(db) do
    for {name, _options} <- @tables, into: %{} do
      keys = db.dirty_all_keys(name)
      {name, Map.new(keys, &{&1, db.dirty_read(name, &1)})}
    end
  end

  defp facts(db) do
    for {name, _options} <- @tables do
      for item <- @facts do
        {name, item, db.table_info(name, item)}
      end ++ [{name, :index, Enum.sort(db.table_info(name, :index))}]
    end
  end

  defp indexed(db) do
    {Enum.sort(db.dirty_index_read(:set, 3, :v)), Enum.sort(db.dirty_index_read(:bag, 2, :w))}
  end

  defp items(db, file) do
    {:ok, items} =
      db.traverse_backup(file, :mnesia_backup, :dummy, :read_only, &{[&1], [&1 | &2]}, [])

    # What a schema's own item says is of the moment; so is the order of the others.
    Enum.sort(Enum.reject(items, &match?({:schema, :schema, _}, &1)))
  end

  defp restart(db) do
    :stopped = db.stop()
    :ok = db.start()
    :ok = db.wait_for_tables(db.system_info(:tables), 60_000)
  end

  test "ours goes to stock Mnesia and comes back the same", %{bup: file} do
    make(:magnesia)
    fill(:magnesia)
    ours = rows(:magnesia)
    :ok = :magnesia.backup(file)
    assert items(:magnesia, file) == items(:mnesia, file)

    stock = stock()
    {:atomic, tables} = stock.restore(file, default_op: :recreate_tables)
    assert Enum.sort(tables) == Enum.sort(Keyword.keys(@tables))
    assert rows(stock) == ours
    assert facts(stock) == facts(:magnesia)
    assert indexed(stock) == indexed(:magnesia)

    back = file ++ ~c".2"
    {:atomic, :ok} = stock.dump_tables([:mem])
    :ok = stock.backup(back)
    for {name, _} <- @tables, do: {:atomic, :ok} = :magnesia.clear_table(name)
    assert {:atomic, _tables} = :magnesia.restore(back, [])
    assert rows(:magnesia) == ours
    assert indexed(:magnesia) == indexed(stock)
    restart(:magnesia)
    assert rows(:magnesia) == Map.put(ours, :mem, rows(:magnesia).mem)

    # Byte for byte the same terms, but for cookies and versions, which each gives anew.
    # Stock Mnesia deletes each key of a dumped table before its rows.
    plain =
      &for(item <- &1, tuple_size(item) > 2) do
        if elem(item, 0) == :schema, do: elem(item, 1), else: item
      end

    {back, there} = {plain.(items(:magnesia, back)), plain.(items(:mnesia, file))}
    assert {back -- there, there -- back} == {[], []}
  end

  test "a stock backup is restored, its tables made as it says", %{bup: file} do
    stock = stock()
    make(stock)
    fill(stock)
    :ok = stock.backup(file)
    assert items(stock, file) == items(:magnesia, file)
    assert {:atomic, tables} = :magnesia.restore(file, default_op: :recreate_tables)
    assert Enum.sort(tables) == Enum.sort(Keyword.keys(@tables))
    assert rows(:magnesia) == rows(stock)
    assert facts(:magnesia) == facts(stock)
    assert indexed(:magnesia) == indexed(stock)
    before = Map.delete(rows(:magnesia), :mem)
    restart(:magnesia)
    assert Map.delete(rows(:magnesia), :mem) == before
    assert indexed(:magnesia) == indexed(stock)
  end

  test "each takes the other's backup for a fallback", %{bup: file} do
    stock = stock()
    make(:magnesia)
    fill(:magnesia)
    ours = rows(:magnesia)
    :ok = :magnesia.backup(file)
    :ok = stock.install_fallback(file)
    restart(stock)
    assert rows(stock) == ours
    assert facts(stock) == facts(:magnesia)

    {:atomic, :ok} = stock.create_table(:more, disc_copies: [node()])
    for n <- 1..5_000, do: stock.dirty_write({:more, n, {n}})
    other = file ++ ~c".2"
    :ok = stock.backup(other)
    {:atomic, :ok} = :magnesia.create_table(:gone, disc_copies: [node()])
    :ok = :magnesia.install_fallback(other)
    assert :magnesia.system_info(:fallback_activated)
    restart(:magnesia)
    refute :magnesia.system_info(:fallback_activated)
    assert Enum.sort(:magnesia.system_info(:tables)) == Enum.sort(stock.system_info(:tables))
    assert Map.delete(rows(:magnesia), :mem) == Map.delete(ours, :mem)
    assert :magnesia.dirty_read(:more, 77) == [{:more, 77, {77}}]
    assert :magnesia.table_info(:more, :size) == 5_000
    assert indexed(:magnesia) == indexed(stock)
    restart(:magnesia)
    assert :magnesia.table_info(:more, :size) == 5_000
  end

  test "a backup that stock Mnesia makes under writes, with its deletions, is taken", %{
    bup: file
  } do
    stock = stock()
    make(stock)
    fill(stock)

    {:ok, name, _} =
      stock.activate_checkpoint(max: Keyword.keys(@tables), ram_overrides_dump: true)

    wanted = rows(stock)
    for n <- 1..3_000, do: stock.dirty_write({:set, -n, :changed})
    for n <- 0..600//3, do: stock.dirty_delete({:bag, n})
    :ok = stock.dirty_write({:far, :new, 1})
    :ok = stock.backup_checkpoint(name, file)
    assert {:atomic, _tables} = :magnesia.restore(file, default_op: :recreate_tables)
    assert rows(:magnesia) == wanted
    assert :magnesia.table_info(:set, :size) == map_size(wanted.set)
  end

  test "a traversal writes what stock Mnesia reads", %{bup: file} do
    make(:magnesia)
    fill(:magnesia)
    :ok = :magnesia.backup(file)
    other = file ++ ~c".2"

    change = fn
      {:set, key, _value}, n when is_integer(key) ->
        {[{:set, key, :new}, {:set, {key}, 1}], n + 1}

      {:bag, _, _, _}, n ->
        {[], n}

      item, n ->
        {[item], n}
    end

    assert {:ok, count} = :magnesia.traverse_backup(file, other, change, 0)
    assert count == 3_000 + length(terms())
    assert items(:magnesia, other) == items(:mnesia, other)
    {:atomic, _} = stock().restore(other, default_op: :recreate_tables)
    {:atomic, _} = :magnesia.restore(other, [])
    assert rows(:magnesia) == rows(:mnesia)
    assert :magnesia.table_info(:bag, :size) == 0
  end
end
