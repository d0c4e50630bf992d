defmodule Magnesia.Lock.Server do
  @moduledoc """
  The process behind `Magnesia.Lock`: every claim has a ticket, which becomes the lock's token.

  It watches each claimant, ends leases and waits by timers, and answers a waiter when its turn
  comes. A claim is in exactly one queue, under one monitor, and leaves by one way, `leave/2`,
  whatever its end is: released, expired, timed out, or its process gone. A restart takes up the
  holders from the ledger. It never runs a caller's code.
  """

  use GenServer

  alias Magnesia.Lock.Ledger
  alias Magnesia.Lock.Queue

  defmodule Claim do
    @moduledoc false
    # `from` is there while it waits, `ends` once it holds; `timer` is that of its present state.
    @enforce_keys [:key, :mode, :owner, :monitor]
    defstruct [:key, :mode, :owner, :monitor, :from, :timer, lease: :infinity, ends: nil]
  end

  @doc false
  @spec start_link(atom()) :: GenServer.on_start()
  def start_link(name), do: GenServer.start_link(__MODULE__, name, name: name)

  @impl true
  def init(name) do
    case Ledger.open(name) do
      {:ok, ledger} ->
        state = %{ledger: ledger, queues: %{}, claims: %{}, monitors: %{}, owned: %{}}
        {:ok, ledger |> Ledger.holders() |> Enum.reduce(state, &take_up/2)}

      {:error, error} ->
        {:stop, error}
    end
  end

  defp take_up({token, key, mode, owner, ends}, state) do
    monitor = Process.monitor(owner)
    claim = %Claim{key: key, mode: mode, owner: owner, monitor: monitor, ends: ends}
    {true, state} = ask(state, token, claim)
    put_in(state.claims[token].timer, timer(remaining(ends), {:expired, token}))
  end

  @impl true
  def handle_call({:acquire, key, mode, timeout, lease}, {owner, _tag} = from, state) do
    if Map.has_key?(state.owned, {key, owner}) do
      {:reply, {:error, :already_held}, state}
    else
      {token, ledger} = Ledger.token(state.ledger)
      monitor = Process.monitor(owner)
      claim = %Claim{key: key, mode: mode, owner: owner, monitor: monitor}
      claim = %{claim | from: from, lease: lease}

      case ask(%{state | ledger: ledger}, token, claim) do
        {true, state} -> {:noreply, grant(token, state)}
        {false, state} -> {:noreply, await(token, timeout, state)}
      end
    end
  end

  def handle_call({:release, token}, _from, state) do
    if held?(state, token) do
      {:reply, :ok, leave(state, token)}
    else
      {:reply, {:error, :not_held}, state}
    end
  end

  def handle_call({:renew, token, lease}, _from, state) do
    if held?(state, token) do
      cancel(state.claims[token].timer)
      state = put_in(state.claims[token].lease, lease)
      {:reply, :ok, begin_lease(token, state)}
    else
      {:reply, {:error, :not_held}, state}
    end
  end

  def handle_call({:holders, key}, _from, state) do
    {tokens, waiting} = Queue.standing(Map.get(state.queues, key, Queue.new()))

    holders =
      for token <- tokens, claim = state.claims[token] do
        lease = remaining(claim.ends)
        %{token: token, owner: claim.owner, mode: claim.mode, lease: lease}
      end

    {:reply, {holders, waiting}, state}
  end

  @impl true
  def handle_info({:DOWN, monitor, :process, _pid, _reason}, state) do
    # The claim may have left while this was on its way.
    case state.monitors do
      %{^monitor => token} -> {:noreply, leave(state, token)}
      _ -> {:noreply, state}
    end
  end

  def handle_info({:timeout, timer, {:expired, token}}, state) do
    if current?(state, token, timer), do: {:noreply, leave(state, token)}, else: {:noreply, state}
  end

  def handle_info({:timeout, timer, {:waited, token}}, state) do
    if current?(state, token, timer) do
      GenServer.reply(state.claims[token].from, {:error, :timeout})
      {:noreply, leave(state, token)}
    else
      {:noreply, state}
    end
  end

  def handle_info(_stray, state), do: {:noreply, state}

  defp ask(state, token, claim) do
    queue = Map.get(state.queues, claim.key, Queue.new())
    {holds?, queue} = Queue.ask(queue, token, claim.mode)

    {holds?,
     %{
       state
       | queues: Map.put(state.queues, claim.key, queue),
         claims: Map.put(state.claims, token, claim),
         monitors: Map.put(state.monitors, claim.monitor, token),
         owned: Map.put(state.owned, {claim.key, claim.owner}, token)
     }}
  end

  defp await(token, timeout, state) do
    put_in(state.claims[token].timer, timer(timeout, {:waited, token}))
  end

  # The ledger knows before the owner does: a server that dies between the two forgets no holder.
  defp grant(token, state) do
    claim = state.claims[token]
    cancel(claim.timer)
    state = begin_lease(token, put_in(state.claims[token].from, nil))
    GenServer.reply(claim.from, {:ok, token})
    state
  end

  defp begin_lease(token, state) do
    claim = state.claims[token]
    ends = ends(claim.lease)
    :ok = Ledger.hold(state.ledger, {token, claim.key, claim.mode, claim.owner, ends})
    claim = %{claim | ends: ends, timer: timer(claim.lease, {:expired, token})}
    put_in(state.claims[token], claim)
  end

  defp leave(state, token) do
    {claim, claims} = Map.pop!(state.claims, token)
    Process.demonitor(claim.monitor, [:flush])
    cancel(claim.timer)
    if claim.ends, do: :ok = Ledger.release(state.ledger, token)
    {admitted, queue} = Queue.leave(state.queues[claim.key], token)

    state = %{
      state
      | claims: claims,
        monitors: Map.delete(state.monitors, claim.monitor),
        owned: Map.delete(state.owned, {claim.key, claim.owner}),
        queues: keep(state.queues, claim.key, queue)
    }

    Enum.reduce(admitted, state, &grant/2)
  end

  defp keep(queues, key, queue) do
    if Queue.empty?(queue), do: Map.delete(queues, key), else: Map.put(queues, key, queue)
  end

  defp held?(state, token), do: match?(%{^token => %Claim{from: nil}}, state.claims)
  defp current?(state, token, timer), do: match?(%{^token => %Claim{timer: ^timer}}, state.claims)

  defp ends(:infinity), do: :infinity
  defp ends(lease), do: now() + lease

  defp remaining(:infinity), do: :infinity
  defp remaining(ends), do: max(ends - now(), 0)

  defp timer(:infinity, _message), do: nil
  defp timer(milliseconds, message), do: :erlang.start_timer(milliseconds, self(), message)

  # A message that is under way already finds another timer in its claim, or none.
  defp cancel(nil), do: :ok

  defp cancel(timer) do
    _was_left = :erlang.cancel_timer(timer)
    :ok
  end

  defp now, do: System.monotonic_time(:millisecond)
end
