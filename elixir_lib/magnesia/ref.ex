defmodule Magnesia.Ref do
  @moduledoc """
  A table as a value of its own: enumerable, collectable, and shown in one line.

      iex> cities = Magnesia.Ref.new(:city)
      iex> Enum.map(cities, &elem(&1, 1))
      ["Bergen", "Oslo", "Paris"]
      iex> Enum.into([{:city, "Lima", :pe, 10_000}], cities)
      iex> {Enum.count(cities), {:city, "Lima", :pe, 10_000} in cities}
      {4, true}
      iex> cities |> Magnesia.Ref.part(order: :desc, to: "P") |> Enum.take(1)
      [{:city, "Oslo", :no, 710}]
      iex> inspect(cities)
      "#Magnesia.Ref<:city, ordered_set in ram, 4 rows, indexes: [:country]>"

  Going over it is `Magnesia.stream/2`: slice by slice, without a lock outside of a transaction.
  What is collected into it is written in transactions of up to 500 rows, or as a part of the one
  that the process is in; rows that were written before a failure stay. Rows of a table module
  are structs both ways. It holds no more than the table's name.
  """

  @enforce_keys [:table]
  defstruct [:table, options: []]

  @typedoc "A table and the part of it, as options of `Magnesia.stream/2`."
  @type t :: %__MODULE__{table: Magnesia.table(), options: keyword()}

  @doc """
  A table, by its name or its module; it need not be there yet.

      iex> Magnesia.Ref.new(:city).table
      :city
  """
  @spec new(Magnesia.table()) :: t()
  def new(table) when is_atom(table), do: %__MODULE__{table: table}

  @doc """
  A part of the table, with the options of `Magnesia.stream/2`.

      iex> Magnesia.Ref.new(:city) |> Magnesia.Ref.part(from: "C") |> Enum.count()
      2
  """
  @spec part(t(), keyword()) :: t()
  def part(%__MODULE__{} = ref, options), do: %{ref | options: options}

  defimpl Enumerable do
    @moduledoc "The rows, as `Magnesia.stream/2` gives them."

    @impl true
    def reduce(ref, acc, fun) do
      Enumerable.reduce(Magnesia.stream(ref.table, ref.options), acc, fun)
    end

    @impl true
    def count(%{options: []} = ref), do: {:ok, Magnesia.count(ref.table)}
    def count(_part), do: {:error, __MODULE__}

    @impl true
    def member?(%{options: []} = ref, row), do: {:ok, Magnesia.Rows.there?(ref.table, row)}
    def member?(_part, _row), do: {:error, __MODULE__}

    @impl true
    def slice(_ref), do: {:error, __MODULE__}
  end

  defimpl Collectable do
    @moduledoc "Rows that are collected are written, some hundreds in a transaction."

    @rows 500

    @impl true
    def into(ref), do: {{0, []}, &collect(ref, &1, &2)}

    defp collect(ref, {@rows, rows}, {:cont, row}) do
      write(ref, rows)
      {1, [row]}
    end

    defp collect(_ref, {count, rows}, {:cont, row}), do: {count + 1, [row | rows]}

    defp collect(ref, {_count, rows}, :done) do
      write(ref, rows)
      ref
    end

    defp collect(_ref, _rows, :halt), do: :ok

    defp write(_ref, []), do: :ok

    defp write(ref, rows) do
      write = fn -> rows |> :lists.reverse() |> Enum.each(&Magnesia.put(ref.table, &1)) end
      if Magnesia.in_transaction?(), do: write.(), else: Magnesia.transaction!(write)
    end
  end

  defimpl Inspect do
    @moduledoc "One line: what the table is and how many rows it has, no row of it."

    @impl true
    def inspect(ref, options) do
      table = Inspect.Algebra.to_doc(ref.table, options)
      Inspect.Algebra.concat(["#Magnesia.Ref<", table, words(ref), ">"])
    end

    # A table that is not there has to be shown too.
    defp words(ref) do
      info = Magnesia.info(ref.table)
      rows = if info.size == 1, do: "1 row", else: "#{info.size} rows"
      words = ", #{info.type} in #{info.storage}, #{rows}"
      words = if info.index == [], do: words, else: words <> ", indexes: #{inspect(info.index)}"
      if ref.options == [], do: words, else: words <> ", part: #{inspect(ref.options)}"
    rescue
      _not_there in Magnesia.TransactionError -> ", not there"
    end
  end
end
