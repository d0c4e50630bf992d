defmodule Magnesia.Table.Calls do
  @moduledoc """
  The functions of a table module that call `Magnesia` with the module as the table.

  A function that the module has defined itself is left out, and any that is made here can be
  overridden. Each is one line: what a call does is told and tested at `Magnesia`.
  """

  @doc "The functions as quoted code, without those that the module has already."
  @spec quoted(module()) :: Macro.t()
  def quoted(module) do
    calls =
      for {names, code} <- reads() ++ writes() ++ scans() ++ table(),
          not Enum.any?(names, &Module.defines?(module, &1)),
          do: {names, code}

    quote do
      (unquote_splicing(Enum.map(calls, &elem(&1, 1))))
      defoverridable unquote(Enum.flat_map(calls, &elem(&1, 0)))
    end
  end

  defp reads do
    [
      {[get: 1, get: 2],
       quote do
         @doc "The row under a key, or a default; see `Magnesia.get/3`."
         @spec get(term(), default) :: t() | default when default: term()
         def get(key, default \\ nil), do: Magnesia.get(__MODULE__, key, default)
       end},
      {[fetch: 1],
       quote do
         @doc "The row under a key as `{:ok, row}`, or `:error`."
         @spec fetch(term()) :: {:ok, t()} | :error
         def fetch(key), do: Magnesia.fetch(__MODULE__, key)
       end},
      {[fetch!: 1],
       quote do
         @doc "The row under a key, or raises `Magnesia.NotFoundError`."
         @spec fetch!(term()) :: t()
         def fetch!(key), do: %__MODULE__{} = Magnesia.fetch!(__MODULE__, key)
       end},
      {[get_all: 1],
       quote do
         @doc "All rows under a key, of a table of any type."
         @spec get_all(term()) :: [t()]
         def get_all(key), do: Magnesia.get_all(__MODULE__, key)
       end},
      {[get_by: 1, get_by: 2],
       quote do
         @doc "The row with these values, or nil; see `Magnesia.get_by/3`."
         @spec get_by(keyword(), keyword()) :: t() | nil
         def get_by(values, options \\ []) do
           case Magnesia.get_by(__MODULE__, values, options) do
             nil -> nil
             %__MODULE__{} = row -> row
           end
         end
       end},
      {[has_key?: 1],
       quote do
         @doc "Tells whether a key has a row."
         @spec has_key?(term()) :: boolean()
         def has_key?(key), do: Magnesia.has_key?(__MODULE__, key)
       end}
    ]
  end

  defp writes do
    [
      {[put: 1],
       quote do
         @doc "Writes a row over what its key had."
         @spec put(t()) :: {:ok, t()}
         def put(row), do: Magnesia.put(__MODULE__, row)
       end},
      {[insert_new: 1],
       quote do
         @doc "Writes a row unless its key has one."
         @spec insert_new(t()) :: {:ok, t()} | {:error, :already_exists}
         def insert_new(row), do: Magnesia.insert(__MODULE__, row)
       end},
      {[update: 2],
       quote do
         @doc "Puts what a fun makes of a row, or the row with these values, in its place."
         @spec update(term(), (t() -> t()) | keyword()) :: {:ok, t()} | {:error, :not_found}
         def update(key, change), do: Magnesia.Shape.update(__MODULE__, key, change)
       end},
      {[delete: 1],
       quote do
         @doc "Deletes what is under a key."
         @spec delete(term()) :: :ok
         def delete(key), do: Magnesia.delete(__MODULE__, key)
       end}
    ]
  end

  defp scans do
    [
      {[all: 0, all: 1],
       quote do
         @doc "All rows, or those that meet all conditions; see `Magnesia.select/2`."
         @spec all([Magnesia.Conditions.condition()]) :: [t()]
         def all(conditions \\ []), do: Magnesia.select(__MODULE__, conditions)
       end},
      {[count: 0, count: 1],
       quote do
         @doc "How many rows there are, or how many meet all conditions."
         @spec count([Magnesia.Conditions.condition()]) :: non_neg_integer()
         def count(conditions \\ [])
         def count([]), do: Magnesia.count(__MODULE__)
         def count(conditions), do: Magnesia.count(__MODULE__, conditions)
       end},
      {[stream: 0, stream: 1],
       quote do
         @doc "A lazy stream of the rows, with the options of `Magnesia.stream/2`."
         @spec stream(keyword()) :: Enumerable.t()
         def stream(options \\ []), do: Magnesia.stream(__MODULE__, options)
       end},
      {[ref: 0],
       quote do
         @doc "The table as a value that can be enumerated and collected into."
         @spec ref() :: Magnesia.Ref.t()
         def ref, do: Magnesia.Ref.new(__MODULE__)
       end},
      {[transaction: 1, transaction: 2],
       quote do
         @doc "Runs a fun as a transaction; see `Magnesia.transaction/2`."
         @spec transaction((() -> value), keyword()) ::
                 {:ok, value} | {:error, Magnesia.TransactionError.t()}
               when value: term()
         def transaction(fun, options \\ []), do: Magnesia.transaction(fun, options)
       end}
    ]
  end

  defp table do
    [
      {[create: 0, create: 1],
       quote do
         @doc "Creates the table, with options in the place of declared ones."
         @spec create(keyword()) :: Magnesia.schema_answer()
         def create(options \\ []), do: Magnesia.create_table(__MODULE__, options)
       end},
      {[ensure: 0, ensure: 1],
       quote do
         @doc "Creates the table unless it is there as declared; see `Magnesia.ensure_table/2`."
         @spec ensure(keyword()) :: Magnesia.schema_answer()
         def ensure(options \\ []), do: Magnesia.ensure_table(__MODULE__, options)
       end},
      {[drop: 0],
       quote do
         @doc "Deletes the table and its rows."
         @spec drop() :: Magnesia.schema_answer()
         def drop, do: Magnesia.delete_table(__MODULE__)
       end},
      {[clear: 0],
       quote do
         @doc "Removes all rows."
         @spec clear() :: Magnesia.schema_answer()
         def clear, do: Magnesia.clear_table(__MODULE__)
       end},
      {[info: 0],
       quote do
         @doc "What there is to know of the table; see `Magnesia.info/1`."
         @spec info() :: map()
         def info, do: Magnesia.info(__MODULE__)
       end},
      {[exists?: 0],
       quote do
         @doc "Tells whether the table is there."
         @spec exists?() :: boolean()
         def exists?, do: __table__(:name) in Magnesia.tables()
       end},
      {[wait: 0, wait: 1],
       quote do
         @doc "Waits until the table can be used."
         @spec wait(timeout()) :: Magnesia.schema_answer()
         def wait(timeout \\ 60_000), do: Magnesia.wait([__MODULE__], timeout)
       end}
    ]
  end
end
