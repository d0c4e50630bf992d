defmodule MyApp.Invoices do
  @moduledoc """
  Invoices that are sent once, by whichever process comes first: the lock service at work.

  Sending takes seconds and leaves the VM, so that no transaction can hold it. The lock keeps
  others away meanwhile; its lease ends a sender that hangs; its token is noted in the row, so
  that a sender whose lease has ended cannot overwrite what a later one wrote.
  """

  alias Magnesia.Lock

  @doc "The children of a supervisor, in this order."
  def children(options) do
    [{Magnesia, Keyword.put(options, :tables, tables())}, Lock]
  end

  defp tables do
    [invoices: [attributes: [:id, :state, :token], storage: :disc]]
  end

  @doc "A new invoice."
  def open(id), do: Magnesia.insert({:invoices, id, :open, 0})

  @doc """
  Sends an invoice with `deliver`, a fun of its number, and notes that it is sent.

  Answers `:sent`, `:already_sent`, or `{:error, reason}`: `:timeout` when others were at it for
  five seconds, `:overtaken` when this one's lease ended and another began.
  """
  def send_out(id, deliver, lease \\ 30_000) do
    sent =
      Lock.run({:invoice, id}, [lease: lease], fn lock ->
        case Magnesia.fetch!(:invoices, id) do
          {:invoices, ^id, :sent, _} ->
            :already_sent

          {:invoices, ^id, :open, _} ->
            :ok = note(id, :open, lock)
            deliver.(id)
            note(id, :sent, lock)
        end
      end)

    case sent do
      {:ok, :ok} -> :sent
      {:ok, answer} -> answer
      {:error, {:expired, :ok}} -> :sent
      {:error, {:expired, answer}} -> answer
      {:error, reason} -> {:error, reason}
    end
  end

  # The fence: a row remembers the largest token that wrote it and refuses a smaller one.
  defp note(id, state, lock) do
    noted =
      Magnesia.transaction(fn ->
        {:invoices, ^id, _state, last} = Magnesia.fetch!(:invoices, id)
        if last > lock.token, do: Magnesia.rollback(:overtaken)
        {:ok, _row} = Magnesia.put({:invoices, id, state, lock.token})
        :ok
      end)

    case noted do
      {:ok, :ok} -> :ok
      {:error, error} -> {:error, error.reason}
    end
  end
end
