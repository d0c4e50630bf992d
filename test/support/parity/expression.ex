defmodule Magnesia.Parity.Expression do
  @moduledoc """
  Runs Erlang text against a module under test: `mnesia` in the text stands for that module. It
  must never give the text anything but its bindings, nor run it in the caller's process.
  """

  alias Magnesia.Parity.Normal

  @type outcome :: {:value, term} | {:throw | :exit | :error, term} | :hangs

  @doc "The value of Erlang text without bindings; 'n@h' stands for the local node."
  @spec literal(String.t()) :: term
  def literal(text) do
    {:value, value, _} = :erl_eval.exprs(parse(text, :mnesia), [])
    value
  end

  @doc "Runs the text in a process of its own and answers its comparable outcome."
  @spec run(String.t(), module, keyword, timeout) :: outcome
  def run(text, subject, bindings, timeout \\ 20_000) do
    forms = parse(text, subject)
    caller = self()
    tag = make_ref()

    {pid, monitor} =
      spawn_monitor(fn -> send(caller, {tag, evaluate(forms, subject, bindings)}) end)

    receive do
      {^tag, outcome} ->
        Process.demonitor(monitor, [:flush])
        outcome

      {:DOWN, ^monitor, :process, ^pid, reason} ->
        {:exit, Normal.term(reason, subject)}
    after
      timeout ->
        Process.exit(pid, :kill)
        Process.demonitor(monitor, [:flush])
        :hangs
    end
  end

  # What the text prints goes to a device that no one reads.
  defp evaluate(forms, subject, bindings) do
    {:ok, device} = StringIO.open("")
    Process.group_leader(self(), device)
    {:value, value, _} = :erl_eval.exprs(forms, bindings)
    {:value, Normal.term(value, subject)}
  catch
    kind, {:badmatch, value} -> {kind, {:badmatch, Normal.term(value, subject)}}
    kind, reason -> {kind, Normal.term(reason, subject)}
  end

  defp parse(text, subject) do
    {:ok, tokens, _} = :erl_scan.string(String.to_charlist(String.trim(text) <> "."))
    {:ok, forms} = :erl_parse.parse_exprs(Enum.map(tokens, &replace(&1, subject)))
    forms
  end

  defp replace({:atom, line, :mnesia}, subject), do: {:atom, line, subject}
  defp replace({:atom, line, :n@h}, _subject), do: {:atom, line, node()}
  defp replace(token, _subject), do: token
end
