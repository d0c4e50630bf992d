defmodule Magnesia.Hot.Move do
  @moduledoc """
  Moves a table of a running Mnesia to another storage on this node, looks whether every row is
  what it was, and takes the change back when one is not.

  The rows are read before and after (`Magnesia.Hot.Reading`), and what others write meanwhile is
  followed by Mnesia's own events (`Magnesia.Hot.Watch`), so writers need not be stopped: their
  writes are part of what must be there. Taking back keeps the rows as they are by then; it can't
  bring back one that was lost. What is worth moving is not decided here.
  """

  alias Magnesia.Backend
  alias Magnesia.Hot.Reading
  alias Magnesia.Hot.Survey
  alias Magnesia.Hot.Watch

  @every_ms 100

  @typedoc "What `report` gets: the stage, rows done, rows there are."
  @type event :: {:before | :moving | :after | :undoing, non_neg_integer(), non_neg_integer()}

  @doc "See `Magnesia.Hot.move/3`."
  @spec run(atom(), atom(), (event() -> term())) ::
          {:ok, Magnesia.Hot.report()} | {:error, String.t()}
  def run(tab, to, report) do
    from = Survey.storage(tab)

    case Watch.start(tab) do
      {:ok, watch} ->
        try do
          checked(tab, from, to, watch, report)
        after
          Watch.stop(watch)
        end

      {:error, reason} ->
        {:error, "the events of #{tab} can't be followed: #{inspect(reason)}"}
    end
  end

  defp checked(tab, from, to, watch, report) do
    with {:ok, before} <- read(tab, watch, :before, report),
         :ok <- settled(tab, before),
         {:atomic, :ok} <- convert(tab, to, :moving, report) do
      judge(tab, from, to, before, read(tab, watch, :after, report), report)
    else
      {:error, text} when is_binary(text) -> {:error, text <> "; nothing was changed"}
      {:aborted, reason} -> {:error, "#{tab} stays #{from}: Mnesia says #{inspect(reason)}"}
    end
  end

  defp read(tab, watch, stage, report) do
    size = :mnesia.table_info(tab, :size)
    _ = report.({stage, 0, size})

    case Reading.take(tab, watch, &report.({stage, &1, max(size, &1)})) do
      {:ok, reading} ->
        {:ok, reading}

      {:error, :behind} ->
        {:error,
         "#{tab} is written faster than its writes can be followed: " <>
           "move it when there are fewer"}

      {:error, reason} ->
        {:error, "the rows of #{tab} can't be read: #{inspect(reason)}"}
    end
  end

  defp settled(_tab, %{doubtful: 0}), do: :ok

  defp settled(tab, %{doubtful: doubtful}) do
    {:error,
     "#{tab} is written outside of transactions faster than it can be read: " <>
       "#{doubtful} of #{Watch.parts()} parts can't be checked"}
  end

  defp judge(tab, from, to, before, {:ok, later}, report) do
    differing = Reading.differing(before, later)

    if differing == 0 do
      {:ok,
       %{
         table: tab,
         from: from,
         to: to,
         rows_before: before.rows,
         rows: later.rows,
         checksum: Reading.checksum(later)
       }}
    else
      what =
        "#{differing} of #{Watch.parts()} parts of #{tab} differ from before " <>
          "(#{before.rows} rows then, #{later.rows} now, writes of others allowed for)"

      undo(tab, from, to, what, report)
    end
  end

  defp judge(tab, from, to, _before, {:error, text}, report),
    do: undo(tab, from, to, text, report)

  defp undo(tab, from, to, what, report) do
    case convert(tab, from, :undoing, report) do
      {:atomic, :ok} -> {:error, "#{what}: it was taken back and is #{from} again"}
      {:aborted, reason} -> {:error, "#{what}; it stays #{to}: Mnesia says #{inspect(reason)}"}
    end
  end

  # Mnesia has no word on how far it is; the new copy has its size.
  defp convert(tab, to, stage, report) do
    total = :mnesia.table_info(tab, :size)
    {pid, ref} = spawn_monitor(fn -> exit({:done, Backend.convert(tab, to)}) end)
    _ = report.({stage, 0, total})
    await(pid, ref, fn -> report.({stage, min(size(tab, to), total), total}) end)
  end

  defp await(pid, ref, tick) do
    receive do
      {:DOWN, ^ref, :process, ^pid, {:done, result}} -> result
      {:DOWN, ^ref, :process, ^pid, reason} -> {:aborted, reason}
    after
      @every_ms ->
        _ = tick.()
        await(pid, ref, tick)
    end
  end

  defp size(tab, to) do
    size =
      if to in [:magnesia_ram, :magnesia_disc, :magnesia_disc_only],
        do: Backend.info(to, tab, :size),
        else: :ets.info(tab, :size)

    if is_integer(size), do: size, else: 0
  end
end
