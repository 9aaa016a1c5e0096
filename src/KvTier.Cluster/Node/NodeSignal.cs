namespace KvTier.Cluster;

/// <summary>Wakes one background loop; a call while nobody waits is remembered.</summary>
/// <param name="time">The clock of its time-outs.</param>
internal sealed class NodeSignal(TimeProvider time)
{
    private readonly Lock gate = new();
    private TaskCompletionSource? waiting;
    private bool set;

    /// <summary>Wakes the loop.</summary>
    public void Set()
    {
        TaskCompletionSource? loop;
        lock (gate)
        {
            loop = waiting;
            waiting = null;
            set = loop is null;
        }

        loop?.TrySetResult();
    }

    /// <summary>Waits until <see cref="Set"/> or until the time has passed.</summary>
    public async ValueTask WaitAsync(TimeSpan timeout)
    {
        Task task;
        lock (gate)
        {
            if (set)
            {
                set = false;
                return;
            }

            waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            task = waiting.Task;
        }

        if (await NodeWaiting.ForAsync(task, timeout, time)) return;
        lock (gate) waiting = null;
    }
}

/// <summary>Waiting with a deadline on the injected clock, without an exception when it passes.</summary>
internal static class NodeWaiting
{
    /// <summary>Waits for a task.</summary>
    /// <returns>False when the time passed first.</returns>
    public static async ValueTask<bool> ForAsync(Task task, TimeSpan timeout, TimeProvider time)
    {
        if (task.IsCompleted) return true;
        if (timeout <= TimeSpan.Zero) return false;
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using ITimer timer = time.CreateTimer(
            static state => ((TaskCompletionSource)state!).TrySetResult(), over, timeout, Timeout.InfiniteTimeSpan);
        _ = EndAsync(task, over);
        await over.Task;
        return task.IsCompleted;
    }

    /// <summary>
    /// Ends a wait with its task. Not by <c>Task.WhenAny</c>, which takes who waits to the thread pool, out of the order of a simulation.
    /// </summary>
    private static async Task EndAsync(Task task, TaskCompletionSource over)
    {
        await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        over.TrySetResult();
    }
}

/// <summary>How much of a deadline is left.</summary>
/// <param name="time">The clock.</param>
/// <param name="span">The whole time, from now on.</param>
internal readonly struct NodeDeadline(TimeProvider time, TimeSpan span)
{
    private readonly long started = time.GetTimestamp();

    /// <summary>What is left; never below 0.</summary>
    public TimeSpan Left
    {
        get
        {
            TimeSpan left = span - time.GetElapsedTime(started);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>What is left, or less.</summary>
    public TimeSpan AtMost(TimeSpan longest) => Left < longest ? Left : longest;
}
