using KvTier.Cli;

using var stop = new StopSignals();
return await CommandTree.RunAsync(args, CliOutput.ForProcess(), stop.Token);
