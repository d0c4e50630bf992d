defmodule Magnesia.Interop.EjabberdTest do
  @moduledoc """
  ejabberd as Debian has it, with its sessions, rosters and passwords moved to the engine and back
  while clients log in and out, over a restart and over `kill -9`. Run it by `scripts/interop`.
  """
  use ExUnit.Case, async: false

  import Magnesia.Interop.Program, only: [note: 1]

  alias Magnesia.Interop.Clients
  alias Magnesia.Interop.Ejabberd
  alias Magnesia.Interop.Program
  alias Magnesia.Interop.Xmpp

  @moduletag timeout: 600_000
  @users ~w(ada ben cleo dan)
  @password "secret"

  # Each with what ejabberd keeps it in, and what it is moved to.
  @tables [
    session: {:ram_copies, :magnesia_ram},
    roster: {:disc_only_copies, :magnesia_disc},
    roster_version: {:disc_only_copies, :magnesia_disc_only},
    passwd: {:disc_only_copies, :magnesia_disc},
    offline_msg: {:disc_only_copies, :magnesia_disc_only},
    last_activity: {:disc_only_copies, :magnesia_disc},
    vcard_search: {:disc_copies, :magnesia_disc},
    muc_room: {:disc_copies, :magnesia_disc},
    muc_online_room: {:ram_copies, :magnesia_ram}
  ]

  setup do
    {program, port} = Ejabberd.new()
    program = Ejabberd.start(program)
    for user <- @users, do: Ejabberd.control(program, ["register", user, "localhost", @password])
    for {table, {stock, _}} <- @tables, do: assert({table, stock} == at(program, table))
    for user <- @users, do: befriend(port, user)
    for user <- @users, do: Ejabberd.control(program, ["set_nickname", user, "localhost", "N"])
    %{program: program, port: port}
  end

  defp at(program, table), do: {table, Program.storage(program, table)}

  # Everybody has everybody else on the roster, and a hundred others.
  defp befriend(port, user) do
    client = Xmpp.login(port, user, @password, "setup")

    for other <- @users -- [user],
        do: Xmpp.put_roster(client, "#{other}@localhost", "My #{other}")

    for n <- 1..100, do: Xmpp.put_roster(client, "friend#{n}@localhost", "Friend #{n} of #{user}")
    Xmpp.logout(client)
  end

  # What an administrator sees of the rosters, each read by ejabberd itself.
  defp rosters(program) do
    for user <- @users, into: %{} do
      {user, Ejabberd.control(program, ["get_roster", user, "localhost"])}
    end
  end

  # One client's day: in, its roster, a new name on it, a word to itself, out.
  defp day(port, user, round) do
    client = Xmpp.login(port, user, @password, "day#{round}")
    roster = Xmpp.roster(client)
    unless map_size(roster) >= 103, do: raise("#{user} has #{map_size(roster)} on the roster")
    name = "round #{round}"
    Xmpp.put_roster(client, "changing@localhost", name)
    there = Xmpp.roster(client)["changing@localhost"]
    unless there == name, do: raise("#{user} named somebody #{name} and reads #{there}")
    Xmpp.say(client, client.jid, "word #{round}.")
    {from, _} = Xmpp.hear(client, "word #{round}.")
    unless from == client.jid, do: raise("a word of #{client.jid} came from #{from}")
    Xmpp.logout(client)
  end

  test "its tables are moved to the engine and back while clients log in and out", context do
    %{program: program, port: port} = context
    watcher = Xmpp.login(port, "ada", @password, "watcher")
    before = rosters(program)
    clients = Clients.start(@users, &day(port, &1, &2))
    Clients.assert_days_pass(clients, "before")

    for {table, {_, to}} <- @tables, do: Program.move(program, table, to)
    Clients.note(clients)
    Clients.assert_days_pass(clients, "on the engine")
    Xmpp.say(watcher, watcher.jid, "still here")
    assert {_, "still here"} = Xmpp.hear(watcher, "still here")

    assert "ada@localhost/watcher" in Ejabberd.control(
             program,
             ~w(connected_users_vhost localhost)
           )

    # This one command reads the table with ets, past Mnesia.
    assert_raise RuntimeError, ~r/connected_users:/, fn ->
      Ejabberd.control(program, ["connected_users"])
    end

    for {table, {stock, _}} <- @tables, do: Program.move(program, table, stock)
    Clients.note(clients)
    Clients.assert_days_pass(clients, "back in Mnesia")
    Clients.stop(clients)
    assert settled(rosters(program)) == settled(before)
    assert "ada@localhost/watcher" in Ejabberd.control(program, ["connected_users"])
  end

  # Without the one item that clients change all day.
  defp settled(rosters) do
    Map.new(rosters, fn {user, lines} ->
      {user, Enum.reject(lines, &String.starts_with?(&1, "changing@"))}
    end)
  end

  test "what was acknowledged is there after a restart and after kill -9", context do
    %{program: program, port: port} = context
    for {table, {_, to}} <- @tables, do: Program.move(program, table, to)
    rosters = rosters(program)
    kept = for table <- [:passwd, :vcard_search], do: Program.rows(program, table)
    assert Enum.map(kept, &length/1) == [4, 4]

    Ejabberd.stop(program)
    program = Ejabberd.start(program)
    assert_found_on_engine(program)
    assert rosters(program) == rosters
    assert for(table <- [:passwd, :vcard_search], do: Program.rows(program, table)) == kept
    for user <- @users, do: day(port, user, 1)

    for {table, {_, to}} <- @tables, do: Program.move(program, table, to)
    client = Xmpp.login(port, "ada", @password, "before the kill")
    Xmpp.say(client, "ben@localhost", "for when you are back")
    Xmpp.logout(client)
    writers = for user <- @users -- ["ben"], do: Task.async(fn -> write(port, user) end)
    for writer <- writers, do: assert_receive({:written, _, 30}, 120_000, inspect(writer))
    Program.kill(program)
    acknowledged = Task.await_many(writers, 120_000)
    note("killed with #{inspect(acknowledged)} changes of rosters acknowledged")

    program = Ejabberd.start(program)
    assert_found_on_engine(program)
    assert for(table <- [:passwd, :vcard_search], do: Program.rows(program, table)) == kept
    ben = Xmpp.login(port, "ben", @password, "after the kill")
    assert {"ada@localhost/before the kill", _} = Xmpp.hear(ben, "for when you are back")
    Xmpp.logout(ben)

    for {user, count} <- acknowledged do
      client = Xmpp.login(port, user, @password, "after the kill")
      roster = Xmpp.roster(client)
      Xmpp.logout(client)
      missing = for n <- 1..count, roster["late#{n}@localhost"] != "Late #{n}", do: n
      assert {user, missing} == {user, []}
      assert Enum.count(roster, fn {jid, _} -> jid =~ ~r/^late/ end) in [count, count + 1]
    end
  end

  # Names are put on the roster one by one until the server is gone; how many it acknowledged.
  defp write(port, user) do
    client = Xmpp.login(port, user, @password, "writer")
    test = hd(Process.get(:"$callers"))
    {user, write(client, user, test, 1)}
  end

  defp write(client, user, test, n) do
    Xmpp.put_roster(client, "late#{n}@localhost", "Late #{n}")
    send(test, {:written, user, n})
    write(client, user, test, n + 1)
  rescue
    _server_gone in [MatchError, RuntimeError] -> n - 1
  end

  # ejabberd gives every table the storage of its own code when it starts. That it had to shows
  # that Mnesia had loaded it from the engine before.
  defp assert_found_on_engine(program) do
    start = File.read!(Path.join(program.folder, "output"))

    for {table, {stock, hot}} <- @tables do
      assert start =~ ~r/"Changing Mnesia table[^\[]*\[#{table},\s*{ext,\s*#{hot},/
      assert at(program, table) == {table, stock}
      attributes = Program.call(program, :mnesia, :table_info, [table, :index])
      assert {table, attributes} == {table, Enum.uniq(attributes)}
    end

    for table <- [:roster, :session],
        do: assert(Program.call(program, :mnesia, :table_info, [table, :index]) != [])
  end

  test "its schema knows the aliases from the beginning, by the arguments file", context do
    types = Program.call(context.program, :mnesia, :system_info, [:backend_types])

    assert Enum.filter(types, &(&1 in Keyword.keys(Magnesia.Backend.backend_types()))) ==
             Keyword.keys(Magnesia.Backend.backend_types())
  end
end
