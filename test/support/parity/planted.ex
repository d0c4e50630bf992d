defmodule Magnesia.Parity.Planted do
  @moduledoc """
  Plants a fault in `Magnesia.Backend` of the VM that calls it, to show that scripts find it: the
  module is loaded under another name, and one of its functions answers wrongly in its place. It
  must never be called in the VM of the tests.
  """

  alias Magnesia.Backend

  @sound Magnesia.Backend.Sound

  @doc "The faults."
  @spec faults() :: [atom]
  def faults do
    [
      :bag_reversed,
      :row_missed,
      :step_ends,
      :counter_twice,
      :object_by_key,
      :size_off,
      :unwritten
    ]
  end

  @doc "Plants a fault."
  @spec plant(atom) :: :ok
  def plant(fault) do
    rename()

    functions =
      for {name, arity} <- Backend.__info__(:functions), do: function(name, arity, fault)

    Code.put_compiler_option(:ignore_module_conflict, true)
    {:module, Backend, _, _} = Module.create(Backend, functions, Macro.Env.location(__ENV__))
    :ok
  end

  defp function(name, arity, fault) do
    arguments = Macro.generate_arguments(arity, __MODULE__)

    quote do
      def unquote(name)(unquote_splicing(arguments)) do
        Magnesia.Parity.Planted.call(unquote(fault), unquote(name), unquote(arguments))
      end
    end
  end

  defp rename do
    {Backend, beam, _file} = :code.get_object_code(Backend)
    {:ok, {_, [debug_info: {:debug_info_v1, form, data}]}} = :beam_lib.chunks(beam, [:debug_info])
    {:ok, forms} = form.debug_info(:erlang_v1, Backend, data, [])

    renamed =
      Enum.map(forms, fn
        {:attribute, line, :module, Backend} -> {:attribute, line, :module, @sound}
        other -> other
      end)

    {:ok, @sound, binary} = :compile.forms(renamed)
    {:module, @sound} = :code.load_binary(@sound, ~c"sound", binary)
  end

  @doc "A call of the backend with a fault."
  @spec call(atom, atom, [term]) :: term
  def call(:bag_reversed, :lookup, arguments), do: Enum.reverse(sound(:lookup, arguments))

  def call(:row_missed, :select, [_alias, tab, [{head, _, _} | _]] = arguments)
      when is_atom(tab) and is_tuple(head) do
    Enum.drop(sound(:select, arguments), 1)
  end

  def call(:step_ends, :next, [_alias, tab, _key]) when is_atom(tab), do: :"$end_of_table"

  def call(:counter_twice, :update_counter, [alias_name, tab, key, increment]) do
    sound(:update_counter, [alias_name, tab, key, increment * 2])
  end

  def call(:object_by_key, :match_delete, [alias_name, tab, record])
      when is_atom(tab) and is_tuple(record) do
    sound(:delete, [alias_name, tab, elem(record, 1)])
  end

  def call(:size_off, :info, [_alias, _tab, :size] = arguments) do
    sound(:info, arguments) |> max(1)
  end

  def call(:unwritten, :insert, [_alias, tab, record]) when is_atom(tab) and is_tuple(record) do
    if elem(record, 1) == 0.0, do: :ok, else: sound(:insert, [:magnesia_ram, tab, record])
  end

  def call(_fault, name, arguments), do: sound(name, arguments)

  defp sound(name, arguments), do: apply(@sound, name, arguments)
end
