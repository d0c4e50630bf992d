defmodule Magnesia.Backend.Names do
  @moduledoc """
  What the engine calls the tables of a stock Mnesia.

  A data table has its own name. An index and a checkpoint's retainer are tuples to Mnesia and
  get an atom from a pool that is as large as ever were there at once: names of checkpoints are
  without number, atoms are not. Which tuple an atom stands for is said in the table's own
  properties, so that it is known again after a restart. Rows are no business of this room.
  """

  alias Magnesia.Engine

  @typedoc "A table as `Magnesia.Engine` takes it."
  @type ref :: [atom()]

  @nobody [:"$magnesia nobody"]

  @doc "The engine's name of a table; of one that isn't there, a name that no table has."
  @spec ref(Magnesia.Backend.table()) :: ref()
  def ref(tab) when is_atom(tab), do: [tab]
  def ref(tab), do: :persistent_term.get({__MODULE__, tab}, @nobody)

  @doc "Calls `create` with a free engine name until one is taken, and keeps it."
  @spec create(Magnesia.Backend.table(), (ref() -> :ok | Engine.failure())) ::
          :ok | Engine.failure()
  def create(tab, create) when is_atom(tab), do: create.([tab])

  def create(tab, create) do
    case :persistent_term.get({__MODULE__, tab}, nil) do
      nil -> create_from(tab, create, 1)
      ref -> create.(ref)
    end
  end

  defp create_from(tab, create, number) do
    ref = [:"$magnesia #{elem(tab, 1)} #{number}"]

    case create.(ref) do
      :ok -> :persistent_term.put({__MODULE__, tab}, ref)
      {:"$magnesia_error", :exists} -> create_from(tab, create, number + 1)
      failure -> failure
    end
  end

  @doc "Lets go of the name of a table that was deleted."
  @spec forget(Magnesia.Backend.table()) :: :ok
  def forget(tab) when is_atom(tab), do: :ok

  def forget(tab) do
    :persistent_term.erase({__MODULE__, tab})
    :ok
  end

  @doc "Knows again, after an opening, the tuples that properties of tables name."
  @spec recall([{term(), atom()}]) :: :ok
  def recall(tables) do
    for {{__MODULE__, tab}, _ref} <- :persistent_term.get(), do: forget(tab)
    for {tab, name} when is_tuple(tab) <- tables, do: keep(tab, name)
    :ok
  end

  defp keep(tab, name), do: :persistent_term.put({__MODULE__, tab}, [name])
end
