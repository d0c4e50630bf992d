defmodule Magnesia.Import.Guest do
  @moduledoc """
  A stock Mnesia asked for a backup: the one of this VM, or one started on a copy of a directory
  in a VM of its own, which has the name that the directory's schema knows and no network.
  """

  @wait_ms 600_000

  @doc "Has the Mnesia of this VM write all of its tables to a file, as they are now."
  @spec save(Path.t()) :: :ok | {:error, term()}
  def save(file) do
    tables = :mnesia.system_info(:local_tables)

    with {:ok, name, _nodes} <-
           :mnesia.activate_checkpoint(max: tables, ram_overrides_dump: true) do
      saved = :mnesia.backup_checkpoint(name, String.to_charlist(file), :mnesia_backup)
      _ = :mnesia.deactivate_checkpoint(name)
      saved
    end
  end

  @doc "The nodes that have a copy of the schema in a directory."
  @spec nodes(Path.t()) :: {:ok, [node()]} | {:error, String.t()}
  def nodes(dir) do
    schema = Path.join(dir, "schema.DAT")

    if File.regular?(schema),
      do: in_copy([schema], &disc_nodes(Path.join(&1, "schema.DAT"))),
      else: {:error, "#{dir} holds no schema of Mnesia"}
  end

  defp disc_nodes(schema) do
    with {:ok, table} <- :dets.open_file(make_ref(), file: to_charlist(schema), keypos: 2) do
      found = :dets.lookup(table, :schema)
      _ = :dets.close(table)

      case found do
        [{:schema, :schema, list}] -> {:ok, Keyword.get(list, :disc_copies, [])}
        _ -> {:error, "#{schema} does not describe a schema"}
      end
    else
      {:error, reason} -> {:error, "#{schema}: #{inspect(reason)}"}
    end
  end

  @doc "Has a Mnesia on a copy of a directory write its tables to a file."
  @spec visit(Path.t(), node(), Path.t()) :: :ok | {:error, term()}
  def visit(dir, node, file) do
    files = for name <- File.ls!(dir), path = Path.join(dir, name), File.regular?(path), do: path
    in_copy(files, &in_vm(&1, node, file))
  end

  defp in_copy(files, fun) do
    name = "magnesia-import-#{System.pid()}-#{:erlang.unique_integer([:positive])}"
    copy = Path.join(System.tmp_dir!(), name)
    File.mkdir_p!(copy)

    try do
      Enum.each(files, &File.cp!(&1, Path.join(copy, Path.basename(&1))))
      fun.(copy)
    after
      File.rm_rf!(copy)
    end
  end

  defp in_vm(copy, node, file) do
    {:ok, peer, _node} =
      :peer.start(%{connection: :standard_io, args: name(node) ++ [~c"-hidden"]})

    try do
      run = fn module, function, arguments ->
        :peer.call(peer, module, function, arguments, @wait_ms)
      end

      run.(:application, :load, [:mnesia])
      run.(:application, :set_env, [:mnesia, :dir, to_charlist(copy)])
      with :ok <- started(run), do: written(run, file)
    after
      :peer.stop(peer)
    end
  end

  defp name(:nonode@nohost), do: []

  # No other node may find it: it has the name of one that may be running.
  defp name(node) do
    kind = if node |> Atom.to_string() |> String.contains?("."), do: ~c"-name", else: ~c"-sname"
    [kind, Atom.to_charlist(node), ~c"-dist_listen", ~c"false"]
  end

  defp started(run) do
    with :ok <- run.(:mnesia, :start, []) do
      tables = run.(:mnesia, :system_info, [:local_tables])
      # Others that had the tables are not waited for.
      for table <- tables -- [:schema], do: run.(:mnesia, :force_load_table, [table])
      loaded(run.(:mnesia, :wait_for_tables, [tables, @wait_ms]))
    end
  end

  defp loaded(:ok), do: :ok
  defp loaded({:timeout, tables}), do: {:error, {:timeout, tables}}
  defp loaded(error), do: error

  defp written(run, file) do
    tables = run.(:mnesia, :system_info, [:local_tables])
    options = [max: tables, ram_overrides_dump: true]

    with {:ok, name, _nodes} <- run.(:mnesia, :activate_checkpoint, [options]) do
      run.(:mnesia, :backup_checkpoint, [name, to_charlist(file), :mnesia_backup])
    end
  end
end
