defmodule Magnesia.Lock.Queue do
  @moduledoc """
  Who holds one key and who waits for it, first come, first served.

  Claims are tickets, integers that grow in the order of asking. Any number of `:read` claims hold
  together, a `:write` claim holds alone, and nobody overtakes: a reader waits behind a writer
  that came before it. Plain data: processes, timers and time are not known here.
  """

  alias __MODULE__

  @type ticket :: non_neg_integer()
  @type mode :: :read | :write
  @opaque t :: %Queue{
            mode: mode() | nil,
            holders: MapSet.t(ticket()),
            waiting: :gb_trees.tree(ticket(), mode())
          }

  defstruct mode: nil, holders: MapSet.new(), waiting: :gb_trees.empty()

  @doc """
  A key that nobody holds.

      iex> Magnesia.Lock.Queue.empty?(Magnesia.Lock.Queue.new())
      true
  """
  @spec new() :: t()
  def new, do: %Queue{}

  @doc """
  Whether nobody holds the key and nobody waits.

      iex> {true, queue} = Magnesia.Lock.Queue.ask(Magnesia.Lock.Queue.new(), 1, :read)
      iex> Magnesia.Lock.Queue.empty?(queue)
      false
  """
  @spec empty?(t()) :: boolean()
  def empty?(%Queue{mode: nil, waiting: waiting}), do: :gb_trees.is_empty(waiting)
  def empty?(%Queue{}), do: false

  @doc """
  The tickets that hold, and how many wait.

      iex> {true, queue} = Magnesia.Lock.Queue.ask(Magnesia.Lock.Queue.new(), 1, :write)
      iex> {false, queue} = Magnesia.Lock.Queue.ask(queue, 2, :read)
      iex> Magnesia.Lock.Queue.standing(queue)
      {[1], 1}
  """
  @spec standing(t()) :: {[ticket()], non_neg_integer()}
  def standing(%Queue{} = queue) do
    {Enum.sort(queue.holders), :gb_trees.size(queue.waiting)}
  end

  @doc """
  A claim: `true` when it holds at once, `false` when it has to wait.

      iex> {true, queue} = Magnesia.Lock.Queue.ask(Magnesia.Lock.Queue.new(), 1, :read)
      iex> {true, queue} = Magnesia.Lock.Queue.ask(queue, 2, :read)
      iex> {answer, _queue} = Magnesia.Lock.Queue.ask(queue, 3, :write)
      iex> answer
      false
  """
  @spec ask(t(), ticket(), mode()) :: {boolean(), t()}
  def ask(%Queue{} = queue, ticket, mode) do
    if :gb_trees.is_empty(queue.waiting) and fits?(queue.mode, mode) do
      {true, hold(queue, ticket, mode)}
    else
      {false, %{queue | waiting: :gb_trees.insert(ticket, mode, queue.waiting)}}
    end
  end

  @doc """
  A claim ends, whether it held or waited; answers those that hold because of it, oldest first.

      iex> {true, queue} = Magnesia.Lock.Queue.ask(Magnesia.Lock.Queue.new(), 1, :write)
      iex> {false, queue} = Magnesia.Lock.Queue.ask(queue, 2, :write)
      iex> {next, _queue} = Magnesia.Lock.Queue.leave(queue, 1)
      iex> next
      [2]
  """
  @spec leave(t(), ticket()) :: {[ticket()], t()}
  def leave(%Queue{} = queue, ticket) do
    holders = MapSet.delete(queue.holders, ticket)
    mode = if MapSet.size(holders) > 0, do: queue.mode
    waiting = :gb_trees.delete_any(ticket, queue.waiting)
    admit(%{queue | holders: holders, mode: mode, waiting: waiting}, [])
  end

  defp admit(queue, admitted) do
    with false <- :gb_trees.is_empty(queue.waiting),
         {ticket, mode, waiting} = :gb_trees.take_smallest(queue.waiting),
         true <- fits?(queue.mode, mode) do
      admit(hold(%{queue | waiting: waiting}, ticket, mode), [ticket | admitted])
    else
      _ -> {Enum.reverse(admitted), queue}
    end
  end

  defp fits?(nil, _mode), do: true
  defp fits?(:read, :read), do: true
  defp fits?(_holding, _mode), do: false

  defp hold(queue, ticket, mode) do
    %{queue | mode: mode, holders: MapSet.put(queue.holders, ticket)}
  end
end
