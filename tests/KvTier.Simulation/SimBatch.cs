namespace KvTier.Simulation;

/// <summary>What came of many seeds.</summary>
internal sealed record SimTotals(int Seeds, int Failed, long Events, long VirtualTicks);

/// <summary>Many seeds, some at a time; each has a thread, and nothing in common with the others.</summary>
internal static class SimBatch
{
    /// <summary>Runs seeds.</summary>
    /// <param name="first">The first seed.</param>
    /// <param name="count">How many.</param>
    /// <param name="steps">Steps of each.</param>
    /// <param name="silos">Silos of each; 0 for the seed to decide.</param>
    /// <param name="plant">A bug that is put in.</param>
    /// <param name="jobs">Seeds at a time.</param>
    /// <param name="onDone">Told of each, one at a time.</param>
    /// <param name="isEnough">Looked at before each seed: true to begin no more. Default never.</param>
    internal static SimTotals Run(
        int first, int count, int steps, int silos, Plant plant, int jobs, Action<SimPlan, SimResult> onDone, Func<bool>? isEnough = null)
    {
        var gate = new Lock();
        int next = 0, done = 0, failed = 0;
        long events = 0, ticks = 0;
        void Work()
        {
            for (int index = Interlocked.Increment(ref next) - 1; index < count; index = Interlocked.Increment(ref next) - 1)
            {
                if (isEnough?.Invoke() == true) return;
                SimPlan plan = Planner.Make(first + index, steps, silos);
                SimResult result = SimRunner.Run(plan, plant);
                lock (gate)
                {
                    done++;
                    failed += result.Failure is null ? 0 : 1;
                    events += result.Events;
                    ticks += result.VirtualTicks;
                    onDone(plan, result);
                }
            }
        }

        Thread[] threads = [.. Enumerable.Range(0, Math.Min(jobs, count)).Select(_ => new Thread(Work))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        return new SimTotals(done, failed, events, ticks);
    }
}
