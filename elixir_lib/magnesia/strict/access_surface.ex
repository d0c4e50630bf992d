defmodule Magnesia.Strict.AccessSurface do
  @moduledoc """
  The part of `:magnesia`'s surface for fragments: `use` puts these functions into the module.
  Only names, arguments and documentation stand here, no behaviour.
  """

  @doc false
  defmacro __using__(_options) do
    quote do
      @doc "Changes a table's fragmentation."
      @spec change_table_frag(table(), term()) :: outcome()
      defdelegate change_table_frag(tab, change), to: Magnesia.Strict.Refragmentation
    end
  end
end
