defmodule Magnesia.Strict.Snmp do
  @moduledoc """
  Mnesia's SNMP functions, which OTP calls obsolete and Magnesia does not serve.

  A table can be given no SNMP structure, so that reading through one answers as Mnesia does for
  a table without. Nothing is looked up here.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Strict.Alteration

  @doc "Refuses to give a table an SNMP structure."
  @spec snmp_open_table(term(), term()) :: Alteration.outcome()
  def snmp_open_table(tab, _structure), do: Alteration.refuse({:obsolete, tab, :snmp})

  @doc "Refuses to take an SNMP structure away: there is none."
  @spec snmp_close_table(term()) :: Alteration.outcome()
  def snmp_close_table(tab), do: Alteration.refuse({:obsolete, tab, :snmp})

  @doc "Aborts, as for a table without an SNMP structure."
  @spec snmp_get_row(term(), term()) :: no_return()
  def snmp_get_row(tab, index), do: without_structure(tab, index)

  @doc "Aborts, as for a table without an SNMP structure."
  @spec snmp_get_next_index(term(), term()) :: no_return()
  def snmp_get_next_index(tab, index), do: without_structure(tab, index)

  @doc "Aborts, as for a table without an SNMP structure."
  @spec snmp_get_mnesia_key(term(), term()) :: no_return()
  def snmp_get_mnesia_key(tab, index), do: without_structure(tab, index)

  @spec without_structure(term(), term()) :: no_return()
  defp without_structure(tab, index)
       when is_atom(tab) and tab != :schema and is_list(index) do
    abort({:badarg, [tab, index]})
  end

  defp without_structure(tab, _index), do: abort({:bad_type, tab})
end
