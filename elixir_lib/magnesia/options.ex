defmodule Magnesia.Options do
  @moduledoc """
  Checks lists of options where they enter: every key must be known and every value of its kind.

  A mistake is an `ArgumentError` that names the nearest known key or what the value should be.
  What an option means is not known here.
  """

  @typedoc "The known keys, each with a check and what it asks for in words."
  @type rules :: [{atom(), {(term() -> boolean()), String.t()}}]

  @doc """
  Checks options.

      iex> rules = [retries: {&is_integer/1, "an integer"}]
      iex> Magnesia.Options.validate!([retries: 3], rules, "transaction/2")
      :ok
      iex> Magnesia.Options.validate!([retry: 3], rules, "transaction/2")
      ** (ArgumentError) transaction/2 has no option :retry, did you mean :retries?
  """
  @spec validate!(term(), rules(), String.t()) :: :ok
  def validate!(options, rules, place) do
    if not Keyword.keyword?(options) do
      raise ArgumentError, "#{place} takes a keyword list of options, not #{inspect(options)}"
    end

    Enum.each(options, &check!(&1, rules, place))
  end

  defp check!({key, value}, rules, place) do
    case List.keyfind(rules, key, 0) do
      {_key, {check, words}} -> check.(value) || refuse_value(place, key, value, words)
      nil -> unknown!(place <> " has no option", key, Keyword.keys(rules))
    end
  end

  @doc """
  Raises for a name that is not known, with the nearest that is.

      iex> Magnesia.Options.unknown!("table :city has no attribute", :nam, [:name, :country])
      ** (ArgumentError) table :city has no attribute :nam, did you mean :name?

      iex> Magnesia.Options.unknown!("no operator", :between, [:<, :>])
      ** (ArgumentError) no operator :between, only :<, :>
  """
  @spec unknown!(String.t(), term(), [atom()]) :: no_return()
  def unknown!(words, name, known) do
    raise ArgumentError, "#{words} #{inspect(name)}#{suggestion(name, known)}"
  end

  @near 0.7

  defp suggestion(_name, []), do: ""

  defp suggestion(name, known) do
    text = if is_atom(name) or is_binary(name), do: to_string(name), else: inspect(name)
    nearest = Enum.max_by(known, &String.jaro_distance(to_string(&1), text))

    if String.jaro_distance(to_string(nearest), text) > @near do
      ", did you mean #{inspect(nearest)}?"
    else
      ", only #{Enum.map_join(known, ", ", &inspect/1)}"
    end
  end

  defp refuse_value(place, key, value, words) do
    raise ArgumentError, "#{place}: #{key} must be #{words}, not #{inspect(value)}"
  end
end
