namespace KvTier.Cluster;

/// <summary>
/// Time that only goes forward, counted from when the clock was made; what a wall clock does has no effect. It goes on while the process is
/// stopped.
/// </summary>
/// <param name="time">Where it comes from.</param>
internal sealed class MonotonicClock(TimeProvider time)
{
    private readonly long origin = time.GetTimestamp();

    /// <summary>The time.</summary>
    public TimeSpan Now => time.GetElapsedTime(origin);

    /// <summary>Waits; ends early, without an exception, when it is told to stop.</summary>
    public async ValueTask DelayAsync(TimeSpan span, CancellationToken stop) =>
        await Task.Delay(span > TimeSpan.Zero ? span : TimeSpan.Zero, time, stop).ConfigureAwait(
            ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);

    /// <summary>Waits for a signal until the time has passed or it is told to stop; then the signal is given by the clock.</summary>
    /// <param name="signal">Made with <see cref="TaskCreationOptions.RunContinuationsAsynchronously"/>. Awaited alone, as <c>WhenAny</c>
    /// would
    /// take the waiter to the thread pool and out of the simulation's order.</param>
    /// <param name="longest">How long.</param>
    /// <param name="stop">Ends the wait.</param>
    public async ValueTask WaitAsync(TaskCompletionSource signal, TimeSpan longest, CancellationToken stop = default)
    {
        if (signal.Task.IsCompleted || longest <= TimeSpan.Zero || stop.IsCancellationRequested) return;
        await using ITimer timer = time.CreateTimer(Give, signal, longest, Timeout.InfiniteTimeSpan);
        using CancellationTokenRegistration stopping = stop.UnsafeRegister(Give, signal);
        await signal.Task;
    }

    private static void Give(object? signal) => ((TaskCompletionSource)signal!).TrySetResult();
}
