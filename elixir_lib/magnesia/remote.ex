defmodule Magnesia.Remote do
  @moduledoc """
  Reaches the running node that a command line names: makes this VM a node, connects, and sees
  that Magnesia is there. Nothing is asked of the node beyond that, and errors are in words.
  """

  @typedoc "Why a node cannot be reached, in words."
  @type refusal :: {:error, String.t()}

  @doc "Reaches a node, with its cookie unless nil, that has a module in its code path."
  @spec reach(String.t(), String.t() | nil, module()) :: {:ok, node()} | refusal()
  def reach(name, cookie, module) do
    with :ok <- valid(name), name = String.to_atom(name), :ok <- distributed(name) do
      if cookie, do: :erlang.set_cookie(name, String.to_atom(cookie))
      if Node.connect(name) == true, do: known(name, module), else: {:error, unreachable(name)}
    end
  end

  @doc "Tells whether a name can be a node's; nil, for none given, can."
  @spec valid(String.t() | nil) :: :ok | refusal()
  def valid(nil), do: :ok

  def valid(name) do
    if name =~ ~r/^[^@]+@[^@]+$/,
      do: :ok,
      else: {:error, "#{name} is no name of a node: it has the form NAME@HOST"}
  end

  @doc "Makes this VM a node of that name."
  @spec distribute(node()) :: {:ok, pid()} | {:error, term()}
  def distribute(name) do
    _ = System.cmd("epmd", ["-daemon"])
    kind = if "#{name}" =~ ~r/\./, do: :longnames, else: :shortnames
    Node.start(name, kind)
  end

  defp distributed(name) do
    if Node.alive?() do
      :ok
    else
      [_, host] = String.split("#{name}", "@")
      own = :"magnesia_command_#{System.pid()}" |> with_host(host)

      case distribute(own) do
        {:ok, _pid} -> :ok
        {:error, reason} -> {:error, "no distribution here: #{inspect(reason)}"}
      end
    end
  end

  defp with_host(own, host), do: if(local?(host), do: :"#{own}@#{host}", else: own)
  defp local?(host), do: host in ["127.0.0.1", "localhost"]

  defp unreachable(name), do: "#{name} doesn't answer: is its name right, and the cookie?"

  defp known(name, module) do
    case :erpc.call(name, :code, :ensure_loaded, [module]) do
      {:module, _} ->
        {:ok, name}

      {:error, _} ->
        {:error,
         "Magnesia is not in the code path of #{name}: add magnesia and elixir to its " <>
           "release, or start it with -pa and their ebin directories"}
    end
  end
end
