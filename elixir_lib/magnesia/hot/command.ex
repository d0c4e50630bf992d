defmodule Magnesia.Hot.Command do
  @moduledoc """
  The command line of `mix magnesia.hot`: reads arguments, finds the Mnesia that is meant, prints.
  """

  alias Magnesia.Demo.Progress
  alias Magnesia.Remote

  @usage """
  Usage: mix magnesia.hot [TABLE --to STORAGE [--dry-run]] [options]

  Without a table: lists the tables of a running stock Mnesia with size, reads and writes a
  second, memory now and estimated on Magnesia, and marks those that are worth moving. With one:
  changes its storage on that node, checks every row, and undoes the change when one differs.

  STORAGE is magnesia_ram, magnesia_disc, magnesia_disc_only, or to go back ram_copies,
  disc_copies, disc_only_copies.

  Options
    --to STORAGE      where the table goes
    --dry-run         say what would be done, and change nothing
    --sample SECONDS  how long reads and writes are counted (default 1)
    --node NAME@HOST  the running node to work on; Magnesia must be in its code path
    --cookie COOKIE   its cookie
    --dir DIR         start Mnesia on the directory of a stopped application; with --node, as
                      that node, which its tables must know
    --help            this text

  Examples
    mix magnesia.hot --node shop@db1 --cookie secret
    mix magnesia.hot session --to magnesia_ram --dry-run --node shop@db1 --cookie secret
    mix magnesia.hot session --to magnesia_ram --node shop@db1 --cookie secret
    mix magnesia.hot session --to ram_copies --node shop@db1 --cookie secret
    mix magnesia.hot --dir Mnesia.shop@db1 --node shop@db1

  The exit status is 0 when done, 1 when nothing was moved, 2 for arguments that can't be used.
  """

  @switches [
    to: :string,
    dry_run: :boolean,
    sample: :float,
    node: :string,
    cookie: :string,
    dir: :string,
    help: :boolean
  ]
  @columns [18, 19, 12, 10, 10, 10, 11, 11, 20]

  @doc "Does what the arguments say; returns the exit status."
  @spec main([String.t()]) :: 0 | 1 | 2
  def main(arguments) do
    case OptionParser.parse(arguments, strict: @switches) do
      {options, words, []} ->
        dispatch(words, Map.new(options))

      {_options, _words, invalid} ->
        refuse("cannot use #{Enum.map_join(invalid, " ", &shown_argument(&1))}")
    end
  end

  defp shown_argument({switch, nil}), do: "#{switch}#{meant(switch)}"
  defp shown_argument({switch, value}), do: "#{switch} #{value}#{meant(switch)}"

  defp meant(switch) do
    known = for {name, _type} <- @switches, do: "--" <> String.replace("#{name}", "_", "-")
    near = Enum.max_by(known, &String.jaro_distance(&1, switch))

    if near != switch and String.jaro_distance(near, switch) > 0.8,
      do: " (did you mean #{near}?)",
      else: ""
  end

  defp dispatch(_words, %{help: true}) do
    IO.puts(@usage)
    0
  end

  defp dispatch([], %{to: _}), do: refuse("--to needs a table")
  defp dispatch([], %{dry_run: true}), do: refuse("--dry-run needs a table")
  defp dispatch([], options), do: there(options, &list(&1, options))

  defp dispatch([table], %{to: to} = options),
    do: there(options, &one(&1, String.to_atom(table), String.to_atom(to), options))

  defp dispatch([table], _options), do: refuse("where should #{table} go? Give --to STORAGE")
  defp dispatch(words, _options), do: refuse("one table at a time, not #{Enum.join(words, " ")}")

  defp refuse(text) do
    IO.puts(:stderr, "magnesia.hot: #{text}\n\n#{@usage}")
    2
  end

  # What is done, on the node and under the Mnesia that the options name.
  defp there(options, work) do
    case reach(options) do
      {:ok, node} ->
        work.(node)

      {:error, text} ->
        fail(text)
    end
  catch
    :error, {:erpc, reason} -> fail("the node can't be reached: #{inspect(reason)}")
    :error, {:exception, reason, _stack} -> fail("the node failed: #{inspect(reason)}")
  after
    if options[:dir], do: :mnesia.stop()
  end

  defp fail(text) do
    IO.puts(:stderr, "magnesia.hot: #{text}")
    1
  end

  defp reach(%{dir: dir} = options) do
    with :ok <- directory(dir),
         :ok <- Remote.valid(options[:node]),
         :ok <- named(options[:node]),
         :ok <- owned(dir),
         do: started(dir)
  end

  defp reach(%{node: name} = options), do: Remote.reach(name, options[:cookie], Magnesia.Hot)

  defp reach(_here) do
    if :mnesia.system_info(:is_running) == :yes,
      do: {:ok, node()},
      else: {:error, "no Mnesia runs in this VM: give --node NAME@HOST or --dir DIR"}
  end

  defp directory(dir) do
    if File.regular?(Path.join(dir, "schema.DAT")),
      do: :ok,
      else: {:error, "#{dir} is no directory of a Mnesia: it has no schema.DAT"}
  end

  # Mnesia itself starts as anybody, and throws away what its log has for the tables of others.
  defp owned(dir) do
    case schema_nodes(Path.join(dir, "schema.DAT")) do
      {:ok, nodes} ->
        if node() in nodes,
          do: :ok,
          else: {:error, "#{dir} is of #{Enum.join(nodes, ", ")}, not of #{node()}: give --node"}

      {:error, reason} ->
        {:error, "the schema of #{dir} can't be read: #{inspect(reason)}"}
    end
  end

  defp schema_nodes(file) do
    options = [file: String.to_charlist(file), keypos: 2, access: :read, repair: false]

    with {:ok, schema} <- :dets.open_file(make_ref(), options) do
      found = :dets.lookup(schema, :schema)
      :ok = :dets.close(schema)

      case found do
        [{:schema, :schema, definition}] -> {:ok, Keyword.get(definition, :disc_copies, [])}
        _other -> {:error, :no_schema}
      end
    end
  end

  defp named(nil), do: :ok

  defp named(name) do
    case Remote.distribute(String.to_atom(name)) do
      {:ok, _pid} -> :ok
      {:error, _reason} -> {:error, "#{name} can't be started here: it may be running"}
    end
  end

  defp started(dir) do
    Application.put_env(:mnesia, :dir, dir |> Path.expand() |> String.to_charlist())

    with :ok <- :mnesia.start(),
         tables = :mnesia.system_info(:local_tables),
         :ok <- :mnesia.wait_for_tables(tables, 60_000) do
      {:ok, node()}
    else
      _failure ->
        {:error,
         "Mnesia doesn't start on #{dir} as #{node()}: is --node the name that its " <>
           "application had?"}
    end
  end

  defp list(node, options) do
    case :erpc.call(node, Magnesia.Hot, :list, [[sample: options[:sample] || 1]]) do
      {:ok, rows} ->
        IO.puts(table(rows))
        0

      {:error, text} ->
        fail(text)
    end
  end

  @doc "The list as text."
  @spec table([Magnesia.Hot.Survey.row()]) :: String.t()
  def table(rows) do
    head = ~w(table storage type rows reads/s writes/s memory estimated worth\ moving\ to)
    lines = [line(head), String.duplicate("-", Enum.sum(@columns) + 10)]
    Enum.join(lines ++ Enum.map(rows, &line(cells(&1))) ++ none(rows), "\n")
  end

  defp none([]), do: ["  (no tables)"]
  defp none(_rows), do: []

  defp cells(row) do
    [
      "#{row.table}",
      "#{row.storage}",
      "#{row.type}",
      "#{row.size}",
      rate(row.reads),
      rate(row.writes),
      bytes(row.memory),
      bytes(row.estimate),
      "#{row.advice || "-"}"
    ]
  end

  defp line(cells) do
    @columns
    |> Enum.zip(cells)
    |> Enum.with_index()
    |> Enum.map_join(" ", fn {{width, text}, column} ->
      if column in 3..7,
        do: String.pad_leading(text, width),
        else: String.pad_trailing(text, width)
    end)
    |> String.trim_trailing()
    |> then(&("  " <> &1))
  end

  defp rate(nil), do: "?"
  defp rate(rate), do: "#{round(rate)}"

  defp bytes(nil), do: "-"
  defp bytes(bytes) when bytes < 10_240, do: "#{bytes} B"
  defp bytes(bytes) when bytes < 10_485_760, do: "#{div(bytes, 1024)} KiB"
  defp bytes(bytes), do: "#{div(bytes, 1_048_576)} MiB"

  defp one(node, table, to, options) do
    case :erpc.call(node, Magnesia.Hot, :plan, [table, to]) do
      {:ok, plan} ->
        IO.puts(text(plan))
        if options[:dry_run], do: 0, else: move(node, plan)

      {:error, text} ->
        fail(text)
    end
  end

  defp text(plan) do
    estimate = if plan.estimate, do: ", about #{bytes(plan.estimate)} then", else: ""

    "#{plan.table}: #{plan.from} to #{plan.to}, #{plan.rows} rows, " <>
      "#{bytes(plan.memory)} now#{estimate}"
  end

  defp move(node, plan) do
    tag = make_ref()
    arguments = [plan.table, plan.to, [report: {self(), tag}]]
    request = :erpc.send_request(node, Magnesia.Hot, :move, arguments)

    case follow(request, tag, nil) do
      {:ok, done} ->
        IO.puts(
          "#{done.table} is #{done.to}: #{done.rows} rows, checksum #{done.checksum}, as before"
        )

        0

      {:error, text} ->
        fail(text)
    end
  end

  defp follow(request, tag, bar) do
    receive do
      {^tag, event} -> follow(request, tag, shown(bar, event))
      message -> answered(:erpc.check_response(message, request), request, tag, bar)
    end
  end

  defp answered({:response, result}, _request, tag, bar) do
    finish(drain(tag, bar))
    result
  end

  defp answered(:no_response, request, tag, bar), do: follow(request, tag, bar)

  defp drain(tag, bar) do
    receive do
      {^tag, event} -> drain(tag, shown(bar, event))
    after
      0 -> bar
    end
  end

  defp shown({stage, bar}, {stage, done, _total}),
    do: {stage, Progress.advance(bar, done - bar.done)}

  defp shown(other, {stage, done, total}) do
    finish(other)
    bar = Progress.start(label(stage), total)
    {stage, Progress.advance(bar, done)}
  end

  defp finish(nil), do: :ok
  # The last rows come between two looks.
  defp finish({_stage, bar}), do: Progress.finish(Progress.advance(bar, bar.total - bar.done))

  defp label(:before), do: "reading the rows as they are"
  defp label(:moving), do: "moving"
  defp label(:after), do: "reading the rows as they are now"
  defp label(:undoing), do: "taking it back"
end
