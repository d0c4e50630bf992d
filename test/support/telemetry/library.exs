defmodule :telemetry do
  @moduledoc """
  The functions of the library `:telemetry` that Magnesia calls or its users attach with, as that
  library has them: `attach_many/4`, `detach/1`, `list_handlers/1` and `execute/3`.

  No package of it is to be had here, so this is compiled by the one test that needs it there and
  purged by it. It knows nothing of Magnesia.
  """

  @table :telemetry_handlers_in_test

  def start do
    @table = :ets.new(@table, [:named_table, :public, :bag])
    :ok
  end

  def attach_many(id, events, function, config) do
    :ets.insert(@table, for(event <- events, do: {event, id, function, config}))
    :ok
  end

  def detach(id) do
    :ets.match_delete(@table, {:_, id, :_, :_})
    :ok
  end

  def list_handlers(prefix) do
    for {event, id, function, config} <- :ets.tab2list(@table),
        List.starts_with?(event, prefix),
        do: %{id: id, event_name: event, function: function, config: config}
  end

  def execute([_ | _] = event, measurements, metadata)
      when is_map(measurements) and is_map(metadata) do
    # As the library itself, which may be loaded and not started.
    started? = :ets.whereis(@table) != :undefined
    handlers = if started?, do: :ets.lookup(@table, event), else: []

    for {_event, _id, function, config} <- handlers do
      function.(event, measurements, metadata, config)
    end

    :ok
  end
end
