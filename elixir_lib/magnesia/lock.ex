defmodule Magnesia.Lock do
  @moduledoc """
  Locks on anything, by name, for work that is longer than a transaction.

      children = [
        {Magnesia, dir: "data"},
        Magnesia.Lock
      ]

      Magnesia.Lock.run({:invoice, 7}, fn lock -> send_invoice(7, lock.token) end)

  * A lock is a key, any term, held for `:write` by one process or for `:read` by several.
  * Whoever has to wait is served in the order of asking; nobody overtakes.
  * It is released when its owner says so, dies, or its node is lost, and when its lease ends.
  * Its `token` is larger than those of all locks of the same key before it, also before a
    restart. Work that reaches outside can carry the token, and what it reaches can refuse one
    that is smaller than the last it saw: so an owner whose lease has ended does no harm. (A
    database in memory counts from one again when it is opened anew.)

  The server is a process; its name is given with `server:` when there is more than one, and
  `server: {name, node}` asks another node's. When it dies it is restarted by its supervisor and
  takes up the locks that are held; whoever waited gets the exit of a call to a process that died,
  and may ask again. It needs an open database and keeps two small tables in it.

  For work on rows a transaction is enough: it has locks of its own, which this has no part in.
  """

  alias Magnesia.Lock
  alias Magnesia.Lock.Server
  alias Magnesia.Options

  @enforce_keys [:key, :token, :mode, :server]
  defstruct [:key, :token, :mode, :server]

  @typedoc "A lock that is held, or was."
  @type t :: %Lock{
          key: term(),
          token: pos_integer(),
          mode: :read | :write,
          server: GenServer.server()
        }

  @type refusal :: {:error, :timeout | :already_held}

  @timeout 5_000

  defp rules do
    [
      mode: {&(&1 in [:read, :write]), ":read or :write"},
      timeout: {&milliseconds?(&1, 0), "milliseconds or :infinity"},
      lease: {&milliseconds?(&1, 1), "milliseconds, at least one, or :infinity"},
      server: {&server?/1, "a name, {name, node} or a pid"}
    ]
  end

  defp milliseconds?(value, least) do
    value == :infinity or (is_integer(value) and value >= least and value < 4_294_967_296)
  end

  defp server?({name, node}), do: is_atom(name) and is_atom(node)
  defp server?(server), do: is_atom(server) or is_pid(server)

  @doc """
  A child specification; the option `name` is the server's, `Magnesia.Lock` if not given.

      iex> Magnesia.Lock.child_spec(name: MyApp.Locks).id
      MyApp.Locks
  """
  @spec child_spec(keyword()) :: Supervisor.child_spec()
  def child_spec(options) do
    %{id: options[:name] || Lock, start: {Lock, :start_link, [options]}}
  end

  @doc """
  Starts a server, under the option `name`.

  Fails with a `Magnesia.SchemaError` or `Magnesia.TransactionError` when no database is open.

      iex> {:ok, server} = Magnesia.Lock.start_link(name: MyApp.OtherLocks)
      iex> GenServer.stop(server)
      :ok
  """
  @spec start_link(keyword()) :: GenServer.on_start()
  def start_link(options \\ []) do
    Options.validate!(options, [name: {&is_atom/1, "an atom"}], "Magnesia.Lock.start_link/1")
    Server.start_link(Keyword.get(options, :name, Lock))
  end

  @doc """
  Takes the lock of a key, and waits for it when others have it.

  Options: `mode`, `:write` (the default) or `:read`; `timeout`, how many milliseconds to wait
  (5,000; 0 for not at all, or `:infinity`); `lease`, after how many milliseconds the lock is
  released though nobody did (`:infinity`); `server`. Errors: `:timeout`, and `:already_held` when
  this process has the key already, in whatever mode: it would wait for itself.

      iex> {:ok, lock} = Magnesia.Lock.acquire({:invoice, 7}, lease: 30_000)
      iex> Magnesia.Lock.acquire({:invoice, 7})
      {:error, :already_held}
      iex> Task.await(Task.async(fn -> Magnesia.Lock.acquire({:invoice, 7}, timeout: 0) end))
      {:error, :timeout}
      iex> Magnesia.Lock.release(lock)
      :ok
  """
  @spec acquire(term(), keyword()) :: {:ok, t()} | refusal()
  def acquire(key, options \\ []) do
    Options.validate!(options, rules(), "Magnesia.Lock.acquire/2")
    server = Keyword.get(options, :server, Lock)
    mode = Keyword.get(options, :mode, :write)
    timeout = Keyword.get(options, :timeout, @timeout)
    request = {:acquire, key, mode, timeout, Keyword.get(options, :lease, :infinity)}

    with {:ok, token} <- GenServer.call(server, request, :infinity) do
      {:ok, %Lock{key: key, token: token, mode: mode, server: server}}
    end
  end

  @doc """
  Gives a lock back. Any process may that was handed the lock. Error: `:not_held`, when it was
  released before, its lease has ended or its owner has died.

      iex> {:ok, lock} = Magnesia.Lock.acquire(:till)
      iex> {Magnesia.Lock.release(lock), Magnesia.Lock.release(lock)}
      {:ok, {:error, :not_held}}
  """
  @spec release(t()) :: :ok | {:error, :not_held}
  def release(%Lock{} = lock), do: GenServer.call(lock.server, {:release, lock.token}, :infinity)

  @doc """
  Lets the lease begin anew, with that many milliseconds from now. Error: `:not_held`.

      iex> {:ok, lock} = Magnesia.Lock.acquire(:press, lease: 1_000)
      iex> Magnesia.Lock.renew(lock, 60_000)
      :ok
  """
  @spec renew(t(), timeout()) :: :ok | {:error, :not_held}
  def renew(%Lock{} = lock, lease) do
    Options.validate!([lease: lease], rules(), "Magnesia.Lock.renew/2")
    GenServer.call(lock.server, {:renew, lock.token, lease}, :infinity)
  end

  @doc """
  Runs a fun with the lock of a key, and releases it whatever becomes of the fun.

  The fun gets the lock. Options and errors as `acquire/2`; besides, `{:expired, value}` when the
  lease had ended before the fun did, so that others may have worked at the same time.

      iex> Magnesia.Lock.run(:till, fn _lock -> 21 * 2 end)
      {:ok, 42}
  """
  @spec run(term(), keyword(), (t() -> value)) ::
          {:ok, value} | refusal() | {:error, {:expired, value}}
        when value: term()
  def run(key, options \\ [], fun) when is_function(fun, 1) do
    with {:ok, lock} <- acquire(key, options) do
      value =
        try do
          fun.(lock)
        catch
          kind, reason ->
            _was_held = release(lock)
            :erlang.raise(kind, reason, __STACKTRACE__)
        end

      case release(lock) do
        :ok -> {:ok, value}
        {:error, :not_held} -> {:error, {:expired, value}}
      end
    end
  end

  @doc """
  Who holds a key (token, owner, mode, milliseconds of the lease that are left), and how many
  wait for it.

      iex> {:ok, lock} = Magnesia.Lock.acquire(:gate, mode: :read)
      iex> {[holder], 0} = Magnesia.Lock.holders(:gate)
      iex> {holder.owner == self(), holder.token == lock.token, holder.mode, holder.lease}
      {true, true, :read, :infinity}
  """
  @spec holders(term(), keyword()) :: {[map()], non_neg_integer()}
  def holders(key, options \\ []) do
    Options.validate!(options, Keyword.take(rules(), [:server]), "Magnesia.Lock.holders/2")
    GenServer.call(Keyword.get(options, :server, Lock), {:holders, key}, :infinity)
  end
end
