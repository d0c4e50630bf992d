defmodule Magnesia.Lock.Ledger do
  @moduledoc """
  What a lock server must not forget when it dies: who holds what, and how far its tokens went.

  Holders stand in a table in memory, since they are processes and die with the VM. Tokens are
  reserved in blocks in a table on disk (in memory when the database is), synced, so that no token
  is given out twice even after a loss of power. Who may hold what is not decided here.
  """

  @holders :magnesia_lock_holders
  @tokens :magnesia_lock_tokens
  @block 10_000

  defstruct [:server, :next, :reserved]

  @type t :: %__MODULE__{server: atom(), next: pos_integer(), reserved: pos_integer()}
  @typedoc "Token, key, mode, owner, and the monotonic millisecond at which the lease ends."
  @type holder ::
          {pos_integer(), term(), :read | :write, pid(), integer() | :infinity}

  @doc "The tables' names."
  @spec tables() :: [atom()]
  def tables, do: [@holders, @tokens]

  @doc "Makes the tables when they are missing, and reserves the first tokens."
  @spec open(atom()) :: {:ok, t()} | {:error, Exception.t()}
  def open(server) do
    storage = if Magnesia.info().dir, do: :disc, else: :ram

    with :ok <- Magnesia.ensure_table(@tokens, attributes: [:server, :used], storage: storage),
         :ok <- Magnesia.ensure_table(@holders, attributes: [:token, :holder]),
         {:ok, from} <- reserve(server) do
      {:ok, %__MODULE__{server: server, next: from, reserved: from + @block}}
    end
  end

  defp reserve(server) do
    reserve = fn ->
      used = @tokens |> Magnesia.get(server, {@tokens, server, 1}) |> elem(2)
      {:ok, _row} = Magnesia.put({@tokens, server, used + @block})
      used
    end

    Magnesia.transaction(reserve, sync: true)
  end

  @doc "A token larger than all before it."
  @spec token(t()) :: {pos_integer(), t()}
  def token(%__MODULE__{next: next, reserved: reserved} = ledger) when next < reserved do
    {next, %{ledger | next: next + 1}}
  end

  def token(ledger) do
    case reserve(ledger.server) do
      {:ok, from} -> token(%{ledger | next: from, reserved: from + @block})
      {:error, error} -> raise error
    end
  end

  @doc "Notes a holder."
  @spec hold(t(), holder()) :: :ok
  def hold(ledger, holder) do
    {:ok, _row} = Magnesia.dirty_put({@holders, {ledger.server, elem(holder, 0)}, holder})
    :ok
  end

  @doc "Strikes out a holder."
  @spec release(t(), pos_integer()) :: :ok
  def release(ledger, token), do: Magnesia.dirty_delete(@holders, {ledger.server, token})

  @doc "The holders of this server, oldest first."
  @spec holders(t()) :: [holder()]
  def holders(ledger) do
    server = ledger.server
    spec = [{{@holders, {server, :_}, :"$1"}, [], [:"$1"]}]
    Enum.sort(Magnesia.select_spec(@holders, spec))
  end
end
