defmodule Magnesia.Table do
  @moduledoc """
  A table as a module: its rows are structs.

      iex> defmodule MyApp.User do
      ...>   use Magnesia.Table, name: :users
      ...>   field :id, :integer
      ...>   field :email, :string, index: true
      ...>   field :age, :integer, default: 0
      ...>   field :joined, :date, order: true
      ...> end
      iex> MyApp.User.create()
      :ok
      iex> {:ok, _ann} = MyApp.User.put(%{__struct__: MyApp.User, id: 1, email: "ann@example.org",
      ...>   age: 40, joined: ~D[2024-02-29]})
      iex> MyApp.User.fetch!(1).joined
      ~D[2024-02-29]
      iex> Magnesia.get(:users, 1)
      {:users, 1, "ann@example.org", 40, 739310}

  Under a supervisor the module is all that is needed:

      children = [{Magnesia, dir: "data", tables: [MyApp.User]}, MyApp.Web]

  In short, without types or with `types: [id: :integer]`:

      use Magnesia.Table, name: :users, attributes: [:id, :email, age: 0], index: [:email]

  The first attribute is the key. The module can stand wherever `Magnesia` takes a table, rows
  going in and out are its structs then; under its name, `:users`, the same table has tuples.

  ## Options

  | option | means |
  |---|---|
  | `name` | the table's name (the module) |
  | `attributes` | names, then `name: default` pairs; instead of `field` |
  | `types` | types of `attributes`, `:any` for those left out |
  | `autogenerate` | of which of `attributes` values are generated, and how: see below |
  | `key` | the attribute that is the key (the first) |
  | `index` | attributes with an index; a list among them is an index over several |
  | `unique` | attributes of which no two rows may have the same value (`Magnesia.Unique`) |
  | all others | as in `Magnesia.create_table/2`: `type`, `storage`, `access_mode` and so on |

  ## Fields

  `field name, type, options`: the type is one of `:any`, `:integer`, `:float`, `:number`,
  `:string`, `:binary`, `:atom`, `:boolean`, `:map`, `:list`, `:tuple`, `:pid`, `:reference`,
  `:function`, `:date`, `:time`, `:naive_datetime`, `:datetime`, `:utc_datetime`. A value of
  another type is refused when it is written, `nil` is always allowed but for a key. Options:
  `default`; `index: true`; `unique: true`; `order: true`, for dates and times, stores them so
  that their order is the order of time (`Magnesia.Table.Sortable`).

  The struct of a module that says `field` is defined at its end; functions in the module that
  write `%__MODULE__{}` need it sooner, which `fields do ... end` around the fields gives.

  ## Values that are generated

  `autogenerate:` of a field says what an attribute gets that is nil when its row is written:

  | | |
  |---|---|
  | `true`, of an `:integer` | the next number of a sequence, from 1 |
  | `true`, of a date or time | now, in UTC |
  | `:always`, of a date or time | now, with each write, also over a value that is there |
  | `&Module.name/0`, `{module, name, args}` | what the function answers |

  `timestamps()` among the fields declares `inserted_at` and `updated_at`, as `:utc_datetime`, or
  with `type:` of another type and with other options of a field. What is written under the
  table's name, past the module, gets nothing. Sequences leave gaps where a transaction is given
  up, and never a number whose key has a row: see `Magnesia.Table.Generated`.

      iex> defmodule MyApp.Order do
      ...>   use Magnesia.Table
      ...>   field :id, :integer, autogenerate: true
      ...>   field :total, :integer
      ...>   timestamps()
      ...> end
      iex> MyApp.Order.create()
      :ok
      iex> {:ok, first} = MyApp.Order.put(%{__struct__: MyApp.Order, id: nil, total: 3,
      ...>   inserted_at: nil, updated_at: nil})
      iex> {:ok, changed} = MyApp.Order.update(first.id, total: 4)
      iex> {first.id, changed.inserted_at == first.inserted_at}
      {1, true}

  ## An index over several attributes

  `index: [[:country, :age]]` keeps the two as one attribute more in the stored record, named
  `:"country+age"`, which is indexed. `Magnesia.Query` uses it by itself. Records written under
  the table's name, past the module, have to hold it too.

  ## Mistakes

  An unknown option, type or attribute does not compile, and the error names the nearest that
  would. The functions that a module gets are those of `Magnesia.Table.Calls`, `to_record/1`,
  `from_record/1` and `__table__/1`.
  """

  alias Magnesia.Table.Calls
  alias Magnesia.Table.Declaration

  @doc false
  defmacro __using__(options) do
    quote do
      import Magnesia.Table,
        only: [field: 1, field: 2, field: 3, fields: 1, timestamps: 0, timestamps: 1]

      Magnesia.Table.__open__(__ENV__, unquote(options))
      @before_compile Magnesia.Table
    end
  end

  @doc "Declares an attribute; see the module's text."
  @spec field(atom(), atom(), keyword()) :: Macro.t()
  defmacro field(name, type \\ :any, options \\ []) do
    quote do
      Magnesia.Table.Declaration.add(
        __ENV__,
        unquote(name),
        unquote(type),
        unquote(options)
      )
    end
  end

  @doc "Declares `inserted_at` and `updated_at`, with options of a field for both."
  @spec timestamps(keyword()) :: Macro.t()
  defmacro timestamps(options \\ []) do
    quote do
      {type, options} = Keyword.pop(unquote(options), :type, :utc_datetime)
      field :inserted_at, type, [autogenerate: true] ++ options
      field :updated_at, type, [autogenerate: :always] ++ options
    end
  end

  @doc "Declares all attributes and defines the struct at the end of the block."
  @spec fields([{:do, Macro.t()}]) :: Macro.t()
  defmacro fields(do: block) do
    quote do
      unquote(block)
      Magnesia.Table.__close__(__ENV__)
    end
  end

  @doc false
  @spec __open__(Macro.Env.t(), keyword()) :: :ok
  def __open__(env, options) do
    if Declaration.open(env, options).options[:attributes], do: __close__(env)
    :ok
  end

  @doc false
  @spec __close__(Macro.Env.t()) :: :ok
  def __close__(env) do
    {_value, _bindings} = Code.eval_quoted(quoted(env), [], env)
    Module.put_attribute(env.module, :magnesia_defined, true)
  end

  @doc false
  defmacro __before_compile__(env) do
    if Module.get_attribute(env.module, :magnesia_defined), do: nil, else: quoted(env)
  end

  defp quoted(env) do
    quote do
      unquote(Magnesia.Table.Code.quoted(Declaration.close(env)))
      unquote(Calls.quoted(env.module))
    end
  end
end
