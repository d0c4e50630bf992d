defmodule Mix.Tasks.Magnesia.Bundle do
  @shortdoc "Puts Magnesia into a folder that any Erlang application can use"

  @moduledoc """
  Copies Magnesia, with what it needs of Elixir, into a folder, for an application that is not
  built with Mix: ejabberd, RabbitMQ, a release of one's own.

      mix magnesia.bundle /opt/magnesia

  The folder gets

    * `lib`: the applications `magnesia`, `elixir` and `logger`, their code and nothing else
    * `magnesia.args`: arguments for `erl` that put them onto the code path, and give Mnesia the
      aliases for a schema that it is yet to make

  The application's VM is started with `-args_file /opt/magnesia/magnesia.args`. The folder is
  for the OTP release and the architecture that it was made on. It may be made again while a VM
  runs on it: files are replaced whole. Nothing outside of it is changed.
  """

  use Mix.Task

  @applications [:magnesia, :elixir, :logger]

  @impl true
  def run([folder]) do
    Mix.Task.run("compile")
    folder = Path.expand(folder)
    paths = Enum.map(@applications, &copy(&1, folder))
    args = Path.join(folder, "magnesia.args")
    put(args, [Enum.map(paths, &["-pa \"", &1, "\"\n"]), schema()])
    Mix.shell().info("Magnesia is in #{folder}. Start Erlang with -args_file #{args}")
  end

  def run(_arguments), do: Mix.raise("Usage: mix magnesia.bundle FOLDER")

  # What Mnesia takes for a schema that it makes; one that is there is not changed by it.
  defp schema do
    types = :io_lib.format("~0p", [[backend_types: Magnesia.Backend.backend_types()]])
    ["-mnesia schema \"", types, "\"\n"]
  end

  defp copy(application, folder) do
    _ = Application.load(application)
    version = Application.spec(application, :vsn)
    target = Path.join([folder, "lib", "#{application}-#{version}"])

    for part <- ["ebin", "priv"], file <- files(application, part) do
      put(Path.join([target, part, file]), File.read!(source(application, part, file)))
    end

    Path.join(target, "ebin")
  end

  defp files(application, part) do
    found = Path.wildcard(source(application, part, "**"))
    from = source(application, part, "")
    for file <- found, File.regular?(file), do: Path.relative_to(file, from)
  end

  defp source(application, part, file) do
    Path.join([:code.lib_dir(application), part, file])
  end

  # A running VM may have the old file mapped.
  defp put(path, content) do
    File.mkdir_p!(Path.dirname(path))
    unique = "#{path}.#{System.pid()}"
    File.write!(unique, content)
    File.rename!(unique, path)
  rescue
    error in File.Error -> Mix.raise("Magnesia: #{Exception.message(error)}")
  end
end
