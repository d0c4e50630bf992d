defmodule Magnesia.Compat.Sources do
  @moduledoc """
  Reads sources for their calls of Mnesia: Elixir by its syntax tree, Erlang by its tokens.

  Nothing of what is read is compiled or run, and no file is changed. What a call means is
  `Magnesia.Compat.Idioms`' business.
  """

  @passed_over ~w(_build deps node_modules .git)

  @typedoc """
  A call with its arguments as quoted Elixir (of Erlang nothing but their number is known), how
  its value is used, and whether it stands inside a fun.
  """
  @type call :: %{
          file: Path.t(),
          line: pos_integer(),
          module: atom(),
          function: atom(),
          arity: arity(),
          arguments: [Macro.t()] | nil,
          used: :match_ok | :match_atomic | :rescued | nil,
          in_fun?: boolean()
        }
  @type unreadable :: %{file: Path.t(), line: pos_integer(), unreadable: String.t()}

  @doc "The source files under directories, and the files given themselves."
  @spec files(Path.t() | [Path.t()]) :: [Path.t()]
  def files(paths) do
    for path <- List.wrap(paths), file <- under(path), do: file
  end

  defp under(path) do
    cond do
      File.regular?(path) -> [path]
      Path.basename(path) in @passed_over -> []
      true -> path |> listed() |> Enum.flat_map(&entry(Path.join(path, &1)))
    end
  end

  defp listed(path) do
    case File.ls(path) do
      {:ok, names} -> Enum.sort(names)
      {:error, _} -> []
    end
  end

  defp entry(path) do
    cond do
      File.dir?(path) -> under(path)
      Path.extname(path) in ~w(.ex .exs .erl) -> [path]
      true -> []
    end
  end

  @doc "The calls of a file that concern Mnesia, or the reason why it could not be read."
  @spec calls(Path.t()) :: [call() | unreadable()]
  def calls(file) do
    case File.read(file) do
      {:ok, text} ->
        if Path.extname(file) == ".erl", do: erlang(file, text), else: elixir(file, text)

      {:error, reason} ->
        [unreadable(file, 1, to_string(:file.format_error(reason)))]
    end
  end

  defp unreadable(file, line, text), do: %{file: file, line: line, unreadable: text}

  # Elixir

  defp elixir(file, text) do
    case Code.string_to_quoted(text, file: file, emit_warnings: false) do
      {:ok, tree} ->
        walk(tree, %{file: file, names: names(tree), used: nil, in_fun?: false})

      {:error, {meta, message, token}} ->
        [unreadable(file, meta[:line] || 1, words(message, token))]
    end
  end

  defp words({before, later}, token), do: words(before <> later, token)
  defp words(message, token), do: "#{message}#{token}"

  # Names that a file gives to Erlang's modules.
  defp names(tree) do
    {_, names} =
      Macro.prewalk(tree, %{}, fn
        {:alias, _, [module, [as: {:__aliases__, _, parts}]]} = node, names
        when is_atom(module) ->
          {node, Map.put(names, parts, module)}

        {:@, _, [{name, _, [module]}]} = node, names when is_atom(name) and is_atom(module) ->
          {node, Map.put(names, {:@, name}, module)}

        node, names ->
          {node, names}
      end)

    names
  end

  defp walk({:|>, _, [left, right]}, ctx) do
    case right do
      {{:., _, _}, _, arguments} when is_list(arguments) ->
        walk(Macro.pipe(left, right, 0), ctx)

      {name, _, arguments} when is_atom(name) and is_list(arguments) ->
        walk(Macro.pipe(left, right, 0), ctx)

      _ ->
        walk(left, ctx) ++ walk(right, ctx)
    end
  end

  defp walk({:=, _, [pattern, value]}, ctx), do: walk(value, %{ctx | used: matched(pattern)})
  defp walk({:fn, _, clauses}, ctx), do: walk(clauses, %{ctx | used: nil, in_fun?: true})
  defp walk({:&, _, [body]}, ctx), do: walk(body, %{ctx | used: nil, in_fun?: true})

  # `&:mnesia.write/1`: a function and its arity.
  defp walk({:/, _, [{{:., _, [module, function]}, meta, []}, arity]}, ctx)
       when is_atom(function) and is_integer(arity) do
    named = call(module(module, ctx.names), function, [], meta, ctx)
    for found <- named, do: %{found | arity: arity, arguments: nil}
  end

  defp walk({:try, _, [[{:do, body} | rest]]}, ctx) do
    used = if Keyword.has_key?(rest, :rescue), do: :rescued, else: ctx.used
    walk(body, %{ctx | used: used}) ++ walk(Keyword.values(rest), %{ctx | used: nil})
  end

  defp walk({{:., _, [module, function]}, meta, arguments}, ctx) when is_atom(function) do
    found = call(module(module, ctx.names), function, arguments, meta, ctx)
    found ++ walk(arguments, %{ctx | used: rescued(ctx.used)})
  end

  defp walk({form, _, arguments}, ctx) when is_list(arguments) do
    used = if form == :__block__, do: ctx.used, else: rescued(ctx.used)
    walk(form, %{ctx | used: nil}) ++ walk(arguments, %{ctx | used: used})
  end

  defp walk({left, right}, ctx), do: walk(left, ctx) ++ walk(right, ctx)
  defp walk(list, ctx) when is_list(list), do: Enum.flat_map(list, &walk(&1, ctx))
  defp walk(_leaf, _ctx), do: []

  defp rescued(:rescued), do: :rescued
  defp rescued(_used), do: nil

  defp matched(:ok), do: :match_ok
  defp matched({:atomic, _}), do: :match_atomic
  defp matched(_pattern), do: nil

  defp module(module, _names) when is_atom(module), do: module
  defp module({:__aliases__, _, parts}, names), do: names[parts] || Module.concat(parts)
  defp module({:@, _, [{name, _, _}]}, names), do: names[{:@, name}]
  defp module(_expression, _names), do: nil

  defp call(module, function, arguments, meta, ctx) do
    if concerned?(module, function) do
      [
        %{
          file: ctx.file,
          line: meta[:line] || 1,
          module: module,
          function: function,
          arity: length(arguments),
          arguments: arguments,
          used: ctx.used,
          in_fun?: ctx.in_fun?
        }
      ]
    else
      []
    end
  end

  defp concerned?(:erlang, function), do: function == :unique_integer
  defp concerned?(System, function), do: function == :unique_integer
  defp concerned?(nil, _function), do: false
  defp concerned?(module, _function), do: String.starts_with?("#{module}", ["mnesia", "magnesia"])

  # Erlang

  defp erlang(file, text) do
    case :erl_scan.string(String.to_charlist(text)) do
      {:ok, tokens, _} ->
        tokens(tokens, file)

      {:error, {line, module, reason}, _} ->
        [unreadable(file, line, "#{module.format_error(reason)}")]
    end
  end

  defp tokens([{:atom, _, module}, {:":", _}, {:atom, line, function}, {:"(", _} | rest], file) do
    found =
      if concerned?(module, function) do
        [
          %{
            file: file,
            line: line,
            module: module,
            function: function,
            arity: count(rest, 0, 0, false),
            arguments: nil,
            used: nil,
            in_fun?: true
          }
        ]
      else
        []
      end

    found ++ tokens(rest, file)
  end

  defp tokens([_ | rest], file), do: tokens(rest, file)
  defp tokens([], _file), do: []

  # Arguments up to the parenthesis that closes them: commas that no bracket encloses.
  defp count([{close, _} | rest], depth, n, any?) when close in [:")", :"]", :"}", :">>", :end] do
    if depth == 0, do: n + if(any?, do: 1, else: 0), else: count(rest, depth - 1, n, true)
  end

  defp count([{open, _} | rest], depth, n, _any?)
       when open in [:"(", :"[", :"{", :"<<", :case, :if, :begin, :receive, :try] do
    count(rest, depth + 1, n, true)
  end

  # A fun that is written here ends with a word; one that is named does not.
  defp count([{:fun, _}, {:"(", _} = open | rest], depth, n, _any?) do
    count([open | rest], depth + 1, n, true)
  end

  defp count([{:",", _} | rest], 0, n, _any?), do: count(rest, 0, n + 1, true)
  defp count([_ | rest], depth, n, _any?), do: count(rest, depth, n, true)
  defp count([], _depth, n, any?), do: n + if(any?, do: 1, else: 0)
end
