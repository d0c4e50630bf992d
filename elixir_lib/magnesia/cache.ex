defmodule Magnesia.Cache do
  @moduledoc """
  A bounded cache in a table: rows with a lifetime, a cap on rows and on bytes, values that are
  computed once however many processes ask.

      children = [{Magnesia, []}, {Magnesia.Cache, name: :pages, rows: 10_000, ttl: 60_000}]

      iex> Magnesia.Cache.fetch(:pages, "home", fn -> String.upcase("hello") end)
      "HELLO"
      iex> Magnesia.Cache.fetch(:pages, "home", fn -> raise "not needed" end)
      "HELLO"
      iex> Magnesia.Cache.stats(:pages).hits
      1

  The examples use that cache, with nothing in it.

  ## Options

  | option | means |
  |---|---|
  | `name` | the cache, and its table, which is in memory and goes when the cache stops |
  | `rows` | the most rows it has (10,000) |
  | `bytes` | the most bytes of keys and values, in the external term format (`:infinity`) |
  | `ttl` | how long a value lives, in milliseconds, if it is not told otherwise (`:infinity`) |
  | `sweep` | how often values that have died are removed, in milliseconds (1,000) |

  ## What it promises

  A value is never given out after its lifetime, removed or not. The table never has more rows
  than the cap, and one more for each scheduler at most while rows are being replaced; the bytes
  are counted before a row is written and never above the cap. Which row makes room: one that was
  not read since the last time that the place was looked at, by turns. A hit asks no process and
  takes no lock. Of the processes that fetch a missing key at once one runs the fun, the others
  wait for its value; if it is killed, one of them takes over; if the fun raises, throws or exits,
  all of them do.
  """

  use GenServer

  alias Magnesia.Cache.Flights
  alias Magnesia.Cache.Slots
  alias Magnesia.Engine
  alias Magnesia.Options
  alias Magnesia.Telemetry
  alias Magnesia.Telemetry.Switch

  @rows 10_000
  @sweep_ms 1_000
  @figures [hits: 1, misses: 2, writes: 3, evictions: 4, expirations: 5, computations: 6]

  @typedoc "A cache, by its name."
  @type cache :: atom()
  @typedoc "A lifetime in milliseconds."
  @type ttl :: pos_integer() | :infinity

  defp rules do
    count = {&(is_integer(&1) and &1 > 0), "a number above zero"}

    bound =
      {&(&1 == :infinity or (is_integer(&1) and &1 > 0)), "a number above zero or :infinity"}

    name = {&(is_atom(&1) and &1 not in [nil, true, false]), "an atom"}
    [name: name, rows: count, bytes: bound, ttl: bound, sweep: count]
  end

  @doc "A child specification with the options of `start_link/1`."
  @spec child_spec(keyword()) :: Supervisor.child_spec()
  def child_spec(options) do
    %{id: {__MODULE__, options[:name]}, start: {__MODULE__, :start_link, [options]}}
  end

  @doc """
  Starts a cache; see the module's text. The database must be running.

      iex> Magnesia.Cache.start_link(name: :pages, row: 10)
      ** (ArgumentError) Magnesia.Cache.start_link/1 has no option :row, did you mean :rows?
  """
  @spec start_link(keyword()) :: GenServer.on_start()
  def start_link(options) do
    Options.validate!(options, rules(), "Magnesia.Cache.start_link/1")
    name = options[:name] || raise ArgumentError, "Magnesia.Cache.start_link/1 needs a name:"
    GenServer.start_link(__MODULE__, options, name: Module.concat(__MODULE__, name))
  end

  @doc """
  The value of a key that lives, or a default.

      iex> Magnesia.Cache.put(:pages, "home", 1)
      iex> {Magnesia.Cache.get(:pages, "home"), Magnesia.Cache.get(:pages, "away", :none)}
      {1, :none}
  """
  @spec get(cache(), term(), default) :: term() | default when default: term()
  def get(cache, key, default \\ nil) do
    state = state(cache)

    case live(state, cache, key) do
      {:ok, value} -> value
      :error -> default
    end
  end

  @doc """
  The value of a key that lives, or what a fun gives, which is kept. Option: `ttl`.

      iex> Magnesia.Cache.fetch(:pages, 7, fn -> 7 * 7 end, ttl: 1_000)
      49
  """
  @spec fetch(cache(), term(), (() -> value), keyword()) :: value when value: term()
  def fetch(cache, key, fun, options \\ []) when is_function(fun, 0) do
    state = state(cache)

    case live(state, cache, key) do
      {:ok, value} ->
        value

      :error ->
        ttl = ttl!(state, options)

        Flights.fetch(state, key, fn -> found(state, key) end, fn ->
          compute(state, key, fun, ttl)
        end)
    end
  end

  defp compute(state, key, fun, ttl) do
    value = if Switch.on?(), do: timed(state, fun), else: fun.()
    count(state, :computations)
    write(state, key, value, ttl)
    value
  end

  defp timed(state, fun) do
    began = :erlang.monotonic_time()
    value = fun.()
    duration = :erlang.monotonic_time() - began
    tell(state, :computation, %{duration: duration})
    value
  end

  defp tell(state, event, measurements) do
    Telemetry.execute([:magnesia, :cache, event], measurements, %{cache: state.name})
  end

  @doc """
  Keeps a value. Option: `ttl`. A value that is larger than the whole cache is not kept.

      iex> Magnesia.Cache.put(:pages, "home", 1, ttl: 60_000)
      :ok
  """
  @spec put(cache(), term(), term(), keyword()) :: :ok
  def put(cache, key, value, options \\ []) do
    state = state(cache)
    write(state, key, value, ttl!(state, options))
  end

  @doc """
  Forgets a key.

      iex> Magnesia.Cache.put(:pages, "home", 1)
      iex> Magnesia.Cache.delete(:pages, "home")
      iex> Magnesia.Cache.get(:pages, "home")
      nil
  """
  @spec delete(cache(), term()) :: :ok
  def delete(cache, key), do: Slots.delete(state(cache), key)

  @doc """
  The figures since the start: `hits`, `misses`, `writes`, `evictions`, `expirations`,
  `computations`, the `rows` and `bytes` that there are now, and `hit_rate` from 0.0 to 1.0.

      iex> Magnesia.Cache.get(:pages, 1)
      iex> stats = Magnesia.Cache.stats(:pages)
      iex> {stats.hits, stats.misses, stats.rows}
      {0, 1, 0}
  """
  @spec stats(cache()) :: %{atom() => number()}
  def stats(cache) do
    state = state(cache)
    figures = Map.new(@figures, fn {name, at} -> {name, :counters.get(state.figures, at)} end)
    asked = figures.hits + figures.misses

    Map.merge(figures, %{
      rows: Magnesia.Scan.size(cache),
      bytes: Slots.bytes(state),
      hit_rate: if(asked == 0, do: 0.0, else: figures.hits / asked)
    })
  end

  # A hit: the row, its time, two counters.

  defp live(state, cache, key) do
    case Engine.read(cache, key) do
      [{_cache, _key, value, expires, slot}] ->
        if expires > :erlang.monotonic_time() do
          Slots.touch(state, slot)
          :counters.add(state.figures, 1, 1)
          {:ok, value}
        else
          missed(state)
        end

      _none ->
        missed(state)
    end
  end

  defp missed(state) do
    count(state, :misses)
    :error
  end

  defp found(state, key) do
    case Engine.read(state.name, key) do
      [{_cache, _key, value, expires, _slot}] ->
        if expires > :erlang.monotonic_time(), do: {:ok, value}, else: :error

      _none ->
        :error
    end
  end

  defp write(state, key, value, ttl) do
    count(state, :writes)
    evicted = Slots.write(state, key, value, expires(ttl))
    :counters.add(state.figures, @figures[:evictions], evicted)
    if evicted > 0 and Switch.on?(), do: tell(state, :eviction, %{count: evicted}), else: :ok
  end

  defp expires(:infinity), do: :infinity

  # In the clock's own unit: a hit converts nothing.
  defp expires(ttl) do
    :erlang.monotonic_time() + System.convert_time_unit(ttl, :millisecond, :native)
  end

  defp ttl!(state, []), do: state.ttl

  defp ttl!(state, options) do
    Options.validate!(options, Keyword.take(rules(), [:ttl]), "Magnesia.Cache")
    Keyword.get(options, :ttl, state.ttl)
  end

  defp count(state, figure), do: :counters.add(state.figures, @figures[figure], 1)

  defp state(cache) do
    case :persistent_term.get({__MODULE__, cache}, nil) do
      nil -> raise ArgumentError, "there is no cache #{inspect(cache)}: start Magnesia.Cache"
      state -> state
    end
  end

  @doc """
  Tells whether a table is a cache's.

      iex> {Magnesia.Cache.cache?(:pages), Magnesia.Cache.cache?(:users)}
      {true, false}
  """
  @spec cache?(atom()) :: boolean()
  def cache?(table), do: :persistent_term.get({__MODULE__, table}, nil) != nil

  # The process that the cache belongs to

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)
    name = options[:name]
    attributes = [:key, :value, :expires, :slot]

    with :ok <- Magnesia.create_table(name, attributes: attributes, storage: :ram) do
      state =
        Map.merge(Slots.new(Keyword.get(options, :rows, @rows), options[:bytes]), %{
          name: name,
          ttl: Keyword.get(options, :ttl, :infinity),
          figures: :counters.new(length(@figures), [:write_concurrency]),
          flights: Flights.new()
        })

      :persistent_term.put({__MODULE__, name}, state)
      {:ok, {state, Keyword.get(options, :sweep, @sweep_ms), []}, {:continue, :sweep}}
    else
      {:error, error} -> {:stop, error}
    end
  end

  @impl true
  def handle_continue(:sweep, {_state, every, _abandoned} = kept) do
    _timer = Process.send_after(self(), :sweep, every)
    {:noreply, kept}
  end

  @impl true
  def handle_info(:sweep, {state, every, before}) do
    count = Slots.sweep(state, :erlang.monotonic_time())
    :counters.add(state.figures, @figures[:expirations], count)
    if count > 0, do: tell(state, :expiration, %{count: count})

    # A process that has just claimed a place may not have said so yet: what is abandoned is so
    # twice in a row.
    {again, abandoned} = Enum.split_with(Slots.abandoned(state), &(&1 in before))
    :ok = Slots.reclaim(state, again)
    {:noreply, {state, every, abandoned}, {:continue, :sweep}}
  end

  def handle_info(_message, kept), do: {:noreply, kept}

  @impl true
  def terminate(_reason, {state, _every, _abandoned}) do
    _was_there = :persistent_term.erase({__MODULE__, state.name})
    Magnesia.delete_table(state.name)
  end
end
