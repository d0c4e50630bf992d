# Entry of the benchmark suite: compiles bench/support in memory and hands the arguments over.
#
#     elixir -pa _build/dev/lib/magnesia/ebin bench/run.exs --only read.set
#
# `mix magnesia.bench` does the same with the code path already set.

# :magnesia may be missing when only the peers are measured (--subject mnesia).
Code.put_compiler_option(:ignore_module_conflict, true)
support = Path.wildcard(Path.join(__DIR__, "support/*.ex"))
{:ok, _modules, _warnings} = Kernel.ParallelCompiler.compile(support)
System.halt(apply(Magnesia.Bench, :main, [System.argv()]))
