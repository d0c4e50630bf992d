defmodule Magnesia.BundleTest do
  # The folder that an Erlang application uses: a plain erl, with nothing of Elixir around it, has
  # a table under an alias there, and again after a cold start.
  use ExUnit.Case, async: true

  @create ~S"""
  ok = mnesia:create_schema([node()]),
  ok = mnesia:start(),
  {atomic, ok} = mnesia:create_table(pet, [{magnesia_disc, [node()]}]),
  ok = mnesia:dirty_write({pet, 1, rex}),
  erlang:halt(0, [{flush, false}]).
  """

  @read ~S"""
  ok = mnesia:start(),
  ok = mnesia:wait_for_tables([pet], 20000),
  {atomic, ok} = 'Elixir.Magnesia.Backend':register(),
  io:format("~p ~p", [code:which('Elixir.Magnesia.Backend'), mnesia:dirty_read(pet, 1)]),
  {ok, #{rows := 1}} = 'Elixir.Magnesia.Hot':move(pet, disc_copies),
  stopped = mnesia:stop(),
  halt().
  """

  test "serves an erl that knows no Elixir, from its schema's making on" do
    folder = Path.join(System.tmp_dir!(), "magnesia bundle #{System.pid()}")
    on_exit(fn -> File.rm_rf!(folder) end)
    for _again <- 1..2, do: Mix.Task.rerun("magnesia.bundle", [folder])
    assert erl(folder, @create) == ""
    text = erl(folder, @read)
    assert text =~ Path.join(folder, "lib/magnesia-")
    assert text =~ ~r"\[{pet,\s*1,\s*rex}\]"
  end

  test "says what it takes" do
    assert_raise Mix.Error, ~r/Usage: mix magnesia.bundle FOLDER/, fn ->
      Mix.Task.rerun("magnesia.bundle", [])
    end
  end

  defp erl(folder, code) do
    args = ~w(-noinput -args_file) ++ [Path.join(folder, "magnesia.args")]
    args = args ++ ["-mnesia", "dir", inspect(Path.join(folder, "db")), "-eval", code]
    env = [{"ERL_LIBS", nil}, {"ERL_FLAGS", nil}]
    {out, status} = System.cmd("erl", args, env: env, stderr_to_stdout: true, cd: folder)
    assert {status, out} == {0, out}
    out
  end
end
