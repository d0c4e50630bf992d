defmodule MyApp.Migration do
  @moduledoc """
  The schema of `:users` in numbered steps: an index, then a column. The table's version is one of
  its own properties, so that it is in the database that it describes; steps that are done are
  passed over, and a step that was cut short is done again.
  """

  @table :users
  @latest 2

  @doc "The table as the first release made it."
  def create(options \\ []) do
    attributes = [:id, :email, :name, :created_at]
    :magnesia.create_table(@table, [attributes: attributes] ++ options)
  end

  @doc "The version that the table has; 0 for one that no step has touched."
  def version do
    {:version, n} = :magnesia.read_table_property(@table, :version)
    n
  catch
    :exit, {:aborted, {:no_exists, {@table, :user_property, :version}}} -> 0
  end

  @doc "Takes the table to a version, one step after another, up or down."
  def migrate(to \\ @latest)

  def migrate(to) when to in 0..@latest do
    case version() do
      ^to -> {:ok, to}
      from when from < to -> with :ok <- up(from + 1), do: arrived(from + 1, to)
      from -> with :ok <- down(from), do: arrived(from - 1, to)
    end
  end

  def migrate(to), do: {:error, {:unknown_version, to}}

  defp arrived(version, to) do
    with {:atomic, :ok} <- :magnesia.write_table_property(@table, {:version, version}) do
      migrate(to)
    else
      {:aborted, reason} -> {:error, {version, reason}}
    end
  end

  # Each step looks first whether it is done, as the note of the version may be missing.

  defp up(1) do
    if 3 in :magnesia.table_info(@table, :index),
      do: :ok,
      else: done(1, :magnesia.add_table_index(@table, :email))
  end

  # The column comes last, where no index has to move.
  defp up(2) do
    add = fn {@table, id, email, name, created_at} ->
      {@table, id, email, name, created_at, :active}
    end

    reshape(2, [:id, :email, :name, :created_at, :status], add)
  end

  defp down(1) do
    if 3 in :magnesia.table_info(@table, :index),
      do: done(1, :magnesia.del_table_index(@table, :email)),
      else: :ok
  end

  defp down(2) do
    reshape(2, [:id, :email, :name, :created_at], &Tuple.delete_at(&1, 5))
  end

  # All rows have the new shape at once, or none if the fun fails on one of them.
  defp reshape(step, attributes, fun) do
    if :magnesia.table_info(@table, :attributes) == attributes,
      do: :ok,
      else: done(step, :magnesia.transform_table(@table, fun, attributes))
  end

  defp done(_step, {:atomic, :ok}), do: :ok
  defp done(step, {:aborted, reason}), do: {:error, {step, reason}}
end
