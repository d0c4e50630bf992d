defmodule Magnesia.Demo.Progress do
  @moduledoc """
  A text progress bar for a known number of rows.

  On a terminal one line is redrawn; elsewhere only the finished line is printed. It keeps no
  process: the caller carries the struct.
  """

  @width 30
  @label_width 34

  @enforce_keys [:label, :total, :started, :drawn, :live?]
  defstruct [:label, :total, :started, :drawn, :live?, done: 0]

  @type t :: %__MODULE__{}

  @doc "Starts a bar for `total` rows."
  @spec start(String.t(), non_neg_integer) :: t
  def start(label, total) do
    now = System.monotonic_time(:millisecond)
    bar = %__MODULE__{label: label, total: total, started: now, drawn: now, live?: terminal?()}
    draw(bar, now)
  end

  @doc "Counts `rows` more as done and redraws at most ten times a second."
  @spec advance(t, non_neg_integer) :: t
  def advance(bar, rows) do
    now = System.monotonic_time(:millisecond)
    bar = %{bar | done: bar.done + rows}
    if now - bar.drawn >= 100, do: draw(bar, now), else: bar
  end

  @doc "Completes the line with the count and the time it took."
  @spec finish(t) :: :ok
  def finish(bar) do
    seconds = (System.monotonic_time(:millisecond) - bar.started) / 1000
    clear = if bar.live?, do: "\r\e[2K", else: ""
    time = :erlang.float_to_binary(seconds, decimals: 1)
    IO.puts("#{clear}  #{padded(bar.label)} #{bar.done} rows in #{time} s")
  end

  defp draw(%{live?: false} = bar, now), do: %{bar | drawn: now}

  defp draw(bar, now) do
    share = if bar.total == 0, do: 1.0, else: min(1.0, bar.done / bar.total)
    full = round(share * @width)
    line = String.duplicate("#", full) <> String.duplicate(".", @width - full)
    percent = share |> Kernel.*(100) |> round() |> Integer.to_string() |> String.pad_leading(3)
    IO.write("\r  #{padded(bar.label)} [#{line}] #{percent} %")
    %{bar | drawn: now}
  end

  defp padded(label), do: String.pad_trailing(label, @label_width)
  defp terminal?, do: IO.ANSI.enabled?()
end
