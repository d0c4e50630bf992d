defmodule Magnesia.Crash.Load do
  @moduledoc """
  The program that is killed: it runs in a VM of its own and commits until it dies.

  `bank` moves money between accounts and notes each transfer in a table of its own; `append`
  adds to lists and notes each element in a table on disk. Four workers do so at once, each
  numbering its transactions; a number is printed when its transaction has returned, never before.
  What a number does is determined by it, so that nothing invented passes for real.
  """

  @workers 4
  @keys 8
  @opening 1_000
  @tables %{bank: [:account, :transfer], append: [:list, :entry]}

  @typedoc "What the workers do."
  @type kind :: :bank | :append
  @typedoc "A worker of one round."
  @type worker :: {pos_integer, pos_integer}

  @doc "The tables of a load."
  @spec tables(kind) :: [atom]
  def tables(kind), do: Map.fetch!(@tables, kind)

  @doc "Number of accounts and of lists."
  @spec keys() :: pos_integer
  def keys, do: @keys

  @doc "What each account has at first."
  @spec opening() :: pos_integer
  def opening, do: @opening

  @doc "The transfer with this number: from, to and amount."
  @spec transfer(worker, pos_integer) :: {pos_integer, pos_integer, pos_integer}
  def transfer(worker, n) do
    from = key(worker, n)
    to = rem(from + :erlang.phash2({n, worker}, @keys - 1), @keys) + 1
    {from, to, 1 + :erlang.phash2({:amount, worker, n}, 100)}
  end

  @doc "The account or list that a number begins with."
  @spec key(worker, pos_integer) :: pos_integer
  def key(worker, n), do: 1 + :erlang.phash2({worker, n}, @keys)

  @doc """
  Opens the directory, or makes it, and works until killed. The arguments are those of `erl -run`:
  directory, load, round, the function that commits, and `dump` or `quiet`.
  """
  @spec main([charlist]) :: no_return
  def main([dir, kind, round, level, dump]) do
    {kind, level} = {List.to_atom(kind), List.to_atom(level)}
    Application.put_env(:magnesia, :dir, dir)
    open(kind)
    IO.puts("ready #{System.pid()}")
    if dump == ~c"dump", do: spawn_link(&dump/0)

    for number <- 1..@workers,
        do: spawn_link(fn -> work(kind, level, worker(round, number), 1) end)

    forever()
  end

  defp forever do
    receive do
      _nothing -> forever()
    end
  end

  defp worker(round, number), do: {List.to_integer(round), number}

  defp open(kind) do
    # Refused where there is a schema already.
    _made_or_there = :magnesia.create_schema([node()])
    :ok = :magnesia.start()
    for table <- tables(kind), do: create(table)
    :ok = :magnesia.wait_for_tables(tables(kind), 30_000)
    if kind == :bank and :magnesia.table_info(:account, :size) == 0, do: endow()
  end

  defp create(table) do
    case :magnesia.create_table(table, options(table)) do
      {:atomic, :ok} -> :ok
      {:aborted, {:already_exists, ^table}} -> :ok
    end
  end

  defp options(:account), do: [attributes: [:key, :balance], disc_copies: [node()]]

  defp options(:transfer) do
    [attributes: [:id, :from, :to, :amount], index: [:from], type: :ordered_set] ++
      [disc_copies: [node()]]
  end

  defp options(:list), do: [attributes: [:key, :elements], disc_copies: [node()]]

  defp options(:entry) do
    [attributes: [:key, :worker, :n], type: :bag, disc_only_copies: [node()]]
  end

  defp endow do
    {:atomic, :ok} =
      :magnesia.sync_transaction(fn ->
        Enum.each(1..@keys, &:magnesia.write({:account, &1, @opening}))
      end)
  end

  defp dump do
    :dumped = :magnesia.dump_log()
    dump()
  end

  defp work(kind, level, {round, number} = worker, n) do
    {:atomic, :ok} = apply(:magnesia, level, [fn -> step(kind, worker, n) end])
    IO.puts("ack #{round} #{number} #{n}")
    work(kind, level, worker, n + 1)
  end

  defp step(:bank, worker, n) do
    {from, to, amount} = transfer(worker, n)
    [{:account, ^from, left}] = :magnesia.read(:account, from, :write)
    :ok = :magnesia.write({:account, from, left - amount})
    [{:account, ^to, right}] = :magnesia.read(:account, to, :write)
    :ok = :magnesia.write({:account, to, right + amount})
    :magnesia.write({:transfer, {worker, n}, from, to, amount})
  end

  defp step(:append, worker, n) do
    key = key(worker, n)

    elements =
      case :magnesia.read(:list, key, :write) do
        [] -> []
        [{:list, ^key, elements}] -> elements
      end

    :ok = :magnesia.write({:list, key, [{worker, n} | elements]})
    :magnesia.write({:entry, key, worker, n})
  end
end
