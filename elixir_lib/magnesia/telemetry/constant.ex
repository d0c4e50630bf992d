defmodule Magnesia.Telemetry.Constant do
  @moduledoc """
  Turns `Magnesia.Telemetry.Switch`: puts a module in its place whose answer is a constant.

  Both modules are made when this one is compiled, so a release needs no compiler. When to turn is
  not decided here.
  """

  alias Magnesia.Telemetry.Switch

  @code Map.new([true, false], fn value ->
          {:ok, _module, binary} =
            :compile.forms([
              {:attribute, 1, :module, Switch},
              {:attribute, 1, :export, [{:on?, 0}]},
              {:function, 1, :on?, 0, [{:clause, 1, [], [], [{:atom, 1, value}]}]}
            ])

          {value, binary}
        end)

  @doc "Turns the switch; nothing happens when it stands that way."
  @spec turn(boolean()) :: :ok
  def turn(value) do
    :persistent_term.put(Switch, value)
    if Switch.on?() == value and constant?(), do: :ok, else: load(value)
  end

  # The module of the source knows more than one function of its own.
  defp constant?, do: not function_exported?(Switch, :__info__, 1)

  defp load(value) do
    # Nobody stays in a function that only answers, so whoever is in the code of the turn before
    # last is out of it by the next time the scheduler comes to it.
    if :code.soft_purge(Switch) do
      {:module, Switch} = :code.load_binary(Switch, ~c"magnesia_telemetry_switch", @code[value])
      :ok
    else
      :erlang.yield()
      load(value)
    end
  end
end
