defmodule Magnesia.Error do
  @moduledoc """
  What the exceptions of `Magnesia` say: a stock reason in words, the table it concerns and the
  next step.

  The exceptions are `Magnesia.TransactionError`, `Magnesia.SchemaError`,
  `Magnesia.NotFoundError` and `Magnesia.NoTransactionError`. Each has the fields `reason` (the
  term that `:mnesia` gives for the same mistake), `table` and `hint`. Nothing is raised here.

      iex> error = Magnesia.Error.new(Magnesia.TransactionError, {:no_exists, :town}, nil)
      iex> {error.table, error.reason}
      {:town, {:no_exists, :town}}
      iex> Exception.message(error) =~ "create it with Magnesia.create_table(:town"
      true
  """

  alias Magnesia.Strict.Definition

  @typedoc "The exceptions that carry a reason, a table and a hint."
  @type t ::
          Magnesia.TransactionError.t()
          | Magnesia.SchemaError.t()
          | Magnesia.NotFoundError.t()
          | Magnesia.NoTransactionError.t()

  @doc """
  An exception for a reason; the table is found in the reason when the caller does not know it.

      iex> Magnesia.Error.new(Magnesia.SchemaError, {:already_exists, :city}, nil).table
      :city
  """
  @spec new(module(), term(), term()) :: t()
  def new(module, reason, table) do
    table = if is_atom(table) and table != nil, do: table, else: table(reason)
    {words, hint} = explain(reason, table)
    struct(module, reason: reason, table: table, hint: hint, words: words)
  end

  @doc """
  The message of such an exception.

      iex> error = Magnesia.Error.new(Magnesia.TransactionError, :full, nil)
      iex> Magnesia.Error.message(error)
      "the transaction was rolled back with :full"
  """
  @spec message(map()) :: String.t()
  def message(%{words: words, hint: nil}), do: words
  def message(%{words: words, hint: hint}), do: "#{words}. #{hint}"

  defp table({:already_open, _open, _asked}), do: nil
  defp table({:timeout, _tables}), do: nil

  defp table({_kind, table}) when is_atom(table) and table not in [nil, true, false], do: table
  defp table({_kind, [table | _]}) when is_atom(table), do: table

  defp table({_kind, inner}) when is_tuple(inner) and tuple_size(inner) > 1,
    do: named(elem(inner, 0))

  defp table(reason) when is_tuple(reason) and tuple_size(reason) > 2, do: named(elem(reason, 1))
  defp table(_reason), do: nil

  defp named(table) when is_atom(table), do: table
  defp named(_other), do: nil

  defp explain({:node_not_running, _node}, _table), do: not_running()
  defp explain({:not_started, _what}, _table), do: not_running()

  defp explain(reason, table) when elem(reason, 0) == :no_exists do
    cond do
      Definition.fetch(:schema) == :error -> not_running()
      Definition.fetch(table) == :error -> missing(table)
      true -> refused(table, reason)
    end
  end

  defp explain({:bad_type, table, kind, _node}, _table)
       when kind in [:disc_copies, :disc_only_copies] do
    {"table #{inspect(table)} shall be on disc, and the database has no directory",
     "Start it with one: {Magnesia, dir: \"data\"} under your supervisor, or " <>
       "Magnesia.start(dir: \"data\"); the directory is made when it is missing"}
  end

  defp explain({:bad_type, _name, {kind, []}}, table)
       when kind in [:ram_copies, :disc_copies, :disc_only_copies] do
    {"table #{inspect(table)} has an empty list under #{kind}",
     "Node.list() leaves out the local node: write #{kind}: [node()], or storage: :disc"}
  end

  defp explain({:mismatch, _table, differences}, table) do
    {"table #{inspect(table)} exists and differs in #{inspect(differences)} (is, should be)",
     "Change the declaration, or the table with :magnesia.transform_table/3 or " <>
       ":magnesia.change_table_copy_type/3"}
  end

  defp explain({:already_open, open, asked}, _table) do
    {"the database is open in #{open || "memory"} and was asked for in #{asked}",
     "One VM has one database: call Magnesia.stop/0 first"}
  end

  defp explain({:already_exists, _name}, table) do
    {"table #{inspect(table)} exists already",
     "Magnesia.ensure_table(#{inspect(table)}, ...) is content with one that fits"}
  end

  defp explain({:timeout, tables}, _table) do
    {"tables #{inspect(tables)} cannot be used yet",
     "See that they are created, or give wait: more milliseconds"}
  end

  defp explain({:combine_error, _name, :update_counter}, table) do
    {"table #{inspect(table)} holds no counter there",
     "A counter's row is {#{inspect(table)}, key, integer} in a set with two attributes"}
  end

  defp explain(reason, table) when elem(reason, 0) == :bad_type, do: misfit(reason, table)

  defp explain({:system_limit, :lock_queue, most}, _table) do
    {"#{most} transactions wait for locks already",
     "Find what holds the locks with :magnesia.system_info(:held_locks), or run fewer at once"}
  end

  defp explain({:badarg, _details} = reason, table) do
    {"an argument for table #{inspect(table)} is wrong: #{inspect(reason)}",
     "Check the match specification, or that the key which a step starts from exists"}
  end

  defp explain({kind, text}, _table) when is_binary(text), do: storage(kind, text)
  defp explain({kind, {_key, text}}, _table) when is_binary(text), do: storage(kind, text)

  defp explain({:throw, value}, _table) do
    {"the transaction's fun threw #{inspect(value)}", "Use Magnesia.rollback/1 to give up"}
  end

  defp explain(:nomore, _table) do
    {"the transaction had to start again more often than retries: allows",
     "Give more retries, or make the transaction shorter"}
  end

  defp explain(:nested_transaction, _table) do
    {"a change of the schema cannot be made inside a transaction", "Make it before or after"}
  end

  defp explain(:no_transaction, _table) do
    {"there is no transaction", "Wrap the call in Magnesia.transaction(fn -> ... end)"}
  end

  defp explain({:not_unique, _table, attribute}, table) do
    {"another row of table #{inspect(table)} has the same #{inspect(attribute)}, which is unique",
     "Nothing of the transaction is kept; find that row with Magnesia.get_by/2"}
  end

  defp explain({:not_found, _table, key}, table) do
    {"table #{inspect(table)} has no row under the key #{inspect(key)}",
     "Magnesia.fetch/2 and Magnesia.get/3 take that for an answer"}
  end

  defp explain({:raised, exception}, _table) do
    {"the transaction's fun raised #{Exception.format_banner(:error, exception)}", nil}
  end

  defp explain(reason, _table) do
    {"the transaction was rolled back with #{inspect(reason)}", nil}
  end

  defp not_running do
    {"the database is not running",
     "Put {Magnesia, dir: \"data\"} under your supervisor, or call Magnesia.start/1"}
  end

  defp missing(table) do
    {"table #{inspect(table)} does not exist",
     "To have it, create it with Magnesia.create_table(#{inspect(table)}, attributes: [...]) " <>
       "or name it under tables: where Magnesia is started"}
  end

  defp refused(table, reason) do
    case Definition.fetch(table) do
      {:ok, %{access_mode: :read_only}} ->
        {"table #{inspect(table)} is read-only",
         "Make it writable with :magnesia.change_table_access_mode(#{inspect(table)}, " <>
           ":read_write)"}

      _ ->
        {"table #{inspect(table)} does not have what was asked for: #{inspect(reason)}",
         "See Magnesia.info(#{inspect(table)})"}
    end
  end

  defp misfit(reason, table) do
    case Definition.fetch(table) do
      {:ok, %{name: name, record_name: record, attributes: attributes}} ->
        {"what was given does not fit table #{inspect(name)}: #{inspect(reason)}",
         "Its rows are {#{Enum.join([inspect(record) | attributes], ", ")}}"}

      :error ->
        {"what was given has the wrong type: #{inspect(reason)}",
         "A table is an atom and a row a tuple {table, key, ...}; an option's value is named " <>
           "in Magnesia.create_table/2"}
    end
  end

  defp storage(:disc_full, text) do
    {"the disk is full: #{text}", "Nothing of the transaction is kept; make room and try again"}
  end

  defp storage(:broken, text) do
    {"a write to the disk has failed and tables on disc refuse writes: #{text}",
     "Restart the database: it recovers what is on the disk"}
  end

  defp storage(:in_use, text) do
    {"the directory belongs to another running system: #{text}",
     "Stop that one, or use another directory"}
  end

  defp storage(:damaged, text) do
    {"a file is damaged: #{text}",
     "Restore the directory from a copy, or save what is intact with mix magnesia.export; " <>
       "nothing has been changed"}
  end

  defp storage(:too_new, text) do
    {"the directory was written by a newer version: #{text}", "Use that version to open it"}
  end

  defp storage(kind, text), do: {"#{kind}: #{text}", nil}
end

for {name, doc} <- [
      {Magnesia.TransactionError, "A transaction, or a call that is one of its own, has failed."},
      {Magnesia.SchemaError, "A table could not be created or changed, or a database opened."},
      {Magnesia.NotFoundError, "No row has the key that was asked for."},
      {Magnesia.NoTransactionError, "A call that needs a transaction was made outside of one."}
    ] do
  defmodule name do
    @moduledoc """
    #{doc}

    `reason` is the term that `:mnesia` gives for the same mistake, `table` the table's name if
    one is concerned, `hint` the next step in words. See `Magnesia.Error`.
    """
    defexception [:reason, :table, :hint, :words]

    @type t :: %__MODULE__{
            reason: term(),
            table: atom(),
            hint: String.t() | nil,
            words: String.t() | nil
          }

    @impl true
    def exception(fields) do
      Magnesia.Error.new(__MODULE__, fields[:reason], fields[:table])
    end

    @impl true
    def message(error), do: Magnesia.Error.message(error)
  end
end
