defmodule Magnesia.Demo.Packages do
  @moduledoc """
  Real rows for the demo: this machine's own Debian package index, or the list of installed
  packages where there is no index.

  Reads only what `apt-cache` and `dpkg-query` print. The index holds no dates, so each package
  gets a `seen_at` made from its name: the same on every run of a day.
  """

  @attributes [:name, :version, :section, :size, :depends, :seen_at]

  @doc "The attributes of a package row."
  @spec attributes() ::
          nonempty_list(:name | :version | :section | :size | :depends | :seen_at)
  def attributes, do: @attributes

  @doc """
  The package rows `{:packages, name, version, section, size, depends, seen_at}`, and how many
  packages this machine knows. `size` is in kilobytes; `limit` is the highest number of rows or
  `:all`.
  """
  @spec rows(pos_integer | :all, DateTime.t()) ::
          {:ok, [tuple], String.t()} | {:error, String.t()}
  def rows(limit, now) do
    case known() do
      [] -> {:error, "neither apt-cache nor dpkg-query lists a package: the demo needs Debian"}
      known -> {:ok, known |> spread(limit) |> shaped(now), "#{length(known)} Debian packages"}
    end
  end

  defp known do
    with [] <- index(), do: installed()
  end

  defp spread(known, :all), do: known

  defp spread(known, limit),
    do: known |> Enum.take_every(max(1, div(length(known), limit))) |> Enum.take(limit)

  defp shaped(known, now) do
    for {name, version, section, size, depends} <- known do
      seen_at = DateTime.add(now, -:erlang.phash2(name, 365 * 86_400), :second)
      {:packages, name, version, section, size, depends, seen_at}
    end
  end

  defp index do
    for stanza <- :binary.split(output("apt-cache", ["dumpavail"]), "\n\n", [:global]),
        "Package: " <> rest <- [stanza] do
      [name, fields] = :binary.split(rest <> "\n", "\n")
      fields = "\n" <> fields

      {name, field(fields, "Version"), field(fields, "Section"),
       number(field(fields, "Installed-Size")), names(field(fields, "Depends"))}
    end
    |> unique()
  end

  defp installed do
    format = "${Package}\t${Version}\t${Section}\t${Installed-Size}\t${Depends}\n"

    for line <- String.split(output("dpkg-query", ["-W", "-f", format]), "\n", trim: true),
        [name, version, section, size, depends] <- [String.split(line, "\t")] do
      {name, version, section, number(size), names(depends)}
    end
    |> unique()
  end

  defp unique(found), do: Enum.uniq_by(found, &elem(&1, 0))

  defp output(program, arguments) do
    case System.find_executable(program) do
      nil -> ""
      path -> path |> System.cmd(arguments, stderr_to_stdout: false) |> elem(0)
    end
  end

  defp field(fields, name) do
    with {at, length} <- :binary.match(fields, "\n" <> name <> ": "),
         from = at + length,
         {till, 1} <- :binary.match(fields, "\n", scope: {from, byte_size(fields) - from}) do
      fields |> binary_part(from, till - from) |> :binary.copy()
    else
      :nomatch -> ""
    end
  end

  defp number(text) do
    case Integer.parse(text) do
      {kilobytes, _rest} -> kilobytes
      :error -> 0
    end
  end

  defp names(depends) do
    for part <- String.split(depends, ", ", trim: true) do
      part |> String.split(" ", parts: 2) |> hd()
    end
  end
end
