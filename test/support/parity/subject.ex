defmodule Magnesia.Parity.Subject do
  @moduledoc """
  One implementation under test, named by its module: starting it in ram or on disc, its fixed
  tables, and putting those back between scripts. It must never compare anything.
  """

  alias Magnesia.Parity.Normal

  @pair [:k, :v]
  @triple [:k, :v, :w]

  @tables [
    s: [attributes: @pair],
    o: [attributes: @pair, type: :ordered_set],
    b: [attributes: @pair, type: :bag],
    i: [attributes: @triple, index: [:v]],
    ib: [attributes: @triple, type: :bag, index: [:v]],
    io: [attributes: @triple, type: :ordered_set, index: [:v]],
    rn: [attributes: @pair, record_name: :person],
    ii: [attributes: @triple, index: [:v, :w]]
  ]

  @quirk_tables [:s, :o, :b, :i, :ib, :io]

  @disc_tables [
    dc: [disc_copies: :node],
    dcb: [disc_copies: :node, type: :bag],
    dco: [disc_copies: :node, type: :ordered_set],
    doo: [disc_only_copies: :node],
    dob: [disc_only_copies: :node, type: :bag],
    rc: [ram_copies: :node]
  ]

  @reset_limit 10_000
  @left_fixed 50

  @doc "The names of the fixed tables of random scripts."
  @spec table_names() :: [atom]
  def table_names, do: Keyword.keys(@tables)

  @doc "The options of a fixed table."
  @spec options(atom) :: keyword
  def options(table), do: Keyword.fetch!(@tables, table)

  @doc "The application whose environment holds the subject's directory."
  @spec application(module) :: atom
  def application(:magnesia), do: :magnesia
  def application(_stock_or_proxy), do: :mnesia

  @doc "Starts the subject with its schema in ram and nothing in it."
  @spec start_ram(module) :: :ok
  def start_ram(subject) do
    stop(subject)
    Application.put_env(application(subject), :dir, String.to_charlist(scratch(subject)))
    start_quietly(subject)
  end

  # Stock Mnesia prints failures of a caller's fun: to a device that takes all and keeps nothing.
  defp start_quietly(subject) do
    :ok = subject.start()
    printer = if application(subject) == :mnesia, do: Process.whereis(:mnesia_event)
    if printer, do: Process.group_leader(printer, spawn(&swallow/0))
    :ok
  end

  defp swallow do
    receive do
      {:io_request, from, reply, _request} -> send(from, {:io_reply, reply, :ok})
      _other -> :ok
    end

    swallow()
  end

  @doc "Stops the subject and removes its directory."
  @spec stop(module) :: :ok
  def stop(subject) do
    if application(subject) == :mnesia, do: load_stock()
    :stopped = subject.stop()

    case Application.fetch_env(application(subject), :dir) do
      {:ok, dir} -> remove(to_string(dir))
      :error -> :ok
    end
  end

  @doc "Runs a fun with the subject on a fresh directory, its disc tables filled, and stops it."
  @spec with_disc(module, (charlist -> result)) :: result when result: term
  def with_disc(subject, fun) do
    stop(subject)
    dir = String.to_charlist(scratch(subject))
    Application.put_env(application(subject), :dir, dir)
    :ok = subject.create_schema([node()])
    start_quietly(subject)
    Enum.each(@disc_tables, fn {name, options} -> fill(subject, name, options) end)

    try do
      fun.(dir)
    after
      stop(subject)
    end
  end

  @doc "The events that have come to the caller, oldest first, and any other message."
  @spec messages(module) :: [term]
  def messages(subject) do
    if application(subject) == :magnesia, do: Magnesia.Subscribers.settle()
    received()
  end

  defp received do
    receive do
      message -> [message | received()]
    after
      0 -> []
    end
  end

  @doc "Makes the six tables of the numbered quirks anew, with nothing else beside them."
  @spec fresh_quirk_tables(module) :: :ok
  def fresh_quirk_tables(subject) do
    forget_all(subject)
    Enum.each(@quirk_tables, &create(subject, &1))
  end

  @doc "Makes all fixed tables anew."
  @spec fresh_tables(module) :: :ok
  def fresh_tables(subject) do
    forget_all(subject)
    Enum.each(table_names(), &create(subject, &1))
  end

  @doc "Empties the fixed tables and drops all others; makes anew what does not come clean."
  @spec reset(module, keyword) :: :ok
  def reset(subject, options \\ []) do
    {pid, monitor} = spawn_monitor(fn -> clean(subject, options) end)

    receive do
      {:DOWN, ^monitor, :process, ^pid, :normal} -> :ok
      {:DOWN, ^monitor, :process, ^pid, _reason} -> renew(subject)
    after
      @reset_limit ->
        Process.exit(pid, :kill)
        Process.demonitor(monitor, [:flush])
        renew(subject)
    end
  end

  # What hangs or fails to come clean is started again with nothing in it.
  defp renew(subject) do
    start_ram(subject)
    fresh_tables(subject)
  end

  defp clean(subject, options) do
    forget_all(subject, others(subject) -- table_names())

    if Keyword.get(options, :thorough, false),
      do: fresh_tables(subject),
      else: Enum.each(table_names(), &empty(subject, &1))
  catch
    _kind, _reason -> exit(:unclean)
  end

  @doc "All tables but the schema with their rows, sizes and what each index finds, in one order."
  @spec contents(module) :: [{atom, term}]
  def contents(subject) do
    for table <- Enum.sort(others(subject)) do
      {table, table_contents(subject, table)}
    end
  end

  defp table_contents(subject, table) do
    keys = subject.dirty_all_keys(table)

    sorted =
      if subject.table_info(table, :type) == :ordered_set, do: keys, else: Normal.sorted(keys)

    rows = Enum.map(sorted, &subject.dirty_read(table, &1))
    {rows, subject.table_info(table, :size), indexed(subject, table, Enum.concat(rows))}
  catch
    kind, reason -> {:unreadable, kind, reason}
  end

  defp indexed(subject, table, rows) do
    for position <- Enum.sort(subject.table_info(table, :index)),
        value <- rows |> Enum.filter(&(tuple_size(&1) >= position)) |> values(position) do
      found = subject.dirty_index_read(table, value, position)
      {position, value, Normal.sorted(found, &elem(&1, 1))}
    end
  end

  defp values(rows, position) do
    rows |> Enum.map(&elem(&1, position - 1)) |> Enum.uniq() |> Normal.sorted()
  end

  defp empty(subject, table) do
    Enum.each(subject.dirty_all_keys(table), &subject.dirty_delete(table, &1))

    cond do
      fixed?(subject, table) -> anew(subject, table)
      subject.table_info(table, :size) != 0 -> {:atomic, :ok} = subject.clear_table(table)
      true -> :ok
    end
  end

  # Stock Mnesia leaves a table fixed when an inner transaction that walked it is aborted; keys
  # deleted since then can still be stepped from.
  defp fixed?(subject, table) do
    application(subject) == :mnesia and fixed_in?(:mnesia.table_info(table, :storage_type), table)
  end

  # Whether ours is fixed can't be asked; what was left fixed is let go instead.
  defp fixed_in?({:ext, name, module}, table) do
    for _ <- 1..@left_fixed, do: module.fixtable(name, table, false)
    false
  end

  defp fixed_in?(:disc_only_copies, table), do: :dets.info(table, :safe_fixed) != false
  defp fixed_in?(_storage, table), do: :ets.info(table, :fixed) == true

  defp anew(subject, table) do
    forget(subject, table)
    create(subject, table)
  end

  defp create(subject, name) do
    {:atomic, :ok} = subject.create_table(name, Keyword.fetch!(@tables, name))
  end

  # A table that cannot be deleted (its only replica elsewhere) goes with a restart.
  defp forget_all(subject) do
    forget_all(subject, others(subject))
  catch
    _kind, _reason -> start_ram(subject)
  end

  defp others(subject), do: subject.system_info(:tables) -- [:schema]

  # A fragment goes with its base table, which goes after those that follow it.
  defp forget_all(_subject, []), do: :ok

  defp forget_all(subject, tables) do
    Enum.each(tables, &subject.delete_table/1)
    left = Enum.filter(tables, &(&1 in others(subject)))
    if length(left) == length(tables), do: Enum.each(left, &forget(subject, &1))
    forget_all(subject, Enum.filter(left, &(&1 in others(subject))))
  end

  defp forget(subject, table) do
    if subject.delete_table(table) != {:atomic, :ok} do
      {:atomic, :ok} = subject.change_table_access_mode(table, :read_write)
      {:atomic, :ok} = subject.delete_table(table)
    end

    :ok
  end

  defp fill(subject, name, options) do
    options =
      for {key, value} <- options, do: {key, if(value == :node, do: [node()], else: value)}

    {:atomic, :ok} = subject.create_table(name, [attributes: @pair] ++ options)
    Enum.each([:c, :a, :b], &subject.dirty_write({name, 1, &1}))
  end

  # Stock Mnesia makes a directory, but not the one that it is in.
  defp scratch(subject) do
    unique = "#{subject}-#{System.pid()}-#{System.unique_integer([:positive])}"
    dir = Path.join([System.tmp_dir!(), "magnesia-parity", unique])
    File.mkdir_p!(Path.dirname(dir))
    dir
  end

  # Only directories made by `scratch/1` are ever removed.
  defp remove(dir) do
    if dir =~ "/magnesia-parity/", do: File.rm_rf!(dir)
    :ok
  end

  # Mix prunes code paths of applications that no one depends on.
  defp load_stock do
    if Code.ensure_loaded?(Mix) and function_exported?(Mix, :ensure_application!, 1),
      do: apply(Mix, :ensure_application!, [:mnesia])

    :ok
  end
end
