defmodule Magnesia.GuidesTest do
  # The code of the guides does what they say, and the runner notices when it does not.
  use Magnesia.DatabaseCase

  alias Magnesia.Guide

  # A guide that starts a database of its own finds none; the others find an empty one.
  defp prepare(path) do
    if File.read!(path) =~ "Supervisor.start_link(" do
      :ok = Magnesia.stop()
      Application.delete_env(:magnesia, :dir)
    end
  end

  for path <- Path.wildcard(Path.expand("../../guides/**/*.md", __DIR__)) do
    test "#{Path.relative_to_cwd(path)} says what happens" do
      prepare(unquote(path))
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
