defmodule Magnesia.Demo.Patterns do
  @moduledoc """
  The everyday patterns of Mnesia guides, each as one function of the database module.

  The same function runs on `:mnesia` and on `:magnesia`; its return value is the answer that is
  compared. Answers are made independent of the order in which a `set` hands out its rows, which
  Mnesia leaves open, and of nothing else.
  """

  @typedoc "A pattern: `fun.(database)` returns the answer; `times` is how often it is repeated."
  @type t :: %{name: String.t(), times: pos_integer, fun: (module -> term)}

  @doc "The patterns in the order in which they must run; `names` are keys to look up."
  @spec all([String.t()], DateTime.t()) :: [t]
  def all(names, now) do
    [
      pattern("quick start: create, write, read", 1, &quick_start/1),
      pattern("simple query: read by key", 3, &read_by_key(&1, names)),
      pattern("simple query: outside a transaction", 3, &read_outside(&1, names)),
      pattern("dirty reads", 3, &dirty_reads(&1, names)),
      pattern("pattern query: one section", 3, &one_section(&1, "editors")),
      pattern("pattern query: two fields bound", 3, &two_fields/1),
      pattern("match spec: larger than 100 MB", 3, &larger_than(&1, 100_000)),
      pattern("fold: seen in the last 7 days", 3, &recent(&1, now)),
      pattern("cache: put, get, delete", 1, &cache(&1, names)),
      pattern("migration: add an index", 1, &add_index/1),
      pattern("query by the new index", 3, &by_index(&1, ["games", "editors", "python"])),
      pattern("migration: add a column", 1, &add_column/1),
      pattern("read by key after the migration", 3, &read_by_key(&1, names)),
      pattern("every row, whole", 1, &every_row/1)
    ]
  end

  defp pattern(name, times, fun), do: %{name: name, times: times, fun: fun}

  defp quick_start(db) do
    made =
      db.create_table(:users,
        disc_copies: [node()],
        attributes: [:id, :email, :name, :created_at]
      )

    ready = db.wait_for_tables([:users], 5_000)
    row = {:users, 1, "ada@example.org", "Ada", ~U[2024-02-29 12:00:00Z]}
    written = db.transaction(fn -> db.write(row) end)
    {made, ready, written, db.transaction(fn -> db.read({:users, 1}) end)}
  end

  defp read_by_key(db, names) do
    for name <- names, do: db.transaction(fn -> db.read(:packages, name, :read) end)
  end

  defp read_outside(db, names) do
    for name <- names do
      try do
        db.read(:packages, name, :read)
      catch
        :exit, reason -> {:exit, reason}
      end
    end
  end

  defp dirty_reads(db, names), do: for(name <- names, do: db.dirty_read(:packages, name))

  defp one_section(db, section) do
    pattern = {:packages, :_, :_, section, :_, :_, :_}
    sorted(db.transaction(fn -> db.match_object(:packages, pattern, :read) end))
  end

  defp two_fields(db) do
    pattern = {:packages, :_, :_, "games", :"$1", ["libc6"], :_}
    sorted(db.transaction(fn -> db.match_object(:packages, pattern, :read) end))
  end

  defp larger_than(db, kilobytes) do
    spec = [
      {{:packages, :"$1", :_, :_, :"$2", :_, :_}, [{:>, :"$2", kilobytes}], [{{:"$1", :"$2"}}]}
    ]

    sorted(db.transaction(fn -> db.select(:packages, spec) end))
  end

  defp recent(db, now) do
    cutoff = DateTime.add(now, -7 * 86_400, :second)

    newer = fn row, found ->
      if DateTime.compare(elem(row, 6), cutoff) == :lt, do: found, else: [elem(row, 1) | found]
    end

    sorted(db.transaction(fn -> db.foldl(newer, [], :packages) end))
  end

  defp cache(db, names) do
    {:atomic, :ok} = db.create_table(:cache, attributes: [:key, :value])

    put = fn name -> db.transaction(fn -> db.write({:cache, name, byte_size(name)}) end) end
    get = fn name -> db.transaction(fn -> db.read({:cache, name}) end) end
    delete = fn name -> db.transaction(fn -> db.delete({:cache, name}) end) end

    for name <- names, do: {put.(name), get.(name), delete.(name), get.(name)}
  end

  defp add_index(db) do
    {db.add_table_index(:packages, :section), db.add_table_index(:packages, :section),
     db.table_info(:packages, :index)}
  end

  defp by_index(db, sections) do
    for section <- sections do
      sorted(db.transaction(fn -> db.index_read(:packages, section, :section) end))
    end
  end

  defp add_column(db) do
    grown = fn {:packages, name, version, section, size, depends, seen_at} ->
      {:packages, name, version, section, size, depends, seen_at, :active}
    end

    attributes = db.table_info(:packages, :attributes) ++ [:status]
    {db.transform_table(:packages, grown, attributes), db.table_info(:packages, :attributes)}
  end

  defp every_row(db), do: sorted(db.dirty_select(:packages, [{:_, [], [:"$_"]}]))

  defp sorted({:atomic, rows}) when is_list(rows), do: {:atomic, Enum.sort(rows)}
  defp sorted(rows) when is_list(rows), do: Enum.sort(rows)
  defp sorted(other), do: other
end
