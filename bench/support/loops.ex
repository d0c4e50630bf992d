defmodule Magnesia.Bench.Loops do
  @moduledoc """
  Builds the loops that are timed, once for each module with Mnesia's functions.

  The same source is compiled against `:magnesia` and against `:mnesia`, so that both are called
  directly by name: a call through a variable would add a table search to one side of a ratio.
  A loop runs its body `n` times with a fresh pseudo-random key `i` in `0..keys - 1`.
  """

  @doc "Defines `name(n, seed, tab, keys)`: `body` n times with `tab`, `i` and `draw` bound."
  defmacro defloop(name, do: body) do
    {tab, i, draw} = {Macro.var(:tab, nil), Macro.var(:i, nil), Macro.var(:draw, nil)}

    quote do
      @doc false
      def unquote(name)(0, _seed, _tab, _keys), do: :ok

      def unquote(name)(n, seed, unquote(tab), keys) do
        unquote(draw) = next_seed(seed)
        unquote(i) = pick(unquote(draw), keys)
        _ = unquote(i)
        _ = unquote(Macro.prewalk(body, &plain_variable/1))
        unquote(name)(n - 1, unquote(draw), unquote(tab), keys)
      end
    end
  end

  defp plain_variable({name, _meta, context}) when name in [:tab, :i, :draw] and is_atom(context),
    do: Macro.var(name, nil)

  defp plain_variable(other), do: other

  @doc "Defines the loops over Mnesia's functions as found in module `db`."
  defmacro __using__(db: db) do
    quote do
      import Magnesia.Bench.Loops, only: [defloop: 2]
      import Magnesia.Bench.Rows
      @compile {:no_warn_undefined, unquote(db)}
      unquote(dirty_loops(db))
      unquote(transaction_loops(db))
      unquote(whole_table(db))
    end
  end

  defp dirty_loops(db) do
    quote do
      defloop(:read, do: unquote(db).dirty_read(tab, i))
      defloop(:read_general, do: unquote(db).dirty_read(tab, general_key(i)))
      defloop(:next, do: unquote(db).dirty_next(tab, i))
      defloop(:next_general, do: unquote(db).dirty_next(tab, general_key(i)))
      defloop(:index_read, do: unquote(db).dirty_index_read(tab, first(i), :first))
      defloop(:range, do: unquote(db).dirty_select(tab, Magnesia.Bench.Specs.range(tab, i)))

      defloop(:write,
        do:
          unquote(db).dirty_write(
            tab,
            {tab, i, "a value of twenty-six byte", "a value of thirty-seven bytes exactly",
             rem(i, 1000), :active}
          )
      )

      defloop(:write_general,
        do:
          unquote(db).dirty_write(
            tab,
            {tab, general_key(i), "a value of twenty-six byte",
             "a value of thirty-seven bytes exactly", rem(i, 1000), :active}
          )
      )

      defloop(:write_index,
        do: unquote(db).dirty_write(tab, {tab, i, first(draw), second(draw), draw, :active})
      )
    end
  end

  defp transaction_loops(db) do
    quote do
      defloop(:tx_empty, do: {:atomic, :ok} = unquote(db).transaction(fn -> :ok end))

      defloop(:tx_read,
        do:
          {:atomic, [_]} =
            unquote(db).transaction(fn ->
              unquote(db).read(tab, i, :read)
            end)
      )

      defloop(:tx_rw,
        do:
          {:atomic, :ok} =
            unquote(db).transaction(fn ->
              [row] = unquote(db).read(tab, i, :read)
              unquote(db).write(tab, :erlang.setelement(6, row, :touched), :write)
            end)
      )

      defloop(:tx_update,
        do:
          {:atomic, :ok} =
            unquote(db).transaction(fn ->
              [row] = unquote(db).read(tab, i, :write)
              unquote(db).write(tab, :erlang.setelement(6, row, :touched), :write)
            end)
      )

      defloop(:tx_write,
        do:
          {:atomic, :ok} =
            unquote(db).transaction(fn -> unquote(db).write(tab, row(tab, i, i), :write) end)
      )

      defloop(:sync_write,
        do:
          {:atomic, :ok} =
            unquote(db).sync_transaction(fn -> unquote(db).write(tab, row(tab, i, i), :write) end)
      )
    end
  end

  defp whole_table(db) do
    quote do
      @doc "Number of rows found by one `dirty_select` with `spec`."
      def select(tab, spec), do: length(unquote(db).dirty_select(tab, spec))

      @doc "Number of rows seen by one `foldl` in a transaction."
      def fold(tab) do
        {:atomic, count} =
          unquote(db).transaction(fn ->
            unquote(db).foldl(fn _row, count -> count + 1 end, 0, tab)
          end)

        count
      end
    end
  end
