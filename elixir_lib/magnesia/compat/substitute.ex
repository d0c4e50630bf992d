defmodule Magnesia.Compat.Substitute do
  @moduledoc """
  Modules and an application that stand in for those of OTP's Mnesia in this VM.

  The modules are made when they are needed, since a file of theirs in the library would hide the
  stock ones from everyone. Which calls are served is `:magnesia`'s business; only the names are
  put in place here, and taken away again.
  """

  alias Magnesia.Compat.Starter

  @state __MODULE__
  @version ~c"4.21.3"
  @modules [
    mnesia: :magnesia,
    mnesia_frag: :magnesia_frag,
    mnesia_frag_hash: Magnesia.Strict.FragmentHash
  ]
  # What concerns the application that stands in, or its settings.
  @own [
    start: 0,
    start: 1,
    stop: 0,
    create_schema: 1,
    create_schema: 2,
    delete_schema: 1,
    system_info: 1
  ]

  @doc "Tells whether the substitutes are in place."
  @spec installed?() :: boolean()
  def installed?, do: :persistent_term.get(@state, nil) != nil

  @doc "Tells whether OTP's Mnesia is running here."
  @spec stock_running?() :: boolean()
  def stock_running?, do: not installed?() and Process.whereis(:mnesia_sup) != nil

  @doc "Puts the substitutes in place; a stock Mnesia that is running is stopped."
  @spec install() :: :ok | {:error, term()}
  def install do
    _ = Application.stop(:mnesia)
    loaded? = List.keymember?(Application.loaded_applications(), :mnesia, 0)
    env = Application.get_all_env(:mnesia)
    _ = Application.unload(:mnesia)

    with :ok <- :application.load(specification(env)) do
      sticky = for {name, _} <- @modules, :code.is_sticky(name), do: name
      :persistent_term.put(@state, %{sticky: sticky, loaded?: loaded?})
      Enum.each(@modules, fn {name, target} -> load(name, target) end)
    end
  end

  @doc "Takes the substitutes away and loads OTP's own again, where there are some."
  @spec uninstall() :: :ok
  def uninstall do
    %{sticky: sticky, loaded?: loaded?} = :persistent_term.get(@state)
    _ = Application.stop(:mnesia)
    env = Application.get_all_env(:mnesia)
    _ = Application.unload(:mnesia)

    for {name, _target} <- @modules do
      drop(name)
      _ = :code.load_file(name)
      if name in sticky, do: :code.stick_mod(name)
    end

    :persistent_term.erase(@state)
    if loaded?, do: restore(env), else: :ok
  end

  defp restore(env) do
    _ = Application.load(:mnesia)
    Enum.each(env, fn {key, value} -> Application.put_env(:mnesia, key, value) end)
  end

  defp specification(env) do
    {:application, :mnesia,
     [
       description: ~c"Mnesia's names on Magnesia",
       vsn: @version,
       modules: Keyword.keys(@modules),
       registered: [],
       applications: [:kernel, :stdlib, :magnesia],
       env: env,
       mod: {Starter, []}
     ]}
  end

  defp load(name, target) do
    {:module, ^target} = Code.ensure_loaded(target)
    {:ok, ^name, binary} = :compile.forms(forms(name, target), [])
    if :code.is_sticky(name), do: :code.unstick_mod(name)
    drop(name)
    {:module, ^name} = :code.load_binary(name, ~c"magnesia", binary)
    :ok
  end

  defp drop(name) do
    _ = :code.purge(name)
    _ = :code.delete(name)
    _ = :code.purge(name)
    :ok
  end

  defp forms(name, target) do
    functions =
      for {function, arity} <- target.module_info(:exports),
          function not in [:module_info, :__info__],
          do: {function, arity}

    [
      {:attribute, 1, :module, name},
      {:attribute, 1, :export, functions}
      | for({function, arity} <- functions, do: delegation(target, function, arity))
    ]
  end

  defp delegation(target, function, arity) do
    target = if target == :magnesia and {function, arity} in @own, do: Starter, else: target
    arguments = for n <- Enum.take(1..255, arity), do: {:var, 1, :"A#{n}"}
    call = {:call, 1, {:remote, 1, {:atom, 1, target}, {:atom, 1, function}}, arguments}
    {:function, 1, function, arity, [{:clause, 1, arguments, [], [call]}]}
  end
end
