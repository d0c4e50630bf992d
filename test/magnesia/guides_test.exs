defmodule Magnesia.GuidesTest do
  # The code of the guides does what they say, and the runner notices when it does not.
  use Magnesia.DatabaseCase

  import ExUnit.CaptureIO, only: [with_io: 1]

  alias Magnesia.Guide

  # A guide that starts a database of its own finds none; the others find an empty one. What it
  # leaves running when it goes wrong is nothing to the next.
  defp prepare(path) do
    on_exit(fn ->
      :mnesia.stop()
      Application.delete_env(:mnesia, :dir)
    end)

    if File.read!(path) =~ "Supervisor.start_link(" do
      :ok = Magnesia.stop()
      Application.delete_env(:magnesia, :dir)
    end
  end

  for path <- Path.wildcard(Path.expand("../../guides/**/*.md", __DIR__)) do
    test "#{Path.relative_to_cwd(path)} says what happens" do
      prepare(unquote(path))
      # Some print what they do.
      {failures, _printed} = with_io(fn -> Guide.run(unquote(path)) end)
      assert failures == []
    end
  end

  test "every task that is named is there" do
    named =
      for path <- Path.wildcard(Path.expand("../../guides/**/*.md", __DIR__)),
          [task] <- Regex.scan(~r/(?<=mix )magnesia\.\w+/, File.read!(path)),
          uniq: true,
          do: task

    assert "magnesia.backup" in named
    assert Enum.reject(named, &Mix.Task.get/1) == []
  end

  test "the figures of the guide are the README's" do
    [readme, guide] =
      for file <- ["README.md", "guides/performance.md"] do
        text = File.read!(Path.expand("../../" <> file, __DIR__))
        Regex.scan(~r/^\| `[\w.]+` \|.*$/m, text) |> List.flatten()
      end

    assert length(guide) > 20
    assert guide -- readme == []
  end

  @guides Path.expand("../../guides", __DIR__)

  test "every pattern has its module, test and page, and the list of them has no other" do
    listed = File.read!(Path.join(@guides, "patterns.md"))
    all = &Path.wildcard(Path.expand("../../" <> &1, __DIR__))

    for page <- all.("guides/patterns/*.md") do
      assert listed =~ "](patterns/#{Path.basename(page)})"
      assert File.read!(page) =~ "examples/patterns/"
    end

    for module <- all.("examples/patterns/*.ex") do
      assert listed =~ "](../examples/patterns/#{Path.basename(module)})"
      assert all.("test/patterns/#{Path.basename(module, ".ex")}_test.exs") != []
    end
  end

  test "the files that guides point at are there" do
    for path <- Path.wildcard(Path.join(@guides, "**/*.{md,livemd}")),
        [_, target] <- Regex.scan(~r/\]\(([^)#:]+)(?:#[^)]*)?\)/, File.read!(path)) do
      file = Path.expand(target, Path.dirname(path))
      assert File.exists?(file), "#{path} points at #{target}, which is not there"
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
