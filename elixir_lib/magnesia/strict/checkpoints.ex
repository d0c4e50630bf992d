defmodule Magnesia.Strict.Checkpoints do
  @moduledoc """
  Checkpoints: tables as they were at one moment, under a name, until they are deactivated.

  The engine keeps what each key had when it is first changed after the moment; here are the
  names, and the definitions of the moment. They are persistent terms, written one operation
  after the other by the database's owner. The rows are read by `Magnesia.Strict.Backup`.
  """

  alias Magnesia.Database
  alias Magnesia.Engine
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Failure

  require Logger

  @enforce_keys [:name]
  defstruct [:name, :handle, :cookie, tables: [], images: [], definitions: []]

  @typedoc "An active checkpoint: its tables by name, those that are images, the definitions."
  @type t :: %__MODULE__{}

  @unavailable ~c"Cannot prepare checkpoint (replica not available)"

  @doc "Activates a checkpoint."
  @spec activate(term()) :: {:ok, name :: term(), [node()]} | {:error, term()}
  def activate(options) when is_list(options) do
    begin = %{
      name: {:erlang.unique_integer([:positive]), node()},
      min: [],
      max: [],
      ram_overrides_dump: false
    }

    with {:ok, asked} <- asked(options, begin),
         {:ok, overriding} <- overriding(asked),
         tables = asked.min ++ asked.max,
         :ok <- available(tables, asked.name) do
      run(fn -> begin(asked.name, tables, overriding) end)
    end
  end

  def activate(options), do: {:error, {:badarg, options}}

  defp run(fun) do
    with {:aborted, reason} <- Database.run(fun), do: {:error, reason}
  end

  defp asked(options, begin) do
    {:ok, :lists.foldl(&option/2, begin, options)}
  catch
    {:refused, reason} -> {:error, reason}
    :exit, reason -> {:error, reason}
    :error, reason -> {:error, reason}
  end

  defp option({:name, name}, asked) do
    if name in names(), do: throw({:refused, {:already_exists, name}})
    %{asked | name: name}
  end

  defp option({:allow_remote, allow?}, asked) when is_boolean(allow?), do: asked
  defp option({:ignore_new, tids}, asked) when is_list(tids), do: asked

  defp option({:ram_overrides_dump, which}, asked) when is_boolean(which) or is_list(which) do
    %{asked | ram_overrides_dump: which}
  end

  defp option({:min, tables}, asked) when is_list(tables), do: %{asked | min: tables}
  defp option({:max, tables}, asked) when is_list(tables), do: %{asked | max: tables}
  defp option(other, _asked), do: throw({:refused, {:badarg, other}})

  # The tables in memory of which the rows of the moment are wanted, not the saved image.
  defp overriding(%{name: name, min: min, max: max, ram_overrides_dump: which}) do
    twice = for table <- min, table in max, do: table

    cond do
      twice != [] -> {:error, {:combine_error, name, [min: twice, max: twice]}}
      min == [] and max == [] -> {:error, {:combine_error, name, [min: [], max: []]}}
      which == false -> {:ok, []}
      which == true -> {:ok, min ++ max}
      true -> named(which, name, min, max)
    end
  end

  # A table that is named has to be in both lists, which no table may be: so Mnesia has it.
  defp named(which, name, min, max) do
    case {which -- min, which -- max} do
      {[], []} -> {:ok, which}
      {[], outside} -> outside(name, :max, outside)
      {outside, _} -> outside(name, :min, outside)
    end
  end

  defp outside(name, list, tables) do
    {:error, {:combine_error, name, [{:ram_overrides_dump, tables}, {list, tables}]}}
  end

  defp available(tables, name) do
    usable = Definition.usable()

    case Enum.find(tables, :none, &(&1 not in usable)) do
      :none -> :ok
      table -> {:error, {@unavailable, [table, name]}}
    end
  end

  # The lists are looked at again: the schema may have changed since.
  defp begin(name, tables, overriding) do
    with :ok <- available(tables, name),
         :ok <- unused(name),
         definitions =
           for({:ok, definition} <- Enum.map(tables, &Definition.fetch/1), do: definition),
         images = for(d <- definitions, image?(d, overriding), do: d.name),
         {:ok, handle} <- started(tables, images) do
      all = if :schema in tables, do: Definition.all(), else: definitions

      add(%__MODULE__{
        name: name,
        handle: handle,
        cookie: Definition.cookie(),
        tables: tables,
        images: images,
        definitions: all
      })

      {:ok, name, [node()]}
    end
  end

  defp unused(name) do
    if name in names(), do: {:error, {:already_exists, name}}, else: :ok
  end

  defp image?(definition, overriding) do
    definition.storage == :ram_copies and definition.name not in overriding
  end

  defp started(tables, images) do
    wanted = for t <- tables, t != :schema, do: {t, if(t in images, do: :image, else: :rows)}

    case Engine.checkpoint_start(Enum.uniq(wanted)) do
      {:"$magnesia_error", reason} -> {:error, Failure.translate(reason)}
      handle -> {:ok, handle}
    end
  end

  @doc "Lets a checkpoint go."
  @spec deactivate(term()) :: :ok | {:error, term()}
  def deactivate(name) do
    case Enum.find(all(), &(&1.name == name)) do
      nil -> {:error, {:no_exists, name}}
      _ -> run(fn -> finish(name) end)
    end
  end

  defp finish(name) do
    case Enum.split_with(all(), &(&1.name == name)) do
      {[checkpoint], rest} ->
        put(rest)
        _ = Engine.checkpoint_end(checkpoint.handle)
        :ok

      {[], _all} ->
        {:error, {:no_exists, name}}
    end
  end

  @doc "An active checkpoint."
  @spec fetch(term()) :: {:ok, t()} | {:error, term()}
  def fetch(name) do
    case Enum.find(all(), &(&1.name == name)) do
      nil -> {:error, {:no_exists, name}}
      checkpoint -> {:ok, checkpoint}
    end
  end

  @doc "The names of the active checkpoints, the last one first."
  @spec names() :: [term()]
  def names, do: for(checkpoint <- all(), do: checkpoint.name)

  @doc "The names of those that have a table."
  @spec names(atom()) :: [term()]
  def names(table), do: for(checkpoint <- all(), table in checkpoint.tables, do: checkpoint.name)

  @doc "Lets the checkpoints go that have a table, which is being deleted."
  @spec table_gone(atom()) :: :ok
  def table_gone(table) do
    for name <- names(table) do
      _ = finish(name)
      Logger.error("Checkpoint #{inspect(name)} was deactivated: #{inspect(table)} is deleted")
    end

    :ok
  end

  @doc "Lets all checkpoints go: the database is being closed."
  @spec finish_all() :: :ok
  def finish_all, do: Enum.each(names(), &finish/1)

  defp all, do: :persistent_term.get(Magnesia.Checkpoints, [])
  defp add(checkpoint), do: put([checkpoint | all()])
  defp put([]), do: :persistent_term.erase(Magnesia.Checkpoints)
  defp put(checkpoints), do: :persistent_term.put(Magnesia.Checkpoints, checkpoints)
end
