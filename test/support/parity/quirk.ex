defmodule Magnesia.Parity.Quirk do
  @moduledoc """
  The numbered quirks: reads their data files and runs one against one module. It must never
  decide whether an answer is right; the tests compare.
  """

  alias Magnesia.Parity.{Expression, Normal, Subject}

  @enforce_keys [:number, :kind, :setup, :title, :run, :gives]
  defstruct @enforce_keys ++ [:normal, :gives_from_27]

  @type t :: %__MODULE__{
          number: pos_integer | String.t(),
          kind: :contract | :shape | :wart,
          setup: :ram | :disc,
          title: String.t(),
          run: String.t(),
          gives: String.t(),
          normal: String.t() | nil,
          gives_from_27: String.t() | nil
        }

  @doc "All quirks of a directory of data files, in the order of their numbers."
  @spec load(Path.t()) :: [t]
  def load(directory) do
    directory
    |> Path.join("*.exs")
    |> Path.wildcard()
    |> Enum.flat_map(&(&1 |> Code.eval_file() |> elem(0)))
    |> Enum.map(&struct!(__MODULE__, &1))
    |> Enum.sort_by(&order(&1.number))
  end

  @doc """
  The answer written in the data file, in its comparable form: the one observed on this release
  of OTP, where releases differ.
  """
  @spec observed(t) :: Expression.outcome()
  def observed(quirk) do
    release = String.to_integer(System.otp_release())
    gives = if release >= 27, do: quirk.gives_from_27 || quirk.gives, else: quirk.gives
    answer(quirk, {:value, Normal.term(Expression.literal(gives), :mnesia)})
  end

  @doc "What the module answers now, in its comparable form."
  @spec run(t, module) :: Expression.outcome()
  def run(%__MODULE__{setup: :ram} = quirk, subject) do
    Subject.fresh_quirk_tables(subject)
    answer(quirk, Expression.run(quirk.run, subject, bindings(subject)))
  end

  def run(%__MODULE__{setup: :disc} = quirk, subject) do
    Subject.with_disc(subject, fn dir ->
      bindings = [Dir: dir, Restart: fn -> restart(subject) end] ++ bindings(subject)
      answer(quirk, Expression.run(quirk.run, subject, bindings))
    end)
  end

  defp bindings(subject) do
    [Tx: &subject.transaction/1, Flush: fn -> Subject.messages(subject) end]
  end

  defp restart(subject) do
    :stopped = subject.stop()
    :ok = subject.start()
    :ok = subject.wait_for_tables(subject.system_info(:tables), 20_000)
  end

  defp answer(%{normal: nil}, outcome), do: outcome

  defp answer(quirk, {:value, value}) do
    {:value, normal, _} = :erl_eval.exprs(forms(quirk.normal), [])
    {:value, normal.(value)}
  rescue
    _unexpected_shape -> {:value, value}
  end

  defp answer(_quirk, outcome), do: outcome

  defp forms(text) do
    {:ok, tokens, _} = :erl_scan.string(String.to_charlist(String.trim(text) <> "."))
    {:ok, forms} = :erl_parse.parse_exprs(tokens)
    forms
  end

  defp order(number) when is_integer(number), do: {0, number}
  defp order("P" <> digits), do: {1, String.to_integer(digits)}
end
