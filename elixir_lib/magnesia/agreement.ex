defmodule Magnesia.Agreement do
  @moduledoc """
  Tells whether the copies of a stock Mnesia's table have the same rows on all their nodes.

  A cluster that was cut in two and went on, a node whose disk was put back from an old image,
  dirty writes that crossed: Mnesia goes on with copies that differ, and each node reads its own.

      Magnesia.Agreement.check(:session)
      {:agree, %{table: :session, rows: %{a@h: 51_200, b@h: 51_200}, missing: []}}

  Every node that has a loaded copy works out sums over its own rows, in parts by their keys; only
  keys of parts whose sums differ are sent, and only rows of keys that differ. Copies may have any
  storage and need not have the same. The rows of a bag may be in any order. Magnesia has to be on
  the code path of each node, nothing else.

  Others may write meanwhile: what differs is looked at again for a while, and only rows that stay
  as they are count, so that one on its way to another node is no difference. Nothing is locked
  and nothing mended: which copy is right only the application knows. `:mnesia.set_master_nodes/2`
  and a restart of the other nodes make one copy that of all.
  """

  alias Magnesia.Options

  @parts 1024
  @chunk 1_000
  @call_ms 60_000
  @wait_ms 2_000
  @pause_ms 50
  @word 0x100000000

  @typedoc "A key that differs, with the rows that each node has under it."
  @type difference :: %{key: term(), rows: %{node() => [tuple()]}}
  @typedoc """
  What was compared: rows on each node, and the nodes that have a copy which is not loaded or not
  reached. `differences` are at most as many as were asked for; `more?` tells of others.
  """
  @type report :: %{
          :table => atom(),
          :rows => %{node() => non_neg_integer()},
          :missing => [node()],
          optional(:differences) => [difference()],
          optional(:more?) => boolean()
        }
  @type answer :: {:agree, report()} | {:differ, report()} | {:error, term()}

  defp rules do
    count = {&(is_integer(&1) and &1 > 0), "a number above zero"}
    [limit: count, wait: {&(is_integer(&1) and &1 >= 0), "milliseconds"}]
  end

  @doc """
  Compares the copies of a table.

  Options: `:limit`, how many differences are told at most (100); `:wait`, how many milliseconds
  what is on its way may take (2,000), which is also how long a difference must last.

  Errors: `{:no_exists, table}` for a table that this node's Mnesia does not know,
  `{:node_not_running, node}`, `{:not_loaded, table}` where no node has its copy loaded, and
  `{:not_reached, node, reason}` for a node that has a copy and can't be asked, as when Magnesia
  is not there.

      iex> Magnesia.Agreement.check(:nosuch)
      {:error, {:no_exists, :nosuch}}
  """
  @spec check(atom(), keyword()) :: answer()
  def check(table, options \\ []) do
    Options.validate!(options, rules(), "Magnesia.Agreement.check/2")

    case nodes(table) do
      {:ok, nodes, missing} -> compare(table, nodes, missing, options)
      error -> error
    end
  end

  @doc """
  Compares the copies of every table that has more than one, by name; options as `check/2`. Of a
  stock Mnesia that is not running there are none.

      iex> Magnesia.Agreement.check_all()
      %{}
  """
  @spec check_all(keyword()) :: %{atom() => answer()}
  def check_all(options \\ []) do
    for table <- :mnesia.system_info(:tables) -- [:schema],
        {:ok, nodes, missing} <- [nodes(table)],
        length(nodes ++ missing) > 1,
        into: %{},
        do: {table, check(table, options)}
  end

  defp nodes(table) do
    all = Enum.sort(:mnesia.table_info(table, :all_nodes))
    loaded = Enum.sort(:mnesia.table_info(table, :active_replicas))
    if loaded == [], do: {:error, {:not_loaded, table}}, else: {:ok, loaded, all -- loaded}
  catch
    :exit, {:aborted, _reason} ->
      running? = :mnesia.system_info(:is_running) == :yes
      {:error, if(running?, do: {:no_exists, table}, else: {:node_not_running, node()})}
  end

  defp compare(table, nodes, missing, options) do
    with {:ok, sums} <- ask(nodes, :sums, [table]) do
      rows = for {node, parts} <- sums, into: %{}, do: {node, count(parts)}
      report = %{table: table, rows: rows, missing: missing}

      case differing(Map.values(sums)) do
        [] -> {:agree, report}
        parts -> look_closer(report, nodes, parts, options)
      end
    end
  end

  defp count(parts), do: parts |> Enum.map(fn {_part, {rows, _sum}} -> rows end) |> Enum.sum()

  defp differing(all) do
    for part <- 0..(@parts - 1),
        all |> Enum.map(& &1[part]) |> Enum.uniq() |> tl() != [],
        do: part
  end

  defp look_closer(report, nodes, parts, options) do
    with {:ok, hashes} <- ask(nodes, :hashes, [report.table, MapSet.new(parts)]) do
      keys = hashes |> Map.values() |> Enum.flat_map(&Map.keys/1) |> Enum.uniq()
      alike? = fn key -> hashes |> Map.values() |> Enum.uniq_by(& &1[key]) |> tl() == [] end
      deadline = now() + Keyword.get(options, :wait, @wait_ms)

      case settled(report.table, nodes, Enum.reject(keys, alike?), nil, deadline) do
        {:ok, found} when found == %{} -> {:agree, report}
        {:ok, found} -> {:differ, told(report, found, Keyword.get(options, :limit, 100))}
        error -> error
      end
    end
  end

  defp now, do: System.monotonic_time(:millisecond)

  # Keys that differ, and with the same rows until the deadline: where a row has come or gone by
  # then somebody writes, and what is written comes to all copies.
  defp settled(table, nodes, keys, before, deadline) do
    with {:ok, rows} <- ask(nodes, :rows, [table, keys]) do
      found =
        for key <- keys,
            of_key = Map.new(rows, fn {node, by_key} -> {node, by_key[key]} end),
            of_key |> Map.values() |> Enum.uniq() |> tl() != [],
            before == nil or before[key] == of_key,
            into: %{},
            do: {key, of_key}

      if found == %{} or now() > deadline do
        {:ok, found}
      else
        settled(table, nodes, Map.keys(found), pause(found), deadline)
      end
    end
  end

  defp pause(found) do
    receive do
    after
      @pause_ms -> found
    end
  end

  defp told(report, found, limit) do
    {told, others} = found |> Enum.sort() |> Enum.split(limit)
    differences = for {key, rows} <- told, do: %{key: key, rows: rows}
    Map.merge(report, %{differences: differences, more?: others != []})
  end

  # All nodes at once; one that can't be asked ends it.
  defp ask(nodes, function, args) do
    answers = :erpc.multicall(nodes, __MODULE__, function, args, @call_ms)

    nodes
    |> Enum.zip(answers)
    |> Enum.reduce({:ok, %{}}, fn
      {node, {:ok, answer}}, {:ok, all} -> {:ok, Map.put(all, node, answer)}
      {node, {_class, reason}}, {:ok, _all} -> {:error, {:not_reached, node, reason}}
      _later, error -> error
    end)
  end

  # What each node does with its own copy

  @doc false
  @spec sums(atom()) :: %{non_neg_integer() => {non_neg_integer(), non_neg_integer()}}
  def sums(table) do
    over(table, %{}, fn row, sums ->
      {rows, sum} = Map.get(sums, part = part(row), {0, 0})
      Map.put(sums, part, {rows + 1, rem(sum + hash(row), @word * @word)})
    end)
  end

  @doc false
  @spec hashes(atom(), MapSet.t()) :: %{term() => non_neg_integer()}
  def hashes(table, parts) do
    over(table, %{}, fn row, hashes ->
      if part(row) in parts,
        do: Map.update(hashes, elem(row, 1), hash(row), &rem(&1 + hash(row), @word * @word)),
        else: hashes
    end)
  end

  @doc false
  @spec rows(atom(), [term()]) :: %{term() => [tuple()]}
  def rows(table, keys) do
    here!(table)
    for key <- keys, into: %{}, do: {key, Enum.sort(:mnesia.dirty_read(table, key))}
  end

  defp part(row), do: :erlang.phash2(elem(row, 1), @parts)

  # The same on every node, whatever release it runs.
  defp hash(row), do: :erlang.phash2({0, row}, @word) * @word + :erlang.phash2({1, row}, @word)

  defp over(table, acc, fun) do
    here!(table)
    all = [{:_, [], [:"$_"]}]
    :mnesia.activity(:async_dirty, fn -> walk(select(table, all), acc, fun) end)
  end

  defp select(table, spec), do: :mnesia.select(table, spec, @chunk, :read)

  defp walk(:"$end_of_table", acc, _fun), do: acc

  defp walk({rows, continuation}, acc, fun) do
    walk(:mnesia.select(continuation), Enum.reduce(rows, acc, fun), fun)
  end

  # Else another node's copy would answer for this one.
  defp here!(table) do
    if :mnesia.table_info(table, :where_to_read) != node(), do: exit({:not_loaded, table})
  end
end
