using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>
/// What etcd is to the cluster: leases that run out by its clock, one map with a number, and changes guarded by it. While it is down
/// nothing runs out; when it is back every lease has its whole time again, as after an election.
/// </summary>
internal sealed class EtcdModel
{
    private const int HistoryMax = 64;

    private readonly SimScheduler scheduler;
    private readonly SimTrace trace;
    private readonly string cluster;
    private readonly SortedDictionary<string, Lease> leases = new(StringComparer.Ordinal);
    private readonly List<ClusterState> history = [];
    private List<TaskCompletionSource> waiting = [];
    private long revision;
    private long lastToken;

    internal EtcdModel(SimScheduler scheduler, SimTrace trace, string cluster, ClusterSettings settings)
    {
        this.scheduler = scheduler;
        this.trace = trace;
        this.cluster = cluster;
        Process = new SimProcess(scheduler, "etcd");
        Map = new ClusterMap(cluster, 0, 0, [], settings, new Dictionary<BlockId, string>());
        Publish();
    }

    /// <summary>Its process.</summary>
    internal SimProcess Process { get; }

    /// <summary>The newest map.</summary>
    internal ClusterMap Map { get; private set; }

    /// <summary>The newest state.</summary>
    internal ClusterState State => history[^1];

    /// <summary>Counts what silos ask of it, and what it tells them.</summary>
    internal SimTraffic Traffic { get; } = new();

    /// <summary>False while it answers nobody.</summary>
    internal bool IsUp { get; private set; } = true;

    /// <summary>Every map there ever was, by epoch: what a silo's map of that epoch must be.</summary>
    internal Dictionary<long, ClusterMap> Maps { get; } = [];

    /// <summary>It goes away: its requests fail, and nothing runs out.</summary>
    internal void GoDown() => IsUp = false;

    /// <summary>It is back.</summary>
    internal void ComeBack()
    {
        IsUp = true;
        foreach (Lease lease in leases.Values) Extend(lease);
        TellWaiting();
    }

    /// <summary>Registers a silo.</summary>
    /// <returns>The number of its lease; or a conflict.</returns>
    internal Result<long> Join(SiloEntry self, TimeSpan ttl)
    {
        Traffic.Joins++;
        foreach (Lease lease in leases.Values)
        {
            if (lease.Self.Name == self.Name || (self.DataId.Length > 0 && lease.Self.DataId == self.DataId))
                return new KvError(ErrorCode.Conflict, "silo.name", self.Name, $"a name that no living silo has: {lease.Self.Name}");
        }

        var granted = new Lease(++lastToken, self, ttl);
        leases.Add(self.Name, granted);
        Extend(granted);
        trace.Add("etcd", $"lease {granted.Token} for {self.Name}");
        Publish();
        return granted.Token;
    }

    /// <summary>Renews a lease.</summary>
    /// <param name="token">Its number.</param>
    /// <param name="load">The load that is written after it; null for none.</param>
    internal KvError? Renew(long token, SiloLoad? load)
    {
        Traffic.Renewals++;
        if (Find(token) is not { } lease) return new KvError(ErrorCode.LeaseExpired, "lease", $"{token}");
        Extend(lease);
        if (load is null) return null;
        Traffic.LoadWrites++;
        lease.Load = load;
        Publish();
        return null;
    }

    /// <summary>Ends a lease.</summary>
    internal void Leave(long token)
    {
        if (Find(token) is { } lease) End(lease, "left");
    }

    /// <summary>Makes a change of the map.</summary>
    internal Result<ClusterState> Commit(long token, ClusterChange change)
    {
        Traffic.Commits++;
        if (Find(token) is null) return new KvError(ErrorCode.Fenced, "lease", $"{token}");
        if (change.Epoch != Map.Epoch) return new KvError(ErrorCode.Conflict, "epoch", $"{change.Epoch}", $"{Map.Epoch}");
        Dictionary<BlockId, string> moved = new(Map.Moved);
        foreach ((BlockId group, string? silo) in change.Moved ?? new Dictionary<BlockId, string?>())
        {
            if (silo is null) moved.Remove(group);
            else moved[group] = silo;
        }

        bool isOfMembers = change.Silos is not null || change.Settings is not null;
        Map = new ClusterMap(
            cluster, change.Makes, isOfMembers ? change.Makes : Map.MembersEpoch, change.Silos ?? Map.Silos,
            change.Settings ?? Map.Settings, moved);
        string silos = string.Join(' ', Map.Silos.Select(silo => $"{silo.Name}@{silo.JoinedEpoch}{(silo.Draining ? "-" : "")}"));
        trace.Add("etcd", $"epoch {Map.Epoch} members {Map.MembersEpoch}: {silos}; {moved.Count} moved, by lease {token}");
        Publish();
        return State;
    }

    /// <summary>Reads the state.</summary>
    internal ClusterState Read()
    {
        Traffic.Reads++;
        return State;
    }

    /// <summary>A state that is newer than a revision: mostly the newest, sometimes the one that came first.</summary>
    internal async ValueTask<ClusterState> WaitAsync(long after, bool first)
    {
        while (State.Revision <= after || !IsUp)
        {
            var next = new TaskCompletionSource();
            waiting.Add(next);
            await next.Task;
        }

        return first ? history.Find(state => state.Revision > after)! : State;
    }

    private Lease? Find(long token) => leases.Values.FirstOrDefault(lease => lease.Token == token);

    private void Extend(Lease lease)
    {
        lease.ExpiresAt = scheduler.Now + lease.Ttl.Ticks;
        Watch(lease);
    }

    private void Watch(Lease lease)
    {
        long expected = lease.ExpiresAt;
        scheduler.Enqueue(Process, expected, _ =>
        {
            if (IsUp && lease.ExpiresAt == expected && Find(lease.Token) == lease) End(lease, "ran out");
        }, null);
    }

    private void End(Lease lease, string why)
    {
        leases.Remove(lease.Self.Name);
        trace.Add("etcd", $"lease {lease.Token} of {lease.Self.Name} {why}");
        Publish();
    }

    private void Publish()
    {
        var loads = leases.Values.Where(lease => lease.Load is not null).ToDictionary(lease => lease.Self.Name, lease => lease.Load!);
        history.Add(new ClusterState(++revision, Map, [.. leases.Values.Select(lease => lease.Self)], loads));
        if (history.Count > HistoryMax) history.RemoveAt(0);
        Maps[Map.Epoch] = Map;
        Traffic.WatchMessages += leases.Count;
        TellWaiting();
    }

    private void TellWaiting()
    {
        List<TaskCompletionSource> told = waiting;
        waiting = [];
        foreach (TaskCompletionSource each in told) each.TrySetResult();
    }

    private sealed class Lease(long token, SiloEntry self, TimeSpan ttl)
    {
        public long Token => token;

        public SiloEntry Self => self;

        public TimeSpan Ttl => ttl;

        public long ExpiresAt { get; set; }

        public SiloLoad? Load { get; set; }
    }
}
