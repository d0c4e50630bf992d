# Entry of the benchmark suite: compiles bench/support in memory, and the other VM of the tests,
# and hands the arguments over.
#
#     elixir -pa _build/dev/lib/magnesia/ebin bench/run.exs --only read.set
#
# `mix magnesia.bench` does the same with the code path already set.

# :magnesia may be missing when only the peers are measured (--subject mnesia).
Code.put_compiler_option(:ignore_module_conflict, true)
other_vm = Path.expand("../test/support/other_vm.ex", __DIR__)
support = [other_vm | Path.wildcard(Path.join(__DIR__, "support/*.ex"))]
{:ok, _modules, _warnings} = Kernel.ParallelCompiler.compile(support)
System.halt(apply(Magnesia.Bench, :main, [System.argv()]))
