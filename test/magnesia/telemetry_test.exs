defmodule Magnesia.TelemetryTest do
  @moduledoc """
  That every event of the list is emitted, with what the list says and nothing else, to handlers
  of Magnesia's own and to those of `:telemetry`; how handlers are kept; and what is not paid
  while nobody listens.
  """

  use Magnesia.DatabaseCase

  import ExUnit.CaptureLog

  alias Magnesia.Telemetry
  alias Magnesia.Telemetry.Catalogue
  alias Magnesia.Telemetry.Scene
  alias Magnesia.Telemetry.Switch
  alias Magnesia.Telemetry.Watch

  @moduletag timeout: 240_000
  @library Path.expand("../support/telemetry/library.exs", __DIR__)
  # What raises in these is caught where the work is done, so no user can make them happen.
  @never_raised [[:log, :dump], [:backup], [:restore], [:migration]]

  setup do
    on_exit(fn -> for %{id: id} <- Telemetry.list_handlers([]), do: Telemetry.detach(id) end)
  end

  defmodule AddColour do
    @moduledoc false
    use Magnesia.Migration, version: 1

    def up, do: create_table(:colour, attributes: [:name, :code])
    def down, do: drop_table(:colour)
  end

  defp heard(attach, dir) do
    table = :ets.new(:heard, [:public, :bag])

    hear = fn event, measurements, metadata, nil ->
      :ets.insert(table, {event, measurements, metadata})
    end

    :ok = attach.(hear)
    :ok = Watch.look()
    _log = capture_log(fn -> Scene.play(dir, AddColour) end)
    Scene.until(fn -> Watch.look() == :ok and read?(table) end)
    receive do: ({:reader, reader} -> Process.exit(reader, :normal))
    :ets.tab2list(table)
  end

  # A sample may have been taken before anybody read.
  defp read?(table) do
    found = :ets.lookup(table, [:magnesia, :operations])
    Enum.any?(found, fn {_, _, said} -> said.table == :a and said.operation == :read end)
  end

  defp fields(map), do: map |> Map.keys() |> Enum.sort()
  defp names(fields), do: fields |> Keyword.keys() |> Enum.sort()

  defp check(heard) do
    for {event, measurements, metadata} <- heard do
      {_event, _pace, measured, said, _about} = List.keyfind!(Catalogue.entries(), event, 0)
      assert {event, fields(measurements)} == {event, names(measured)}
      assert {event, fields(metadata)} == {event, names(said)}
      assert Enum.all?(measurements, fn {_name, value} -> is_number(value) end), inspect(event)
    end

    never = for prefix <- @never_raised, do: [:magnesia | prefix] ++ [:exception]
    seen = heard |> Enum.map(&elem(&1, 0)) |> Enum.uniq()
    assert Enum.sort(seen) == Enum.sort(Telemetry.events() -- never)
  end

  defp of(heard, event), do: for({^event, m, d} <- heard, do: {m, d})

  @tag :disc
  test "every event is emitted as the list says", %{dir: dir} do
    heard = heard(&Telemetry.attach_many(:all, Telemetry.events(), &1, nil), dir)
    check(heard)

    assert Enum.any?(of(heard, [:magnesia, :table, :load]), fn {_, d} ->
             d == %{table: :a, storage: :disc_copies, type: :set}
           end)

    [{%{bytes_before: before, bytes_after: rest}, %{result: :ok}}] =
      of(heard, [:magnesia, :log, :dump, :stop])

    assert rest < before
    assert [{%{rows: 501}, %{result: :ok}} | _] = of(heard, [:magnesia, :backup, :stop])
    assert [{%{tables: 1}, %{result: :ok}}] = of(heard, [:magnesia, :restore, :stop])

    assert [{%{value: value, limit: 5}, %{what: :message_queue}} | _] =
             of(heard, [:magnesia, :overload])

    assert value > 5
    assert [{%{count: 1}, %{cache: :scene_cache}}] = of(heard, [:magnesia, :cache, :eviction])
    waits = of(heard, [:magnesia, :lock, :wait])
    assert Enum.all?(waits, fn {m, d} -> m.duration > 0 and d.table == :a end)
    stops = of(heard, [:magnesia, :transaction, :stop])
    assert Enum.any?(stops, fn {m, d} -> m.restarts == 1 and d.result == :commit end)
    assert Enum.any?(stops, fn {m, _} -> m.lock_waits == 1 and m.lock_wait_time > 0 end)
    assert Enum.any?(stops, fn {_, d} -> d.result == :abort and d.reason == :no end)
    spans = for {event, m, d} <- heard, :telemetry_span_context in fields(d), do: {event, m, d}
    pairs = Enum.group_by(spans, fn {_, _, d} -> d.telemetry_span_context end)
    assert Enum.all?(pairs, fn {_, events} -> length(events) == 2 end)

    assert Enum.any?(of(heard, [:magnesia, :operations]), fn {m, d} ->
             d.table == :a and d.operation == :read and m.per_second > 0
           end)
  end

  @tag :disc
  test "the same go to the handlers of :telemetry where that is loaded", %{dir: dir} do
    Code.compile_file(@library)

    on_exit(fn ->
      :code.purge(:telemetry)
      :code.delete(:telemetry)
    end)

    library = :telemetry
    :ok = library.start()
    check(heard(&library.attach_many(:all, Telemetry.events(), &1, nil), dir))
    assert Telemetry.list_handlers([]) == []
    assert Switch.on?()
    :ok = library.detach(:all)
    :ok = Watch.look()
    refute Switch.on?()
  end

  test "the list's spans have a start, a stop and an exception, and its text has all of it" do
    entries = Map.new(Catalogue.entries(), &{elem(&1, 0), &1})

    for {event, {_, _, _, start, _}} <- entries, List.last(event) == :start do
      prefix = Enum.drop(event, -1)
      {_, _, stopped, stop, _} = entries[prefix ++ [:stop]]
      assert :duration in names(stopped)
      assert names(start) -- names(stop) == []
      {_, _, _, exception, _} = entries[prefix ++ [:exception]]
      assert names(exception) == Enum.sort(names(start) ++ [:kind, :reason, :stacktrace])
    end

    {:docs_v1, _, _, _, %{"en" => text}, _, _} = Code.fetch_docs(Telemetry)

    for {event, {_, _, measured, said, about}} <- entries do
      [row] = for line <- String.split(text, "\n"), line =~ "`#{inspect(event)}`", do: line
      assert row =~ about
      for {field, unit} <- measured ++ said, do: assert(row =~ "`#{field}`: #{unit}")
    end
  end

  test "a span that raises goes on to the caller, and says so" do
    me = self()
    events = [[:magnesia, :backup, :start], [:magnesia, :backup, :exception]]
    :ok = Telemetry.attach_many(1, events, fn e, _, d, _ -> send(me, {e, d}) end, nil)

    assert catch_throw(Telemetry.span([:magnesia, :backup], %{to: 7}, fn -> throw(:no) end)) ==
             :no

    assert_received {[:magnesia, :backup, :start], %{to: 7, telemetry_span_context: context}}

    assert_received {[:magnesia, :backup, :exception],
                     %{to: 7, kind: :throw, reason: :no, telemetry_span_context: ^context}}
  end

  test "a handler that fails is detached, with a line in the log, and the work goes on" do
    me = self()
    event = [:magnesia, :transaction, :stop]
    :ok = Telemetry.attach(:bad, event, fn _, _, _, _ -> exit(:broken) end, nil)
    :ok = Telemetry.attach(:good, event, fn _, _, _, _ -> send(me, :heard) end, nil)

    log =
      capture_log(fn ->
        assert :magnesia.transaction(fn -> 1 end) == {:atomic, 1}
        assert :magnesia.transaction(fn -> 2 end) == {:atomic, 2}
      end)

    assert log =~ "telemetry handler :bad has failed and is detached"
    assert log =~ "broken"
    assert length(String.split(log, "has failed")) == 2
    assert [%{id: :good}] = Telemetry.list_handlers([:magnesia])
    for _ <- 1..2, do: assert_received(:heard)
  end

  test "frequent events are made only while somebody listens to one of them" do
    hear = fn _, _, _, _ -> :ok end
    refute Switch.on?()
    :ok = Telemetry.attach(1, [:magnesia, :backup, :stop], hear, nil)
    refute Switch.on?()
    :ok = Telemetry.attach(2, [:magnesia, :lock, :wait], hear, nil)
    assert Switch.on?()
    :ok = Telemetry.attach(3, [:magnesia, :log, :sync], hear, nil)
    :ok = Telemetry.detach(2)
    assert Switch.on?()
    :ok = Telemetry.detach(3)
    refute Switch.on?()
    # The answer is a constant in the code, not a look somewhere.
    refute function_exported?(Switch, :__info__, 1)
  end

  test "turning the switch harms none of those who ask at that moment" do
    hear = fn _, _, _, _ -> :ok end
    writers = for _ <- 1..4, do: Task.async(fn -> for(n <- 1..2_000, do: committed(n)) end)

    for n <- 1..50 do
      :ok = Telemetry.attach(n, [:magnesia, :lock, :wait], hear, nil)
      :ok = Telemetry.detach(n)
    end

    assert writers |> Task.await_many(120_000) |> List.flatten() |> Enum.all?()
  end

  defp committed(n), do: :magnesia.transaction(fn -> n end) == {:atomic, n}

  test "what somebody listens to from the middle of a transaction on does no harm" do
    me = self()
    hear = fn e, m, _, _ -> send(me, {List.last(e), m}) end

    {:atomic, :ok} =
      :magnesia.transaction(fn ->
        Telemetry.attach_many(1, Catalogue.frequent(), hear, nil)
      end)

    refute_received {_event, _measurements}
    {:atomic, :ok} = :magnesia.transaction(fn -> Telemetry.detach(1) end)
    assert_received {:start, _measurements}
    refute_received {:stop, _measurements}
    assert :erlang.get(:magnesia_telemetry) == :undefined
  end

  test "the default logger writes a line" do
    assert {:error, :not_found} == Telemetry.detach_default_logger()
    :ok = Telemetry.attach_default_logger(level: :warning)

    log = capture_log(fn -> :ok = Magnesia.create_table(:a) end)
    assert log =~ "magnesia.schema.change count=1 change=:created table=:a"
    :ok = Telemetry.detach_default_logger()

    assert_raise ArgumentError, ~r/did you mean :level/, fn ->
      Telemetry.attach_default_logger(leve: :info)
    end
  end
end
