defmodule Magnesia.Strict.Status do
  @moduledoc """
  Prints the state of the database on the group leader, as pages for people.

  The pages have the form of Mnesia's. Everything printed is asked of
  `Magnesia.Strict.SystemItems` and `Magnesia.Strict.TableItems`; nothing is worked out here.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Database
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.SystemItems
  alias Magnesia.Strict.TableItems

  # External bytes above those of any name of a table.
  @name_bytes_max 2000

  @doc "Prints a page on the database's state."
  @spec info() :: :ok
  def info do
    if Database.running?() do
      locks()
      tables()
    end

    system_info()
  end

  @doc "Prints the database's state without the locks and tables."
  @spec system_info() :: :ok
  def system_info do
    summary()
    if Database.running?(), do: figures()
    :ok
  end

  @doc "Prints all tables' definitions."
  @spec schema() :: :ok
  def schema do
    if not Database.running?(), do: abort({:node_not_running, node()})
    Definition.names() |> Enum.sort() |> Enum.each(&schema/1)
  end

  @doc "Prints a table's definition."
  @spec schema(term()) :: :ok
  def schema(tab) do
    case Definition.fetch(tab) do
      {:ok, definition} -> print(tab, TableItems.properties(definition))
      :error -> if Database.running?(), do: print(tab, []), else: abort({:no_exists, tab, :all})
    end
  end

  defp print(tab, properties) do
    line(~c"-- Properties for ~ts table --- ~n", [name(tab)])

    for {item, value} <- properties, item != :cstruct do
      line(~c"~-20tw -> ~tp~n", [item, value])
    end

    line(~c"~n", [])
  end

  # The digits of a large number or binary would take seconds.
  defp name(tab) do
    case :erlang.external_size(tab) do
      bytes when bytes > @name_bytes_max -> ~c"(a term of #{bytes} bytes)"
      _bytes -> :io_lib.format(~c"~tw", [tab])
    end
  end

  defp locks do
    line(~c"---> Processes holding locks <--- ~n", [])
    Enum.each(asked(:held_locks), &line(~c"Lock: ~p~n", [&1]))
    line(~c"---> Processes waiting for locks <--- ~n", [])

    Enum.each(asked(:lock_queue), fn {oid, kind, _pid, tid, owner} ->
      line(~c"Tid ~p waits for ~p lock on oid ~p owned by ~p ~n", [tid, kind, oid, owner])
    end)
  end

  defp tables do
    line(~c"---> Active tables <--- ~n", [])

    Enum.each(asked(:local_tables), fn tab ->
      disc = about(tab, :storage_type) == :disc_only_copies
      media = if disc, do: ~c"bytes on disc", else: ~c"words of mem"
      figures = [tab, about(tab, :size), about(tab, :memory), media]
      line(~c"~-15tw: with ~-8w records occupying ~-8w ~s~n", figures)
    end)
  end

  defp summary do
    line(~c"===> System info in version ~p, debug level = ~p <===~n", [
      asked(:version),
      asked(:debug)
    ])

    used = if asked(:use_dir), do: ~c"", else: ~c"NOT "
    line(~c"~w. Directory ~p is ~sused.~n", [asked(:schema_location), asked(:directory), used])
    line(~c"use fallback at restart = ~w~n", [asked(:fallback_activated)])
    running = asked(:running_db_nodes)
    line(~c"running db nodes   = ~w~n", [running])
    line(~c"stopped db nodes   = ~w ~n", [asked(:db_nodes) -- running])
  end

  defp figures do
    line(~c"master node tables = ~p~n", [Enum.sort(asked(:master_node_tables))])

    for {title, storage} <- [
          {~c"remote             = ~p~n", :unknown},
          {~c"ram_copies         = ~p~n", :ram_copies},
          {~c"disc_copies        = ~p~n", :disc_copies},
          {~c"disc_only_copies   = ~p~n", :disc_only_copies}
        ] do
      stored = for tab <- asked(:tables), about(tab, :storage_type) == storage, do: tab
      line(title, [Enum.sort(stored)])
    end

    transactions()
  end

  defp transactions do
    counters = [
      asked(:transaction_commits),
      asked(:transaction_failures),
      asked(:transaction_restarts),
      asked(:transaction_log_writes)
    ]

    line(
      ~c"~w transactions committed, ~w aborted, ~w restarted, ~w logged to disc~n",
      counters
    )

    line(~c"~w held locks, ~w in queue; ~w local transactions, 0 remote~n", [
      length(asked(:held_locks)),
      length(asked(:lock_queue)),
      length(asked(:transactions))
    ])
  end

  defp asked(item), do: SystemItems.system_info(item)
  defp about(tab, item), do: TableItems.table_info(tab, item)
  defp line(format, values), do: :io.format(format, values)
end
