defmodule Magnesia.Contract.QuirksTest do
  @moduledoc """
  Runs every numbered quirk on stock Mnesia and on Magnesia: stock must give what was observed,
  and Magnesia what stock gives. The run of stock is the referee, never the literal.
  """
  use ExUnit.Case, async: false

  alias Magnesia.Parity.{Differences, Quirk, Subject}

  @moduletag capture_log: true
  @moduletag timeout: 120_000
  @quirks Quirk.load(Path.join(__DIR__, "quirks"))
  @differences Path.join(__DIR__, "differences.exs")

  for file <- Path.wildcard(Path.join(__DIR__, "quirks/*.exs")), do: @external_resource(file)

  setup_all do
    {:ok, differences} = Differences.load(@differences, @quirks)
    on_exit(fn -> Enum.each([:mnesia, :magnesia], &Subject.stop/1) end)
    Enum.each([:mnesia, :magnesia], &Subject.start_ram/1)
    %{differences: differences}
  end

  # A quirk on disc leaves its module stopped.
  setup do
    for subject <- [:mnesia, :magnesia], subject.system_info(:is_running) != :yes do
      Subject.start_ram(subject)
    end

    :ok
  end

  for quirk <- @quirks do
    @quirk quirk
    title = quirk.title |> String.split() |> Enum.join(" ") |> String.slice(0, 150)

    test "quirk #{quirk.number}: #{title}", %{differences: differences} do
      stock = Quirk.run(@quirk, :mnesia)
      assert stock === Quirk.observed(@quirk), message(@quirk, "observed", stock)
      other = Quirk.run(@quirk, :magnesia)

      case Differences.verdict(@quirk, stock, other, differences) do
        :ok -> :ok
        {:error, complaint} -> flunk(complaint <> "\n" <> message(@quirk, inspect(stock), other))
      end
    end
  end

  defp message(quirk, expected, answer) do
    limits = [limit: :infinity, printable_limit: :infinity]
    "#{String.trim(quirk.run)}\n  expected: #{expected}\n  answered: #{inspect(answer, limits)}"
  end
end
