defmodule Magnesia.Overview.Command do
  @moduledoc """
  The command lines of `mix magnesia.info` and `mix magnesia.top`: reads arguments, finds the
  database that is meant, prints. On a terminal `top` draws over what it has drawn; elsewhere it
  prints one frame after another.
  """

  alias Magnesia.Backup.Command
  alias Magnesia.Engine
  alias Magnesia.Overview
  alias Magnesia.Overview.Page
  alias Magnesia.Remote

  @reach """
    --node NAME@HOST    the running node to look at; Magnesia must be in its code path
    --cookie COOKIE     its cookie
    --cookie-file FILE  a file with its cookie, which so does not show among the processes
    --help              this text
  """

  @info """
  Usage: mix magnesia.info [DIR] [options]

  Prints the state of a database: tables with rows, bytes, storage and indexes, the directory, the
  log and its last dump, transactions, and the locks that are held and waited for. With DIR it is
  the database of a directory that no VM has open, which is opened for it and closed.

  Options
  #{@reach}
  Examples
    mix magnesia.info data
    mix magnesia.info --node shop@db1 --cookie-file ~/.erlang.cookie

  The exit status is 0 when done, 1 when there is no such database, 2 for arguments that can't be
  used.
  """

  @top """
  Usage: mix magnesia.top [options]

  Shows how busy the tables of a running database are, the busiest first, again and again: reads
  and writes a second, transactions that wait for their locks, rows, bytes; above them commits,
  failures and restarts a second. End it with Ctrl-C. Reads and writes are estimated from a sample
  of at most 20,000 calls by means of the VM's call tracing, and are ? where somebody else traces.
  A traced call takes some microseconds more, so of a process that does nothing else it shows less
  than there is without.

  Options
    --once              one frame
    --frames COUNT      so many frames
    --every SECONDS     how long a frame stands (default 1)
  #{@reach}
  Examples
    mix magnesia.top --node shop@db1 --cookie-file ~/.erlang.cookie
    mix magnesia.top --node shop@db1 --once
    mix magnesia.top --node shop@db1 --every 10 --frames 360 > an_hour.txt

  The exit status is 0 when done, 1 when no database runs there, 2 for arguments that can't be
  used.
  """

  @reaching [node: :string, cookie: :string, cookie_file: :string, help: :boolean]

  @doc "Prints the state of a database; returns the exit status."
  @spec info([String.t()]) :: 0 | 1 | 2
  def info(arguments) do
    Command.parsed(arguments, @reaching, "info", @info, fn
      [dir], options when options == %{} -> resting(dir)
      [], options -> there(options, &shown/1)
      _words, _options -> {:refused, "give a directory or a node, not both"}
    end)
  end

  defp resting(dir) do
    if Engine.has_database(Path.expand(dir)) == false,
      do: {:failed, "#{dir} holds no database"},
      else: Command.opened(dir, fn -> waited(Magnesia.wait(Magnesia.tables())) end)
  end

  defp waited(:ok), do: shown(node())
  defp waited({:error, error}), do: {:failed, Exception.message(error)}

  defp shown(node) do
    case :erpc.call(node, Overview, :take, []) do
      {:error, :not_running} -> {:failed, "no database runs on #{node}"}
      overview -> {:done, Page.info(overview)}
    end
  end

  @doc "Shows how busy a database is; returns the exit status."
  @spec top([String.t()]) :: 0 | 1 | 2
  def top(arguments) do
    switches = [once: :boolean, frames: :integer, every: :float] ++ @reaching

    Command.parsed(arguments, switches, "top", @top, fn
      [], %{frames: frames} when frames < 1 -> {:refused, "--frames is at least 1"}
      [], %{every: every} when every < 0.01 -> {:refused, "--every is at least 0.01"}
      [], options -> there(options, &follow(&1, options))
      words, _options -> {:refused, "cannot use #{Enum.join(words, " ")}"}
    end)
  end

  defp follow(node, options) do
    frames = if options[:once], do: 1, else: options[:frames] || :infinity
    every = round((options[:every] || 1.0) * 1_000)
    frame(node, every, frames, nil, IO.ANSI.enabled?() and frames != 1)
  end

  # The commits of the only frame are those of its own time.
  defp frame(node, every, frames, nil, live?) do
    began = :erlang.monotonic_time(:millisecond)

    case :erpc.call(node, Overview, :take, []) do
      {:error, :not_running} -> {:failed, "no database runs on #{node}"}
      first -> frame(node, every, frames, {first, began}, live?)
    end
  end

  defp frame(node, every, frames, {before, at}, live?) do
    overview = :erpc.call(node, Overview, :sample, [every])
    rest(every - (:erlang.monotonic_time(:millisecond) - at))
    now = :erlang.monotonic_time(:millisecond)

    case overview do
      {:error, :not_running} ->
        {:failed, "the database on #{node} was closed"}

      overview ->
        text = Page.top(overview, before, max(now - at, 1))
        again(frames, text, live?, &frame(node, every, &1, {overview, now}, live?))
    end
  end

  # A sample is over early where there is much to count.
  defp rest(milliseconds) do
    receive do
    after
      max(milliseconds, 0) -> :ok
    end
  end

  defp again(1, text, _live?, _next), do: {:done, text}

  defp again(frames, text, live?, next) do
    # Home, then each line to its end, then what is below.
    if live?,
      do: IO.write("\e[H" <> String.replace(text, "\n", "\e[K\n") <> "\e[K\n\e[J"),
      else: IO.puts(text <> "\n")

    next.(if frames == :infinity, do: :infinity, else: frames - 1)
  end

  defp there(options, work) do
    with {:ok, cookie} <- cookie(options), {:ok, node} <- reach(options[:node], cookie) do
      work.(node)
    else
      {:error, text} -> {:failed, text}
    end
  catch
    :error, {:erpc, reason} -> {:failed, "the node can't be reached: #{inspect(reason)}"}
    :error, {:exception, reason, _stack} -> {:failed, "the node failed: #{inspect(reason)}"}
  end

  defp cookie(%{cookie: _, cookie_file: _}), do: {:error, "give --cookie or --cookie-file"}

  defp cookie(%{cookie_file: file}) do
    case File.read(Path.expand(file)) do
      {:ok, text} -> {:ok, String.trim(text)}
      {:error, reason} -> {:error, "#{file}: #{:file.format_error(reason)}"}
    end
  end

  defp cookie(options), do: {:ok, options[:cookie]}

  defp reach(nil, _cookie) do
    if Magnesia.Database.running?(),
      do: {:ok, node()},
      else: {:error, "no database runs in this VM: give --node NAME@HOST#{or_a_directory()}"}
  end

  defp reach(name, cookie), do: Remote.reach(name, cookie, Overview)

  defp or_a_directory, do: " (or magnesia.info a directory)"
end
