defmodule MyApp.Pages do
  @moduledoc """
  Articles in a table on disk and their pages in a cache: a page is rendered once however many
  readers ask for it at once, lives for a minute, and never are there more than the cap.

  The cache is no part of the database: what is lost with it is rendered again. `get/1`, `put/2`
  and `delete/1` are those of a plain key-value store, for values that nobody can compute.
  """

  alias Magnesia.Cache

  @cache :pages
  @ttl_ms 60_000

  @doc "The children of a supervisor, in this order."
  def children(options \\ []) do
    {caps, options} = Keyword.split(options, [:rows, :bytes, :ttl])
    articles = [articles: [attributes: [:id, :title, :text]]]

    [
      {Magnesia, Keyword.put_new(options, :tables, articles)},
      {Cache, Keyword.merge([name: @cache, rows: 10_000, ttl: @ttl_ms], caps)}
    ]
  end

  @doc """
  Writes an article; its page is rendered anew when it is next asked for. A page that is being
  rendered at this moment may still be the old one, and then is until its time is over.
  """
  def write(id, title, text) do
    {:ok, _row} = Magnesia.put({:articles, id, title, text})
    Cache.delete(@cache, {:page, id})
  end

  @doc "An article's page, as `{:ok, page}` or `{:error, :not_found}`, which is remembered too."
  def page(id, render \\ &render/2) do
    Cache.fetch(@cache, {:page, id}, fn ->
      case Magnesia.get(:articles, id) do
        {:articles, ^id, title, text} -> {:ok, render.(title, text)}
        nil -> {:error, :not_found}
      end
    end)
  end

  defp render(title, text), do: "<h1>#{title}</h1><p>#{text}</p>"

  @doc "A value, as `{:ok, value}` or `{:error, :not_found}`; nil is a value like any other."
  def get(key), do: Cache.get(@cache, {:own, key}, {:error, :not_found})

  @doc "Keeps a value for a time in milliseconds, a minute if none is given."
  def put(key, value, ttl \\ @ttl_ms), do: Cache.put(@cache, {:own, key}, {:ok, value}, ttl: ttl)

  @doc "Forgets a value."
  def delete(key), do: Cache.delete(@cache, {:own, key})

  @doc "What to watch: a hit rate that falls, evictions that rise, rows at the cap."
  def figures do
    Map.take(Cache.stats(@cache), [:hits, :misses, :hit_rate, :evictions, :rows, :computations])
  end
end
