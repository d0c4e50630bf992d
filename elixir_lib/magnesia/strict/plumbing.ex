defmodule Magnesia.Strict.Plumbing do
  @moduledoc """
  What Mnesia exports for its own modules and for access modules that are written like them:
  remote entry points, select with a fun for the stored rows, stopping hard.

  One node is served, so that what goes to another node in Mnesia is done here. No operation of
  its own is decided in this room.
  """

  import Magnesia.Strict.Failure

  alias Magnesia.Database
  alias Magnesia.Strict.Chunks
  alias Magnesia.Strict.Definition
  alias Magnesia.Strict.Dirty
  alias Magnesia.Strict.Own
  alias Magnesia.Strict.Pattern
  alias Magnesia.Strict.Selection
  alias Magnesia.Strict.TableItems

  @doc "Calls a function where a table is read, which is here."
  @spec dirty_rpc(term(), module(), atom(), list()) :: term()
  def dirty_rpc(tab, module, function, arguments) do
    case Definition.fetch(tab) do
      {:ok, %{storage: storage}} when storage != :unknown ->
        apply_or_badarg(module, function, arguments)

      _ ->
        abort({:no_exists, arguments})
    end
  end

  # A throw is an answer and any other failure says only that the arguments were wrong.
  defp apply_or_badarg(module, function, arguments) do
    apply(module, function, arguments)
  catch
    :throw, answer -> answer
    _, _ -> abort({:badarg, arguments})
  end

  @doc "The size or the memory of this node's copy of a table."
  @spec raw_table_info(term(), term()) :: term()
  def raw_table_info(tab, item) when item in [:size, :memory] do
    if is_atom(tab), do: TableItems.table_info(tab, item), else: 0
  end

  def raw_table_info(tab, item), do: abort({:no_exists, tab, item})

  @doc "As `raw_table_info/2`, of a table that must be there."
  @spec raw_table_info!(term(), term()) :: term()
  def raw_table_info!(tab, item) do
    case Definition.fetch(tab) do
      {:ok, %{storage: storage}} when storage != :unknown -> raw_table_info(tab, item)
      _ -> abort({:no_exists, [tab, item]})
    end
  end

  @doc "The rows that a pattern matches, on the node that is read."
  @spec remote_dirty_match_object(term(), tuple()) :: [tuple()]
  def remote_dirty_match_object(tab, pattern), do: Dirty.match_object(tab, pattern)

  @doc "The results of a match specification, on the node that is read."
  @spec remote_dirty_select(term(), list()) :: list()
  def remote_dirty_select(tab, spec), do: Dirty.select(tab, spec)

  @doc "Selects with a fun that answers the stored rows' results for a specification."
  @spec fun_select(tuple(), term(), atom(), list(), term(), atom(), (list() -> list())) :: list()
  def fun_select({:tid, _, _}, ctx, tab, spec, lock, of, stored) do
    _ = Selection.lock(ctx, tab, spec, lock)

    case own(ctx, of) do
      [] ->
        stored.(spec)

      ops ->
        kind = kind(tab)
        ops |> Own.merge(stored.(Pattern.rows_of(spec)), kind) |> Own.run(spec)
    end
  end

  def fun_select({:ets, _}, _ts, tab, spec, _lock, _of, _stored) do
    Dirty.bare(tab, fn -> Dirty.select(tab, spec) end)
  end

  def fun_select(_tid, _ts, _tab, spec, _lock, _of, stored), do: stored.(spec)

  # `:_` stands for every table that the transaction has written to.
  defp own(ctx, :_) do
    Enum.flat_map(Definition.names() -- [:schema], &Selection.own(ctx, &1))
  end

  defp own(ctx, tab), do: Selection.own(ctx, tab)

  defp kind(tab) do
    case Definition.fetch(tab) do
      {:ok, definition} -> definition.type
      :error -> abort({:no_exists, {tab, :setorbag}})
    end
  end

  @doc "Hard stop of the database on this node; what was acknowledged is on disk all the same."
  @spec lkill() :: :ok | {:error, term()}
  def lkill, do: Database.close()

  @doc "Hard stop on every node, which is this one."
  @spec kill() :: {[term()], [node()]}
  def kill, do: {[lkill()], []}

  @doc "The modules of the application."
  @spec ms() :: [module()]
  def ms do
    _ = Application.load(:magnesia)
    Application.spec(:magnesia, :modules)
  end

  @doc "Refuses a backend: tables in other engines belong to a stock Mnesia."
  @spec add_backend_type(term(), term()) :: {:aborted, term()}
  def add_backend_type(name, module), do: {:aborted, {:bad_type, {:backend_type, name, module}}}

  @doc "A first chunk with a fun that answers the stored rows' first chunk."
  @spec fun_select(
          tuple(),
          term(),
          atom(),
          list(),
          term(),
          atom(),
          (list() -> Chunks.chunk()),
          integer(),
          node(),
          atom()
        ) :: Chunks.chunk()
  def fun_select(tid, ts, tab, spec, lock, _of, first, limit, _node, _storage) do
    Chunks.select_with(tid, ts, tab, spec, limit, lock, first)
  end

  @doc "The stored rows' first chunk, for a fun of `fun_select/10`."
  @spec dirty_sel_init(node(), atom(), list(), integer(), atom()) :: Chunks.chunk()
  def dirty_sel_init(_node, tab, spec, limit, _storage), do: Chunks.stored(tab, spec, limit)
end
