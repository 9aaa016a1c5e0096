namespace KvTier.Recall;

/// <summary>The time that a call has left, on the injected clock.</summary>
internal readonly struct Deadline
{
    private readonly TimeProvider time;
    private readonly long start;
    private readonly TimeSpan span;

    /// <summary>Starts it now.</summary>
    internal Deadline(TimeProvider time, TimeSpan span)
    {
        this.time = time;
        this.span = span;
        start = time.GetTimestamp();
    }

    /// <summary>What is left, 0 or more.</summary>
    internal TimeSpan Remaining
    {
        get
        {
            TimeSpan left = span - time.GetElapsedTime(start);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>True when nothing is left.</summary>
    internal bool IsOver => Remaining == TimeSpan.Zero;

    /// <summary>A share of what is left, from now on.</summary>
    internal Deadline Share(double share) => new(time, Remaining * share);

    /// <summary>Waits a while.</summary>
    /// <returns>False when the time is over sooner; then it did not wait.</returns>
    internal async ValueTask<bool> PauseAsync(TimeSpan pause)
    {
        if (Remaining <= pause) return false;
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using ITimer timer = time.CreateTimer(
            static state => ((TaskCompletionSource)state!).TrySetResult(), over, pause, Timeout.InfiniteTimeSpan);
        await over.Task;
        return true;
    }

    /// <summary>The error of a call that it ended.</summary>
    internal KvError Error => new(ErrorCode.DeadlineExceeded, "deadline", $"{span.TotalMilliseconds:0} ms");

    /// <summary>Waits for a task until it is over, without an exception.</summary>
    /// <returns>False when it was over first.</returns>
    internal async ValueTask<bool> WaitAsync(Task task)
    {
        if (task.IsCompleted) return true;
        TimeSpan left = Remaining;
        if (left == TimeSpan.Zero) return false;
        var late = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using ITimer timer = time.CreateTimer(
            static state => ((TaskCompletionSource)state!).TrySetResult(), late, left, Timeout.InfiniteTimeSpan);
        return await Task.WhenAny(task, late.Task) == task || task.IsCompleted;
    }
}
