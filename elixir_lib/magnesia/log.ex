defmodule Magnesia.Log do
  @moduledoc """
  A change log: every change of some tables, in the order of the commits, numbered without a gap.

  The entries are rows of an ordered set, written by the commit that they tell of: what is
  committed is logged, what is logged was committed, also after the VM was killed. Transactions
  and dirty operations are logged alike. A consumer keeps a bookmark in the database; where it
  moves that in the transaction that does its work, each entry has its effect exactly once.

      iex> :ok = Magnesia.Log.create(:stock_log, tables: [])
      iex> Magnesia.transaction(fn -> Magnesia.Log.append(:stock_log, {:sold, "tea", 3}) end)
      {:ok, :ok}
      iex> [entry] = Magnesia.Log.read(:stock_log, 0)
      iex> {entry.number, entry.verb, entry.data}
      {1, :append, {:sold, "tea", 3}}
      iex> Magnesia.Log.acknowledge(:stock_log, :mailer, 1)
      :ok
      iex> Magnesia.Log.bookmark(:stock_log, :mailer)
      1
      iex> Magnesia.Log.delete(:stock_log)
      :ok

  A process that follows a log is `Magnesia.Log.Consumer`. Changes of the schema are not logged,
  a transformation of rows neither. Nobody but this module and the engine writes into a log's
  table; it keeps its numbers only as long as its last row is there, so it is trimmed, never
  cleared.
  """

  alias Magnesia.Engine
  alias Magnesia.Error
  alias Magnesia.Log.Entry
  alias Magnesia.Logs
  alias Magnesia.Options
  alias Magnesia.SchemaError
  alias Magnesia.Telemetry

  @attributes [:number, :verb, :table, :data, :first]
  @storages %{
    ram: :ram_copies,
    disc: :disc_copies,
    ram_copies: :ram_copies,
    disc_copies: :disc_copies
  }
  @chunk 1_000
  @trimmed_together 500

  @typedoc "A number before the first entry, 0, or that of an entry."
  @type position :: non_neg_integer()
  @typedoc "Whoever reads a log and has a bookmark in it: any term."
  @type consumer :: term()
  @type answer :: :ok | {:error, SchemaError.t()}

  defmodule TrimmedError do
    @moduledoc "Entries that were asked for are not in the log any more."
    defexception [:log, :position, :first]

    @impl true
    def message(error) do
      "log #{inspect(error.log)} begins with entry #{error.first}, entry " <>
        "#{error.position + 1} was trimmed: take the state of its tables anew and go on from " <>
        "#{error.first - 1}"
    end
  end

  @doc """
  Makes a log and gives it to tables. Options: `:tables`, a list of tables, and `:storage`,
  `:disc` (the default where the database has a directory) or `:ram`, also by Mnesia's names
  `:disc_copies` and `:ram_copies`. A log that is there stays, and the tables are added to it.

      iex> Magnesia.Log.create(:city_log, tables: [:city, :visit])
      :ok
      iex> Magnesia.Log.create(:city_log, table: [:city])
      ** (ArgumentError) Magnesia.Log.create/2 has no option :table, did you mean :tables?
  """
  @spec create(atom(), keyword()) :: answer()
  def create(log, options \\ []) do
    rules = [
      tables: {&is_list/1, "a list of tables"},
      storage: {&is_map_key(@storages, &1), ":ram or :disc"}
    ]

    Options.validate!(options, rules, "Magnesia.Log.create/2")
    storage = @storages[options[:storage]] || default_storage()
    own = [attributes: @attributes, type: :ordered_set, user_properties: [Logs.property(log)]]

    with :ok <- ensure(log, [{storage, [node()]} | own]),
         :ok <- ensure(bookmarks(log), [{storage, [node()]}, attributes: [:consumer, :number]]) do
      options |> Keyword.get(:tables, []) |> each(&add_table(log, &1))
    end
  end

  @doc """
  Logs a table's changes from now on.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> Magnesia.Log.add_table(:city_log, :visit)
      :ok
      iex> {:ok, _row} = Magnesia.put({:visit, "Zoe", "Rome"})
      iex> for entry <- Magnesia.Log.read(:city_log, 0), do: entry.table
      [:visit]
  """
  @spec add_table(atom(), atom()) :: answer()
  def add_table(log, table), do: answer(:magnesia.write_table_property(table, Logs.property(log)))

  @doc """
  Logs a table's changes no more.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> Magnesia.Log.remove_table(:city)
      :ok
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> Magnesia.Log.last(:city_log)
      0
  """
  @spec remove_table(atom()) :: answer()
  def remove_table(table), do: answer(:magnesia.delete_table_property(table, Logs.key()))

  @doc """
  Deletes a log with its bookmarks; its tables stay.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> Magnesia.Log.delete(:city_log)
      :ok
      iex> Magnesia.tables()
      [:city, :hits, :visit]
  """
  @spec delete(atom()) :: answer()
  def delete(log) do
    with :ok <- each(Logs.tables(log), &remove_table/1),
         :ok <- answer(:magnesia.delete_table(bookmarks(log))) do
      answer(:magnesia.delete_table(log))
    end
  end

  @doc """
  Adds an entry of one's own, in the transaction that the caller is in or in one of its own. It
  gets its number when that commits.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> Magnesia.Log.append(:city_log, {:closed, "Oslo"})
      :ok
      iex> for entry <- Magnesia.Log.read(:city_log, 0), do: {entry.number, entry.data}
      [{1, {:closed, "Oslo"}}]
  """
  @spec append(atom(), term()) :: :ok
  def append(log, term) do
    # Never read back: the engine puts the next number in the place of the key.
    key = {:append, :erlang.unique_integer([:monotonic])}
    in_transaction(fn -> :magnesia.write(log, {log, key, :append, log, term, 0}, :write) end)
  end

  @doc """
  The number of the last entry, 0 when there is none.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> :ok = Magnesia.delete(:city, "Oslo")
      iex> Magnesia.Log.last(:city_log)
      2
  """
  @spec last(atom()) :: position()
  def last(log), do: position(:magnesia.dirty_last(log))

  @doc """
  The number of the first entry that is kept, 0 when there is none.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> :ok = Magnesia.delete(:city, "Oslo")
      iex> Magnesia.Log.first(:city_log)
      1
  """
  @spec first(atom()) :: position()
  def first(log), do: position(:magnesia.dirty_first(log))

  defp position(:"$end_of_table"), do: 0
  defp position(number) when is_integer(number), do: number

  @doc """
  Some of the entries after a position, at most `limit` (1,000 at most in one answer); `[]` when
  there are none. Raises `Magnesia.Log.TrimmedError` when the next one was trimmed.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> :ok = Magnesia.delete(:city, "Oslo")
      iex> [written, deleted] = Magnesia.Log.read(:city_log, 0)
      iex> {written.number, written.verb, written.table, written.data}
      {1, :write, :city, {:city, "Rome", :it, 2800}}
      iex> {deleted.number, deleted.verb, deleted.data}
      {2, :delete, "Oslo"}
      iex> Magnesia.Log.read(:city_log, 2)
      []
  """
  @spec read(atom(), position(), pos_integer()) :: [Entry.t()]
  def read(log, position, limit \\ @chunk) do
    head = {:_, :"$1", :_, :_, :_, :_}
    spec = [{head, [{:>, :"$1", position}], [:"$_"]}]

    case Engine.select_chunk(log, spec, min(limit, @chunk)) do
      {:more, [], _cursor} -> []
      {:more, rows, _cursor} -> entries(rows, log, position)
      {:done, rows} -> entries(rows, log, position)
      {:"$magnesia_error", _reason} -> exit({:aborted, {:no_exists, log}})
    end
  end

  defp entries([], _log, _position), do: []

  defp entries([row | _] = rows, log, position) do
    if elem(row, 1) == position + 1 do
      Enum.map(rows, &Entry.of/1)
    else
      raise TrimmedError, log: log, position: position, first: elem(row, 1)
    end
  end

  @doc """
  The entries after a position, up to the last one there is; lazily.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> :ok = Magnesia.delete(:city, "Oslo")
      iex> :city_log |> Magnesia.Log.stream(1) |> Enum.map(& &1.number)
      [2]
  """
  @spec stream(atom(), position()) :: Enumerable.t()
  def stream(log, position \\ 0) do
    Stream.unfold(position, fn position ->
      case read(log, position) do
        [] -> nil
        entries -> {entries, List.last(entries).number}
      end
    end)
    |> Stream.concat()
  end

  @doc """
  Waits until there is an entry after a position.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> :ok = Magnesia.delete(:city, "Oslo")
      iex> Magnesia.Log.await(:city_log, 1)
      :ok
      iex> Magnesia.Log.await(:city_log, 2, 10)
      :timeout
  """
  @spec await(atom(), position(), timeout()) :: :ok | :timeout
  def await(log, position, timeout \\ :infinity) do
    case Engine.log_wait(log, position) do
      :wait ->
        receive do
          {:"$magnesia_log", ^log} -> :ok
        after
          timeout -> :timeout
        end

      last when is_integer(last) ->
        :ok

      {:"$magnesia_error", _reason} ->
        exit({:aborted, {:no_exists, log}})
    end
  end

  @doc """
  A consumer's bookmark: the last entry that it has acknowledged, 0 at first.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> :ok = Magnesia.delete(:city, "Oslo")
      iex> Magnesia.Log.bookmark(:city_log, :map)
      0
  """
  @spec bookmark(atom(), consumer()) :: position()
  def bookmark(log, consumer) do
    in_transaction(fn -> marked(:magnesia.read(bookmarks(log), consumer, :write)) end)
  end

  defp marked([{_, _, number}]) when is_integer(number), do: number
  defp marked([]), do: 0

  @doc """
  Moves a consumer's bookmark: every entry up to the number is done. In a transaction it is part
  of that, and so happens with the consumer's own writes or not at all. A bookmark goes back
  only with `rewind/3`.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> :ok = Magnesia.delete(:city, "Oslo")
      iex> Magnesia.Log.acknowledge(:city_log, :map, 2)
      iex> Magnesia.Log.acknowledge(:city_log, :map, 1)
      iex> Magnesia.Log.bookmark(:city_log, :map)
      2
  """
  @spec acknowledge(atom(), consumer(), position()) :: :ok
  def acknowledge(log, consumer, number) when is_integer(number) and number >= 0 do
    in_transaction(fn ->
      if marked(:magnesia.read(bookmarks(log), consumer, :write)) < number do
        rewind(log, consumer, number)
      else
        :ok
      end
    end)
  end

  @doc """
  Puts a consumer's bookmark anywhere, also back.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> :ok = Magnesia.delete(:city, "Oslo")
      iex> Magnesia.Log.acknowledge(:city_log, :map, 2)
      iex> Magnesia.Log.rewind(:city_log, :map, 1)
      iex> Magnesia.Log.bookmark(:city_log, :map)
      1
  """
  @spec rewind(atom(), consumer(), position()) :: :ok
  def rewind(log, consumer, number) when is_integer(number) and number >= 0 do
    tab = bookmarks(log)
    in_transaction(fn -> :magnesia.write(tab, {tab, consumer, number}, :write) end)
  end

  @doc """
  Forgets a consumer, so that the log need not be kept for it.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> :ok = Magnesia.delete(:city, "Oslo")
      iex> Magnesia.Log.acknowledge(:city_log, :map, 2)
      iex> Magnesia.Log.forget(:city_log, :map)
      :ok
      iex> Magnesia.Log.consumers(:city_log)
      []
  """
  @spec forget(atom(), consumer()) :: :ok
  def forget(log, consumer) do
    tab = bookmarks(log)
    in_transaction(fn -> :magnesia.delete(tab, consumer, :write) end)
  end

  @doc """
  All consumers with their bookmarks.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> :ok = Magnesia.delete(:city, "Oslo")
      iex> Magnesia.Log.acknowledge(:city_log, :map, 2)
      iex> Magnesia.Log.consumers(:city_log)
      [map: 2]
  """
  @spec consumers(atom()) :: [{consumer(), position()}]
  def consumers(log) do
    :magnesia.dirty_select(bookmarks(log), [{{:_, :"$1", :"$2"}, [], [{{:"$1", :"$2"}}]}])
  end

  @doc """
  Deletes entries that every consumer has acknowledged; with `keep: n` also those that some have
  not, but for the last `n`. The last entry always stays. Answers how many were deleted.

      iex> :ok = Magnesia.Log.create(:city_log, tables: [:city])
      iex> {:ok, _row} = Magnesia.put({:city, "Rome", :it, 2800})
      iex> :ok = Magnesia.delete(:city, "Oslo")
      iex> Magnesia.Log.acknowledge(:city_log, :map, 2)
      iex> {Magnesia.Log.trim(:city_log), Magnesia.Log.first(:city_log)}
      {1, 2}
  """
  @spec trim(atom(), keyword()) :: non_neg_integer()
  def trim(log, options \\ []) do
    rules = [keep: {&(is_integer(&1) and &1 > 0), "how many entries to keep"}]
    Options.validate!(options, rules, "Magnesia.Log.trim/2")
    last = last(log)
    marks = for {_consumer, number} when is_integer(number) <- consumers(log), do: number
    done = if marks == [], do: 0, else: Enum.min(marks)
    kept = kept(last, Keyword.get(options, :keep))
    count = trim_to(log, first(log), min(max(done, kept), last - 1), 0)
    Telemetry.execute([:magnesia, :change_log, :trim], %{entries: count}, %{log: log})
    count
  end

  defp kept(last, keep) when is_integer(keep), do: last - keep
  defp kept(_last, nil), do: 0

  defp trim_to(log, first, upto, count)
       when is_integer(first) and is_integer(upto) and first > 0 and first <= upto do
    last = min(first + @trimmed_together - 1, upto)
    delete = fn -> Enum.each(first..last, &:magnesia.delete(log, &1, :write)) end
    {:atomic, :ok} = :magnesia.transaction(delete)
    trim_to(log, last + 1, upto, count + last - first + 1)
  end

  defp trim_to(_log, _first, _upto, count), do: count

  defp bookmarks(log), do: :"#{log}_bookmarks"

  defp in_transaction(fun) do
    if :magnesia.is_transaction(), do: fun.(), else: :magnesia.activity(:transaction, fun)
  end

  defp default_storage do
    if :magnesia.system_info(:use_dir), do: :disc_copies, else: :ram_copies
  end

  defp ensure(table, options) do
    case :magnesia.create_table(table, options) do
      {:aborted, {:already_exists, ^table}} -> :ok
      outcome -> answer(outcome)
    end
  end

  defp each([], _fun), do: :ok

  defp each([one | rest], fun) do
    with :ok <- fun.(one), do: each(rest, fun)
  end

  defp answer({:atomic, :ok}), do: :ok
  defp answer({:aborted, reason}), do: {:error, Error.new(SchemaError, reason, nil)}
end
