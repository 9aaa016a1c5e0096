namespace KvTier.Cluster;

/// <summary>
/// A cluster of one silo that keeps its facts to itself, with the same rules as one in etcd: a lease that runs out, an epoch that
/// guards changes. Nothing outlives it. Thread-safe.
/// </summary>
/// <param name="cluster">Which cluster, and its settings; checked by the caller.</param>
/// <param name="time">The clock.</param>
public sealed class EmbeddedEngine(ClusterOptions cluster, TimeProvider time) : IClusterEngine
{
    private readonly Lock gate = new();
    private ClusterState state = new(
        0, new ClusterMap(
            cluster.Cluster, 0, 0, [], new ClusterSettings { Replicas = cluster.Replicas }, new Dictionary<BlockId, string>()),
        [], new Dictionary<string, SiloLoad>(StringComparer.Ordinal));

    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TimeSpan ttl;
    private long renewedAt;

    /// <inheritdoc/>
    public ValueTask<Result<ClusterState>> JoinAsync(SiloEntry self, TimeSpan ttl, TimeSpan deadline)
    {
        lock (gate)
        {
            ExpireIfDue();
            if (state.Alive is [var other] && other.Name != self.Name)
            {
                string both = $"{self.Name}, beside {other.Name} at {other.Endpoint}";
                return Done(new KvError(ErrorCode.Conflict, "silo.name", both, "one silo, or etcd for more"));
            }

            (this.ttl, renewedAt) = (ttl, time.GetTimestamp());
            Publish(state with { Alive = [self] });
            return Done(state);
        }
    }

    /// <inheritdoc/>
    public ValueTask<KvError?> RenewAsync(SiloLoad load, TimeSpan deadline)
    {
        lock (gate)
        {
            ExpireIfDue();
            if (state.Alive is not [var self])
                return new ValueTask<KvError?>(new KvError(ErrorCode.LeaseExpired, "silo.lease", "run out", "a new one; join again"));
            renewedAt = time.GetTimestamp();
            if (state.Loads.GetValueOrDefault(self.Name) != load)
                Publish(state with { Loads = new Dictionary<string, SiloLoad>(StringComparer.Ordinal) { [self.Name] = load } });
            return ValueTask.FromResult<KvError?>(null);
        }
    }

    /// <inheritdoc/>
    public ValueTask<Result<ClusterState>> ReadAsync(TimeSpan deadline)
    {
        lock (gate)
        {
            ExpireIfDue();
            return Done(state);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<Result<ClusterState>> WaitAsync(long revision, TimeSpan deadline)
    {
        long begin = time.GetTimestamp();
        while (true)
        {
            Task next;
            lock (gate)
            {
                if (state.Revision > revision) return state;
                next = changed.Task;
            }

            try
            {
                await next.WaitAsync(deadline - time.GetElapsedTime(begin) is { Ticks: > 0 } left ? left : TimeSpan.Zero, time);
            }
            catch (TimeoutException)
            {
                return new KvError(ErrorCode.DeadlineExceeded, "WaitAsync", "no change");
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask<Result<ClusterState>> CommitAsync(ClusterChange change, TimeSpan deadline)
    {
        lock (gate)
        {
            ExpireIfDue();
            if (state.Alive.Count == 0)
                return Done(new KvError(ErrorCode.Fenced, "silo.lease", "run out", "a lease that holds; join again"));
            if (!MapCommit.Apply(state.Map, change).TryGet(out ClusterMap? map, out KvError? error)) return Done(error);
            Publish(state with { Map = map });
            return Done(state);
        }
    }

    /// <inheritdoc/>
    public ValueTask<KvError?> LeaveAsync(TimeSpan deadline)
    {
        lock (gate)
        {
            if (state.Alive.Count > 0) Expire();
            return ValueTask.FromResult<KvError?>(null);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static ValueTask<Result<ClusterState>> Done(Result<ClusterState> result) => ValueTask.FromResult(result);

    private void ExpireIfDue()
    {
        if (state.Alive.Count > 0 && time.GetElapsedTime(renewedAt) >= ttl) Expire();
    }

    private void Expire() => Publish(state with { Alive = [], Loads = new Dictionary<string, SiloLoad>(StringComparer.Ordinal) });

    private void Publish(ClusterState next)
    {
        state = next with { Revision = state.Revision + 1 };
        TaskCompletionSource waited = changed;
        changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        waited.SetResult();
    }
}
