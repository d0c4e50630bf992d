defmodule Magnesia.Crash.Victim do
  @moduledoc """
  A VM of its own that works, says on its output what was acknowledged, and is killed with
  `kill -9`. What it works on is its load's; never kills any process but the one it started.
  """

  @start_ms 60_000

  @doc """
  Starts a VM that runs `load.main` with arguments, kills it so many milliseconds after it has
  said `ready`, and answers the last number of each `{round, worker}` that it has acknowledged.
  """
  @spec killed(module, [String.t()], non_neg_integer) :: %{{integer, integer} => integer}
  def killed(load, arguments, delay_ms) do
    env = [{~c"ERL_CRASH_DUMP_BYTES", ~c"0"}]
    args = args(load, arguments)
    options = [:binary, :exit_status, :eof, line: 256, env: env, args: args]
    erl = Path.join([to_string(:code.root_dir()), "bin", "erl"])
    port = Port.open({:spawn_executable, erl}, options)
    pid = await_ready(port)
    timer = Process.send_after(self(), {:kill, pid}, delay_ms)
    told = acknowledged(port, %{}, [:eof, :exit_status])
    _left = Process.cancel_timer(timer)
    Port.close(port)
    told
  end

  defp await_ready(port) do
    receive do
      {^port, {:data, {:eol, "ready " <> pid}}} -> pid
      {^port, {:data, {_flag, line}}} -> raise "the working VM says: #{line}"
      {^port, {:exit_status, status}} -> raise "the working VM ended with #{status}"
    after
      @start_ms -> raise "the working VM did not start"
    end
  end

  # Until the VM has ended and nothing is left in the pipe, in whichever order.
  defp acknowledged(_port, told, []), do: told

  defp acknowledged(port, told, open) do
    receive do
      {:kill, pid} ->
        {_output, 0} = System.cmd("kill", ["-9", pid])
        acknowledged(port, told, open)

      {^port, {:data, {:eol, "ack " <> rest}}} ->
        [round, number, n] = rest |> String.split() |> Enum.map(&String.to_integer/1)
        acknowledged(port, Map.put(told, {round, number}, n), open)

      # A line that the kill has cut.
      {^port, {:data, {:noeol, _line}}} ->
        acknowledged(port, told, open)

      {^port, {:data, {:eol, line}}} ->
        raise "the working VM says: #{line}"

      {^port, :eof} ->
        acknowledged(port, told, open -- [:eof])

      {^port, {:exit_status, 137}} ->
        acknowledged(port, told, open -- [:exit_status])

      {^port, {:exit_status, status}} ->
        raise "the working VM ended by itself with #{status}"
    end
  end

  defp args(load, arguments) do
    root = to_string(:code.root_dir())

    paths =
      for path <- Enum.map(:code.get_path(), &to_string/1),
          String.ends_with?(path, "/ebin") and not String.starts_with?(path, root),
          entry <- ["-pa", Path.expand(path)],
          do: entry

    ["-noshell", "-noinput", "-kernel", "logger_level", "error"] ++
      paths ++ ["-run", Atom.to_string(load), "main"] ++ arguments
  end
end
