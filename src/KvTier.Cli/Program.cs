using KvTier.Cli;

// A connection that carries blocks looks at its socket before it waits, and so keeps its thread for as long as bytes flow. With threads to
// spare the system shares the processors among the connections; with the default, one a processor, some would wait for others to go idle.
const int PoolThreadsMin = 32;
ThreadPool.GetMinThreads(out int workers, out int completions);
ThreadPool.SetMinThreads(Math.Max(workers, PoolThreadsMin), completions);

using var stop = new StopSignals();
return await CommandTree.RunAsync(args, CliOutput.ForProcess(), stop.Token);
