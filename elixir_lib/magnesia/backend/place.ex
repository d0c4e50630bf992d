defmodule Magnesia.Backend.Place do
  @moduledoc """
  The database that holds a stock Mnesia's tables: where it is, its opening and closing.

  It is `magnesia` in Mnesia's directory (`config :magnesia, hot_dir: "..."` says another), or in
  memory for a Mnesia that has no directory. It opens when Mnesia starts and closes when Mnesia
  stops, as stock tables do: `Magnesia.Backend.Owner` sees to that.

  Every write is in the engine's log before Mnesia goes on, while Mnesia's own log is written up
  to two seconds late. After a VM was killed the engine knows more than Mnesia's log, and running
  through that log would take rows back to what they were; it is passed over then. After a power
  cut, which the machine's boot number shows, and after an orderly end it is not.
  """

  alias Magnesia.Backend.Alarm
  alias Magnesia.Backend.Names
  alias Magnesia.Backend.Owner
  alias Magnesia.Backend.Refusal
  alias Magnesia.Backend.Tables
  alias Magnesia.Engine

  require Logger

  @doc "Opens the database unless it is open."
  @spec open() :: :ok | {:error, String.t()}
  def open do
    if Owner.alive?() and open?(), do: :ok, else: Owner.start()
  end

  @doc "Tells whether the database is open."
  @spec open?() :: boolean()
  def open?, do: is_list(Engine.tables(:hot))

  @doc "Opens the database for its owner; rows in memory that nobody owned are gone."
  @spec do_open() :: :ok | {:error, String.t()}
  def do_open do
    dir = if disc?(), do: directory()
    :persistent_term.put({__MODULE__, :dir}, dir)
    opened = if dir, do: open_at(dir), else: Engine.open(:hot, nil, %{})

    # The mark was written: the disk takes writes, whatever it did before.
    with :ok <- opened, :ok <- mark(), :ok <- Alarm.clear() do
      Names.recall(Tables.all())
    else
      {:"$magnesia_error", reason} -> {:error, Refusal.words(reason)}
    end
  end

  defp open_at(dir) do
    case Engine.has_database(dir) do
      true -> Engine.open(:hot, dir, %{})
      false -> with :ok <- Engine.create(dir), do: Engine.open(:hot, dir, %{})
      failure -> failure
    end
  end

  # An epoch is a time in which indexes could not fall behind their tables unseen.
  defp mark do
    boot = boot()

    {epoch, ahead?} =
      case Engine.schema_properties(:hot) do
        %{clean: true, epoch: epoch} -> {epoch, false}
        %{epoch: epoch, boot: there} -> {epoch + 1, there == boot and boot != nil}
        _new -> {1, false}
      end

    :persistent_term.put(__MODULE__, {epoch, ahead?})
    Engine.set_schema_properties(:hot, %{clean: false, epoch: epoch, boot: boot})
  end

  defp boot do
    case File.read("/proc/sys/kernel/random/boot_id") do
      {:ok, id} -> String.trim(id)
      {:error, _} -> nil
    end
  end

  @doc "Closes the database in good order."
  @spec do_close() :: :ok | {:error, String.t()}
  def do_close do
    _ = Engine.set_schema_properties(:hot, %{clean: true, epoch: epoch(), boot: boot()})

    case Engine.close(:hot) do
      {:"$magnesia_error", reason} when reason != :closed -> {:error, Refusal.words(reason)}
      _ -> :ok
    end
  end

  @doc "Gives a database in memory the directory that Mnesia has got meanwhile."
  @spec attach() :: :ok | :no_directory | {:error, String.t()} | Engine.failure()
  def attach do
    cond do
      :persistent_term.get({__MODULE__, :dir}, nil) != nil -> :ok
      disc?() -> attach_at(directory())
      true -> :no_directory
    end
  end

  defp attach_at(dir) do
    with :ok <- set_aside(dir, Engine.has_database(dir)),
         :ok <- Engine.attach(:hot, dir) do
      :persistent_term.put({__MODULE__, :dir}, dir)
    end
  end

  # What is there was this node's before its schema was deleted: of no table that it has now, and
  # not to be lost by a mistake.
  defp set_aside(_dir, false), do: :ok

  defp set_aside(dir, true) do
    aside = free_name(dir, 1)

    case File.rename(dir, aside) do
      :ok ->
        Logger.warning(
          "Magnesia found tables of a schema that was deleted in #{dir}. " <>
            "They are in #{aside} now, which nothing needs"
        )

      {:error, reason} ->
        {:error, "#{dir} can't be renamed to #{aside}: #{:file.format_error(reason)}"}
    end
  end

  defp set_aside(_dir, failure), do: failure

  defp free_name(dir, number) do
    name = "#{dir}.old#{number}"
    if File.exists?(name), do: free_name(dir, number + 1), else: name
  end

  @doc "Tells whether the disk takes writes."
  @spec probe() :: :ok | Engine.failure()
  def probe do
    marks = %{clean: false, epoch: epoch(), boot: boot()}
    with :ok <- Engine.sync_log(:hot), do: Engine.set_schema_properties(:hot, marks)
  end

  @doc "The number of the time since indexes were last in doubt."
  @spec epoch() :: pos_integer()
  def epoch, do: elem(:persistent_term.get(__MODULE__, {1, false}), 0)

  @doc "Tells whether the engine knows more than Mnesia's log."
  @spec ahead?() :: boolean()
  def ahead?, do: elem(:persistent_term.get(__MODULE__, {1, false}), 1)

  @doc "Tells whether Mnesia has a directory."
  @spec disc?() :: boolean()
  def disc?, do: :mnesia_monitor.use_dir()

  @doc "The directory of the database."
  @spec directory() :: binary()
  def directory do
    case Application.get_env(:magnesia, :hot_dir) do
      nil -> IO.chardata_to_string(:filename.join(:mnesia_lib.dir(), "magnesia"))
      dir -> IO.chardata_to_string(dir)
    end
  end
end
