defmodule Magnesia.Bench.Noop do
  @moduledoc """
  A backend for a stock Mnesia that does nothing: a look-up answers one row that is made on the
  spot, a select none, a write is forgotten. What a call costs on such a table is Mnesia's own
  part of it, which no backend can take away.

  A table says that it has as many rows as `expect/1` was told, and sends so many when it is
  copied.
  """

  @aliases [:noop_ram, :noop_disc_only]
  @chunk 500

  @doc "Makes a running Mnesia know the two aliases."
  def register do
    for name <- @aliases, name not in :mnesia.system_info(:backend_types) do
      {:atomic, :ok} = :mnesia.add_backend_type(name, __MODULE__)
    end

    :ok
  end

  @doc "The aliases, as a schema takes them."
  def backend_types, do: Enum.map(@aliases, &{&1, __MODULE__})

  @doc "How many rows tables say that they have."
  def expect(rows), do: :persistent_term.put(__MODULE__, rows)

  defp row(tab, key) do
    {tab, key, "first.value.of.row12345678", "a.second.and.longer.value.of.12345678", 1, :active}
  end

  def init_backend, do: :ok
  def add_aliases(_aliases), do: :ok
  def remove_aliases(_aliases), do: :ok
  def real_suffixes, do: []
  def tmp_suffixes, do: []
  def semantics(:noop_ram, :storage), do: :ram_copies
  def semantics(:noop_disc_only, :storage), do: :disc_only_copies
  def semantics(_alias, :types), do: [:set, :ordered_set, :bag]
  def semantics(_alias, :index_types), do: [:ordered, :bag]
  def semantics(_alias, _item), do: :undefined

  def check_definition(_alias, _tab, _nodes, _props), do: :ok
  def create_table(_alias, _tab, _props), do: :ok
  def load_table(_alias, _tab, _reason, _props), do: :ok
  def close_table(_alias, _tab), do: :ok
  def sync_close_table(_alias, _tab), do: :ok
  def delete_table(_alias, _tab), do: :ok
  def info(_alias, _tab, :size), do: :persistent_term.get(__MODULE__, 0)
  def info(_alias, _tab, :memory), do: 0
  def info(_alias, _tab, _item), do: :undefined
  def is_index_consistent(_alias, _index), do: true
  def index_is_consistent(_alias, _index, _consistent?), do: :ok

  def insert(_alias, _tab, _row), do: :ok
  def lookup(_alias, tab, key), do: [row(tab, key)]
  def delete(_alias, _tab, _key), do: :ok
  def match_delete(_alias, _tab, _pattern), do: :ok
  def update_counter(_alias, _tab, _key, increment), do: increment
  def first(_alias, _tab), do: :"$end_of_table"
  def last(_alias, _tab), do: :"$end_of_table"
  def next(_alias, _tab, key), do: key
  def prev(_alias, _tab, key), do: key
  def slot(_alias, _tab, _position), do: :"$end_of_table"
  def select(:"$end_of_table"), do: :"$end_of_table"
  def select(_alias, _tab, _spec), do: []
  def select(_alias, _tab, _spec, _limit), do: :"$end_of_table"
  def repair_continuation(continuation, _spec), do: continuation
  def fixtable(_alias, _tab, _fixed?), do: :ok

  def validate_key(_alias, _tab, name, arity, type, _key), do: {name, arity, type}
  def validate_record(_alias, _tab, name, arity, type, _row), do: {name, arity, type}

  def sender_init(_alias, tab, _storage, _pid) do
    {:standard, fn -> send_from(tab, 0) end, fn sent -> send_from(tab, sent) end}
  end

  defp send_from(tab, sent) do
    case min(@chunk, :persistent_term.get(__MODULE__, 0) - sent) do
      count when count > 0 -> {for(i <- 1..count, do: row(tab, sent + i)), sent + count}
      _none -> :"$end_of_table"
    end
  end

  def sender_handle_info(_message, _alias, _tab, _pid, state), do: state
  def receiver_first_message(_pid, {:first, size}, _alias, _tab), do: {size, :ok}
  def receive_data(_rows, _alias, _tab, _pid, state), do: {:more, state}
  def receive_done(_alias, _tab, _pid, _state), do: :ok
end
