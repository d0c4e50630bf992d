defmodule Magnesia.DatabaseCase do
  @moduledoc """
  A fresh database for each test: in memory, or with `@tag :disc` in a directory of its own, whose
  path is the test's `dir`. There is one database in a VM, so these tests are never `async`.
  """

  use ExUnit.CaseTemplate

  setup context do
    :stopped = :magnesia.stop()

    dir =
      Path.join(
        System.tmp_dir!(),
        "magnesia-#{System.pid()}-#{:erlang.unique_integer([:positive])}"
      )

    Application.put_env(:magnesia, :dir, String.to_charlist(dir))

    on_exit(fn ->
      :magnesia.stop()
      File.rm_rf!(dir)
      Application.delete_env(:magnesia, :dir)
    end)

    if context[:disc], do: :ok = :magnesia.create_schema([node()])
    :ok = :magnesia.start()
    {:ok, dir: dir}
  end
end
