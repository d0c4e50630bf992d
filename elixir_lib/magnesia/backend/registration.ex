defmodule Magnesia.Backend.Registration do
  @moduledoc """
  Making Mnesia know the aliases, always in one order: nodes whose lists differ don't join.

  At run time the newest alias comes first, so the last of the list is registered first. With
  `config :magnesia, hot_tables: true` the application does it at its start: a Mnesia that runs
  is told at once, one that is yet to start finds the aliases in its `schema` setting, which it
  takes for every schema that it makes. Where the schema on disk has none, `Registrar` adds them.
  """

  @aliases [:magnesia_ram, :magnesia_disc, :magnesia_disc_only]

  @doc "See `Magnesia.Backend.backend_types/0`."
  @spec backend_types() :: [{Magnesia.Backend.alias_name(), module()}]
  def backend_types, do: Enum.map(@aliases, &{&1, Magnesia.Backend})

  @doc "See `Magnesia.Backend.register/0`."
  @spec register() :: {:atomic, :ok} | {:aborted, term()}
  def register do
    with {:atomic, :ok} <- running() do
      known = :mnesia.system_info(:backend_types)
      missing = Enum.reject(@aliases, &(&1 in known))

      missing
      |> Enum.reverse()
      |> Enum.reduce({:atomic, :ok}, &add/2)
    end
  end

  defp running do
    case :mnesia.system_info(:is_running) do
      :yes -> {:atomic, :ok}
      _no -> {:aborted, {:node_not_running, node()}}
    end
  end

  defp add(alias_name, {:atomic, :ok}) do
    case :mnesia.add_backend_type(alias_name, Magnesia.Backend) do
      # Another process was faster.
      {:aborted, {:backend_type_already_exists, _name}} -> {:atomic, :ok}
      result -> result
    end
  end

  defp add(_alias, aborted), do: aborted

  @doc "Does what the configuration says, at the start of the application."
  @spec configured() :: :ok | {:error, term()}
  def configured, do: if(configured?(), do: prepare(), else: :ok)

  @doc "Tells whether the configuration asks for hot tables."
  @spec configured?() :: boolean()
  def configured?, do: Application.get_env(:magnesia, :hot_tables, false) == true

  defp prepare do
    case :mnesia.system_info(:is_running) do
      :yes -> registered(register())
      _not_yet -> set_schema()
    end
  end

  defp registered({:atomic, :ok}), do: :ok
  defp registered({:aborted, reason}), do: {:error, {:hot_tables, reason}}

  defp set_schema do
    _ = Application.load(:mnesia)
    schema = Application.get_env(:mnesia, :schema, [])
    others = schema |> Keyword.get(:backend_types, []) |> Enum.reject(&ours?/1)
    types = backend_types() ++ others
    Application.put_env(:mnesia, :schema, Keyword.put(schema, :backend_types, types))
  end

  defp ours?({alias_name, _module}), do: alias_name in @aliases
end
