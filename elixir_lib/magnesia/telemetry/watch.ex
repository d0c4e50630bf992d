defmodule Magnesia.Telemetry.Watch do
  @moduledoc """
  Looks at the running database once a second: for the events of what nobody is told of, and for
  overload.

  A handler that was attached with `:telemetry` shows only when one looks, and so do the counts of
  transactions and a dump in the background. Nothing waits for this process.
  """

  use GenServer

  alias Magnesia.Database
  alias Magnesia.Engine
  alias Magnesia.Overload
  alias Magnesia.Telemetry
  alias Magnesia.Telemetry.Calls
  alias Magnesia.Telemetry.Handlers

  @period_ms 1_000
  @sample_periods 10
  @sample_ms 100
  @sample_calls 10_000

  defstruct period: 0, counters: nil, log_bytes: 0, overload: %{}

  @doc false
  @spec child_spec(term()) :: Supervisor.child_spec()
  def child_spec(_argument), do: %{id: __MODULE__, start: {__MODULE__, :start_link, []}}

  @doc "Starts the process."
  @spec start_link() :: GenServer.on_start()
  def start_link, do: GenServer.start_link(__MODULE__, [], name: __MODULE__)

  @doc "Looks now, and not again before a period is over."
  @spec look() :: :ok
  def look, do: GenServer.call(__MODULE__, :look, :infinity)

  @impl true
  def init(_options), do: {:ok, %__MODULE__{}, @period_ms}

  @impl true
  def handle_call(:look, _from, state), do: {:reply, :ok, looked(state), @period_ms}

  @impl true
  def handle_info(:timeout, state), do: {:noreply, looked(state), @period_ms}
  def handle_info(_message, state), do: {:noreply, state, @period_ms}

  defp looked(state) do
    :ok = Handlers.refresh()
    state = %{state | period: state.period + 1}

    # The database may be closed between one question and the next.
    with true <- Database.running?(),
         counters when tuple_size(counters) == 4 <- Engine.counters(),
         %{bytes: bytes} <- Engine.log_info() do
      transactions(counters, state.counters)
      log(bytes, state.log_bytes)
      if rem(state.period, @sample_periods) == 0, do: sample()
      overload = Overload.look(bytes, state.period, state.overload)
      %{state | counters: counters, log_bytes: bytes, overload: overload}
    else
      _closed -> %{state | counters: nil, log_bytes: 0, overload: %{}}
    end
  end

  # What was counted before the first look is told with it.
  defp transactions(counters, nil), do: transactions(counters, {0, 0, 0, 0})
  defp transactions(counters, counters), do: :ok

  defp transactions(counters, before) do
    [commits, failures, restarts, log_writes] =
      Enum.zip_with(Tuple.to_list(counters), Tuple.to_list(before), &max(&1 - &2, 0))

    Telemetry.execute(
      [:magnesia, :transactions],
      %{commits: commits, failures: failures, restarts: restarts, log_writes: log_writes},
      %{period: @period_ms}
    )
  end

  defp log(bytes, before) when bytes < before do
    measurements = %{bytes: before - bytes, log_bytes: bytes}
    Telemetry.execute([:magnesia, :log, :shortened], measurements, %{})
  end

  defp log(_bytes, _before), do: :ok

  defp sample do
    _ =
      if Handlers.attached?([:magnesia, :operations]),
        do: Task.start(fn -> tell(Calls.take(@sample_ms, @sample_calls)) end)

    :ok
  end

  defp tell(:unknown), do: :ok

  defp tell({:ok, counts, spent_us}) do
    for {{table, operation}, calls} <- counts do
      measurements = %{calls: calls, per_second: calls * 1_000_000 / spent_us}
      metadata = %{table: table, operation: operation, sample: spent_us / 1_000}
      Telemetry.execute([:magnesia, :operations], measurements, metadata)
    end
  end
end
