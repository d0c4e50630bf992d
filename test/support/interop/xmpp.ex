defmodule Magnesia.Interop.Xmpp do
  @moduledoc """
  A client of an XMPP server, as small as a test of sessions and rosters can do with: logs in
  with a name and a password (SASL PLAIN), and sends and awaits stanzas as text. It reads what
  this one server writes and is no parser of XML; whatever it didn't expect it raises.
  """

  @type t :: %{socket: :gen_tcp.socket(), jid: String.t()}
  @host "localhost"
  @wait_ms 20_000
  @escapes %{"&lt;" => "<", "&gt;" => ">", "&quot;" => "\"", "&apos;" => "'", "&amp;" => "&"}

  @doc "Logs in and is available from then on."
  @spec login(:inet.port_number(), String.t(), String.t(), String.t()) :: t()
  def login(port, user, password, resource) do
    {:ok, socket} = :gen_tcp.connect(~c"127.0.0.1", port, [:binary, active: false], @wait_ms)
    client = %{socket: socket, jid: "#{user}@#{@host}/#{resource}"}
    Process.put({__MODULE__, socket}, "")
    open_stream(client)
    secret = Base.encode64(<<0, user::binary, 0, password::binary>>)

    send_text(
      client,
      "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>#{secret}</auth>"
    )

    take(client, ~r/<success[^>]*>/)
    open_stream(client)

    bind =
      "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>#{resource}</resource></bind>"

    ask(client, "set", bind)
    send_text(client, "<presence/>")
    take(client, ~r/<presence[^>]*from='#{Regex.escape(client.jid)}'[^>]*(\/>|>.*?<\/presence>)/s)
    client
  end

  defp open_stream(client) do
    send_text(
      client,
      "<?xml version='1.0'?><stream:stream to='#{@host}' version='1.0' xmlns='jabber:client' " <>
        "xmlns:stream='http://etherx.jabber.org/streams'>"
    )

    take(client, ~r/<stream:features>.*?<\/stream:features>/s)
  end

  @doc "Leaves in good order: the server has ended the session when this returns."
  @spec logout(t()) :: :ok
  def logout(client) do
    send_text(client, "</stream:stream>")
    take(client, ~r/<\/stream:stream>/)
    drop(client)
  end

  @doc "Closes the connection without a word."
  @spec drop(t()) :: :ok
  def drop(client) do
    Process.delete({__MODULE__, client.socket})
    :gen_tcp.close(client.socket)
  end

  @doc "The roster as the server has it: the items' names by their addresses."
  @spec roster(t()) :: %{String.t() => String.t()}
  def roster(client) do
    answer = ask(client, "get", "<query xmlns='jabber:iq:roster'/>")

    for [item] <- Regex.scan(~r/<item[^>]*>/, answer), into: %{} do
      {attribute(item, "jid"), attribute(item, "name")}
    end
  end

  @doc "Puts somebody on the roster under a name; returns when the server has acknowledged it."
  @spec put_roster(t(), String.t(), String.t()) :: :ok
  def put_roster(client, jid, name) do
    item = "<query xmlns='jabber:iq:roster'><item jid='#{jid}' name='#{name}'/></query>"
    _ = ask(client, "set", item)
    :ok
  end

  @doc "Sends a message."
  @spec say(t(), String.t(), String.t()) :: :ok
  def say(client, to, body) do
    send_text(client, "<message to='#{to}' type='chat'><body>#{body}</body></message>")
  end

  @doc "Waits for a message whose body begins with some text; returns the sender and the body."
  @spec hear(t(), String.t()) :: {String.t(), String.t()}
  def hear(client, beginning) do
    body = "<body>#{Regex.escape(beginning)}[^<]*</body>"
    text = take(client, ~r/<message((?!<\/message>).)*#{body}.*?<\/message>/s)
    [_, heard] = Regex.run(~r/<body>([^<]*)<\/body>/, text)
    {attribute(text, "from"), heard}
  end

  defp ask(client, type, content) do
    id = "q#{:erlang.unique_integer([:positive])}"
    send_text(client, "<iq id='#{id}' type='#{type}'>#{content}</iq>")
    answer = take(client, ~r/<iq[^>]*id='#{id}'[^>]*?(\/>|>.*?<\/iq>)/s)
    if answer =~ ~r/^<iq[^>]*type='result'/, do: answer, else: raise("the server says #{answer}")
  end

  defp attribute(text, name) do
    case Regex.run(~r/ #{name}='([^']*)'/, text) do
      [_, value] -> Regex.replace(~r/&[a-z]+;/, value, &Map.fetch!(@escapes, &1))
      nil -> ""
    end
  end

  defp send_text(client, text), do: :ok = :gen_tcp.send(client.socket, text)

  # Takes the first piece of what came that matches, and leaves the rest.
  defp take(client, pattern) do
    take(client, pattern, System.monotonic_time(:millisecond) + @wait_ms)
  end

  defp take(client, pattern, deadline) do
    key = {__MODULE__, client.socket}
    text = Process.get(key)

    case Regex.run(pattern, text) do
      [found | _] ->
        [before, rest] = String.split(text, found, parts: 2)
        Process.put(key, before <> rest)
        found

      nil ->
        Process.put(key, text <> receive_text(client, pattern, text, deadline))
        take(client, pattern, deadline)
    end
  end

  defp receive_text(client, pattern, text, deadline) do
    left = max(deadline - System.monotonic_time(:millisecond), 0)

    case :gen_tcp.recv(client.socket, 0, left) do
      {:ok, more} ->
        more

      {:error, reason} ->
        raise "#{client.jid} got no #{inspect(pattern)}: #{reason}, after #{inspect(text)}"
    end
  end
end
