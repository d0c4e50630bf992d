defmodule Magnesia.Find do
  @moduledoc """
  Reads of many rows by what is in them, and steps from key to key, behind `Magnesia`.

  A table may be a module, whose rows are structs (`Magnesia.Shape`). Each function runs in the
  caller's context, or dirty when it says so; what a condition is, `Magnesia.Conditions` knows.
  """

  import Magnesia.Context, only: [dirty: 2, run: 2]

  alias Magnesia.Conditions
  alias Magnesia.Options
  alias Magnesia.Shape

  @type row :: tuple() | struct()

  @doc "All rows with these values in these attributes; `require_index: true` wants an index."
  @spec all_by(atom(), keyword(), keyword()) :: [row()]
  def all_by(table, values, options) do
    rules = [require_index: {&is_boolean/1, "true or false"}]
    Options.validate!(options, rules, "Magnesia.all_by/3")
    {name, shape} = Shape.of(table)

    records =
      run(name, fn ->
        if options[:require_index], do: Conditions.require_index!(name, values)
        :magnesia.select(name, Conditions.match_spec(table, values))
      end)

    Shape.rows(shape, records)
  end

  @doc "The one row with these values in these attributes, or nil."
  @spec get_by(atom(), keyword(), keyword()) :: row() | nil
  def get_by(table, values, options) do
    case all_by(table, values, options) do
      [] ->
        nil

      [row] ->
        row

      rows ->
        raise ArgumentError,
              "#{length(rows)} rows of table #{inspect(table)} match #{inspect(values)}: " <>
                "use Magnesia.all_by/2"
    end
  end

  @doc "The rows with these values in these attributes."
  @spec match(atom(), keyword()) :: [row()]
  def match(table, values) do
    {name, shape} = Shape.of(table)
    spec = fn -> :magnesia.select(name, Conditions.match_spec(table, values)) end
    Shape.rows(shape, run(name, spec))
  end

  @doc "As `match/2`, without a lock."
  @spec dirty_match(atom(), keyword()) :: [row()]
  def dirty_match(table, values) do
    {name, shape} = Shape.of(table)
    spec = fn -> :magnesia.dirty_select(name, Conditions.match_spec(table, values)) end
    Shape.rows(shape, dirty(name, spec))
  end

  @doc "The rows that meet all conditions."
  @spec select(atom(), [Conditions.condition()]) :: [row()]
  def select(table, conditions) do
    {name, shape} = Shape.of(table)
    spec = fn -> :magnesia.select(name, Conditions.spec(table, conditions, :"$_")) end
    Shape.rows(shape, run(name, spec))
  end

  @doc "As `select/2`, without a lock."
  @spec dirty_select(atom(), [Conditions.condition()]) :: [row()]
  def dirty_select(table, conditions) do
    {name, shape} = Shape.of(table)
    spec = fn -> :magnesia.dirty_select(name, Conditions.spec(table, conditions, :"$_")) end
    Shape.rows(shape, dirty(name, spec))
  end

  @doc "The results of a match specification over the stored records."
  @spec select_spec(atom(), [tuple()]) :: [term()]
  def select_spec(table, spec) do
    name = Shape.name(table)
    run(name, fn -> :magnesia.select(name, spec) end)
  end

  @doc "How many rows meet all conditions."
  @spec count(atom(), [Conditions.condition()]) :: non_neg_integer()
  def count(table, conditions) do
    name = Shape.name(table)

    run(name, fn ->
      length(:magnesia.select(name, Conditions.spec(table, conditions, true)))
    end)
  end

  @doc "All keys, each once."
  @spec keys(atom()) :: [term()]
  def keys(table) do
    {name, shape} = Shape.of(table)
    keys = run(name, fn -> :magnesia.all_keys(name) end)
    if shape, do: Enum.map(keys, &Shape.read_key(shape, &1)), else: keys
  end

  @doc "The first or the last key."
  @spec edge(atom(), :first | :last) :: {:ok, term()} | :error
  def edge(table, which) do
    {name, shape} = Shape.of(table)
    found(shape, run(name, fn -> apply(:magnesia, which, [name]) end))
  end

  @doc "The key after or before another."
  @spec step(atom(), term(), :next | :prev) :: {:ok, term()} | :error
  def step(table, key, which) do
    {name, shape} = Shape.of(table)
    key = Shape.key(shape, key)
    found(shape, run(name, fn -> apply(:magnesia, which, [name, key]) end))
  end

  defp found(_shape, :"$end_of_table"), do: :error
  defp found(shape, key), do: {:ok, Shape.read_key(shape, key)}
end
