defmodule Magnesia.Cluster.Script do
  @moduledoc """
  What a writer of a cluster does in each of its steps, drawn from a seed and nothing else, so
  that whoever reads its journal knows what it did. Pure: it must never touch a table.

  Each writer has rows of its own; those that it writes in transactions are others than those
  that it writes without, since stock Mnesia itself gives no order between the two on copies
  elsewhere. Shared rows are counted up in transactions by all.
  """

  @keys 12
  @shared 5
  @ops_max 5

  @typedoc """
  A table of a script; those of a family have copies of the same storage. A row that is written
  to a bag again keeps its `:place` or goes to the `:tail`, as dets has it; where copies do one
  and the other there is no order.
  """
  @type table :: %{
          name: atom(),
          kind: :set | :ordered_set | :bag,
          family: atom(),
          order: :place | :tail | :none
        }
  @typedoc "How a step is committed: the activity of that name, or one dirty operation."
  @type level :: :transaction | :sync_transaction | :async_dirty | :sync_dirty
  @type op ::
          {:write, atom(), tuple()}
          | {:delete, atom(), term()}
          | {:delete_object, atom(), tuple()}
          | {:bump, atom(), term()}
  @type writer :: %{
          id: term(),
          seed: integer(),
          tables: [table()],
          levels: [level()],
          across?: boolean(),
          journal: Path.t()
        }

  @doc """
  All levels, those that end after all copies have the step, or transactions alone. A step ends so
  only when its tables are of one family: Mnesia waits for no other node where they aren't.
  """
  @spec levels(:all | :sync | :transactions) :: [level()]
  def levels(:all), do: [:transaction, :transaction, :sync_transaction, :async_dirty, :sync_dirty]
  def levels(:sync), do: [:sync_transaction, :sync_transaction, :sync_dirty]
  def levels(:transactions), do: [:transaction, :sync_transaction]

  @doc "The step with a number."
  @spec step(writer(), pos_integer()) :: {level(), [op()]}
  def step(writer, n) do
    draw = fn what, range -> :erlang.phash2({writer.seed, writer.id, n, what}, range) end
    level = Enum.at(writer.levels, draw.(:level, length(writer.levels)))

    case level do
      dirty when dirty in [:async_dirty, :sync_dirty] ->
        {level, [op(pick(writer.tables, draw, 0), :dirty, writer.id, n, draw, 0)]}

      _transaction ->
        tables = family(writer, draw)

        ops =
          for i <- 1..(1 + draw.(:count, @ops_max)) do
            op(pick(tables, draw, i), :own, writer.id, n, draw, i)
          end

        counted = if writer.across?, do: writer.tables, else: tables
        {level, Enum.uniq_by(ops, &target/1) ++ bump(counted, draw)}
    end
  end

  # One commit in five is over several families, where any may be.
  defp family(%{tables: tables, across?: across?}, draw) do
    if across? and draw.(:across, 5) == 0 do
      tables
    else
      families = tables |> Enum.map(& &1.family) |> Enum.uniq()
      family = Enum.at(families, draw.(:family, length(families)))
      Enum.filter(tables, &(&1.family == family))
    end
  end

  defp pick(tables, draw, i), do: Enum.at(tables, draw.({:table, i}, length(tables)))

  defp op(%{name: tab, kind: :bag}, sort, id, n, draw, i) do
    key = {sort, id, draw.({:key, i}, @keys)}
    # Few values, so that a row is written again and one that is there is deleted.
    row = {tab, key, draw.({:value, i}, 4), rem(n, 2)}

    case draw.({:op, i}, 8) do
      0 -> {:delete, tab, key}
      object when object in 1..2 -> {:delete_object, tab, row}
      _more -> {:write, tab, row}
    end
  end

  defp op(%{name: tab}, sort, id, n, draw, i) do
    key = {sort, id, draw.({:key, i}, @keys)}

    if draw.({:op, i}, 5) == 0,
      do: {:delete, tab, key},
      else: {:write, tab, {tab, key, draw.({:value, i}, 7), n}}
  end

  defp bump(tables, draw) do
    case Enum.filter(tables, &(&1.kind != :bag and draw.(:bump, 3) == 0)) do
      [] -> []
      sets -> [{:bump, pick(sets, draw, :bump).name, {:shared, draw.(:shared, @shared)}}]
    end
  end

  @doc "The table and key that an operation changes."
  @spec target(op()) :: {atom(), term()}
  def target({:write, tab, row}), do: {tab, elem(row, 1)}
  def target({:delete_object, tab, row}), do: {tab, elem(row, 1)}
  def target({_delete_or_bump, tab, key}), do: {tab, key}

  @doc "The rows of a key after an operation, in the order of a look-up."
  @spec apply_to([tuple()], op(), table()) :: [tuple()]
  def apply_to(rows, {:write, _tab, row}, %{kind: :bag, order: order}) do
    case order do
      :place -> if row in rows, do: rows, else: rows ++ [row]
      :tail -> List.delete(rows, row) ++ [row]
      :none -> Enum.sort([row | List.delete(rows, row)])
    end
  end

  def apply_to(_rows, {:write, _tab, row}, _set), do: [row]
  def apply_to(rows, {:delete_object, _tab, row}, _table), do: List.delete(rows, row)
  def apply_to(_rows, {:delete, _tab, _key}, _table), do: []
end
