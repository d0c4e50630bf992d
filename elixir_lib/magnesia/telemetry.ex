defmodule Magnesia.Telemetry do
  @moduledoc """
  Events about what Magnesia does: what has happened, how long it took, of what.

  Where the library `:telemetry` is loaded, events go to the handlers that are attached with it,
  as `Magnesia` asks for no dependency itself:

      :telemetry.attach("slow", [:magnesia, :transaction, :stop], &MyApp.slow/4, nil)

  Without it, and beside it, handlers are attached here, with the same functions:

      iex> me = self()
      iex> handler = fn _event, measurements, metadata, _config ->
      ...>   send(me, {metadata.result, measurements.restarts})
      ...> end
      iex> Magnesia.Telemetry.attach("doc", [:magnesia, :transaction, :stop], handler, nil)
      :ok
      iex> :magnesia.transaction(fn -> :magnesia.read(:city, "Oslo") end)
      {:atomic, [{:city, "Oslo", :no, 710}]}
      iex> receive do: (message -> message)
      {:commit, 0}
      iex> Magnesia.Telemetry.detach("doc")
      :ok

  A handler is called in the process that does the work, so it should be short, and must not
  change the schema or open or close the database, which may be under way. One that raises is
  detached, and that is logged. Durations and times are in the VM's native unit, see
  `System.convert_time_unit/3`.

  What it costs when nobody listens: rare events are always made. Those marked * are so frequent
  that they are made only while somebody listens to one of them; otherwise a transaction pays some
  2 ns for all of them, and about 1 µs while somebody does. A handler that was attached with
  `:telemetry` is noticed within a second. Those marked ** cost the operations nothing: while
  somebody listens, up to 10,000 calls, but for no longer than a tenth of a second, are counted
  every ten seconds by means of the VM's call tracing. Where somebody else traces Magnesia's
  functions they are left out.

  ## Events

  #{Magnesia.Telemetry.Catalogue.markdown()}
  A transaction inside another has no events of its own. Of an `:exception` of a span the `kind`
  and `reason` are those of the failure, after which it goes on to the caller. A `result` is
  `:error` where the caller was answered with an error, which is `error`.
  """

  alias Magnesia.Telemetry.Catalogue
  alias Magnesia.Telemetry.Handlers

  require Logger

  @typedoc "An event's name."
  @type event :: [atom(), ...]
  @typedoc "Called with the event's name, its measurements and metadata, and what was given."
  @type handler :: (event(), map(), map(), term() -> term())

  @doc """
  The names of all events.

      iex> [:magnesia, :transaction, :stop] in Magnesia.Telemetry.events()
      true
  """
  @spec events() :: [event()]
  def events, do: for(entry <- Catalogue.entries(), do: elem(entry, 0))

  @doc """
  Attaches a handler to an event, under an id of its own: any term.

      iex> handler = fn _event, _measurements, _metadata, _config -> :ok end
      iex> Magnesia.Telemetry.attach("doc", [:magnesia, :overload], handler, nil)
      :ok
      iex> Magnesia.Telemetry.attach("doc", [:magnesia, :backup, :stop], handler, nil)
      {:error, :already_exists}
      iex> Magnesia.Telemetry.detach("doc")
      :ok
  """
  @spec attach(term(), event(), handler(), term()) :: :ok | {:error, :already_exists}
  def attach(id, event, handler, config), do: attach_many(id, [event], handler, config)

  @doc """
  Attaches a handler to events. An event that there is not raises, with those that there are.

      iex> events = [[:magnesia, :backup, :stop], [:magnesia, :restore, :stop]]
      iex> handler = fn _event, _measurements, _metadata, _config -> :ok end
      iex> Magnesia.Telemetry.attach_many("doc", events, handler, nil)
      :ok
      iex> Magnesia.Telemetry.detach("doc")
      :ok
      iex> Magnesia.Telemetry.attach("doc", [:magnesia, :overlord], handler, nil)
      ** (ArgumentError) no event [:magnesia, :overlord], did you mean [:magnesia, :overload]?
  """
  @spec attach_many(term(), [event()], handler(), term()) :: :ok | {:error, :already_exists}
  def attach_many(id, events, handler, config) when is_function(handler, 4) do
    for event <- events, event not in events(), do: unknown!(event)
    Handlers.attach(id, events, handler, config)
  end

  @spec unknown!(term()) :: no_return()
  defp unknown!(event) do
    text = inspect(event)
    near = events() |> Enum.map(&inspect/1) |> Enum.max_by(&String.jaro_distance(&1, text))
    raise ArgumentError, "no event #{text}, did you mean #{near}?"
  end

  @doc """
  Detaches a handler from all its events.

      iex> Magnesia.Telemetry.detach("nobody")
      {:error, :not_found}
  """
  @spec detach(term()) :: :ok | {:error, :not_found}
  def detach(id), do: Handlers.detach(id)

  @doc """
  The handlers that were attached here to events whose names begin so.

      iex> handler = fn _event, _measurements, _metadata, _config -> :ok end
      iex> Magnesia.Telemetry.attach("doc", [:magnesia, :backup, :stop], handler, 7)
      iex> [one] = Magnesia.Telemetry.list_handlers([:magnesia, :backup])
      iex> {one.id, one.event_name, one.config}
      {"doc", [:magnesia, :backup, :stop], 7}
      iex> Magnesia.Telemetry.detach("doc")
      :ok
  """
  @spec list_handlers([atom()]) :: [
          %{id: term(), event_name: event(), function: handler(), config: term()}
        ]
  def list_handlers(prefix), do: Handlers.list(prefix)

  @doc """
  Attaches a handler that logs events in one line each, at a level: by default those of
  transactions that were restarted or aborted and all that are rare, but for the counts of each
  second. Options: `:level` (`:info`) and `:events`. `detach_default_logger/0` takes it away.

      iex> Magnesia.Telemetry.attach_default_logger(level: :debug)
      :ok
      iex> Magnesia.Telemetry.detach_default_logger()
      :ok
  """
  @spec attach_default_logger(keyword()) :: :ok | {:error, :already_exists}
  def attach_default_logger(options \\ []) do
    levels = [:debug, :info, :notice, :warning, :error]

    rules = [
      level: {&(&1 in levels), "one of #{inspect(levels)}"},
      events: {&is_list/1, "a list of events"}
    ]

    Magnesia.Options.validate!(options, rules, "attach_default_logger/1")
    level = options[:level] || :info
    attach_many(__MODULE__, options[:events] || logged(), &__MODULE__.log/4, level)
  end

  defp logged do
    for {event, :rare, _, _, _} <- Catalogue.entries(),
        List.last(event) != :start and event != [:magnesia, :transactions],
        do: event
  end

  @doc """
  Takes the handler of `attach_default_logger/1` away.

      iex> Magnesia.Telemetry.detach_default_logger()
      {:error, :not_found}
  """
  @spec detach_default_logger() :: :ok | {:error, :not_found}
  def detach_default_logger, do: detach(__MODULE__)

  @doc false
  @spec log(event(), map(), map(), Logger.level()) :: :ok
  def log(event, measurements, metadata, level) do
    figures =
      for {name, value} <- measurements, name not in [:monotonic_time, :system_time] do
        "#{name}=#{figure(name, value)}"
      end

    facts =
      for {name, value} <- metadata,
          name not in [:telemetry_span_context, :stacktrace],
          do: "#{name}=#{inspect(value)}"

    Logger.log(level, Enum.join(["#{Enum.join(event, ".")}" | figures ++ facts], " "))
  end

  defp figure(name, value) when name in [:duration, :lock_wait_time] do
    "#{System.convert_time_unit(value, :native, :microsecond)}us"
  end

  defp figure(_name, value), do: inspect(value)

  @doc false
  @spec execute(event(), map(), map()) :: :ok
  def execute(event, measurements, metadata) do
    :ok = Handlers.call(event, measurements, metadata)

    _ =
      if :erlang.function_exported(:telemetry, :execute, 3),
        do: apply(:telemetry, :execute, [event, measurements, metadata])

    :ok
  end

  # Runs a fun that answers `{value, measurements, metadata}` between two events.
  @doc false
  @spec span(event(), map(), (() -> {value, map(), map()})) :: value when value: term()
  def span(prefix, metadata, fun) do
    began = :erlang.monotonic_time()
    metadata = Map.put(metadata, :telemetry_span_context, make_ref())
    started = %{monotonic_time: began, system_time: :erlang.system_time()}
    execute(prefix ++ [:start], started, metadata)

    try do
      fun.()
    catch
      kind, reason ->
        failure = %{kind: kind, reason: reason, stacktrace: __STACKTRACE__}
        execute(prefix ++ [:exception], since(began), Map.merge(metadata, failure))
        :erlang.raise(kind, reason, __STACKTRACE__)
    else
      {value, measurements, more} ->
        measurements = Map.merge(measurements, since(began))
        execute(prefix ++ [:stop], measurements, Map.merge(metadata, more))
        value
    end
  end

  @doc false
  @spec since(integer()) :: map()
  def since(began) do
    now = :erlang.monotonic_time()
    %{duration: now - began, monotonic_time: now}
  end

  # The result of a call that answers with `:ok`, `{:ok, _}` or something else.
  @doc false
  @spec result(term()) :: map()
  def result(:ok), do: %{result: :ok, error: nil}
  def result({:ok, _value}), do: %{result: :ok, error: nil}
  def result({:atomic, _value}), do: %{result: :ok, error: nil}

  def result({failed, error}) when failed in [:error, :aborted],
    do: %{result: :error, error: error}
end