end

defmodule Magnesia.Bench.Loops.Magnesia do
  @moduledoc "The timed loops, calling `:magnesia`."
  use Magnesia.Bench.Loops, db: :magnesia
end

defmodule Magnesia.Bench.Loops.Mnesia do
  @moduledoc "The timed loops, calling stock `:mnesia`."
  use Magnesia.Bench.Loops, db: :mnesia
end

defmodule Magnesia.Bench.Loops.Ets do
  @moduledoc "The timed loops over bare `:ets` tables of the same rows, tagged `:row`."
  import Magnesia.Bench.Loops, only: [defloop: 2]
  import Magnesia.Bench.Rows

  defloop(:read, do: :ets.lookup(tab, i))
  defloop(:read_general, do: :ets.lookup(tab, general_key(i)))
  defloop(:next, do: :ets.next(tab, i))
  defloop(:next_general, do: :ets.next(tab, general_key(i)))
  defloop(:range, do: :ets.select(tab, Magnesia.Bench.Specs.range(:row, i)))

  defloop(:write,
    do:
      :ets.insert(
        tab,
        {:row, i, "a value of twenty-six byte", "a value of thirty-seven bytes exactly",
         rem(i, 1000), :active}
      )
  )

  defloop(:write_general,
    do:
      :ets.insert(
        tab,
        {:row, general_key(i), "a value of twenty-six byte",
         "a value of thirty-seven bytes exactly", rem(i, 1000), :active}
      )
  )

  @doc "Number of rows found by one `:ets.select` with `spec`."
  def select(tab, spec), do: length(:ets.select(tab, spec))

  @doc "Number of rows in `:ets.tab2list`."
  def all(tab), do: length(:ets.tab2list(tab))
end

defmodule Magnesia.Bench.Loops.File do
  @moduledoc """
  The bare disk: one record written, one fdatasync, again and again from one process.

  The record has the size of the benchmark row in the external term format.
  """

  @doc "Appends and syncs `n` records to the open raw file `file`."
  def write_sync(0, _file, _record), do: :ok

  def write_sync(n, file, record) do
    :ok = :file.write(file, record)
    :ok = :file.datasync(file)
    write_sync(n - 1, file, record)
  end
end

defmodule Magnesia.Bench.Specs do
  @moduledoc "The match specifications of the scans; the same ones for all peers."

  @doc "All rows whose number is under `limit`, whole: `limit` tenths of a per cent of the table."
  def under(table, limit),
    do: [{{table, :_, :_, :_, :"$1", :_}, [{:<, :"$1", limit}], [:"$_"]}]

  @doc "Every whole row."
  def all(table), do: [{{table, :_, :_, :_, :_, :_}, [], [:"$_"]}]

  @doc "The hundred rows from key `from` on, by guards on the key."
  def range(table, from) do
    [
      {{table, :"$1", :_, :_, :_, :_}, [{:>=, :"$1", from}, {:<, :"$1", from + 100}], [:"$_"]}
    ]
  end
end
