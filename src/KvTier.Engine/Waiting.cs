namespace KvTier.Engine;

/// <summary>Waiting with a deadline on the injected clock, without an exception when it passes.</summary>
internal static class Waiting
{
    /// <summary>Waits for a task.</summary>
    /// <returns>False when the time passed first.</returns>
    internal static async ValueTask<bool> ForAsync(Task task, TimeSpan timeout, TimeProvider time)
    {
        if (task.IsCompleted) return true;
        if (timeout <= TimeSpan.Zero) return false;
        var late = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using ITimer timer = time.CreateTimer(
            static state => ((TaskCompletionSource)state!).TrySetResult(), late, timeout, Timeout.InfiniteTimeSpan);
        if (SynchronizationContext.Current is null) await Task.WhenAny(task, late.Task);
        else await FirstAsync(task, late);
        return task.IsCompleted;
    }

    // Task.WhenAny changes to a thread of the pool by itself, which who runs everything in one thread can't have. It also forgets the task
    // when the time has passed, and this does not; so it is for those only.
    private static async Task FirstAsync(Task task, TaskCompletionSource late)
    {
        task.GetAwaiter().UnsafeOnCompleted(() => late.TrySetResult());
        await late.Task;
    }
}

/// <summary>Tells those who wait that room may have come. Called under the engine's lock.</summary>
internal sealed class RoomSignal
{
    private TaskCompletionSource? next;

    /// <summary>Completes when room may have come after this call.</summary>
    internal Task Next => (next ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    /// <summary>Room may have come.</summary>
    internal void Pulse()
    {
        if (next is not { } waiting) return;
        next = null;
        waiting.TrySetResult();
    }
}

/// <summary>Wakes one background loop; a call while nobody waits is remembered.</summary>
/// <param name="time">The clock of its time-outs.</param>
internal sealed class WakeSignal(TimeProvider time)
{
    private readonly Lock gate = new();
    private TaskCompletionSource? waiting;
    private bool set;

    /// <summary>Wakes the loop.</summary>
    internal void Set()
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
    internal async ValueTask WaitAsync(TimeSpan timeout)
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

        if (await Waiting.ForAsync(task, timeout, time)) return;
        lock (gate) waiting = null;
    }
}
