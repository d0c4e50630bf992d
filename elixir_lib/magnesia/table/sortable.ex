defmodule Magnesia.Table.Sortable do
  @moduledoc """
  Dates and times as integers whose order is the order of time.

  A `Date` is its day since year 0. Of `Time`, `NaiveDateTime` and `DateTime` it is the
  microsecond, times 8, plus the number of digits that the value has after its second: what is
  read is what was written, precision included. `nil` stays `nil`, which comes after all of them.
  Only the ISO calendar and, of `DateTime`, only UTC can be stored so. No table is known here.
  """

  @types [:date, :time, :naive_datetime, :datetime, :utc_datetime]
  @digits 8
  @second 1_000_000

  @typedoc "A value that can be stored so."
  @type value :: Date.t() | Time.t() | NaiveDateTime.t() | DateTime.t() | nil

  @doc "The types of attributes that may say `order: true`."
  @spec types() :: [atom()]
  def types, do: @types

  @doc """
  The stored form of a value.

      iex> Magnesia.Table.Sortable.encode(~D[2024-02-29])
      739310
      iex> Magnesia.Table.Sortable.encode(~T[00:00:01.5])
      12000001
  """
  @spec encode(term()) :: integer() | nil
  def encode(nil), do: nil
  def encode(%Date{calendar: Calendar.ISO} = date), do: Date.to_gregorian_days(date)

  def encode(%Time{calendar: Calendar.ISO, microsecond: {_, digits}} = time) do
    {second, micros} = Time.to_seconds_after_midnight(time)
    join(second, micros, digits)
  end

  def encode(%NaiveDateTime{calendar: Calendar.ISO, microsecond: {_, digits}} = time) do
    {second, micros} = NaiveDateTime.to_gregorian_seconds(time)
    join(second, micros, digits)
  end

  def encode(%DateTime{calendar: Calendar.ISO, time_zone: "Etc/UTC"} = time) do
    {second, micros} = DateTime.to_gregorian_seconds(time)
    join(second, micros, elem(time.microsecond, 1))
  end

  def encode(%DateTime{time_zone: zone} = time) do
    raise ArgumentError,
          "#{inspect(time)} is in #{zone} and an attribute with order: true keeps UTC: " <>
            "give DateTime.shift_zone!(time, \"Etc/UTC\")"
  end

  def encode(other) do
    raise ArgumentError,
          "an attribute with order: true holds a date or a time, not #{inspect(other)}"
  end

  defp join(second, micros, digits)
       when is_integer(second) and is_integer(micros) and is_integer(digits) do
    (second * @second + micros) * @digits + digits
  end

  @doc """
  The value of a stored form, of an attribute of that type.

      iex> Magnesia.Table.Sortable.decode(12000001, :time)
      ~T[00:00:01.5]
  """
  @spec decode(integer() | nil, atom()) :: value()
  def decode(nil, _type), do: nil
  def decode(days, :date), do: Date.from_gregorian_days(days)

  def decode(stored, type) do
    micros = Integer.floor_div(stored, @digits)
    second = Integer.floor_div(micros, @second)
    part = {Integer.mod(micros, @second), Integer.mod(stored, @digits)}

    case type do
      :time -> Time.from_seconds_after_midnight(second, part)
      :naive_datetime -> NaiveDateTime.from_gregorian_seconds(second, part)
      _datetime -> DateTime.from_gregorian_seconds(second, part)
    end
  end

  @doc """
  The least and the greatest stored form of values that mean the same as this one, whatever their
  precision.

      iex> Magnesia.Table.Sortable.span(~T[00:00:01])
      {8000000, 8000007}
      iex> Magnesia.Table.Sortable.span(~D[2024-02-29])
      {739310, 739310}
  """
  @spec span(value()) :: {integer() | nil, integer() | nil}
  def span(%kind{} = value) when kind in [Time, NaiveDateTime, DateTime] do
    least = Integer.floor_div(encode(value), @digits) * @digits
    {least, least + @digits - 1}
  end

  def span(value), do: {encode(value), encode(value)}

  @doc """
  What a comparison with a value, in the words of match specifications, says of a stored form:
  comparisons that must all hold, or of which one must, with `:"=/="`.

      iex> Magnesia.Table.Sortable.compare(:>, ~T[00:00:01])
      [{:>, 8000007}]
      iex> Magnesia.Table.Sortable.compare(:"=:=", ~T[00:00:01])
      [{:>=, 8000000}, {:"=<", 8000007}]
  """
  @spec compare(atom(), value()) :: [{atom(), integer() | nil}]
  def compare(operator, value) do
    {least, greatest} = span(value)

    case operator do
      :> -> [{:>, greatest}]
      :>= -> [{:>=, least}]
      :< -> [{:<, least}]
      :"=<" -> [{:"=<", greatest}]
      equal when equal in [:==, :"=:="] and least == greatest -> [{:"=:=", least}]
      equal when equal in [:==, :"=:="] -> [{:>=, least}, {:"=<", greatest}]
      unequal when unequal in [:"/=", :"=/="] -> [{:<, least}, {:>, greatest}]
    end
  end
end
