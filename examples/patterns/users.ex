defmodule MyApp.Records do
  @moduledoc """
  Rows as records. A record's tag is the name of its table, which `:users` says here: a row that
  is tagged otherwise is refused.
  """

  require Record

  Record.defrecord(:user, :users, id: nil, email: nil, name: nil, created_at: nil)

  Record.defrecord(:product, :products, id: nil, name: nil, price: nil, stock: 0)

  Record.defrecord(:order, :orders,
    id: nil,
    user_id: nil,
    total: nil,
    status: :active,
    created_at: nil
  )

  Record.defrecord(:signup, :signups, at: nil, email: nil)
end

defmodule MyApp.Users do
  @moduledoc """
  Users, products and orders: tables from records, reading by key and by index, patterns, and who
  came lately. Every function says `:magnesia` where it could say `:mnesia`.
  """

  import MyApp.Records

  @day_us 24 * 60 * 60 * 1_000_000

  @doc "The child of a supervisor: the database in `dir`, with its tables there and loaded."
  def child_spec(options) do
    Magnesia.child_spec(Keyword.put(options, :tables, tables()))
  end

  # The attributes are those of the records, so that the two cannot drift apart.
  defp tables do
    [
      users: [attributes: Keyword.keys(user(user())), storage: :disc, index: [:email]],
      products: [
        attributes: Keyword.keys(product(product())),
        storage: :disc,
        index: [:name]
      ],
      orders: [
        attributes: Keyword.keys(order(order())),
        storage: :disc,
        index: [:user_id, :status]
      ],
      signups: [
        attributes: Keyword.keys(signup(signup())),
        storage: :disc,
        type: :ordered_set
      ]
    ]
  end

  @doc "A new user; both rows are written or none."
  def add(id, email, name, created_at \\ DateTime.utc_now()) do
    :magnesia.transaction(fn ->
      :magnesia.write(user(id: id, email: email, name: name, created_at: created_at))
      :magnesia.write(signup(at: {microseconds(created_at), id}, email: email))
    end)
  end

  @doc "A user by id."
  def get(id) do
    {:atomic, rows} = :magnesia.transaction(fn -> :magnesia.read(:users, id) end)
    one(rows)
  end

  @doc "A user by e-mail address: one look-up in the index, without a lock."
  def get_by_email(email), do: one(:magnesia.dirty_index_read(:users, email, :email))

  defp one([row]), do: {:ok, Map.new(user(row))}
  defp one([]), do: {:error, :not_found}

  @doc "A new product, or another price and stock of one."
  def product!(id, name, price, stock) do
    row = product(id: id, name: name, price: price, stock: stock)
    {:atomic, :ok} = :magnesia.transaction(fn -> :magnesia.write(row) end)
    :ok
  end

  @doc "The products of a name, by the index."
  def products(name) do
    for row <- :magnesia.dirty_index_read(:products, name, :name), do: Map.new(product(row))
  end

  @doc """
  Sells some of a product to a user as one order, or answers `{:error, reason}`: the stock goes
  down and the order is there, or neither. The product is read with a write lock, so that two
  who buy the last one come one after the other.
  """
  def sell(order_id, user_id, product_id, count) do
    sold =
      :magnesia.transaction(fn ->
        case :magnesia.read(:products, product_id, :write) do
          [product(stock: stock, price: price) = row] when stock >= count ->
            :magnesia.write(product(row, stock: stock - count))
            now = DateTime.utc_now()
            total = price * count
            :magnesia.write(order(id: order_id, user_id: user_id, total: total, created_at: now))
            total

          [_too_few] ->
            :magnesia.abort(:out_of_stock)

          [] ->
            :magnesia.abort(:no_such_product)
        end
      end)

    case sold do
      {:atomic, total} -> {:ok, total}
      {:aborted, reason} -> {:error, reason}
    end
  end

  @doc "A new order."
  def order!(id, user_id, total) do
    row = order(id: id, user_id: user_id, total: total, created_at: DateTime.utc_now())
    {:atomic, :ok} = :magnesia.transaction(fn -> :magnesia.write(row) end)
    :ok
  end

  @doc "All orders that are active; the pattern is without the tag, as people write it."
  def active_orders do
    {:atomic, rows} =
      :magnesia.transaction(fn ->
        :magnesia.match_object(:orders, {:_, :_, :_, :active, :_})
      end)

    rows
  end

  @doc "A user's orders. In a record's pattern `_: :_` is what makes the other fields wild."
  def orders_of(user_id) do
    {:atomic, rows} =
      :magnesia.transaction(fn -> :magnesia.match_object(order(user_id: user_id, _: :_)) end)

    rows
  end

  @doc "Users of the last days, by looking at each of them."
  def recent(days \\ 7, now \\ DateTime.utc_now()) do
    since = DateTime.add(now, -days * 24 * 60 * 60, :second)

    newer = fn user(created_at: at) = row, found ->
      if DateTime.compare(at, since) == :lt, do: found, else: [row | found]
    end

    {:atomic, found} = :magnesia.transaction(fn -> :magnesia.foldl(newer, [], :users) end)
    found
  end

  @doc "Their ids, oldest first, from an ordered table: only the rows of those days are read."
  def recent_ids(days \\ 7, now \\ DateTime.utc_now()) do
    since = microseconds(now) - days * @day_us
    head = signup(at: {:"$1", :"$2"}, _: :_)
    :magnesia.dirty_select(:signups, [{head, [{:>=, :"$1", since}], [:"$2"]}])
  end

  # A DateTime sorts by its fields' names, day before month; a number sorts by time.
  defp microseconds(%DateTime{} = at), do: DateTime.to_unix(at, :microsecond)
end
