defmodule Magnesia.NotebookTest do
  # Each notebook runs from its first cell to its last in a VM that has the library and no more.
  use ExUnit.Case, async: false

  alias Magnesia.HotNodes
  alias Magnesia.Notebook

  @guides Path.expand("../../guides", __DIR__)
  @notebooks Path.wildcard(Path.join(@guides, "*.livemd"))

  defp run(path), do: HotNodes.call(HotNodes.start(log: :emergency), Notebook, :run, [path])

  test "there are notebooks" do
    assert Enum.count(@notebooks) > 0
  end

  for path <- @notebooks do
    test "#{Path.basename(path)} installs this project and does what it says" do
      [{_line, setup, nil} | _] = Notebook.cells(unquote(path))
      # Livebook runs a cell in the folder of its notebook.
      {:ok, {{:., _, [{_, _, [:Mix]}, :install]}, _, [[magnesia: [path: dir]]]}} =
        with {:ok, {call, meta, [[{:magnesia, [path: dir]}]]}} <- Code.string_to_quoted(setup) do
          {dir, _} = Code.eval_quoted(dir, [], file: unquote(path))
          {:ok, {call, meta, [[magnesia: [path: dir]]]}}
        end

      assert File.read!(Path.join(dir, "mix.exs")) =~ "app: :magnesia"
      assert run(unquote(path)) == []
    end
  end

  test "a notebook that is wrong is found out" do
    path = Path.join(System.tmp_dir!(), "magnesia-#{System.pid()}-wrong.livemd")
    on_exit(fn -> File.rm(path) end)

    File.write!(path, """
    # Wrong

    ```elixir
    Mix.install([])
    ```

    ```elixir
    x = 1
    ```

    <!-- livebook:{"output":true} -->

    ```
    2
    ```

    Text.

    ```elixir
    x + nil
    ```

    ```elixir
    x
    ```

    <!-- livebook:{"output":true} -->

    ```
    1
    ```
    """)

    assert [gave, raised] = run(path)
    assert gave =~ "wrong.livemd:8: gave 1"
    assert raised =~ "wrong.livemd:20: raised bad argument in arithmetic"
  end
end
