defmodule Mix.Tasks.Compile.MagnesiaNative do
  @moduledoc """
  Puts the native library into `priv/native`: built by cargo from `native/nif`, or copied from
  `MAGNESIA_NATIVE_PATH`. It stands in this file because a compiler must exist before the project
  that it compiles. It must never download anything itself, and never overwrite a library in
  place: running VMs have it mapped.
  """
  use Mix.Task.Compiler

  @root __DIR__
  @library Path.join(@root, "priv/native/libmagnesia_nif.so")
  @cargo ~w(build --release --locked -p magnesia-nif --message-format json-render-diagnostics)

  @impl true
  def run(_args) do
    File.mkdir_p!(Path.dirname(@library))
    changed? = place(System.get_env("MAGNESIA_NATIVE_PATH") || build())
    # Mix links priv into its build only when it is there, and it looks before compilers run.
    Mix.Project.build_structure()
    {if(changed?, do: :ok, else: :noop), []}
  end

  @impl true
  def clean, do: File.rm_rf!(Path.dirname(@library))

  defp build do
    home = System.get_env("CARGO_HOME") || Path.join(System.user_home() || "/", ".cargo")
    in_home = Path.join(home, "bin/cargo")

    cargo =
      System.find_executable("cargo") || System.find_executable(in_home) ||
        stop("cargo is missing: install Rust (https://rustup.rs) or set MAGNESIA_NATIVE_PATH")

    System.find_executable("cc") || Enum.any?(System.get_env(), &linker?/1) ||
      stop("a C linker (cc) is missing: install one, on Debian with 'apt-get install gcc'")

    # Cargo's messages and progress are on standard error, which goes to the terminal untouched.
    path = Path.dirname(cargo) <> ":" <> System.get_env("PATH", "")
    {out, status} = System.cmd(cargo, @cargo, cd: @root, env: [{"PATH", path}])
    status == 0 || stop("cargo could not build the native library (its messages are above)")
    built_path(out) || stop("cargo built no libmagnesia_nif")
  end

  defp linker?({name, _value}), do: name =~ ~r/^CARGO_TARGET_.*_LINKER$/

  defp built_path(out) do
    case Regex.run(~r/"([^"]*libmagnesia_nif\.(?:so|dylib))"/, out) do
      [_, path] -> path
      nil -> nil
    end
  end

  defp place(source) do
    built = read(source)

    if File.read(@library) != {:ok, built} do
      unique = "#{@library}.#{System.pid()}"
      File.write!(unique, built)
      File.rename!(unique, @library)
      true
    end
  end

  defp read(source) do
    case File.read(source) do
      {:ok, built} -> built
      {:error, reason} -> stop("#{source} cannot be read: #{:file.format_error(reason)}")
    end
  end

  defp stop(reason), do: Mix.raise("Magnesia: #{reason}")
end

defmodule Magnesia.MixProject do
  use Mix.Project

  # Mnesia is there when tables of a stock Mnesia are; nothing of it has to be started for others.
  @of_mnesia ~w(mnesia mnesia_checkpoint mnesia_controller mnesia_ext_sup mnesia_lib mnesia_log
    mnesia_monitor mnesia_tm)a

  def project do
    [
      app: :magnesia,
      version: "0.1.0",
      elixir: "~> 1.14",
      description: "Mnesia's tables on a Rust engine",
      compilers: [:magnesia_native] ++ Mix.compilers(),
      elixirc_paths: elixirc_paths(Mix.env()),
      test_paths: ["test"],
      # Called by the demo, the bench and the tests, which start it themselves, and by the
      # backend, which a running Mnesia calls: no dependency, as a release need not carry it.
      xref: [exclude: @of_mnesia],
      prune_code_paths: false,
      start_permanent: Mix.env() == :prod,
      deps: []
    ]
  end

  def application do
    [extra_applications: [:logger], mod: {Magnesia.Application, []}]
  end

  defp elixirc_paths(:test), do: ["elixir_lib", "test/support"]
  defp elixirc_paths(_env), do: ["elixir_lib"]
end
