defmodule Magnesia.Import do
  @moduledoc """
  Takes over the tables of a stock Mnesia: of one that runs in this VM, or of its directory.

  The tables come by way of a backup of one moment, are made where they are missing and get
  their rows all at once, as `Magnesia.Backup.restore/2` does it; the options are its options.
  Mnesia and its directory are only read.

      iex> Magnesia.Import.from_dir("/nowhere/Mnesia.shop@db1")
      {:error, "/nowhere/Mnesia.shop@db1 holds no schema of Mnesia"}
  """

  alias Magnesia.Backup
  alias Magnesia.Import.Guest

  @typep outcome :: {:ok, [atom()]} | {:error, String.t()}

  @doc """
  Takes over the tables of the Mnesia that runs in this VM, while its users go on.

  Options are those of `Magnesia.Backup.restore/2`. In what follows, `:mnesia` has a table
  `:person`:

      Magnesia.Import.from_mnesia(tables: [:person])
      {:ok, [:person]}
  """
  @spec from_mnesia(keyword()) :: outcome()
  def from_mnesia(options \\ []) do
    with_file(fn file ->
      with :ok <- saved(file), do: restored(file, options)
    end)
  end

  defp saved(file) do
    case :mnesia.system_info(:is_running) do
      :yes -> told(Guest.save(file), "Mnesia")
      other -> {:error, "Mnesia is not running here: #{other}"}
    end
  end

  @doc """
  Takes over the tables of a stopped Mnesia's directory.

  The directory is copied, and a VM of its own starts Mnesia on the copy, under the name of the
  node that the directory belongs to: of several, the one that `:node` names. Of tables that
  other nodes had too, what is in this directory counts. Other options are those of
  `Magnesia.Backup.restore/2`.
  """
  @spec from_dir(Path.t(), keyword()) :: outcome()
  def from_dir(dir, options \\ []) do
    {node, options} = Keyword.pop(options, :node)

    with_file(fn file ->
      with {:ok, node} <- owner(dir, node),
           :ok <- told(Guest.visit(dir, node, file), dir) do
        restored(file, options)
      end
    end)
  end

  defp owner(dir, asked) do
    case {Guest.nodes(dir), asked} do
      {{:error, text}, _} -> {:error, text}
      {{:ok, [node]}, nil} -> {:ok, node}
      {{:ok, nodes}, nil} -> {:error, "#{dir} may be of #{inspect(nodes)}: give node:"}
      {{:ok, nodes}, node} -> known(dir, node, node in nodes, nodes)
    end
  end

  defp known(_dir, node, true, _nodes), do: {:ok, node}

  defp known(dir, node, false, nodes) do
    {:error, "#{dir} is not of #{inspect(node)} but of #{inspect(nodes)}"}
  end

  defp told(:ok, _what), do: :ok
  defp told({:error, reason}, what), do: {:error, "#{what} can't be read: #{inspect(reason)}"}

  defp restored(file, options) do
    with {:error, error} <- Backup.restore(file, options), do: {:error, Exception.message(error)}
  end

  # Beside nothing that matters: the file is gone when the import is done.
  defp with_file(fun) do
    name = "magnesia-import-#{System.pid()}-#{:erlang.unique_integer([:positive])}.bup"
    file = Path.join(System.tmp_dir!(), name)

    try do
      fun.(file)
    after
      File.rm(file)
    end
  end
end
