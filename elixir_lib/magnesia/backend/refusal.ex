defmodule Magnesia.Backend.Refusal do
  @moduledoc """
  What becomes of a call that the engine could not do.

  Reads abort the activity that they are in: a raise there would have Mnesia run a transaction
  again without end. Writes never raise, since Mnesia would lose rows of other tables over it;
  a write that is lost sets the alarm. Nothing here runs when all is well.
  """

  alias Magnesia.Backend.Alarm
  alias Magnesia.Backend.Names
  alias Magnesia.Backend.Tables
  alias Magnesia.Engine

  @failure :"$magnesia_error"

  @doc "A read that failed."
  @spec read(Engine.failure(), term()) :: no_return()
  def read({@failure, reason}, tab) when reason in [:closed, :no_table] do
    :mnesia.abort({:no_exists, tab})
  end

  def read({@failure, reason}, _tab), do: :mnesia.abort({:magnesia, words(reason)})

  @doc "A key, or what a failed step means."
  @spec key(term(), term()) :: term()
  def key({@failure, _reason} = failure, tab), do: read(failure, tab)
  def key(key, _tab), do: key

  @doc "The rows of a slot, or what a failed call means; a slot beyond the last is a badarg."
  @spec slot(term(), term()) :: [tuple()] | :"$end_of_table"
  def slot({@failure, :badarg}, _tab), do: :erlang.error(:badarg)
  def slot({@failure, _reason} = failure, tab), do: read(failure, tab)
  def slot(rows, _tab), do: rows

  @doc "A counter that could not be added to: Mnesia writes it anew after a raise."
  @spec counter(Engine.failure(), term()) :: no_return()
  def counter(failure, tab) do
    _ = write(failure, tab)
    :erlang.error(:badarg)
  end

  @doc "An insert that failed."
  @spec insert(Engine.failure(), term(), tuple()) :: :ok | {:error, term()}
  def insert({@failure, :bad_type}, tab, record) when is_atom(tab) and tuple_size(record) > 1 do
    # The table's records have a new name: Mnesia transforms it and says so to nobody.
    with :ok <- Tables.rename_records(tab, record) do
      case Engine.write(Names.ref(tab), record) do
        :ok -> :ok
        failure -> write(failure, tab)
      end
    end
  end

  def insert(failure, tab, _record), do: write(failure, tab)

  @doc "A write that failed."
  @spec write(Engine.failure(), term()) :: :ok | {:error, term()}
  def write({@failure, reason}, tab) when reason in [:closed, :no_table] do
    {:error, {:no_exists, tab}}
  end

  def write({@failure, :read_only}, tab) do
    if Tables.replaying?(tab), do: :ok, else: {:error, {:read_only, tab}}
  end

  def write({@failure, reason}, tab) do
    words = words(reason)
    Alarm.set(tab, words)
    {:error, {:magnesia, words}}
  end

  @doc "A reason for people."
  @spec words(term()) :: String.t()
  def words({_kind, text}) when is_binary(text), do: text
  def words(reason), do: "the engine refused with #{inspect(reason)}"
end
