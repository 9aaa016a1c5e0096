namespace KvTier.Cluster;

/// <summary>Wakes one loop that sleeps. A call while nobody sleeps is kept for the next sleep. Thread-safe.</summary>
/// <param name="clock">The clock.</param>
internal sealed class Wake(MonotonicClock clock)
{
    private readonly Lock gate = new();
    private TaskCompletionSource signal = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Wakes the loop.</summary>
    public void Set()
    {
        lock (gate) signal.TrySetResult();
    }

    /// <summary>Sleeps until it is woken, the time has passed, or it is told to stop.</summary>
    public async ValueTask SleepAsync(TimeSpan longest, CancellationToken stop)
    {
        TaskCompletionSource current;
        lock (gate) current = signal;
        await clock.WaitAsync(current, longest, stop);
        lock (gate)
        {
            if (current.Task.IsCompleted) signal = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
