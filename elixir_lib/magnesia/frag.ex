defmodule :magnesia_frag do
  @moduledoc """
  The access module for fragmented tables, as Mnesia's `mnesia_frag`: in an activity that names
  it, a fragmented table is used like any other, and each row is found in its fragment.

      :magnesia.activity(:transaction, fun, [], :mnesia_frag)

  The name `:mnesia_frag` means this module to `:magnesia`. A key that is bound asks one
  fragment, any other query all of them, first to last. How keys are spread is
  `Magnesia.Strict.Fragments`' business; nothing is stored here.

      iex> spread = [n_fragments: 4, node_pool: [node()]]
      iex> :magnesia.create_table(:part, frag_properties: spread)
      {:atomic, :ok}
      iex> :magnesia.activity(:transaction, fn ->
      ...>   for n <- 1..20, do: :magnesia.write({:part, n, :x})
      ...>   length(:magnesia.read(:part, 7) ++ :magnesia.match_object({:part, :_, :_}))
      ...> end, [], :mnesia_frag)
      21
      iex> :magnesia.activity(:async_dirty, fn ->
      ...>   {:magnesia.table_info(:part, :size), :magnesia.table_info(:part, :n_fragments)}
      ...> end, [], :mnesia_frag)
      {20, 4}
      iex> :magnesia.delete_table(:part)
      {:atomic, :ok}
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.FragmentLayout
  alias Magnesia.Strict.Fragments

  @end_of_table :"$end_of_table"

  @doc "Locks; a table with all its fragments."
  @spec lock(tuple(), term(), term(), term()) :: term()
  def lock(tid, ts, {:table, tab} = item, kind) do
    steady(tid, tab, fn ->
      case Fragments.names(tab) do
        [^tab] -> :magnesia.lock(tid, ts, item, kind)
        names -> joined(for name <- names, do: :magnesia.lock(tid, ts, {:table, name}, kind))
      end
    end)
  end

  def lock(tid, ts, item, kind), do: :magnesia.lock(tid, ts, item, kind)

  # A read lock answers a word, which makes no list of nodes.
  defp joined(answers) do
    if Enum.all?(answers, &is_list/1) do
      answers |> Enum.concat() |> Enum.uniq() |> Enum.sort()
    else
      Enum.find(answers, &(not is_list(&1)))
    end
  end

  @doc "Writes a record into its fragment."
  @spec write(tuple(), term(), term(), tuple(), term()) :: :ok
  def write(tid, ts, tab, record, lock) do
    steady(tid, tab, fn ->
      :magnesia.write(tid, ts, Fragments.of_record(tab, record), record, lock)
    end)
  end

  @doc "Deletes a key from its fragment."
  @spec delete(tuple(), term(), term(), term(), term()) :: :ok
  def delete(tid, ts, tab, key, lock) do
    steady(tid, tab, fn ->
      :magnesia.delete(tid, ts, Fragments.of_key(tab, key), key, lock)
    end)
  end

  @doc "Deletes exactly this record from its fragment."
  @spec delete_object(tuple(), term(), term(), tuple(), term()) :: :ok
  def delete_object(tid, ts, tab, record, lock) do
    steady(tid, tab, fn ->
      :magnesia.delete_object(tid, ts, Fragments.of_record(tab, record), record, lock)
    end)
  end

  @doc "Reads a key in its fragment."
  @spec read(tuple(), term(), term(), term(), term()) :: [tuple()]
  def read(tid, ts, tab, key, lock) do
    steady(tid, tab, fn ->
      :magnesia.read(tid, ts, Fragments.of_key(tab, key), key, lock)
    end)
  end

  @doc "The rows that a pattern matches."
  @spec match_object(tuple(), term(), term(), term(), term()) :: [tuple()]
  def match_object(tid, ts, tab, pattern, lock) do
    select(tid, ts, tab, [{pattern, [], [:"$_"]}], lock)
  end

  @doc "The results of a match specification, fragment after fragment."
  @spec select(tuple(), term(), term(), list(), term()) :: list()
  def select(tid, ts, tab, spec, lock) do
    case Fragments.fetch(tab) do
      :error ->
        :magnesia.select(tid, ts, tab, spec, lock)

      {:ok, spread} ->
        for name <- locked(spread, tid, ts, spec, lock),
            result <- :magnesia.select(tid, ts, name, spec, :none),
            do: result
    end
  end

  @doc "The first chunk of a match specification's results."
  @spec select(tuple(), term(), term(), list(), integer(), term()) :: {list(), term()} | atom()
  def select(tid, ts, tab, spec, limit, lock) do
    case Fragments.fetch(tab) do
      :error ->
        :magnesia.select(tid, ts, tab, spec, limit, lock)

      {:ok, spread} ->
        [first | rest] = locked(spread, tid, ts, spec, lock)
        first_chunk(tid, ts, first, rest, {spec, limit, lock})
    end
  end

  @doc "The next chunk."
  @spec select_cont(tuple(), term(), term()) :: {list(), term()} | atom()
  def select_cont(_tid, _ts, {:frag_cont, @end_of_table, [], _query}), do: @end_of_table

  def select_cont(tid, ts, {:frag_cont, @end_of_table, [name | rest], query}) do
    first_chunk(tid, ts, name, rest, query)
  end

  def select_cont(tid, ts, {:frag_cont, continuation, rest, query}) do
    chunk(:magnesia.select_cont(tid, ts, continuation), rest, query)
  end

  def select_cont(tid, ts, other), do: :magnesia.select_cont(tid, ts, other)

  defp locked(spread, tid, ts, spec, lock) do
    steady(tid, spread.tab, fn ->
      for number <- Fragments.numbers(spread, spec) do
        name = Fragments.name(spread.tab, number)
        _ = :magnesia.lock(tid, ts, {:table, name}, lock)
        name
      end
    end)
  end

  # Fragments may have been added or taken away while a lock was waited for: the transaction is
  # run again, as it would look for rows where they are no more.
  defp steady({:tid, _, _}, tab, fun) do
    before = Definition.fetch(tab)
    answer = fun.()
    if Definition.fetch(tab) == before, do: answer, else: abort({:bad_commit, tab})
  end

  defp steady(_tid, _tab, fun), do: fun.()

  defp first_chunk(tid, ts, name, rest, {spec, limit, lock} = query) do
    chunk(:magnesia.select(tid, ts, name, spec, limit, lock), rest, query)
  end

  defp chunk(@end_of_table, [], _query), do: @end_of_table
  defp chunk(@end_of_table, rest, query), do: {[], {:frag_cont, @end_of_table, rest, query}}
  defp chunk({rows, next}, rest, query), do: {rows, {:frag_cont, next, rest, query}}

  @doc "All keys."
  @spec all_keys(tuple(), term(), term(), term()) :: [term()]
  def all_keys(tid, ts, tab, lock) do
    steady(tid, tab, fn ->
      for name <- Fragments.names(tab), key <- :magnesia.all_keys(tid, ts, name, lock), do: key
    end)
  end

  @doc "Removes all rows of all fragments."
  @spec clear_table(tuple(), term(), term(), term()) :: :ok
  def clear_table(tid, ts, tab, pattern) do
    Enum.each(Fragments.names(tab), &:magnesia.lock(tid, ts, {:table, &1}, :write))
    Enum.each(Fragments.names(tab), &:magnesia.clear_table(tid, ts, &1, pattern))
  end

  @doc "The rows that a pattern matches, through an index."
  @spec index_match_object(tuple(), term(), term(), tuple(), term(), term()) :: [tuple()]
  def index_match_object(tid, ts, tab, pattern, attribute, lock) do
    steady(tid, tab, fn ->
      for name <- Fragments.names(tab),
          row <- :magnesia.index_match_object(tid, ts, name, pattern, attribute, lock),
          do: row
    end)
  end

  @doc "The rows with a value in an indexed attribute."
  @spec index_read(tuple(), term(), term(), term(), term(), term()) :: [tuple()]
  def index_read(tid, ts, tab, value, attribute, lock) do
    steady(tid, tab, fn ->
      for name <- Fragments.names(tab),
          row <- :magnesia.index_read(tid, ts, name, value, attribute, lock),
          do: row
    end)
  end

  @doc "Folds over all fragments' rows."
  @spec foldl(tuple(), term(), fun(), term(), term(), term()) :: term()
  def foldl(tid, ts, fun, acc, tab, lock) do
    steady(tid, tab, fn ->
      Enum.reduce(Fragments.names(tab), acc, &:magnesia.foldl(tid, ts, fun, &2, &1, lock))
    end)
  end

  @doc "Folds over the fragments last to first, in each as `foldr` does."
  @spec foldr(tuple(), term(), fun(), term(), term(), term()) :: term()
  def foldr(tid, ts, fun, acc, tab, lock) do
    steady(tid, tab, fn ->
      names = Enum.reverse(Fragments.names(tab))
      Enum.reduce(names, acc, &:magnesia.foldr(tid, ts, fun, &2, &1, lock))
    end)
  end

  # Information

  @doc """
  One thing to know of a table. Size and memory are those of all fragments together; besides
  there are base_table, node_pool, n_fragments, foreign_key, foreigners, n_ram_copies,
  n_disc_copies, n_disc_only_copies, n_external_copies, frag_names, frag_dist, frag_size and
  frag_memory. `{tab, key}` in the place of a table asks the key's fragment.
  """
  @spec table_info(tuple(), term(), term(), term()) :: term()
  def table_info(tid, ts, {tab, key}, item) do
    info(tid, ts, tab, Fragments.of_key(tab, key), item)
  end

  def table_info(tid, ts, tab, item), do: info(tid, ts, tab, tab, item)

  defp info(tid, ts, tab, _name, item) when item in [:size, :memory] do
    for({_name, n} <- each(tid, ts, tab, item), do: n) |> Enum.sum()
  end

  defp info(_tid, _ts, tab, _name, item) when item in [:base_table, :node_pool] do
    Fragments.property!(tab, item)
  end

  defp info(_tid, _ts, tab, _name, item) when item in [:n_fragments, :foreign_key] do
    Map.fetch!(Fragments.fetch!(tab), item)
  end

  defp info(_tid, _ts, tab, _name, :foreigners), do: Fragments.foreigners(tab)
  defp info(_tid, _ts, tab, _name, :n_ram_copies), do: copies(tab, :ram_copies)
  defp info(_tid, _ts, tab, _name, :n_disc_copies), do: copies(tab, :disc_copies)
  defp info(_tid, _ts, tab, _name, :n_disc_only_copies), do: copies(tab, :disc_only_copies)
  defp info(_tid, _ts, tab, _name, :n_external_copies), do: copies(tab, :external_copies)
  defp info(_tid, _ts, tab, _name, :frag_names), do: Fragments.names(tab)
  defp info(_tid, _ts, tab, _name, :frag_dist), do: FragmentLayout.distribution(tab)
  defp info(tid, ts, tab, _name, :frag_size), do: each(tid, ts, tab, :size)
  defp info(tid, ts, tab, _name, :frag_memory), do: each(tid, ts, tab, :memory)
  defp info(tid, ts, _tab, name, item), do: :magnesia.table_info(tid, ts, name, item)

  defp each(tid, ts, tab, item) do
    for name <- Fragments.names(tab) do
      case Definition.fetch(name) do
        {:ok, %{storage: storage}} when storage != :unknown ->
          {name, :magnesia.table_info(tid, ts, name, item)}

        _ ->
          abort({:no_exists, name, item})
      end
    end
  end

  defp copies(tab, kind) do
    case Definition.fetch(tab) do
      {:ok, definition} -> length(Map.get(definition, kind, []))
      :error -> abort({:no_exists, {tab, kind}})
    end
  end

  # Walking

  @doc "The first key of the first fragment that has one."
  @spec first(tuple(), term(), term()) :: term()
  def first(tid, ts, tab) do
    case Fragments.fetch(tab) do
      :error -> :magnesia.first(tid, ts, tab)
      {:ok, spread} -> forwards(tid, ts, spread, 1)
    end
  end

  @doc "The last key of the last fragment that has one."
  @spec last(tuple(), term(), term()) :: term()
  def last(tid, ts, tab) do
    case Fragments.fetch(tab) do
      :error -> :magnesia.last(tid, ts, tab)
      {:ok, spread} -> backwards(tid, ts, spread, spread.n_fragments)
    end
  end

  @doc "The key after another in its fragment, or the first one in those after it."
  @spec next(tuple(), term(), term(), term()) :: term()
  def next(tid, ts, tab, key) do
    case Fragments.fetch(tab) do
      :error ->
        :magnesia.next(tid, ts, tab, key)

      {:ok, spread} ->
        number = Fragments.number(spread, key)

        case :magnesia.next(tid, ts, Fragments.name(tab, number), key) do
          @end_of_table -> forwards(tid, ts, spread, number + 1)
          next -> next
        end
    end
  end

  @doc "The key before another in its fragment, or the last one in those before it."
  @spec prev(tuple(), term(), term(), term()) :: term()
  def prev(tid, ts, tab, key) do
    case Fragments.fetch(tab) do
      :error ->
        :magnesia.prev(tid, ts, tab, key)

      {:ok, spread} ->
        number = Fragments.number(spread, key)

        case :magnesia.prev(tid, ts, Fragments.name(tab, number), key) do
          @end_of_table -> backwards(tid, ts, spread, number - 1)
          previous -> previous
        end
    end
  end

  defp forwards(_tid, _ts, %{n_fragments: n}, number) when number > n, do: @end_of_table

  defp forwards(tid, ts, spread, number) do
    case :magnesia.first(tid, ts, Fragments.name(spread.tab, number)) do
      @end_of_table -> forwards(tid, ts, spread, number + 1)
      key -> key
    end
  end

  defp backwards(_tid, _ts, _spread, 0), do: @end_of_table

  defp backwards(tid, ts, spread, number) do
    case :magnesia.last(tid, ts, Fragments.name(spread.tab, number)) do
      @end_of_table -> backwards(tid, ts, spread, number - 1)
      key -> key
    end
  end
end
