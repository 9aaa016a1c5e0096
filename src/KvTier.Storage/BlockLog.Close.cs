namespace KvTier.Storage;

/// <content>Closing, which ends at a deadline whatever the device does.</content>
public sealed partial class BlockLog
{
    private static long abandonedLogs;
    private bool disposed;
    private bool abandoned;

    /// <summary>Logs of this process that were given up while closing, as the device hung. Starts at 0.</summary>
    public static long AbandonedLogs => Interlocked.Read(ref abandonedLogs);

    /// <summary>
    /// True when the log was disposed while the device held a write, sync or read for longer than <see cref="LogOptions.CloseTimeout"/>.
    /// The kernel may still read from the log's memory or write into that of its readers: the log leaves its own as it is until the device
    /// gives it back, and whoever lent memory must do so too. Default false.
    /// </summary>
    public bool IsAbandoned => Volatile.Read(ref abandoned);

    /// <summary>Ends when memory and files are free, for tests; also after the log was given up.</summary>
    internal Task Closed { get; private set; } = Task.CompletedTask;

    /// <summary>
    /// Commits what was appended, writes the indexes and closes the files: the next start reads nothing else. Waits at most
    /// <see cref="LogOptions.CloseTimeout"/> for the device; when it hangs longer, <see cref="IsAbandoned"/> is true afterwards.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (disposed) return;
        long since = time.GetTimestamp();
        bool clean = log is not null && await CommitInTimeAsync(since).ConfigureAwait(false);
        await CloseAsync(clean, since).ConfigureAwait(false);
    }

    /// <summary>Lets go of the files as they are, as a kill would: the next start has to find its way by itself.</summary>
    internal ValueTask AbandonAsync() => CloseAsync(clean: false, time.GetTimestamp());

    private async ValueTask<bool> CommitInTimeAsync(long since)
    {
        Task<KvError?> commit = CommitAsync().AsTask();
        if (!await EndsInTimeAsync(commit, since).ConfigureAwait(false))
            fault.Set(new KvError(ErrorCode.IoError, "log close", "waited for the device", $"{options.CloseTimeout}"));
        return await commit.ConfigureAwait(false) is null;
    }

    private async ValueTask CloseAsync(bool clean, long since)
    {
        if (disposed) return;
        disposed = true;
        if (ticker is not null) await ticker.DisposeAsync().ConfigureAwait(false);
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Closed = done.Task;

        // A thread of its own, since it waits for those that the device may hold for ever. It keeps all they use alive meanwhile.
        new Thread(() => Close(clean, done)) { IsBackground = true, Name = "kvtier-log-close" }.Start();
        if (await EndsInTimeAsync(done.Task, since).ConfigureAwait(false)) return;
        Volatile.Write(ref abandoned, true);
        Interlocked.Increment(ref abandonedLogs);
    }

    private void Close(bool clean, TaskCompletionSource done)
    {
        try
        {
            // FasterLog frees its pages whatever is being written from them, so it goes after the threads that write.
            device?.Dispose();
            committer?.Stop();
            if (clean && !IsAbandoned) committer?.WriteClean();
            log?.Dispose();
            readers.Dispose();
            segments.Dispose();
            indexes.Dispose();
            commitFile.Dispose();
            done.TrySetResult();
        }
#pragma warning disable CA1031 // It would end the process; whoever closes the log hears of it instead.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            done.TrySetException(exception);
        }
    }

    private async ValueTask<bool> EndsInTimeAsync(Task task, long since)
    {
        TimeSpan left = options.CloseTimeout - time.GetElapsedTime(since);
        try
        {
            await task.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, time).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException) when (!task.IsFaulted)
        {
            return false;
        }
    }
}
