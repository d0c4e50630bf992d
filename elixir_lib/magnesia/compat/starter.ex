defmodule Magnesia.Compat.Starter do
  @moduledoc """
  The application `:mnesia` while Magnesia stands in for Mnesia: starting it opens the database
  with the settings of `:mnesia`, stopping it closes the database.

  It supervises nothing; the database has its own application.
  """

  use Application

  alias Magnesia.Database

  @doc "As `:mnesia.start/0`: starts the application."
  @spec start() :: :ok | {:error, term()}
  def start do
    with {:ok, _started} <- Application.ensure_all_started(:mnesia), do: opened()
  end

  # It is open unless it was closed behind the application's back.
  defp opened do
    settings()
    :magnesia.start()
  end

  @doc "As `:mnesia.create_schema/1`, in the directory of `:mnesia`'s settings."
  @spec create_schema(term()) :: :ok | {:error, term()}
  def create_schema(nodes), do: create_schema(nodes, [])

  @doc "As `:mnesia.create_schema/2`."
  @spec create_schema(term(), term()) :: :ok | {:error, term()}
  def create_schema(nodes, properties) do
    settings()
    :magnesia.create_schema(nodes, properties)
  end

  @doc "As `:mnesia.delete_schema/1`."
  @spec delete_schema(term()) :: :ok | {:error, term()}
  def delete_schema(nodes) do
    settings()
    :magnesia.delete_schema(nodes)
  end

  @doc "As `:mnesia.system_info/1`, which tells settings also while nothing runs."
  @spec system_info(term()) :: term()
  def system_info(item) do
    settings()
    :magnesia.system_info(item)
  end

  @doc "As `:mnesia.start/1`: puts settings into the application's environment first."
  @spec start([{atom(), term()}]) :: :ok | {:error, term()}
  def start(settings) when is_list(settings) do
    Enum.each(settings, fn {name, value} -> Application.put_env(:mnesia, name, value) end)
    start()
  end

  @doc "As `:mnesia.stop/0`: stops the application."
  @spec stop() :: :stopped
  def stop do
    _ = Application.stop(:mnesia)
    _ = :magnesia.stop()
    :stopped
  end

  @impl true
  def start(_type, _arguments) do
    settings()

    with :ok <- :magnesia.start() do
      Supervisor.start_link([], strategy: :one_for_one)
    end
  end

  @impl true
  def stop(_state), do: :magnesia.stop()

  # Of a database that is open the settings are its own.
  defp settings do
    own = if Database.running?(), do: [], else: Application.get_all_env(:mnesia)
    settings = Keyword.delete(own, :included_applications)
    Enum.each(settings, fn {key, value} -> Application.put_env(:magnesia, key, value) end)
  end
end
