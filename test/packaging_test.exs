defmodule Magnesia.PackagingTest do
  # What a user's project sees: the library as a path dependency, as a git dependency and inside a
  # release, on a machine without Hex, and one clear line when something to build with is missing.
  use ExUnit.Case, async: false

  @moduletag :packaging
  @moduletag timeout: 300_000
  @root Path.expand("..", __DIR__)

  @script """
  {:ok, _} = Application.ensure_all_started(:magnesia)
  :ok = :magnesia.start()
  {:atomic, :ok} = :magnesia.create_table(:pet, attributes: [:id, :name])
  write = fn -> :magnesia.write({:pet, 1, "Rex"}) end
  {:atomic, :ok} = :magnesia.transaction(write)
  IO.write(["rows ", inspect(:magnesia.dirty_read(:pet, 1))])
  IO.write([" mnesia ", inspect(:code.which(:mnesia) != :non_existing)])
  """

  setup_all do
    dir = Path.join(System.tmp_dir!(), "magnesia-packaging-#{System.pid()}")
    File.mkdir_p!(dir)
    on_exit(fn -> File.rm_rf!(dir) end)
    library = Application.app_dir(:magnesia, "priv/native/libmagnesia_nif.so")
    %{dir: dir, library: library}
  end

  test "serves as a path dependency", %{dir: dir, library: library} do
    project = project(dir, "by_path", "path: #{inspect(@root)}")
    {out, 0} = mix(project, ["do", "deps.get,", "run", "-e", @script], library)
    assert out =~ ~s(rows [{:pet, 1, "Rex"}])
  end

  test "serves as a git dependency and inside a release", %{dir: dir, library: library} do
    project = project(dir, "by_git", "git: #{inspect("file://" <> repository(dir))}")
    prod = [{"MIX_ENV", "prod"}]
    {_out, 0} = mix(project, ["deps.get"], library, prod)
    {out, 0} = mix(project, ["run", "-e", @script], library, prod)
    assert out =~ ~s(rows [{:pet, 1, "Rex"}])
    {_out, 0} = mix(project, ["release", "--quiet"], library, prod)

    # The release is whole: neither the sources nor the build are there any more.
    moved = Path.join(dir, "released")
    File.rename!(Path.join(project, "_build/prod/rel/by_git"), moved)
    File.rm_rf!(project)
    env = [{"HOME", dir}, {"RELEASE_DISTRIBUTION", "none"}]
    released = Path.join(moved, "bin/by_git")
    {out, 0} = System.cmd(released, ["eval", @script], env: env, stderr_to_stdout: true)
    assert out =~ ~s(rows [{:pet, 1, "Rex"}] mnesia false)
  end

  test "says in one line which library cannot be read", %{dir: dir} do
    assert refusal(dir, [{"MAGNESIA_NATIVE_PATH", "/absent/lib.so"}]) ==
             "** (Mix) Magnesia: /absent/lib.so cannot be read: no such file or directory"
  end

  test "says in one line that cargo is missing", %{dir: dir} do
    env = [{"PATH", path_without(dir, "cargo")}, {"CARGO_HOME", dir}]

    assert refusal(dir, env) ==
             "** (Mix) Magnesia: cargo is missing: install Rust (https://rustup.rs) " <>
               "or set MAGNESIA_NATIVE_PATH"
  end

  test "says in one line that a linker is missing", %{dir: dir} do
    env = [{"PATH", path_without(dir, "cc")}]

    assert refusal(dir, env) ==
             "** (Mix) Magnesia: a C linker (cc) is missing: install one, on Debian with " <>
               "'apt-get install gcc'"
  end

  # The last line of a compilation that must fail.
  defp refusal(dir, env) do
    build = [{"MIX_BUILD_PATH", Path.join(dir, "refused")}]
    {out, 1} = mix(@root, ["compile"], nil, build ++ env)
    out |> String.trim() |> String.split("\n") |> List.last()
  end

  # Nothing of the machine's own Mix or Hex is seen by the projects made here.
  defp mix(project, arguments, library, more \\ []) do
    absent = Path.join(System.tmp_dir!(), "magnesia-without-hex")

    unset =
      for name <- ~w(MIX_BUILD_PATH MIX_BUILD_ROOT MIX_DEPS_PATH MIX_EXS MIX_TARGET),
          do: {name, nil}

    env = [{"MAGNESIA_NATIVE_PATH", library}, {"MIX_ENV", "dev"}, {"MIX_HOME", absent} | unset]
    env = Map.merge(Map.new(env), Map.new(more))
    System.cmd("mix", arguments, cd: project, env: env, stderr_to_stdout: true)
  end

  defp project(dir, name, source) do
    project = Path.join(dir, name)
    File.mkdir_p!(project)

    File.write!(Path.join(project, "mix.exs"), """
    defmodule #{Macro.camelize(name)}.MixProject do
      use Mix.Project
      def project, do: [app: :#{name}, version: "1.0.0", deps: [{:magnesia, #{source}}]]
      def application, do: [extra_applications: [:logger]]
    end
    """)

    project
  end

  # A repository of what git would take from the work tree as it is now.
  defp repository(dir) do
    repository = Path.join(dir, "magnesia.git")
    {listed, 0} = git(@root, ~w(ls-files --cached --others --exclude-standard))

    for path <- String.split(listed, "\n", trim: true), File.regular?(Path.join(@root, path)) do
      to = Path.join(repository, path)
      File.mkdir_p!(Path.dirname(to))
      File.cp!(Path.join(@root, path), to)
    end

    {_, 0} = git(repository, ~w(init --quiet))
    {_, 0} = git(repository, ~w(add --all))
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    {_, 0} = git(repository, who ++ ~w(commit --quiet --no-verify -m tree))
    repository
  end

  defp git(dir, arguments), do: System.cmd("git", arguments, cd: dir, stderr_to_stdout: true)

  # Every command of the machine but one.
  defp path_without(dir, missing) do
    bin = Path.join(dir, "without-#{missing}")
    File.mkdir_p!(bin)

    for folder <- String.split(System.get_env("PATH"), ":", trim: true),
        {:ok, names} <- [File.ls(folder)],
        name <- names,
        name != missing do
      _exists_already = File.ln_s(Path.join(folder, name), Path.join(bin, name))
    end

    bin
  end
end
