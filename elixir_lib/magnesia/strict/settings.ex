defmodule Magnesia.Strict.Settings do
  @moduledoc """
  The settings of the application's environment, with Mnesia's names and defaults, and where they
  say that the database is. A setting is checked when it is read; nothing is opened here.
  """

  alias Magnesia.Engine
  alias Magnesia.Strict.Failure

  @defaults %{
    access_module: :magnesia,
    auto_repair: true,
    allow_index_on_key: false,
    backup_module: :mnesia_backup,
    core_dir: false,
    dc_dump_limit: 4,
    debug: :none,
    dump_log_load_regulation: false,
    dump_log_time_threshold: 180_000,
    dump_log_update_in_place: true,
    dump_log_write_threshold: 1000,
    event_module: :mnesia_event,
    extra_db_nodes: [],
    fallback_error_function: {:magnesia, :lkill},
    ignore_fallback_at_startup: false,
    max_transfer_size: 64_000,
    max_wait_for_decision: :infinity,
    no_table_loaders: 2,
    schema_location: :opt_disc,
    send_compressed: 0
  }

  @doc "A setting's value; aborts with `bad_type` when it is of the wrong kind."
  @spec get(atom()) :: term()
  def get(name) do
    value = raw(name)

    case check(name, value) do
      {:ok, value} -> value
      :error -> Failure.abort({:bad_type, name, value})
    end
  end

  @doc "Sets a setting, or answers that the value is of the wrong kind."
  @spec put(atom(), term()) :: {:ok, term()} | {:error, term()}
  def put(name, value) do
    case check(name, value) do
      {:ok, value} ->
        Application.put_env(:magnesia, name, value)
        {:ok, value}

      :error ->
        {:error, {:bad_type, name, value}}
    end
  end

  @doc "The database's directory, absolute, as it was configured: a charlist or a binary."
  @spec directory() :: charlist() | binary()
  def directory do
    case Application.fetch_env(:magnesia, :dir) do
      {:ok, dir} -> :filename.absname(dir)
      :error -> :filename.absname(~c"Magnesia." ++ Atom.to_charlist(node()))
    end
  end

  @doc "The database's directory for the engine."
  @spec path() :: binary()
  def path, do: IO.chardata_to_string(directory())

  @doc "Where a start finds the database, or a failure to look."
  @spec location() :: :memory | {:disc | :create, binary()} | Engine.failure()
  def location do
    case {raw(:schema_location), Engine.has_database(path())} do
      {:ram, _} -> :memory
      {_, true} -> {:disc, path()}
      {:disc, false} -> {:create, path()}
      {_, false} -> :memory
      {_, failure} -> failure
    end
  end

  @doc "Tells whether a start would use the directory."
  @spec use_dir?() :: boolean()
  def use_dir?, do: match?({_, path} when is_binary(path), location())

  defp raw(name) do
    Application.get_env(:magnesia, name, Map.get(@defaults, name))
  end

  @levels %{
    :debug => :debug,
    true => :debug,
    :none => :none,
    false => :none,
    :trace => :trace,
    :verbose => :verbose
  }

  defp check(:debug, level) when is_map_key(@levels, level), do: {:ok, @levels[level]}
  defp check(:debug, _level), do: :error
  defp check(:dc_dump_limit, n) when not (is_number(n) and n > 0), do: :error
  defp check(:schema_location, place) when place not in [:disc, :opt_disc, :ram], do: :error
  defp check(:extra_db_nodes, nodes) when not is_list(nodes), do: :error
  defp check(:access_module, module) when not is_atom(module), do: :error
  defp check(_name, value), do: {:ok, value}
end
