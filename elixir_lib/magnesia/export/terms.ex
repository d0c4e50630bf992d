defmodule Magnesia.Export.Terms do
  @moduledoc """
  The lines of an export: Erlang terms that `:file.consult/1` reads, one a line, in UTF-8.

  A term with a process, port, reference or fun in it has no text that can be read back; its line
  is `{external, Binary}.` with the term in the external term format. What the terms mean is not
  known here.
  """

  @doc """
  The line of a term.

      iex> Magnesia.Export.Terms.line({:row, :city, {:city, "Oslo", 710}})
      "{row,city,{city,<<\\"Oslo\\">>,710}}.\\n"
  """
  @spec line(term()) :: binary()
  def line(term) do
    term = if plain?(term), do: term, else: {:external, :erlang.term_to_binary(term)}
    List.to_string(:io_lib.format(~c"~0tp.~n", [term]))
  end

  defp plain?([head | tail]), do: plain?(head) and plain?(tail)
  defp plain?(tuple) when is_tuple(tuple), do: plain?(Tuple.to_list(tuple))
  defp plain?(map) when is_map(map), do: plain?(:maps.to_list(map))

  defp plain?(term) do
    not (is_pid(term) or is_port(term) or is_reference(term) or is_function(term))
  end

  @doc "The terms of a file, read as they are asked for; a line that is no term raises."
  @spec stream!(Path.t()) :: Enumerable.t()
  def stream!(file) do
    Stream.resource(
      fn -> File.open!(file, [:read, :utf8, :read_ahead]) end,
      &next!(&1, file),
      &File.close/1
    )
  end

  defp next!(io, file) do
    case :io.read(io, ~c"") do
      {:ok, {:external, binary}} when is_binary(binary) -> {[:erlang.binary_to_term(binary)], io}
      {:ok, term} -> {[term], io}
      :eof -> {:halt, io}
      {:error, reason} -> raise ArgumentError, "#{file}: #{inspect(reason)}"
    end
  end
end
