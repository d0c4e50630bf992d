defmodule Magnesia.Interop.Amqp do
  @moduledoc """
  A client of an AMQP 0-9-1 broker, as small as a test of queues and bindings can do with: one
  connection with one channel, each call awaits its answer. Messages are persistent and confirmed
  by the broker. An error of the broker is raised with the broker's text.
  """

  @type t :: :gen_tcp.socket()
  @wait_ms 20_000
  @end_of_frame 0xCE

  @doc "Connects as guest and opens the channel, with confirms."
  @spec connect(:inet.port_number()) :: t()
  def connect(port) do
    options = [:binary, active: false, nodelay: true]
    {:ok, socket} = :gen_tcp.connect(~c"127.0.0.1", port, options, @wait_ms)
    :ok = :gen_tcp.send(socket, <<"AMQP", 0, 0, 9, 1>>)
    {10, 10, _} = method(socket, 0)

    call(
      socket,
      0,
      10,
      11,
      <<0::32, short("PLAIN")::binary, long("\0guest\0guest")::binary, short("en_US")::binary>>
    )

    {10, 30, <<channels::16, frame::32, _heartbeat::16>>} = method(socket, 0)
    call(socket, 0, 10, 31, <<channels::16, frame::32, 0::16>>)
    call(socket, 0, 10, 40, <<short("/")::binary, 0, 0>>)
    {10, 41, _} = method(socket, 0)
    ask(socket, 20, 10, <<0>>, 11)
    ask(socket, 85, 10, <<0>>, 11)
    socket
  end

  @doc "Closes the connection in good order."
  @spec close(t()) :: :ok
  def close(socket) do
    call(socket, 0, 10, 50, <<200::16, short("bye")::binary, 0::16, 0::16>>)
    {10, 51, _} = method(socket, 0)
    :gen_tcp.close(socket)
  end

  @doc "Declares a queue that survives the broker's restart, or one that doesn't."
  @spec declare_queue(t(), String.t(), boolean()) :: :ok
  def declare_queue(socket, name, durable? \\ true) do
    ask(socket, 50, 10, <<0::16, short(name)::binary, bit(durable?) * 2, 0::32>>, 11)
  end

  @doc "Declares an exchange; the type is direct, topic or fanout."
  @spec declare_exchange(t(), String.t(), String.t()) :: :ok
  def declare_exchange(socket, name, type) do
    ask(socket, 40, 10, <<0::16, short(name)::binary, short(type)::binary, 2, 0::32>>, 11)
  end

  @doc "Binds a queue to an exchange."
  @spec bind(t(), String.t(), String.t(), String.t()) :: :ok
  def bind(socket, queue, exchange, key) do
    names = [short(queue), short(exchange), short(key)]
    ask(socket, 50, 20, IO.iodata_to_binary([<<0::16>>, names, 0, <<0::32>>]), 21)
  end

  @doc "Deletes a queue with its bindings."
  @spec delete_queue(t(), String.t()) :: :ok
  def delete_queue(socket, name) do
    ask(socket, 50, 40, <<0::16, short(name)::binary, 0>>, 41)
  end

  @doc "Publishes a message; returns when the broker has confirmed that it has it."
  @spec publish(t(), String.t(), String.t(), binary()) :: :ok
  def publish(socket, exchange, key, body) do
    call(socket, 1, 60, 40, <<0::16, short(exchange)::binary, short(key)::binary, 0>>)
    # The only property is the delivery mode: persistent.
    frame(socket, 2, 1, <<60::16, 0::16, byte_size(body)::64, 0x1000::16, 2>>)
    frame(socket, 3, 1, body)
    {60, 80, _ack} = method(socket, 1)
    :ok
  end

  @doc "Takes a message out of a queue."
  @spec get(t(), String.t()) :: {:ok, binary()} | :empty
  def get(socket, queue) do
    call(socket, 1, 60, 70, <<0::16, short(queue)::binary, 1>>)

    case method(socket, 1) do
      {60, 72, _} ->
        :empty

      {60, 71, _} ->
        {2, 1, <<60::16, 0::16, size::64, _properties::binary>>} = receive_frame(socket)
        {:ok, body(socket, size, "")}
    end
  end

  defp body(_socket, size, body) when byte_size(body) == size, do: body

  defp body(socket, size, body) do
    {3, 1, more} = receive_frame(socket)
    body(socket, size, body <> more)
  end

  defp ask(socket, class, number, arguments, answer) do
    call(socket, 1, class, number, arguments)
    {^class, ^answer, _} = method(socket, 1)
    :ok
  end

  defp call(socket, channel, class, number, arguments) do
    frame(socket, 1, channel, <<class::16, number::16, arguments::binary>>)
  end

  defp frame(socket, type, channel, payload) do
    size = byte_size(payload)
    :ok = :gen_tcp.send(socket, <<type, channel::16, size::32, payload::binary, @end_of_frame>>)
  end

  defp method(socket, channel) do
    case receive_frame(socket) do
      {1, _, <<10::16, 50::16, code::16, text::binary>>} -> refused(code, text)
      {1, _, <<20::16, 40::16, code::16, text::binary>>} -> refused(code, text)
      {1, ^channel, <<class::16, number::16, arguments::binary>>} -> {class, number, arguments}
    end
  end

  @spec refused(integer(), binary()) :: no_return()
  defp refused(code, <<size, text::binary-size(size), _::binary>>) do
    raise "the broker says #{code} #{text}"
  end

  defp receive_frame(socket) do
    <<type, channel::16, size::32>> = receive_bytes(socket, 7)
    rest = receive_bytes(socket, size + 1)
    <<payload::binary-size(size), @end_of_frame>> = rest
    {type, channel, payload}
  end

  defp receive_bytes(socket, count) do
    case :gen_tcp.recv(socket, count, @wait_ms) do
      {:ok, bytes} -> bytes
      {:error, reason} -> raise "the broker sent nothing: #{reason}"
    end
  end

  defp short(text), do: <<byte_size(text), text::binary>>
  defp long(text), do: <<byte_size(text)::32, text::binary>>
  defp bit(true), do: 1
  defp bit(false), do: 0
end
