defmodule Magnesia.Crash.LogRounds do
  @moduledoc """
  Rounds of `kill -9` in one directory while a change log is written and consumed: after each, the
  directory is opened here and judged. Never kills any process but the one it started.
  """

  alias Magnesia.Crash.LogLoad

  @start_ms 60_000
  @longest_ms 150

  @doc "Plays rounds in `dir`, which is removed after; what was acknowledged, and the complaints."
  @spec run(Path.t(), pos_integer, integer) :: {non_neg_integer, [String.t()]}
  def run(dir, rounds, seed) do
    :rand.seed(:exsss, {seed, 3, 4})
    result = Enum.reduce_while(1..rounds, {%{}, []}, &round(dir, &1, &2))
    File.rm_rf!(dir)
    {told, complaints} = result
    {told |> Map.values() |> Enum.sum(), complaints}
  end

  defp round(dir, round, {told, []}) do
    told = Map.merge(told, killed(dir, round))
    :ok = LogLoad.open(String.to_charlist(dir))
    complaints = LogLoad.complaints(told)
    :stopped = :magnesia.stop()
    Application.delete_env(:magnesia, :dir)

    case Enum.map(complaints, &"round #{round}: #{&1}") do
      [] -> {:cont, {told, []}}
      complaints -> {:halt, {told, complaints}}
    end
  end

  defp killed(dir, round) do
    options = [:binary, :exit_status, :eof, line: 256, args: args(dir, round)]
    erl = Path.join([to_string(:code.root_dir()), "bin", "erl"])
    port = Port.open({:spawn_executable, erl}, options)

    pid =
      receive do
        {^port, {:data, {:eol, "ready " <> pid}}} -> pid
        {^port, {:data, {_flag, line}}} -> raise "the working VM says: #{line}"
      after
        @start_ms -> raise "the working VM did not start"
      end

    timer = Process.send_after(self(), {:kill, pid}, :rand.uniform(@longest_ms))
    told = told(port, %{}, [:eof, :exit_status])
    _left = Process.cancel_timer(timer)
    Port.close(port)
    told
  end

  defp told(_port, told, []), do: told

  defp told(port, told, open) do
    receive do
      {:kill, pid} ->
        {_output, 0} = System.cmd("kill", ["-9", pid])
        told(port, told, open)

      {^port, {:data, {:eol, "ack " <> rest}}} ->
        [round, worker, n] = rest |> String.split() |> Enum.map(&String.to_integer/1)
        told(port, Map.put(told, {round, worker}, n), open)

      # A line that the kill has cut.
      {^port, {:data, {:noeol, _line}}} ->
        told(port, told, open)

      {^port, {:data, {:eol, line}}} ->
        raise "the working VM says: #{line}"

      {^port, :eof} ->
        told(port, told, open -- [:eof])

      {^port, {:exit_status, 137}} ->
        told(port, told, open -- [:exit_status])
    end
  end

  defp args(dir, round) do
    root = to_string(:code.root_dir())

    paths =
      for path <- Enum.map(:code.get_path(), &to_string/1),
          String.ends_with?(path, "/ebin") and not String.starts_with?(path, root),
          entry <- ["-pa", Path.expand(path)],
          do: entry

    ["-noshell", "-noinput", "-kernel", "logger_level", "error"] ++
      paths ++ ["-run", Atom.to_string(LogLoad), "main", dir, "#{round}"]
  end
end
