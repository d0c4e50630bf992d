defmodule Magnesia.Notices do
  @moduledoc """
  System events: to the processes that subscribed to them and to the operator's event handler.

  The handler is the `event_module` of the settings, a `:gen_event` handler that gets
  `{:mnesia_system_event, event}`; by default the one in this module, which logs what Mnesia's
  own handler prints. It is installed while the database is open. Events of tables never pass
  here.
  """

  @behaviour :gen_event

  require Logger

  alias Magnesia.Strict.Settings
  alias Magnesia.Subscribers

  @name :magnesia_event

  @doc false
  @spec child_spec(term()) :: Supervisor.child_spec()
  def child_spec(_argument) do
    %{id: __MODULE__, start: {:gen_event, :start_link, [{:local, @name}]}, modules: :dynamic}
  end

  @doc "The process that the event handler runs in."
  @spec process() :: pid() | nil
  def process do
    case Process.whereis(@name) do
      pid when is_pid(pid) -> pid
      _none -> nil
    end
  end

  @doc "Installs the event handler."
  @spec install() :: :ok
  def install do
    module = handler(Settings.get(:event_module))
    _ = if process() != nil and module not in handlers(), do: add(module)
    :ok
  end

  @doc "Takes the event handler away."
  @spec remove() :: :ok
  def remove do
    if process() != nil do
      Enum.each(handlers(), &:gen_event.delete_handler(@name, &1, :stopped))
    end

    :ok
  end

  @doc "Reports a system event."
  @spec report(term()) :: :ok
  def report(event) do
    if process() != nil and handlers() != [] do
      :gen_event.notify(@name, {:mnesia_system_event, event})
    else
      log(event)
    end

    Subscribers.tell_system(event)
  end

  defp handlers, do: :gen_event.which_handlers(@name)

  # A handler that cannot start leaves the operator with the one that logs.
  defp add(module) do
    case :gen_event.add_handler(@name, module, []) do
      :ok ->
        :ok

      failure ->
        Logger.error("Magnesia: event handler #{inspect(module)} refused: #{inspect(failure)}")
        :gen_event.add_handler(@name, __MODULE__, [])
    end
  end

  # Mnesia's own handler asks Mnesia.
  defp handler(:mnesia_event), do: __MODULE__
  defp handler(module), do: module

  @impl true
  def init(arguments), do: {:ok, arguments}

  @impl true
  def handle_event({:mnesia_system_event, event}, state) do
    log(event)
    {:ok, state}
  end

  def handle_event(_event, state), do: {:ok, state}

  @impl true
  def handle_call(_request, state), do: {:ok, :ok, state}

  defp log({:mnesia_user, term}), do: Logger.info("Magnesia: user event: #{inspect(term)}")
  defp log({:mnesia_info, format, args}), do: Logger.info(text(format, args))
  defp log({:mnesia_warning, format, args}), do: Logger.warning(text(format, args))
  defp log({:mnesia_error, format, args}), do: Logger.error(text(format, args))
  defp log({:mnesia_fatal, format, args, _core}), do: Logger.error(text(format, args))

  defp log({:mnesia_overload, {_what, %{text: text}}}),
    do: Logger.warning("Magnesia is overloaded: #{text}")

  defp log({:mnesia_overload, what}),
    do: Logger.warning("Magnesia is overloaded: #{inspect(what)}")

  defp log(_event), do: :ok

  defp text(format, args), do: "Magnesia: #{:io_lib.format(format, args)}"
end
