using System.Threading.Tasks.Sources;

namespace KvTier.Storage.Log;

/// <summary>A commit that somebody waits for; pooled by its worker.</summary>
internal sealed class CommitOperation(Action<CommitOperation> giveBack) : IValueTaskSource<KvError?>, IThreadPoolWorkItem
{
    private ManualResetValueTaskSourceCore<KvError?> source;
    private KvError? result;

    public long Target { get; private set; }

    public long StartedAt { get; private set; }

    public short Version => source.Version;

    public void Begin(long target, long startedAt)
    {
        source.Reset();
        Target = target;
        StartedAt = startedAt;
    }

    /// <summary>Completes it on the thread pool, so that the device's thread goes on at once.</summary>
    public void Complete(KvError? error)
    {
        result = error;
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute() => source.SetResult(result);

    KvError? IValueTaskSource<KvError?>.GetResult(short token)
    {
        KvError? error = source.GetResult(token);
        giveBack(this);
        return error;
    }

    ValueTaskSourceStatus IValueTaskSource<KvError?>.GetStatus(short token) => source.GetStatus(token);

    void IValueTaskSource<KvError?>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        source.OnCompleted(continuation, state, token, flags);
}
