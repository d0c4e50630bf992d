defmodule Magnesia.Migration.History do
  @moduledoc """
  The table in which a database keeps what migrations it has had, and which one is under way.

  The note of one under way names the backup, the tables that there were and those that were
  touched so far: all that is needed to put them back. What a migration does is not known here.
  """

  @table :magnesia_migrations
  @columns [:version, :entry]

  @typedoc "`state` is `:up`, or `{:running, direction}` while it is under way."
  @type entry :: %{
          module: module(),
          state: :up | {:running, :up | :down},
          at: DateTime.t(),
          backup: Path.t() | nil,
          tables: [atom()],
          touched: [atom()]
        }

  @doc "The table's name."
  @spec table() :: atom()
  def table, do: @table

  @doc "Makes the table when it is missing."
  @spec open() :: :ok | {:error, Exception.t()}
  def open do
    storage = if Magnesia.info().dir, do: :disc, else: :ram
    Magnesia.ensure_table(@table, attributes: @columns, storage: storage)
  end

  @doc "All entries by version."
  @spec all() :: %{pos_integer() => entry()}
  def all do
    if @table in Magnesia.tables() do
      for {@table, version, entry} <- Enum.to_list(Magnesia.stream(@table)),
          into: %{},
          do: {version, entry}
    else
      %{}
    end
  end

  @doc "Enters a version, forced to the disk."
  @spec enter(pos_integer(), entry()) :: :ok
  def enter(version, entry), do: synced(fn -> Magnesia.put({@table, version, entry}) end)

  @doc "Strikes out a version, forced to the disk."
  @spec strike(pos_integer()) :: :ok
  def strike(version), do: synced(fn -> Magnesia.delete(@table, version) end)

  @doc "Notes one more table that the version under way touches, before it is touched."
  @spec touch(pos_integer(), atom()) :: :ok
  def touch(version, table) do
    synced(fn ->
      {@table, ^version, entry} = Magnesia.fetch!(@table, version)

      if table not in entry.touched do
        Magnesia.put({@table, version, %{entry | touched: [table | entry.touched]}})
      end
    end)
  end

  defp synced(fun) do
    _value = Magnesia.transaction!(fun, sync: true)
    :ok
  end
end
