namespace KvTier.Engine;

/// <summary>
/// Finds blocks and pins whose time has run out, a slice of the index at a time. One caller steps it: the loop, or a simulation.
/// </summary>
internal sealed class Sweeper(EngineState state)
{
    /// <summary>Entries looked at under one hold of the lock: about 10 µs.</summary>
    private const int SliceEntries = 4096;

    /// <summary>Slices of a step.</summary>
    private const int Slices = 16;

    private static readonly TimeSpan period = TimeSpan.FromMilliseconds(100);

    private readonly WakeSignal wake = new(state.Time);
    private uint next = 1;

    /// <summary>Steps until told to stop.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        await using CancellationTokenRegistration registration = stop.Register(wake.Set);
        while (!stop.IsCancellationRequested)
        {
            Step();
            await wake.WaitAsync(period);
        }
    }

    /// <summary>Looks at the next entries, and at every pin.</summary>
    internal void Step()
    {
        SweepPins();
        for (int slice = 0; slice < Slices; slice++)
        {
            if (!SweepSlice()) return;
        }
    }

    private bool SweepSlice()
    {
        lock (state.Gate)
        {
            if (state.Closed || state.Counters.ExpiringBlocks == 0) return false;
            for (int left = SliceEntries; left > 0; left--, next++)
            {
                if (next >= state.Index.Top)
                {
                    next = 1;
                    return false;
                }

                if (state.Index[next].Namespace != BlockEntry.FreeNamespace) state.IsExpired(next);
            }

            return true;
        }
    }

    private void SweepPins()
    {
        lock (state.Gate)
        {
            if (state.Closed || state.Pins.Count == 0) return;
            foreach (uint number in state.Pins.FindExpired(state.NowUnixMs)) state.Unpin(number);
        }
    }
}
