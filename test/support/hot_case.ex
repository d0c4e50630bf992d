defmodule Magnesia.HotCase do
  @moduledoc """
  A stock Mnesia of its own for each test, with the three aliases registered: in a directory,
  which is the test's `dir`, or in memory with `@tag :ram`. There is one Mnesia in a VM, so these
  tests are never `async`. What a test expects of a table is not said here.
  """

  use ExUnit.CaseTemplate

  alias Magnesia.Backend

  @aliases [:magnesia_ram, :magnesia_disc, :magnesia_disc_only]

  using do
    quote do
      import Magnesia.HotCase
    end
  end

  setup context do
    _ = :mnesia.stop()
    name = "magnesia-hot-#{System.pid()}-#{:erlang.unique_integer([:positive])}"
    dir = Path.join(System.tmp_dir!(), name)
    Application.put_env(:mnesia, :dir, String.to_charlist(dir))
    Application.put_env(:mnesia, :core_dir, String.to_charlist(System.tmp_dir!()))

    on_exit(fn ->
      :mnesia.stop()
      File.rm_rf!(dir)
      Application.delete_env(:mnesia, :dir)
      Application.delete_env(:mnesia, :core_dir)
      for core <- Path.wildcard(Path.join(System.tmp_dir!(), "MnesiaCore.*")), do: File.rm(core)
    end)

    unless context[:ram], do: :ok = :mnesia.create_schema([node()])
    :ok = :mnesia.start()
    {:atomic, :ok} = Backend.register()
    {:ok, dir: dir}
  end

  @doc "The aliases."
  @spec aliases() :: [atom()]
  def aliases, do: @aliases

  @doc "Creates a table with attributes k, v, w."
  @spec create(atom(), atom(), keyword()) :: atom()
  def create(alias_name, tab, options \\ []) do
    options = Keyword.merge([{:attributes, [:k, :v, :w]}, {alias_name, [node()]}], options)
    {:atomic, :ok} = :mnesia.create_table(tab, options)
    tab
  end

  @doc "Stops Mnesia and starts it again; all tables are loaded."
  @spec restart() :: :ok
  def restart do
    :stopped = :mnesia.stop()
    :ok = :mnesia.start()
    :ok = :mnesia.wait_for_tables(:mnesia.system_info(:tables), 10_000)
  end

  @doc "All rows of a table, sorted."
  @spec rows(atom()) :: [tuple()]
  def rows(tab), do: Enum.sort(:mnesia.dirty_select(tab, [{:_, [], [:"$_"]}]))
end
