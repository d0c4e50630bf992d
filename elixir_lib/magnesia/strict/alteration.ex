defmodule Magnesia.Strict.Alteration do
  @moduledoc """
  The frame of every schema operation: alone, in a transaction that holds the schema and, where
  rows must not change meanwhile, the table.

  An operation first finds and checks everything, then makes its one change in the engine and
  publishes the new definition. No operation is defined here.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Database
  alias Magnesia.Engine
  alias Magnesia.Logs
  alias Magnesia.Strict.Activity
  alias Magnesia.Strict.Announcement
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Locks
  alias Magnesia.Unique

  @typedoc "A schema operation's outcome."
  @type outcome :: {:atomic, term()} | {:aborted, term()}

  @typedoc "What is done in the frame: a change, or the search for a reason to refuse it."
  @type operation :: (() -> term()) | {:refuse, (() -> term())}

  @doc "Runs an operation; inside an activity it is refused as a value."
  @spec run(operation()) :: outcome()
  def run(operation) do
    with {:atomic, _value} <- valued(operation), do: {:atomic, :ok}
  end

  @doc "The same for an operation whose value is its outcome's."
  @spec valued(operation()) :: outcome()
  def valued(operation) do
    case Activity.state() do
      :undefined -> Database.run(fn -> alone(operation) end)
      _ -> {:aborted, :nested_transaction}
    end
  end

  @doc "Refuses an operation that is wrong by its arguments alone."
  @spec refuse(term()) :: outcome()
  def refuse(reason), do: run({:refuse, fn -> reason end})

  defp alone(operation) do
    body = fn ->
      _ = writable(fetch!(:schema, {:node_not_running, node()}))
      lock(:schema, :write)
      value = operate(operation)
      # What found nothing to do has written nothing.
      if value != nil, do: :ok = Announcement.completed()
      value
    end

    Activity.transaction(:undefined, body, [], :infinity, :magnesia, false)
  end

  defp operate({:refuse, reason}), do: abort(reason.())
  defp operate(fun), do: fun.()

  @doc "A table's definition; aborts with a reason when there is none."
  @spec fetch!(term(), term()) :: Definition.t()
  def fetch!(tab, reason) do
    case Definition.fetch(tab) do
      {:ok, definition} -> definition
      :error -> abort(reason)
    end
  end

  @doc "A table's definition, as operations find it that lock the table first."
  @spec locked!(term(), :read | :write) :: Definition.t()
  def locked!(tab, kind) do
    definition = fetch!(tab, {:no_exists, tab})
    _ = active(definition)
    _ = if kind == :write, do: definition |> writable() |> majority()
    lock(tab, kind)
    fetch!(tab, {:no_exists, tab})
  end

  @doc "A table's definition, as operations find it that look before they lock."
  @spec active!(term()) :: Definition.t()
  def active!(tab), do: active(fetch!(tab, {:no_exists, {tab, :cstruct}}))

  @doc "Locks a table for the rest of the operation."
  @spec lock(atom(), :read | :write) :: :ok
  def lock(tab, kind) do
    {:magnesia, _tid, ctx} = Activity.state()
    Locks.hold_table(ctx, tab, kind)
  end

  @doc "Aborts unless the table has a copy here."
  @spec active(Definition.t()) :: Definition.t()
  def active(%{storage: :unknown, name: name}), do: abort({:no_exists, name})
  def active(definition), do: definition

  @doc "Aborts unless the table may be written."
  @spec writable(Definition.t()) :: Definition.t()
  def writable(%{access_mode: :read_only, name: name}), do: abort({:no_exists, name})
  def writable(definition), do: definition

  @doc "Aborts when a table with majority has too few of its copies here."
  @spec majority(Definition.t()) :: Definition.t()
  def majority(%{majority: true} = definition) do
    here = if definition.storage == :unknown, do: 0, else: 1
    if 2 * here > length(Definition.nodes(definition)), do: definition, else: lacking(definition)
  end

  def majority(definition), do: definition

  @spec lacking(Definition.t()) :: no_return()
  defp lacking(definition), do: abort({:no_majority, definition.name})

  @doc "Keeps and publishes a definition whose rows stay as they are."
  @spec define(Definition.t()) :: :ok
  def define(%{name: name, storage: storage} = definition)
      when name == :schema or storage == :unknown do
    settled(Definition.keep(definition), definition)
  end

  # What is to be unique is so first: an abort leaves the definition that there is.
  def define(%{name: name} = definition) do
    {:ok, before} = Definition.fetch(name)
    done(Unique.enforce(definition, before), name)
    properties = Definition.properties(definition)
    defined = Engine.table_define(name, definition.access_mode, properties)
    _ = if defined != :ok, do: Unique.enforce(before, definition)
    settled(defined, definition)
  end

  @doc "Publishes a definition once the engine has done its part, or aborts."
  @spec settled(:ok | Engine.failure(), Definition.t()) :: :ok
  def settled(answer, definition), do: settled(answer, definition, &Announcement.defined/2)

  @doc "As `settled/2`, told of by a fun of the new definition and the old one."
  @spec settled(
          :ok | Engine.failure(),
          Definition.t(),
          (Definition.t(), {:ok, Definition.t()} | :error -> :ok)
        ) :: :ok
  def settled(:ok, definition, tell) do
    old = Definition.fetch(definition.name)
    :ok = Definition.publish(definition)
    Logs.refresh()
    tell.(definition, old)
  end

  def settled(failure, definition, _tell), do: done(failure, definition.name)

  @doc "Aborts when the engine could not do its part."
  @spec done(:ok | Engine.failure(), atom()) :: :ok
  def done(:ok, _tab), do: :ok
  def done({:"$magnesia_error", reason}, tab), do: abort(reason, tab, {:no_exists, tab})
end
