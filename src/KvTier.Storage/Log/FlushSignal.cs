using System.Threading.Tasks.Sources;

namespace KvTier.Storage.Log;

/// <summary>Wakes the one appender when the device has taken a page. Nothing is allocated per wait.</summary>
internal sealed class FlushSignal : IValueTaskSource, IThreadPoolWorkItem
{
    private readonly Lock gate = new();
    private ManualResetValueTaskSourceCore<bool> source;
    private long version;
    private bool waiting;

    public long Version => Interlocked.Read(ref version);

    public void Set()
    {
        lock (gate)
        {
            version++;
            if (!waiting) return;
            waiting = false;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>Completes when the version is no longer the one given.</summary>
    public ValueTask WaitAsync(long seen)
    {
        lock (gate)
        {
            if (version != seen) return ValueTask.CompletedTask;
            source.Reset();
            waiting = true;
            return new ValueTask(this, source.Version);
        }
    }

    void IThreadPoolWorkItem.Execute() => source.SetResult(true);

    void IValueTaskSource.GetResult(short token) => source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => source.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        source.OnCompleted(continuation, state, token, flags);
}
