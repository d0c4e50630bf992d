defmodule Magnesia.Strict.Traversal do
  @moduledoc """
  Going over a backup, whatever module reads it: `traverse_backup`, and the schema that every
  backup begins with.

  A fun that is given runs in a process linked to the caller's. The database has no part in it
  and need not be running.
  """

  alias Magnesia.Job
  alias Magnesia.Strict.BackupFile
  alias Magnesia.Strict.Settings

  @typedoc "What a backup module is given to find a backup."
  @type opaque :: term()
  @typedoc "A term of a backup."
  @type item :: tuple()
  @typep answer :: {:ok, term()} | {:error, term()}
  @typep header :: tuple()

  @failed ~c"Backup traversal failed"
  # Some parts of a file as terms, so that few of them live to see a collection.
  @heap_words 524_288
  @versions [~c"0.1", ~c"1.1", ~c"1.2"]

  @doc "The header of a backup that is made now."
  @spec header() :: header()
  def header do
    version = Application.spec(:magnesia, :vsn) || ~c"0"
    {:log_header, :backup_log, ~c"1.2", version, node(), :erlang.timestamp()}
  end

  @doc "The module that serves a backup module of this name."
  @spec served_by(module()) :: module()
  def served_by(:mnesia_backup), do: BackupFile
  def served_by(module), do: module

  # Reading

  @doc "The tables that a backup describes, as items."
  @spec read_schema(module(), opaque()) :: [item()] | {:error, term()}
  def read_schema(module, opaque) do
    {module, state, _header, schema, _rest} = open(module, opaque)
    _ = close(module, state)
    schema
  catch
    {:error, reason} -> {:error, reason}
  end

  @doc """
  Calls `fun.(items, header, schema, acc)` for some items of a backup after the other, and with
  none at the end. The schema's items are not among them.
  """
  @spec iterate(module(), ([item()], header(), [item()], acc -> acc), opaque(), acc) ::
          {:ok, acc} | {:error, term()}
        when acc: term()
  def iterate(module, fun, opaque, acc) do
    {module, state, header, schema, rest} = open(module, opaque)
    step = fn items, acc -> fun.(items, header, schema, acc) end

    try do
      {state, result} = loop(module, state, step, acc, rest)
      _ = close(module, state)
      {:ok, result}
    catch
      {:error, reason} ->
        _ = close(module, state)
        {:error, reason}

      _kind, reason ->
        # A job that has been stopped calls nothing of the user's any more.
        _ = if Job.stopped?(), do: exit(:stopped)
        _ = close(module, state)
        {:error, {reason, __STACKTRACE__}}
    end
  catch
    {:error, reason} -> {:error, reason}
  end

  defp loop(module, state, step, acc, []) do
    case apply_read(module, state) do
      {state, []} -> {state, step.([], acc)}
      {state, items} -> loop(module, state, step, acc, items)
    end
  end

  defp loop(module, state, step, acc, items) do
    loop(module, state, step, step.(items, acc), [])
  end

  defp open(module, opaque) do
    module = served_by(module)
    state = apply_open(module, opaque)

    try do
      {state, first} = apply_read(module, state)
      {header, items} = checked(first)
      {state, schema, rest} = schema(module, state, items, [])
      {module, state, header, converted(header, schema), rest}
    catch
      kind, reason ->
        _ = close(module, state)
        :erlang.raise(kind, reason, __STACKTRACE__)
    end
  end

  defp schema(module, state, [], before) do
    case apply_read(module, state) do
      {state, []} -> {state, :lists.reverse(before), []}
      {state, items} -> schema(module, state, items, before)
    end
  end

  defp schema(module, state, [item | rest], before) when elem(item, 0) == :schema do
    schema(module, state, rest, [item | before])
  end

  defp schema(_module, state, rest, before), do: {state, :lists.reverse(before), rest}

  defp checked([{:log_header, :backup_log, version, _, _, _} = header | items]) do
    if version in @versions do
      {header, items}
    else
      throw({:error, {~c"Bad header version. Cannot be used as backup.", header}})
    end
  end

  defp checked([{:log_header, _, _, _, _, _} = header | _items]) do
    throw({:error, {~c"Bad kind of header. Cannot be used as backup.", header}})
  end

  defp checked(items) do
    first = if items == [], do: {:EXIT, :badarg}, else: hd(items)
    throw({:error, {~c"Missing header. Cannot be used as backup.", first}})
  end

  # The first format kept some facts of the schema in items of their own.
  defp converted({:log_header, _, ~c"0.1", _, _, _}, schema) do
    {facts, tables} = Enum.split_with(schema, &match?({:schema, _, _}, old_fact(&1)))

    case List.keytake(tables, :schema, 1) do
      {{:schema, :schema, list}, tables} -> [with_facts(list, facts) | tables]
      nil -> [with_facts([name: :schema, disc_copies: [node()]], facts) | tables]
    end
  end

  defp converted(_header, schema), do: schema

  defp old_fact({:schema, name, _} = item) when name in [:cookie, :db_nodes, :version], do: item
  defp old_fact(_item), do: nil

  defp with_facts(list, facts) do
    list =
      Enum.reduce(facts, list, fn
        {:schema, :db_nodes, nodes}, list -> Keyword.put(list, :disc_copies, nodes)
        {:schema, name, value}, list -> Keyword.put(list, name, value)
      end)

    {:schema, :schema, list}
  end

  defp apply_open(module, opaque) do
    case called(module, :open_read, [opaque]) do
      {:ok, state} -> state
      other -> failed(other)
    end
  end

  defp apply_read(module, state) do
    case called(module, :read, [state]) do
      {:ok, state, items} -> {state, items}
      other -> failed(other)
    end
  end

  # A module of the user's may take for ever, which must not keep a job from being stopped.
  defp called(BackupFile, function, arguments), do: applied(BackupFile, function, arguments)

  defp called(module, function, arguments),
    do: Job.outside(fn -> applied(module, function, arguments) end)

  defp applied(module, function, arguments) do
    apply(module, function, arguments)
  catch
    _kind, reason -> {:error, reason}
  end

  @spec failed(term()) :: no_return()
  defp failed({:error, reason}), do: throw({:error, reason})
  defp failed(other), do: throw({:error, other})

  defp close(module, state), do: called(module, :close_read, [state])

  # Traversing

  @doc "Goes over a backup and makes another of what `fun` returns for each item."
  @spec traverse_backup(opaque(), opaque(), fun(), term()) :: answer()
  def traverse_backup(source, target, fun, acc) do
    module = Settings.get(:backup_module)
    traverse_backup(source, module, target, module, fun, acc)
  end

  @doc "The same with the modules of both; no other backup is made for `:read_only`."
  @spec traverse_backup(opaque(), module(), opaque(), module(), fun(), term()) :: answer()
  def traverse_backup(source, source_module, target, target_module, fun, acc) do
    client = self()
    target = {served_by(target_module), target}

    run = fn ->
      Process.flag(:trap_exit, true)
      result = traverse(source, source_module, target, fun, acc)
      Process.unlink(client)
      send(client, {:iter_done, self(), result})
    end

    pid = :erlang.spawn_opt(run, [:link, min_heap_size: @heap_words])

    receive do
      {:EXIT, ^pid, reason} -> {:error, {~c"Backup traversal crashed", reason}}
      {:iter_done, ^pid, result} -> result
    end
  end

  defp traverse(source, source_module, {:read_only, _}, fun, acc) do
    with {:error, reason} <- iterate(source_module, &step/4, source, {:start, fun, acc, nil}) do
      {:error, {@failed, reason}}
    else
      {:ok, {:on, _fun, acc, nil}} -> {:ok, acc}
    end
  end

  defp traverse(source, source_module, {module, target}, fun, acc) do
    state = write(module, :open_write, [target])
    begin = {:start, fun, acc, {module, state}}

    case iterate(source_module, &step/4, source, begin) do
      {:ok, {:on, _fun, acc, {module, state}}} ->
        _ = write(module, :commit_write, [state])
        {:ok, acc}

      {:error, reason} ->
        _ = called(module, :abort_write, [state])
        {:error, {@failed, reason}}
    end
  catch
    {:error, reason} -> {:error, reason}
  end

  defp step(items, header, schema, {:start, fun, acc, target}) do
    state = step(schema, header, schema, {:on, fun, acc, added(target, [header])})
    step(items, header, schema, state)
  end

  defp step(items, _header, _schema, {:on, fun, acc, nil}),
    do: {:on, fun, seen(items, fun, acc), nil}

  defp step(items, _header, _schema, {:on, fun, acc, target}) do
    {new, acc} = changed(items, fun, acc, [])
    {:on, fun, acc, added(target, new)}
  end

  defp seen([item | rest], fun, acc) do
    case fun.(item, acc) do
      {items, acc} when is_list(items) -> seen(rest, fun, acc)
      other -> not_a_list(other)
    end
  end

  defp seen([], _fun, acc), do: acc

  defp changed([item | rest], fun, acc, before) do
    case fun.(item, acc) do
      {[new], acc} -> changed(rest, fun, acc, [new | before])
      {items, acc} when is_list(items) -> changed(rest, fun, acc, :lists.reverse(items, before))
      other -> not_a_list(other)
    end
  end

  defp changed([], _fun, acc, before), do: {:lists.reverse(before), acc}

  @spec not_a_list(term()) :: no_return()
  defp not_a_list(other), do: throw({:error, {~c"Fun must return a list", other}})

  defp added(nil, _items), do: nil
  defp added(target, []), do: target
  defp added({module, state}, items), do: {module, write(module, :write, [state, items])}

  defp write(module, function, arguments) do
    case written(module, function, arguments) do
      {:ok, state} -> state
      {:error, reason} -> throw({:error, reason})
    end
  end

  defp written(module, function, arguments) do
    apply(module, function, arguments)
  catch
    _kind, reason -> {:error, {:EXIT, reason}}
  end
end
