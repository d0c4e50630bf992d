defmodule Magnesia.Overload do
  @moduledoc """
  Overload, told as Mnesia tells it, with the number that matters and what to do.

  Once a second the running database is looked at. Where a limit is passed, those who subscribed
  to system events get `{:mnesia_overload, {what, details}}`, with `what` as below and `details` a
  map of `value`, `limit`, `process` (nil unless it is a queue of messages) and `text`; the event
  handler logs "Magnesia is overloaded: " and the text; and `Magnesia.Telemetry` has an event. It
  is told again when the value has doubled, and anew when it was below half of the limit.

  | what | setting | limit |
  |---|---|---|
  | `:dump_log` | `log_bytes` | 268,435,456 bytes |
  | `:message_queue` | `message_queue` | 10,000 messages |
  | `:lock_queue` | `lock_queue` | 1,000 transactions |

  What it means and what to do:

    * `:dump_log`: the log is dumped from 64 MiB on. That it is so long means that dumps do not
      keep up with the writes, or fail, and an opening has to read all of it. See what
      `:magnesia.dump_log/0` answers; write less at once; keep in memory what need not survive.
    * `:message_queue`: a subscriber of events, or a process that hands them on, handles them
      slower than they come, and its memory grows. Do the work in another process, subscribe to
      fewer tables, or follow a `Magnesia.Log`, which keeps in a table what is not yet read.
    * `:lock_queue`: so many transactions wait for a lock, most of them for the table that the
      text names. Find who holds it with `mix magnesia.info`; make transactions short, lock
      records in place of tables, count with `:magnesia.dirty_update_counter/3`.

  The limits are settings of the application, `:infinity` for none:

      config :magnesia, overload: [log_bytes: 1_073_741_824, message_queue: 50_000]
  """

  alias Magnesia.Engine
  alias Magnesia.Events
  alias Magnesia.Notices
  alias Magnesia.Options
  alias Magnesia.Subscribers
  alias Magnesia.Telemetry

  require Logger

  @limits [log_bytes: 268_435_456, message_queue: 10_000, lock_queue: 1_000]
  # Whoever asks which transactions wait keeps all others from the locks meanwhile.
  @lock_periods 5

  @typedoc "What has been told, with its value then."
  @type told :: %{{atom(), pid() | nil} => pos_integer()}

  @doc """
  The limits that are in force.

      iex> Magnesia.Overload.limits().message_queue
      10_000
  """
  @spec limits() :: %{atom() => pos_integer() | :infinity}
  def limits do
    settings = Application.get_env(:magnesia, :overload, [])

    limit =
      {&(&1 == :infinity or (is_integer(&1) and &1 > 0)), "a number above zero or :infinity"}

    rules = for {name, _value} <- @limits, do: {name, limit}
    Options.validate!(settings, rules, "config :magnesia, overload:")
    Map.new(Keyword.merge(@limits, settings))
  end

  @doc """
  Looks whether a limit is passed, and tells. Takes the log's length, the number of the look and
  what was told before; answers what is told now.
  """
  @spec look(non_neg_integer(), non_neg_integer(), told()) :: told()
  def look(log_bytes, period, told) do
    look(log_bytes, period, told, limits())
  rescue
    # A setting that was changed for the worse while the database runs is no reason to stop it.
    error in ArgumentError ->
      Logger.error("Magnesia: overload is not watched: #{Exception.message(error)}")
      told
  end

  defp look(log_bytes, period, told, limits) do
    told = judged(told, {:dump_log, nil}, log_bytes, limits.log_bytes, &log_text/3)
    told = queues(told, limits.message_queue)
    if rem(period, @lock_periods) == 0, do: locks(told, limits.lock_queue), else: told
  end

  defp queues(told, :infinity), do: told

  defp queues(told, limit) do
    own = for name <- [Subscribers, Events], pid = Process.whereis(name), do: pid

    all =
      Enum.uniq(own ++ List.wrap(Notices.process()) ++ Subscribers.all() ++ Events.subscribers())

    gone = for {{:message_queue, pid} = key, _} <- told, pid not in all, do: key

    Enum.reduce(all, Map.drop(told, gone), fn pid, told ->
      length = if node(pid) == node(), do: length_of(pid), else: 0
      judged(told, {:message_queue, pid}, length, limit, &queue_text/3)
    end)
  end

  defp length_of(pid) do
    case Process.info(pid, :message_queue_len) do
      {_item, length} -> length
      nil -> 0
    end
  end

  defp locks(told, :infinity), do: told

  defp locks(told, limit) do
    case Engine.lock_queue() do
      queue when is_list(queue) ->
        text = fn count, limit, _nil -> lock_text(count, limit, queue) end
        judged(told, {:lock_queue, nil}, length(queue), limit, text)

      _closed ->
        told
    end
  end

  defp judged(told, key, value, limit, text) do
    before = told[key]

    cond do
      limit != :infinity and value > limit and (before == nil or value >= 2 * before) ->
        tell(key, value, limit, text)
        Map.put(told, key, value)

      before != nil and value < div(limit, 2) ->
        Map.delete(told, key)

      true ->
        told
    end
  end

  defp tell({what, process}, value, limit, text) do
    facts = %{value: value, limit: limit}
    metadata = %{what: what, process: process}
    Telemetry.execute([:magnesia, :overload], facts, metadata)
    details = Map.merge(facts, %{process: process, text: text.(value, limit, process)})
    Notices.report({:mnesia_overload, {what, details}})
  end

  defp log_text(bytes, limit, nil) do
    "the log is #{mebibytes(bytes)} long, above #{mebibytes(limit)}: dumps do not keep up " <>
      "with the writes or fail. See what :magnesia.dump_log() answers, write less at once, or " <>
      "keep in memory what need not survive."
  end

  defp queue_text(length, limit, pid) do
    "#{name(pid)} has #{length} messages waiting, above #{limit}: it handles events slower " <>
      "than they come. Do its work in another process, subscribe it to less, or follow a " <>
      "change log."
  end

  defp lock_text(count, limit, queue) do
    {table, waiting} =
      queue
      |> Enum.frequencies_by(fn {{table, _key}, _kind, _number, _pid} -> table end)
      |> Enum.max_by(&elem(&1, 1))

    "#{count} transactions wait for locks, above #{limit}, #{waiting} of them for " <>
      "#{inspect(table)}: see who holds it with mix magnesia.info, make transactions short, " <>
      "lock records in place of the table."
  end

  defp mebibytes(bytes), do: "#{div(bytes, 1_048_576)} MiB"

  defp name(pid) do
    case Process.info(pid, :registered_name) do
      {:registered_name, name} when is_atom(name) -> "#{inspect(name)} (#{inspect(pid)})"
      _unnamed -> inspect(pid)
    end
  end
end
