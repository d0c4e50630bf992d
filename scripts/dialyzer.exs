defmodule Magnesia.Dialysis do
  @moduledoc """
  Runs OTP's dialyzer over the compiled library: `mix run --no-start scripts/dialyzer.exs`.

  The analysis of Erlang and Elixir themselves takes a minute and is kept under the build folder,
  one file per pair of releases. Ends with status 1 when dialyzer warns. It must never hide a
  warning: a wrong one is answered in the code it names.
  """

  @applications ~w(erts kernel stdlib crypto mnesia elixir logger mix)a
  @warnings [:unmatched_returns, :extra_return, :missing_return]

  @spec main() :: no_return
  def main do
    {:ok, _} = Application.ensure_all_started(:dialyzer)
    plt = plt()
    ebin = Mix.Project.compile_path()
    IO.puts("dialyzer: reading #{length(beams(ebin))} modules")

    found =
      analyse(
        init_plt: to_charlist(plt),
        files_rec: [to_charlist(ebin)],
        analysis_type: :succ_typings,
        check_plt: false,
        warnings: @warnings
      )

    Enum.each(found, &report/1)
    IO.puts("dialyzer: #{length(found)} warnings")
    System.halt(min(length(found), 1))
  end

  defp plt do
    release = "otp-#{System.otp_release()}-elixir-#{System.version()}.plt"
    plt = Path.join(Path.dirname(Mix.Project.build_path()), release)
    unless File.regular?(plt), do: build_plt(plt)
    plt
  end

  defp build_plt(plt) do
    IO.puts("dialyzer: analysing Erlang and Elixir once, for #{plt}")
    unfinished = plt <> ".unfinished"
    File.mkdir_p!(Path.dirname(plt))

    # What dialyzer thinks of Erlang's and Elixir's own code is not ours to answer.
    _warnings =
      analyse(
        analysis_type: :plt_build,
        output_plt: to_charlist(unfinished),
        files: Enum.flat_map(@applications, &application_beams/1)
      )

    File.rename!(unfinished, plt)
  end

  defp application_beams(application) do
    application |> :code.lib_dir() |> Path.join("ebin") |> beams()
  end

  defp beams(ebin), do: ebin |> Path.join("*.beam") |> Path.wildcard() |> Enum.map(&to_charlist/1)

  defp analyse(options) do
    :dialyzer.run(options)
  catch
    {:dialyzer_error, message} ->
      IO.puts(:stderr, ["dialyzer: ", message])
      System.halt(2)
  end

  defp report({_tag, {file, place}, _message} = warning) do
    text = :dialyzer.format_warning(warning, filename_opt: :fullpath, error_location: :line)
    [first | rest] = text |> to_string() |> String.split("\n", trim: true)
    IO.puts(["\n", to_string(file), ":", to_string(line(place)), "\n  ", without_place(first)])
    Enum.each(rest, &IO.puts(["  ", &1]))
  end

  defp line({line, _column}), do: line
  defp line(line), do: line

  defp without_place(text), do: Regex.replace(~r/^[^:]*:\d+(:\d+)?: /, text, "")
end

Magnesia.Dialysis.main()
