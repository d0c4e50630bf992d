defmodule Magnesia.Bench.World do
  @moduledoc """
  The two databases of a fixture: each in a fresh directory of the same file system, both started
  in this VM, stopped and removed at the end.

  Never touches a directory that it did not make.
  """

  @doc "The databases that take part: the measured one and stock Mnesia."
  @spec databases(map) :: [module]
  def databases(plan), do: Enum.uniq([plan.subject, :mnesia])

  @doc "Gives each database an empty directory under `plan.dir` and starts it."
  @spec open(map, atom) :: :ok
  def open(plan, fixture) do
    for db <- databases(plan) do
      dir = Path.join([plan.dir, Atom.to_string(fixture), Atom.to_string(db)])
      File.rm_rf!(dir)
      File.mkdir_p!(Path.dirname(dir))
      Application.put_env(db, :dir, String.to_charlist(dir))
      :ok = db.create_schema([node()])
      :ok = db.start()
    end

    :ok
  end

  @doc "Stops the databases and removes the directories of `fixture`."
  @spec close(map, atom) :: :ok
  def close(plan, fixture) do
    Enum.each(databases(plan), &stop/1)
    File.rm_rf!(Path.join(plan.dir, Atom.to_string(fixture)))
    :erlang.garbage_collect()
    :ok
  end

  # The figures already measured must be reported even if a database cannot be stopped.
  defp stop(db) do
    db.stop()
  catch
    kind, reason -> IO.puts(:stderr, "# #{db} does not stop: #{inspect({kind, reason})}")
  end

  @doc "Creates a table, waits for it and fills it with `rows` rows made by `row.(table, i)`."
  @spec table(module, atom, keyword, non_neg_integer, (atom, non_neg_integer -> tuple)) :: atom
  def table(db, table, options, rows, row) do
    {:atomic, :ok} = db.create_table(table, options)
    :ok = db.wait_for_tables([table], 60_000)
    in_process(fn -> fill(0, rows, fn i -> :ok = db.dirty_write(row.(table, i)) end) end)
    table
  end

  @doc "An ETS table with the given options, printed, filled with the same rows."
  @spec ets([term], non_neg_integer, (non_neg_integer -> tuple)) :: :ets.tid()
  def ets(options, rows, row) do
    IO.puts("# peer ets: #{inspect(options)}")
    table = :ets.new(:peer, options)
    in_process(fn -> fill(0, rows, fn i -> true = :ets.insert(table, row.(i)) end) end)
    table
  end

  @doc "Resident memory of this VM in bytes, as the operating system counts it; 0 if unknown."
  @spec resident_bytes() :: non_neg_integer
  def resident_bytes do
    with {:ok, text} <- File.read("/proc/#{System.pid()}/status"),
         [_, kilobytes] <- Regex.run(~r/VmRSS:\s+(\d+) kB/, text) do
      String.to_integer(kilobytes) * 1024
    else
      _unknown -> 0
    end
  end

  defp fill(rows, rows, _write), do: :ok

  defp fill(i, rows, write) do
    write.(i)
    fill(i + 1, rows, write)
  end

  defp in_process(fun) do
    {pid, ref} = :erlang.spawn_opt(fun, [:monitor, min_heap_size: 100_000])

    receive do
      {:DOWN, ^ref, :process, ^pid, :normal} -> :ok
      {:DOWN, ^ref, :process, ^pid, reason} -> exit(reason)
    end
  end
end
