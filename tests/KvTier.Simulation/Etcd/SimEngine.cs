using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>
/// A silo's way to the model of etcd: requests and answers get lost, so that the outcome of a change is unknown; watches come late, come
/// as single steps, or not at all.
/// </summary>
internal sealed class SimEngine(EtcdModel etcd, SimNetwork network, SimProcess process, string name, TimeProvider time, Random random)
    : IClusterEngine
{
    private readonly EtcdLoads loads = new(time);
    private ClusterState? known;
    private long token;

    /// <inheritdoc/>
    public async ValueTask<Result<ClusterState>> JoinAsync(SiloEntry self, TimeSpan ttl, TimeSpan deadline)
    {
        Result<(long Token, ClusterState State)> joined = await CallAsync<(long Token, ClusterState State)>(
            model => model.Join(self, ttl).TryGet(out long granted, out KvError? refused) ? (granted, model.State) : refused, deadline);
        if (!joined.TryGet(out (long Token, ClusterState State) mine, out KvError? error)) return error;
        token = mine.Token;
        loads.Clear();
        return known = mine.State;
    }

    /// <inheritdoc/>
    public async ValueTask<KvError?> RenewAsync(SiloLoad load, TimeSpan deadline)
    {
        long mine = token;
        SiloLoad? told = loads.IsDue(load, known, name) ? load : null;
        KvError? failed = (await CallAsync<bool>(model => model.Renew(mine, told) is { } error ? error : true, deadline)).Error;
        if (failed is null && told is not null) loads.OnPublished(told);
        return failed;
    }

    /// <inheritdoc/>
    public async ValueTask<Result<ClusterState>> ReadAsync(TimeSpan deadline) =>
        Note(await CallAsync<ClusterState>(model => model.Read(), deadline));

    /// <inheritdoc/>
    public async ValueTask<Result<ClusterState>> WaitAsync(long revision, TimeSpan deadline)
    {
        bool first = random.Chance(0.2);
        Result<ClusterState> state = await network.CallAsync<EtcdModel, ClusterState>(
            process, name, time, "etcd", async model =>
            {
                ClusterState found = await model.WaitAsync(revision, first);
                if (random.Chance(0.05)) await etcd.Process.DelayAsync(random.NextTicks(0, Ticks.Second));
                return found;
            }, deadline, mayRepeat: true);
        return Note(state);
    }

    /// <inheritdoc/>
    public ValueTask<Result<ClusterState>> CommitAsync(ClusterChange change, TimeSpan deadline)
    {
        long mine = token;
        return CallAsync(model => model.Commit(mine, change), deadline);
    }

    /// <inheritdoc/>
    public async ValueTask<KvError?> LeaveAsync(TimeSpan deadline)
    {
        long mine = token;
        return (await CallAsync<bool>(model =>
        {
            model.Leave(mine);
            return true;
        }, deadline)).Error;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private Result<ClusterState> Note(Result<ClusterState> state)
    {
        if (state.IsOk && (known is null || state.Value.Revision > known.Revision)) known = state.Value;
        return state;
    }

    private async ValueTask<Result<T>> CallAsync<T>(Func<EtcdModel, Result<T>> serve, TimeSpan deadline)
    {
        Result<T> answer = await network.CallAsync<EtcdModel, T>(
            process, name, time, "etcd", model => ValueTask.FromResult(model.IsUp
                ? serve(model)
                : new KvError(ErrorCode.Unavailable, "etcd", "the connection was refused")),
            deadline, mayRepeat: false);
        return answer;
    }
}
