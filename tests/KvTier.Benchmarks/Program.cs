using BenchmarkDotNet.Running;

// In process: a build of its own, as BenchmarkDotNet makes by default, would not see the internals that some benchmarks compare.
string[] arguments = args.Contains("--inProcess") ? args : [.. args, "--inProcess"];
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(arguments);
