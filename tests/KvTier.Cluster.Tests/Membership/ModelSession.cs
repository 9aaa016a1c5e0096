namespace KvTier.Cluster.Tests;

/// <summary>
/// One silo's way to a <see cref="ModelEngine"/>: with latency, and it can be cut, or lose its watches, or the answers of its changes.
/// </summary>
internal sealed class ModelSession(ModelEngine engine, TimeProvider time, TimeSpan latency) : IClusterEngine
{
    private readonly object session = new();
    private string name = "";

    /// <summary>True while nothing gets through.</summary>
    public bool IsCut { get; set; }

    /// <summary>True while waits see nothing.</summary>
    public bool LosesWatches { get; set; }

    /// <summary>True while changes are made and their answers lost.</summary>
    public bool LosesAnswers { get; set; }

    public ValueTask<Result<ClusterState>> JoinAsync(SiloEntry self, TimeSpan ttl, TimeSpan deadline)
    {
        name = self.Name;
        return CallAsync(() => engine.Join(self, ttl, session), deadline);
    }

    public async ValueTask<KvError?> RenewAsync(SiloLoad load, TimeSpan deadline) =>
        (await CallAsync<bool>(() => engine.Renew(name, session, load) is { } error ? error : true, deadline)).Error;

    public ValueTask<Result<ClusterState>> ReadAsync(TimeSpan deadline) => CallAsync<ClusterState>(() => engine.Read(), deadline);

    public async ValueTask<Result<ClusterState>> WaitAsync(long revision, TimeSpan deadline)
    {
        if (IsCut || engine.IsDown) return Away();
        var changed = new TaskCompletionSource();
        void Look()
        {
            if (!LosesWatches && !IsCut && !engine.IsDown && engine.Read().Revision > revision) changed.TrySetResult();
        }

        engine.Changed += Look;
        try
        {
            Look();
            using var over = new CancellationTokenSource();
            await Task.WhenAny(changed.Task, Task.Delay(deadline, time, over.Token));
            over.Cancel();
        }
        finally
        {
            engine.Changed -= Look;
        }

        return changed.Task.IsCompleted
            ? await CallAsync<ClusterState>(() => engine.Read(), deadline)
            : new KvError(ErrorCode.DeadlineExceeded, "engine");
    }

    public ValueTask<Result<ClusterState>> CommitAsync(ClusterChange change, TimeSpan deadline) =>
        CallAsync(() => engine.Commit(name, session, change), deadline, LosesAnswers);

    public async ValueTask<KvError?> LeaveAsync(TimeSpan deadline) =>
        (await CallAsync<bool>(() => engine.Leave(name, session) is { } error ? error : true, deadline)).Error;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async ValueTask<Result<T>> CallAsync<T>(Func<Result<T>> call, TimeSpan deadline, bool losesAnswer = false)
    {
        await Task.Delay(latency, time);
        if (IsCut || engine.IsDown)
        {
            await Task.Delay(deadline > latency ? deadline - latency : TimeSpan.Zero, time);
            return Away();
        }

        Result<T> answer = call();
        await Task.Delay(latency, time);
        return IsCut || engine.IsDown || losesAnswer ? Away() : answer;
    }

    private static KvError Away() => new(ErrorCode.Unavailable, "engine");
}
