defmodule Magnesia.Hot.Survey do
  @moduledoc """
  The tables that a running Mnesia has on this node, and which of them are worth moving. Nothing
  is changed here.
  """

  alias Magnesia.Hot.Footprint
  alias Magnesia.Hot.Rates

  @ours %{
    ram_copies: :magnesia_ram,
    disc_copies: :magnesia_disc,
    disc_only_copies: :magnesia_disc_only
  }
  @busy 100
  @saved_bytes 1_048_576

  @typedoc "One table. Rates are a second's, memory is bytes, `advice` is a storage or nil."
  @type row :: %{
          table: atom(),
          storage: atom(),
          type: atom(),
          size: non_neg_integer(),
          reads: float() | nil,
          writes: float() | nil,
          memory: non_neg_integer(),
          estimate: non_neg_integer() | nil,
          advice: atom() | nil
        }

  @doc "The tables, sampled for `seconds`, the busiest first."
  @spec rows(number()) :: [row()]
  def rows(seconds) do
    rates = Rates.take(seconds)

    :mnesia.system_info(:local_tables)
    |> Enum.reject(&(&1 == :schema))
    |> Enum.map(&row(&1, rates))
    |> Enum.sort_by(&{-((&1.reads || 0) + (&1.writes || 0)), -&1.memory, &1.table})
  end

  defp row(tab, rates) do
    storage = storage(tab)
    to = @ours[storage]
    {reads, writes} = rate(rates, tab)
    {memory, estimate} = Footprint.of(tab, to)

    row = %{
      table: tab,
      storage: storage,
      type: :mnesia.table_info(tab, :type),
      size: :mnesia.table_info(tab, :size),
      reads: reads,
      writes: writes,
      memory: memory,
      estimate: estimate
    }

    Map.put(row, :advice, if(to && worth?(row), do: to))
  end

  defp rate({:ok, rates}, tab), do: Map.get(rates, tab, {0.0, 0.0})
  defp rate(:unknown, _tab), do: {nil, nil}

  @doc "How a table is stored on this node: one of Mnesia's storages or an alias."
  @spec storage(atom()) :: atom()
  def storage(tab) do
    case :mnesia.table_info(tab, :storage_type) do
      {:ext, alias_name, _module} -> alias_name
      storage -> storage
    end
  end

  @doc """
  Tells whether a table of a stock storage is worth moving: it is busy, or a fifth of its memory
  and at least a megabyte would be saved, or it lies in dets.
  """
  @spec worth?(map()) :: boolean()
  def worth?(%{storage: :disc_only_copies, size: size}), do: size > 0

  def worth?(row) do
    busy? = (row.reads || 0) + (row.writes || 0) >= @busy
    saved = row.memory - (row.estimate || row.memory)
    busy? or (saved >= @saved_bytes and saved * 5 >= row.memory)
  end
end
