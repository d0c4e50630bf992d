defmodule Magnesia.GuidesTest do
  # The code of the guides does what they say, and the runner notices when it does not.
  use Magnesia.DatabaseCase

  alias Magnesia.Guide

  for path <- Path.wildcard(Path.expand("../../guides/{tables,queries}.md", __DIR__)) do
    test "#{Path.basename(path)} says what happens" do
      assert Guide.run(unquote(path)) == []
    end
  end

  test "a guide that is wrong is found out", %{dir: dir} do
    File.mkdir_p!(dir)
    path = Path.join(dir, "wrong.md")

    File.write!(path, """
    ```elixir
    x = 1
    ```

    ```elixir
    iex> x + 1
    3
    iex> raise "no"
    ** (RuntimeError) yes
    iex> 1 +
    ...>   x
    2
    iex> nothing_here()
    :ok
    ```

    ```text
    iex> 1
    2
    ```
    """)

    assert [two, no, nothing] = Guide.run(path)
    assert two =~ "wrong.md:6: gave 2, not 3"
    assert no =~ "wrong.md:8: raised (RuntimeError) no, not (RuntimeError) yes"
    assert nothing =~ "wrong.md:13: raised (CompileError)"
  end
end
