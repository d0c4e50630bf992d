defmodule Magnesia.Compat do
  @moduledoc """
  Runs code that says `:mnesia` on Magnesia, unchanged: your own, and dependencies that are
  compiled already.

  `install/1` puts a module `:mnesia` before OTP's, whose functions are `:magnesia`'s, with
  `:mnesia_frag`, and an application `:mnesia` that starts Magnesia. `uninstall/0` brings OTP's
  back. Nothing of it happens unless it is called. `check/1` reads a project's sources and says
  which lines will not do what they seem to.

      # In the start of your application, before anything asks for a table.
      :ok = Magnesia.Compat.install()
      :ok = :mnesia.start()

  What differs from stock Mnesia then is in `guides/mnesia-api.md`: one node is served, and the
  modules inside Mnesia (`:mnesia_lib` and others) know nothing of the tables. Files of a stock
  Mnesia are not read; they are imported, see `guides/moving_from_mnesia.md`.
  """

  alias Magnesia.Compat.Idioms
  alias Magnesia.Compat.Sources
  alias Magnesia.Compat.Substitute
  alias Magnesia.Options

  @doc """
  Puts Magnesia in the place of Mnesia in this VM.

  Settings of the application `:mnesia` (its `dir` first of all) count for Magnesia from each
  start on. Option: `stop: true` stops a stock Mnesia that is running; without it that is an
  error, `{:error, {:running, :mnesia}}`. A second call changes nothing.
  """
  @spec install(stop: boolean()) :: :ok | {:error, term()}
  def install(options \\ []) do
    rules = [stop: {&is_boolean/1, "true or false"}]
    Options.validate!(options, rules, "Magnesia.Compat.install/1")

    cond do
      installed?() -> :ok
      Substitute.stock_running?() and not Keyword.get(options, :stop, false) -> running()
      true -> Substitute.install()
    end
  end

  defp running, do: {:error, {:running, :mnesia}}

  @doc "Stops Magnesia where `:mnesia.start/0` has started it, and brings OTP's Mnesia back."
  @spec uninstall() :: :ok
  def uninstall, do: if(installed?(), do: Substitute.uninstall(), else: :ok)

  @doc """
  Tells whether `:mnesia` is Magnesia in this VM.

      iex> Magnesia.Compat.installed?()
      false
  """
  @spec installed?() :: boolean()
  defdelegate installed?(), to: Substitute

  @typedoc """
  One line that deserves a look: `idiom` names what was found, `advice` says what happens and
  what to write.
  """
  @type finding :: %{
          file: Path.t(),
          line: pos_integer(),
          idiom: atom(),
          advice: String.t()
        }

  @doc """
  Reads the `.ex`, `.exs` and `.erl` files under a directory, or the files of a list, and says
  where they use Mnesia in a way that fails, does nothing, or is not served; `_build`, `deps` and
  `node_modules` are passed over. A file that cannot be parsed is a finding itself.
  """
  @spec check(Path.t() | [Path.t()]) :: [finding()]
  def check(paths \\ ".") do
    calls = paths |> Sources.files() |> Enum.flat_map(&Sources.calls/1)
    calls |> Idioms.findings() |> Enum.sort_by(&{&1.file, &1.line, &1.idiom})
  end

  @doc "Findings as text, one a line, `file:line: advice [idiom]`."
  @spec report([finding()]) :: String.t()
  def report(findings) do
    Enum.map_join(findings, &"#{&1.file}:#{&1.line}: #{&1.advice} [#{&1.idiom}]\n")
  end
end
