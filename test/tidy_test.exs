defmodule Magnesia.TidyTest do
  # The house rules hold on the tree, and each rule catches the breach that it is for.
  use ExUnit.Case, async: true

  alias Magnesia.Tidy

  @root Path.expand("..", __DIR__)

  test "the tree is tidy" do
    allow = File.read!(Path.join(@root, "tidy_allow.txt"))
    assert @root |> Tidy.files() |> Tidy.findings() |> Tidy.judge(allow) == []
  end

  test "the tree is read at all" do
    paths = for {path, _lines} <- Tidy.files(@root), do: path
    assert "mix.exs" in paths
    assert "native/nif/Cargo.toml" in paths
    assert "test/tidy_test.exs" in paths
  end

  describe "sizes" do
    test "catches a production file of 801 lines in Rust and lets 800 pass" do
      assert rules("native/nif/src/a.rs", rust(801)) == [:file_length]
      assert rules("native/nif/src/a.rs", rust(800)) == []
    end

    test "catches a production file of 801 lines in Elixir, without its documentation" do
      doc = ["  @moduledoc \"\"\"" | List.duplicate("  words", 500)] ++ ["  \"\"\""]

      module = fn count ->
        ["defmodule A do" | doc] ++ List.duplicate("", count - 2) ++ ["end"]
      end

      assert rules("elixir_lib/a.ex", module.(801)) == [:file_length]
      assert rules("elixir_lib/a.ex", module.(800)) == []
    end

    test "catches a test file of 1001 lines" do
      assert rules("test/a_test.exs", List.duplicate("a", 1001)) == [:file_length]
      assert rules("test/a_test.exs", List.duplicate("a", 1000)) == []
    end

    test "does not count a Rust file's inline tests as production" do
      inline = ["#[cfg(test)]", "mod test {"] ++ List.duplicate("", 900) ++ ["}"]
      assert rules("native/nif/src/a.rs", rust(700) ++ inline) == []
    end

    test "catches a line of 101 columns in Rust and 99 in Elixir" do
      assert rules("native/nif/src/a.rs", ["//! a", wide(101)]) == [:line_width]
      assert rules("native/nif/src/a.rs", ["//! a", wide(100)]) == []
      assert rules("test/a.exs", [wide(99)]) == [:line_width]
      assert rules("test/a.exs", [wide(98)]) == []
    end

    test "catches a Rust function of 71 lines, whatever stands before fn" do
      for head <- ["fn a() {", "pub(crate) async fn a() -> u8 {", "pub const unsafe fn a() {"] do
        assert rules("native/nif/src/a.rs", function(head, "}", 71)) == [:function_length]
        assert rules("native/nif/src/a.rs", function(head, "}", 70)) == []
      end
    end

    test "catches a Rust function whose head takes several lines" do
      body = ["//! a", "pub fn a(", "    x: u8,", ") -> u8", "where", "    u8: Copy,", "{"]
      long = body ++ List.duplicate("    x();", 64) ++ ["}"]
      assert rules("native/nif/src/a.rs", long) == [:function_length]
    end

    test "lets a flat match have 100 lines" do
      flat = fn count ->
        function("fn a() {", "}", count) |> List.insert_at(2, "    // flat: arms")
      end

      assert rules("native/nif/src/a.rs", flat.(99)) == []
      assert rules("native/nif/src/a.rs", flat.(100)) == [:function_length]
    end

    test "catches an Elixir function and a test of 71 lines" do
      for head <- ["def a do", "defp a(b) when b do", "test \"a\" do"] do
        assert rules("test/a.exs", function(head, "end", 71)) == [:function_length]
        assert rules("test/a.exs", function(head, "end", 70)) == []
      end
    end

    test "does not run from a one-line function into the next" do
      lines = ["def a, do: b()", "" | function("def c do", "end", 70)]
      assert rules("test/a.exs", lines) == []
    end
  end

  describe "words" do
    test "catches names that say nothing" do
      for path <- ~w(native/nif/src/utils.rs native/nif/src/common.rs native/nif/src/misc/a.rs) do
        assert rules(path, ["//! a"]) == [:name]
      end

      assert rules("elixir_lib/table_manager.ex", module([])) == [:name]
      assert rules("test/socket_helpers.exs", []) == [:name]
      assert rules("native/nif/src/a.rs", ["//! a", "mod utils;"]) == [:name]
      assert rules("test/test_helper.exs", []) == []
    end

    test "catches a Rust file and an Elixir module without a header" do
      assert rules("native/nif/src/a.rs", ["use std::fmt;"]) == [:header]
      assert rules("elixir_lib/a.ex", ["defmodule A do", "end"]) == [:header]
      two = module([]) ++ ["defmodule B do", "  def b, do: 1", "end"]
      assert :header in rules("elixir_lib/a.ex", two)
    end

    test "catches a public function of the library without a spec" do
      assert rules("elixir_lib/a.ex", module(["  def a(b), do: b"])) == [:spec]

      assert rules(
               "elixir_lib/a.ex",
               module(["  @spec a(b) :: b when b: term", "  def a(b), do: b"])
             ) == []

      assert rules("elixir_lib/a.ex", module(["  @impl true", "  def a(b), do: b"])) == []
    end

    test "catches each word that must not be merged" do
      words = ["// TO" <> "DO", "// FIX" <> "ME", "todo" <> "!()", "unimplemented" <> "!()"]
      words = words ++ ["dbg" <> "!(a)", "#[ig" <> "nore]", "// see /wo" <> "rk/plan"]

      for word <- words do
        assert rules("native/nif/src/a.rs", ["//! a", word]) == [:banned]
      end

      for word <- ["@tag :" <> "skip", "@moduletag :" <> "skip", "@tag skip" <> ": 1"] do
        assert rules("test/a_test.exs", [word]) == [:banned]
      end
    end

    test "catches a library that prints" do
      assert rules("native/nif/src/a.rs", ["//! a", "    println!(\"{a}\");"]) == [:print]
      assert rules("native/nif/tests/a.rs", ["//! a", "    println!(\"{a}\");"]) == []
    end

    test "catches sleeping" do
      for module <- ["Process.", ":timer."] do
        assert rules("test/a_test.exs", [module <> "sleep" <> "(5)"]) == [:sleep]
      end

      lines = ["//! a", "std::thread::" <> "sleep" <> "(d);"]
      assert rules("native/store/tests/a.rs", lines) == [:sleep]
    end
  end

  describe "arrows" do
    test "catches a crate that depends upward" do
      for {crate, dependency} <- [
            {"term", "engine"},
            {"engine", "store"},
            {"store", "database"},
            {"database", "nif"}
          ] do
        lines = ["[dependencies]", "magnesia-#{dependency}.workspace = true"]
        assert rules("native/#{crate}/Cargo.toml", lines) == [:arrow]
      end

      assert rules("native/nif/Cargo.toml", ["[dependencies.magnesia-node]"]) == [:arrow]
      assert rules("native/nif/Cargo.toml", ["[dependencies]", "magnesia-term = {}"]) == []
    end

    test "catches a crate that no rule knows" do
      lines = ["[dependencies]", "magnesia-term = {}"]
      assert rules("native/novel/Cargo.toml", lines) == [:arrow]
    end

    test "catches rustler outside nif and eetf outside tests" do
      assert rules("native/term/Cargo.toml", ["[dev-dependencies]", "rustler = \"1\""]) == [
               :arrow
             ]

      assert rules("native/term/Cargo.toml", ["[dependencies]", "eetf = \"0\""]) == [:arrow]
      assert rules("native/term/Cargo.toml", ["[dev-dependencies]", "eetf = \"0\""]) == []
      assert rules("native/store/src/a.rs", ["//! a", "use rustler::Term;"]) == [:arrow]
    end

    test "catches a pure crate that knows the world" do
      for code <- [
            "use std::fs;",
            "use std::{fmt, thread};",
            "let now = Instant::now();",
            "std::net::lookup()",
            "rand::random()",
            "use tokio::time;",
            "SystemTime::now()"
          ] do
        assert rules("native/engine/src/a.rs", ["//! a", code]) == [:pure]
        assert rules("native/store/src/a.rs", ["//! a", code]) == []
        assert rules("native/engine/src/a.rs", ["//! a", "// " <> code]) == []
        test = ["#[cfg(test)]", "mod test {", "    " <> code, "}"]
        assert rules("native/engine/src/a.rs", ["//! a" | test]) == []
      end

      assert rules("native/term/Cargo.toml", ["[dependencies]", "tokio = \"1\""]) == [:arrow]
    end

    test "finds code that follows an inline test module" do
      lines = ["//! a", "#[cfg(test)]", "mod test {", "    fn a() {}", "}", "use std::fs;"]
      assert rules("native/engine/src/a.rs", lines) == [:pure]
    end

    test "catches a crate that does not forbid unsafe code" do
      assert rules("native/store/src/lib.rs", ["//! a"]) == [:unsafe]
      assert rules("native/store/src/lib.rs", ["//! a", "#![forbid(unsafe_code)]"]) == []
      assert rules("native/nif/src/lib.rs", ["//! a"]) == []
    end

    test "catches unsafe code in a second file of nif" do
      one = {"native/nif/src/a.rs", ["//! a", "let a = unsafe { b() };"]}
      two = {"native/nif/src/b.rs", ["//! b", "unsafe fn c() {}"]}
      assert rules([one]) == []
      assert rules([one, two]) == [:unsafe]
    end

    test "catches a module that passes the gate by" do
      for code <- [
            "alias Magnesia.Native",
            "alias Magnesia.{Engine, Native}",
            "Native.read(a, b)"
          ] do
        assert rules("elixir_lib/magnesia/table.ex", module(["  " <> code])) == [:gate]
        assert rules("elixir_lib/magnesia/engine.ex", module(["  " <> code])) == []
        assert rules("elixir_lib/magnesia/table.ex", module(["  # " <> code])) == []
      end
    end

    test "catches a limit that nothing names" do
      limits = {"native/nif/src/limits.rs", ["//! a", "pub const ROWS_MAX: usize = 3;"]}
      assert rules([limits]) == [:limit]
      assert rules([limits, {"docs/limits.md", ["`ROWS_MAX` | 3"]}]) == []
      assert rules([limits, {"native/nif/tests/a.rs", ["//! a", "f(limits::ROWS_MAX);"]}]) == []

      assert rules([limits, {"native/nif/src/a.rs", ["//! a", "f(limits::ROWS_MAX);"]}]) == [
               :limit
             ]
    end
  end

  describe "the list of what is let through" do
    @finding %{rule: :sleep, path: "test/a.exs", line: 3, value: 2, text: "sleeps"}

    test "lets a listed value pass" do
      assert Tidy.judge([@finding], "# words\nsleep test/a.exs 2 a reason") == []
    end

    test "refuses what is not listed and what has grown" do
      assert Tidy.judge([@finding], "") == ["test/a.exs:3: sleeps [sleep]"]
      assert Tidy.judge([@finding], "sleep test/a.exs 1 why") == ["test/a.exs:3: sleeps [sleep]"]
    end

    test "refuses an entry that could shrink, could go or has no reason" do
      assert Tidy.judge([@finding], "sleep test/a.exs 3 why") ==
               ["tidy_allow.txt: `sleep test/a.exs` may say 2 now, it says 3"]

      assert Tidy.judge([], "sleep test/a.exs 3 why") ==
               ["tidy_allow.txt: nothing breaks `sleep` in test/a.exs any more: remove the entry"]

      assert Tidy.judge([@finding], "sleep test/a.exs 2") ==
               ["tidy_allow.txt: `sleep test/a.exs` needs a reason"]
    end
  end

  defp rules(path, lines), do: rules([{path, lines}])
  defp rules(files), do: files |> Tidy.findings() |> Enum.map(& &1.rule) |> Enum.uniq()

  defp rust(count), do: ["//! a" | List.duplicate("// a", count - 1)]
  defp wide(columns), do: "# " <> String.duplicate("a", columns - 2)
  defp module(lines), do: ["defmodule A do", "  @moduledoc false"] ++ lines ++ ["end"]

  defp function(head, close, count) do
    ["//! a", head] ++ List.duplicate("    x()", count - 2) ++ [close]
  end
end
