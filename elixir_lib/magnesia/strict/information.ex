defmodule Magnesia.Strict.Information do
  @moduledoc """
  What `:magnesia` tells of tables, of the database and of errors.

  The items themselves are in `Magnesia.Strict.TableItems` and `Magnesia.Strict.SystemItems`,
  the pages in `Magnesia.Strict.Status`. Nothing is changed here.
  """

  alias Magnesia.Strict.Status
  alias Magnesia.Strict.SystemItems
  alias Magnesia.Strict.TableItems

  @doc "One thing to know of a table."
  @spec table_info(term(), term()) :: term()
  defdelegate table_info(tab, item), to: TableItems

  @doc "One thing to know of the database."
  @spec system_info(term()) :: term()
  defdelegate system_info(item), to: SystemItems

  @doc "Prints what there is to know of the database, and answers whether it is running."
  @spec system_info() :: :yes | :no
  def system_info do
    Status.system_info()
    system_info(:is_running)
  end

  @doc "Prints a page on the database's state."
  @spec info() :: :ok
  defdelegate info(), to: Status

  @doc "Prints all tables' definitions."
  @spec schema() :: :ok
  defdelegate schema(), to: Status

  @doc "Prints a table's definition."
  @spec schema(term()) :: :ok
  defdelegate schema(tab), to: Status

  @errors %{
    nested_transaction: ~c"Nested transactions are not allowed",
    badarg: ~c"Bad or invalid argument, possibly bad type",
    no_transaction: ~c"Operation not allowed outside transactions",
    combine_error: ~c"Table options were ilegally combined",
    bad_index: ~c"Index already exists or was out of bounds",
    already_exists: ~c"Some schema option we try to set is already on",
    index_exists: ~c"Some ops cannot  be performed on tabs with index",
    no_exists: ~c"Tried to perform op on non-existing (non alive) item",
    system_limit: ~c"Some system_limit was exhausted",
    mnesia_down:
      ~c"A transaction involving objects at some remote node which died while transaction was " ++
        ~c"executing*and* object(s) are no longer available elsewherein the network",
    not_a_db_node: ~c"A node which is non existent in the schema was mentioned",
    bad_type: ~c"Bad type on some provided arguments",
    node_not_running: ~c"Node not running",
    truncated_binary_file: ~c"Truncated binary in file",
    active: ~c"Some delete ops require that all active objects are removed",
    illegal: ~c"Operation not supported on object"
  }

  @doc "A reason in words, as far as it is known."
  @spec error_description(term()) :: term()
  def error_description({tag, reason}) when tag in [:EXIT, :error, :aborted] do
    error_description(reason)
  end

  def error_description(reason) when is_tuple(reason) and tuple_size(reason) > 0 do
    put_elem(reason, 0, error_description(elem(reason, 0)))
  end

  def error_description(reason) when is_map_key(@errors, reason), do: @errors[reason]
  def error_description(reason), do: reason
end
