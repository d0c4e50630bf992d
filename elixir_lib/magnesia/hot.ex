defmodule Magnesia.Hot do
  @moduledoc """
  Which tables of a running stock Mnesia are worth having on this engine, and moving them there
  and back, on the node where it is called. `mix magnesia.hot` shows and does the same.

      Magnesia.Hot.list()
      Magnesia.Hot.plan(:session, :magnesia_ram)
      Magnesia.Hot.move(:session, :magnesia_ram)
      Magnesia.Hot.move(:session, :ram_copies)

  In a release: `bin/my_app rpc 'IO.inspect(Magnesia.Hot.move(:session, :magnesia_ram))'`. What a
  table's rows mean is nothing to this module.
  """

  alias Magnesia.Backend
  alias Magnesia.Hot.Footprint
  alias Magnesia.Hot.Move
  alias Magnesia.Hot.Survey

  @storages [
    :ram_copies,
    :disc_copies,
    :disc_only_copies,
    :magnesia_ram,
    :magnesia_disc,
    :magnesia_disc_only
  ]

  @typedoc "What a move would do. Memory is bytes."
  @type plan :: %{
          table: atom(),
          from: atom(),
          to: atom(),
          rows: non_neg_integer(),
          memory: non_neg_integer(),
          estimate: non_neg_integer() | nil
        }
  @typedoc "What a move did."
  @type report :: %{
          table: atom(),
          from: atom(),
          to: atom(),
          rows_before: non_neg_integer(),
          rows: non_neg_integer(),
          checksum: non_neg_integer()
        }

  @doc """
  The tables on this node, the busiest first: see `t:Magnesia.Hot.Survey.row/0`.

  Option `sample:` says for how many seconds reads and writes are counted (1); what is counted is
  said in `Magnesia.Hot.Rates`, how memory is estimated in `Magnesia.Hot.Footprint`.
  """
  @spec list(keyword()) :: {:ok, [Survey.row()]} | {:error, String.t()}
  def list(options \\ []) do
    case Keyword.get(options, :sample, 1) do
      seconds when is_number(seconds) and seconds > 0 and seconds <= 3600 ->
        with :ok <- running(), do: {:ok, Survey.rows(seconds)}

      other ->
        {:error, "sample is a number of seconds up to 3600, not #{inspect(other)}"}
    end
  end

  @doc "What `move/3` would do; nothing is changed."
  @spec plan(atom(), atom()) :: {:ok, plan()} | {:error, String.t()}
  def plan(tab, to) do
    with :ok <- running(),
         :ok <- table(tab),
         :ok <- storage(to),
         from = Survey.storage(tab),
         :ok <- change(tab, from, to) do
      {memory, estimate} = Footprint.of(tab, to)
      rows = :mnesia.table_info(tab, :size)

      {:ok, %{table: tab, from: from, to: to, rows: rows, memory: memory, estimate: estimate}}
    end
  end

  @doc """
  Changes how a table is stored on this node, checks its rows and undoes the change when the
  check fails. Writers need not be stopped.

  A table that is written without transactions so fast that it can't be read in between is
  refused before anything is changed. Option `report:` is a function of one argument, or `{pid,
  term}` for messages `{term, event}`: see `t:Magnesia.Hot.Move.event/0`.
  """
  @spec move(atom(), atom(), keyword()) :: {:ok, report()} | {:error, String.t()}
  def move(tab, to, options \\ []) do
    with {:ok, _plan} <- plan(tab, to), :ok <- register() do
      Move.run(tab, to, reporter(Keyword.get(options, :report)))
    end
  end

  defp reporter(nil), do: fn _event -> :ok end
  defp reporter({pid, term}) when is_pid(pid), do: fn event -> send(pid, {term, event}) end
  defp reporter(fun) when is_function(fun, 1), do: fun

  defp register do
    case Backend.register() do
      {:atomic, :ok} -> :ok
      {:aborted, reason} -> {:error, "the aliases can't be registered: #{inspect(reason)}"}
    end
  end

  defp running do
    case :mnesia.system_info(:is_running) do
      :yes -> :ok
      _no -> {:error, "Mnesia is not running on #{node()}"}
    end
  end

  defp table(:schema), do: {:error, "schema is Mnesia's own table"}

  defp table(tab) do
    cond do
      tab not in :mnesia.system_info(:tables) -> {:error, "there is no table #{inspect(tab)}"}
      tab in :mnesia.system_info(:local_tables) -> :ok
      true -> {:error, "#{inspect(tab)} has no copy on #{node()}"}
    end
  end

  defp storage(to) when to in @storages, do: :ok

  defp storage(to),
    do: {:error, "there is no storage #{inspect(to)}: one of #{Enum.join(@storages, ", ")}"}

  defp change(tab, same, same), do: {:error, "#{inspect(tab)} is #{same} already"}

  defp change(tab, _from, to) do
    cond do
      to == :disc_only_copies and :mnesia.table_info(tab, :type) == :ordered_set ->
        {:error, "Mnesia has no ordered_set on disc_only_copies"}

      # Mnesia carries the rows over in a file that it writes in this case alone: in another it
      # loses them all or goes down.
      not :mnesia.system_info(:use_dir) ->
        {:error,
         "a move needs a Mnesia with its schema on disk, or it loses the rows: " <>
           ":mnesia.change_table_copy_type(:schema, node(), :disc_copies) comes first"}

      true ->
        :ok
    end
  end
end
