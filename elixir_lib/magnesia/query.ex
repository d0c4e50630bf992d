defmodule Magnesia.Query do
  @moduledoc """
  Queries in Elixir, compiled to match specifications.

      import Magnesia.Query

      query =
        from u in MyApp.User,
          where: u.age > 30 and u.name == ^name,
          order_by: u.id,
          limit: 10,
          select: {u.id, u.name}

      Magnesia.Query.all(query)

  `u` is the row. The table is a module (`Magnesia.Table`), whose attributes are checked when the
  query is compiled, a table's name, or `^name`; attributes of the latter two are checked when
  the query runs. A query is a value: made once, run any number of times.

  ## Clauses

  | clause | takes |
  |---|---|
  | `where` | a condition; several must all hold |
  | `order_by` | an attribute, a list of them, `[desc: u.age, asc: u.name]` |
  | `limit` | a number, or `^number` |
  | `select` | what each row gives (the row): attributes, tuples, lists, maps, calculations |

  ## Conditions

  They run in the engine, so they can do what a match specification can: comparisons, `and`, `or`,
  `not`, `in` with a list or a range, `is_nil/1` and the other type tests, `starts_with?/2`,
  arithmetic, `elem/2`, `length/1`, `hd/1`, `map_size/1`, `u.map.key`, `u.map[:key]` and the like.
  Everything else does not compile. Values of yours are pinned: `^value`, `^Date.utc_today()`.

  `==` and `!=` between an attribute and a value mean that very value, as a pattern does: 1 is not
  1.0. Other comparisons are Elixir's: any atom, `nil` too, is greater than any number. An error
  in a condition, such as `u.age + 1` of a row whose age is an atom, makes it false. Dates and
  times of attributes with `order: true` are compared by what they mean, and of other attributes
  can only be equal.

  ## What is looked at

  `explain/1` tells. A value for the key looks the row up; a value for an indexed attribute reads
  its index, and so does a list of up to 200 values with `in`; a range of the keys of an ordered
  set, or of an indexed attribute, is walked from one end to the other; an index over several
  attributes serves values for the first of them with a value or a range for the next. All else
  looks at every row. An order by the key of an ordered set costs nothing in either direction; any
  other is sorted in memory, where `limit` keeps no more than that many rows.
  """

  alias Magnesia.Query.Compiler
  alias Magnesia.Query.Explanation
  alias Magnesia.Query.Run

  @enforce_keys [:table, :name, :clauses, :result]
  defstruct [:table, :name, :clauses, :result, :decode, :limit, order: [], narrowing: []]

  @typedoc """
  A query: `clauses` are the heads and guards of its specification, `result` the body, `decode`
  what makes a value of a result, `narrowing` the attributes that an index could help with.
  """
  @type t :: %__MODULE__{
          table: atom(),
          name: atom(),
          clauses: [Magnesia.Query.Spec.clause()],
          result: term(),
          decode: (term() -> term()) | nil,
          limit: non_neg_integer() | nil,
          order: [{:asc | :desc, pos_integer(), term()}],
          narrowing: [atom()]
        }

  @doc """
  Makes a query; see the module's text.

      iex> import Magnesia.Query
      iex> least = 500
      iex> Magnesia.Query.all(from c in :city, where: c.people > ^least, select: c.name)
      ["Oslo", "Paris"]
      iex> Magnesia.Query.all(from c in :city, order_by: [desc: c.name], limit: 1)
      [{:city, "Paris", :fr, 2100}]
  """
  @spec from(Macro.t(), keyword()) :: Macro.t()
  defmacro from(source, clauses \\ []), do: Compiler.query(source, clauses, __CALLER__)

  @doc """
  All results, in a transaction of its own or in the one that the process is in.

      iex> import Magnesia.Query
      iex> query = from c in :city, where: c.country == :no, select: {c.name, c.people}
      iex> Magnesia.Query.all(query)
      [{"Bergen", 290}, {"Oslo", 710}]
  """
  @spec all(t()) :: [term()]
  def all(%__MODULE__{} = query), do: Run.all(query)

  @doc """
  The one result, or nil; more than one is an `ArgumentError`.

      iex> import Magnesia.Query
      iex> Magnesia.Query.one(from c in :city, where: c.people == 710, select: c.name)
      "Oslo"
      iex> Magnesia.Query.one(from c in :city, where: c.people == 711)
      nil
  """
  @spec one(t()) :: term() | nil
  def one(%__MODULE__{} = query) do
    case Run.all(%{query | limit: min(query.limit || 2, 2)}) do
      [] ->
        nil

      [result] ->
        result

      _several ->
        raise ArgumentError,
              "more than one row of table #{inspect(query.table)} meets the query: " <>
                "use Magnesia.Query.all/1, or limit: 1"
    end
  end

  @doc """
  How many results there are.

      iex> import Magnesia.Query
      iex> Magnesia.Query.count(from c in :city, where: starts_with?(c.name, "O"))
      1
  """
  @spec count(t()) :: non_neg_integer()
  def count(%__MODULE__{} = query), do: Run.count(query)

  @doc """
  A lazy stream of the results, `chunk` of them (500) at a time.

  Outside a transaction it takes no lock: a row that stays in place is seen once, what changes
  meanwhile may be seen or not. An order that is not by the key of an ordered set has to have all
  results before the first, or as many as `limit` says. A query is enumerable itself, as this
  stream.

      iex> import Magnesia.Query
      iex> query = from c in :city, order_by: [desc: c.name], select: c.name
      iex> query |> Magnesia.Query.stream(chunk: 1) |> Enum.take(2)
      ["Paris", "Oslo"]
      iex> Enum.map(query, &String.length/1)
      [5, 4, 6]
  """
  @spec stream(t(), keyword()) :: Enumerable.t()
  def stream(%__MODULE__{} = query, options \\ []), do: Run.stream(query, options)

  @doc """
  How the query finds its rows, without running it; see `Magnesia.Query.Explanation`.

      iex> import Magnesia.Query
      iex> query = from c in :city, where: c.country == :no, order_by: [desc: c.people]
      iex> explanation = Magnesia.Query.explain(query)
      iex> {explanation.access, explanation.attributes, explanation.order}
      {:index, [:country], :sorted}
      iex> to_string(explanation)
      "city: the rows of 1 value in the index on :country; sorted in memory"
      iex> to_string(Magnesia.Query.explain(from c in :city, where: c.people > 500))
      "city: all 3 rows, an index on :people would narrow them"
  """
  @spec explain(t()) :: Explanation.t()
  def explain(%__MODULE__{} = query), do: Explanation.of(query)

  @doc """
  The match specification that the engine runs.

      iex> import Magnesia.Query
      iex> Magnesia.Query.to_spec(from c in :city, where: c.people > 500, select: c.name)
      [{{:city, :"$2", :_, :"$1"}, [{:>, :"$1", 500}], [:"$2"]}]
  """
  @spec to_spec(t()) :: [tuple()]
  def to_spec(%__MODULE__{clauses: clauses, result: result}) do
    for {head, guards} <- clauses, do: {head, guards, [result]}
  end

  defimpl Enumerable do
    @moduledoc "A query as the stream of its results."

    @impl true
    def reduce(query, acc, fun), do: Enumerable.reduce(Magnesia.Query.stream(query), acc, fun)

    @impl true
    def count(query), do: {:ok, Magnesia.Query.count(query)}

    @impl true
    def member?(_query, _term), do: {:error, __MODULE__}

    @impl true
    def slice(_query), do: {:error, __MODULE__}
  end

  defimpl Inspect do
    @moduledoc "A query in one line: its table and what the engine runs."

    @impl true
    def inspect(query, options) do
      spec = Magnesia.Query.to_spec(query)

      Inspect.Algebra.concat([
        "#Magnesia.Query<",
        text(query.table, options),
        ", ",
        text(spec, options),
        ">"
      ])
    end

    defp text(term, options), do: Inspect.Algebra.to_doc(term, options)
  end
end
