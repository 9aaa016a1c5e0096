namespace KvTier.Cluster.Tests;

/// <summary>
/// The facts that silos share, in memory: leases that expire by a clock, one guarded map. Each silo gets a <see cref="ModelSession"/> whose
/// way to
/// it can be cut.
/// </summary>
internal sealed class ModelEngine(TimeProvider time)
{
    private readonly Dictionary<string, Lease> leases = new(StringComparer.Ordinal);
    private ClusterMap map = new("test", 0, 0, [], new ClusterSettings(), new Dictionary<BlockId, string>());
    private long revision = 1;

    /// <summary>True while nobody reaches it. Leases last on: etcd gives them their whole time again when it is back.</summary>
    public bool IsDown { get; private set; }

    public ClusterMap Map => map;

    /// <summary>Every map there has been.</summary>
    public List<ClusterMap> History { get; } = [];

    /// <summary>Called after each change.</summary>
    public Action? Changed { get; set; }

    public void Stop() => IsDown = true;

    public void Restart()
    {
        IsDown = false;
        foreach (Lease lease in leases.Values) lease.Until = Now + lease.Ttl;
    }

    /// <summary>It loses all that it knew, as an etcd that is set up anew.</summary>
    public void Forget()
    {
        leases.Clear();
        map = new("test", 0, 0, [], new ClusterSettings(), new Dictionary<BlockId, string>());
        revision = 0;
        Touch();
    }

    public ClusterState Read()
    {
        Expire();
        return new ClusterState(
            revision, map, [.. leases.Values.Select(lease => lease.Silo)],
            leases.Values.Where(lease => lease.Load is not null).ToDictionary(lease => lease.Silo.Name, lease => lease.Load!));
    }

    /// <summary>Ends the leases that have run out; called by the clock's driver, so that watches see it.</summary>
    public void Expire()
    {
        if (IsDown) return;
        string[] gone = [.. leases.Where(each => each.Value.Until <= Now).Select(each => each.Key)];
        foreach (string name in gone) leases.Remove(name);
        if (gone.Length > 0) Touch();
    }

    public Result<ClusterState> Join(SiloEntry self, TimeSpan ttl, object session)
    {
        Expire();
        if (leases.ContainsKey(self.Name)) return new KvError(ErrorCode.Conflict, "cluster.name", self.Name, "a free name");
        leases[self.Name] = new Lease(self, ttl, session) { Until = Now + ttl };
        Touch();
        return Read();
    }

    public KvError? Renew(string name, object session, SiloLoad load)
    {
        Expire();
        if (!Holds(name, session)) return new KvError(ErrorCode.LeaseExpired, "cluster.lease");
        leases[name].Until = Now + leases[name].Ttl;
        leases[name].Load = load;
        revision++;
        return null;
    }

    public Result<ClusterState> Commit(string name, object session, ClusterChange change)
    {
        Expire();
        if (!Holds(name, session)) return new KvError(ErrorCode.Fenced, "cluster.lease");
        if (change.Epoch != map.Epoch) return new KvError(ErrorCode.Conflict, "cluster.epoch", $"{change.Epoch}", $"{map.Epoch}");
        var moved = new Dictionary<BlockId, string>(map.Moved);
        foreach ((BlockId group, string? silo) in change.Moved ?? new Dictionary<BlockId, string?>())
        {
            if (silo is null) moved.Remove(group);
            else moved[group] = silo;
        }

        long epoch = change.Makes;
        long membersEpoch = change.Silos is null ? map.MembersEpoch : epoch;
        map = new ClusterMap("test", epoch, membersEpoch, change.Silos ?? map.Silos, change.Settings ?? map.Settings, moved);
        History.Add(map);
        Touch();
        return Read();
    }

    public KvError? Leave(string name, object session)
    {
        if (!Holds(name, session)) return null;
        leases.Remove(name);
        Touch();
        return null;
    }

    private TimeSpan Now => time.GetElapsedTime(0);

    private bool Holds(string name, object session) => leases.TryGetValue(name, out Lease? lease) && lease.Session == session;

    private void Touch()
    {
        revision++;
        Changed?.Invoke();
    }

    private sealed class Lease(SiloEntry silo, TimeSpan ttl, object session)
    {
        public SiloEntry Silo => silo;

        public TimeSpan Ttl => ttl;

        public object Session => session;

        public TimeSpan Until { get; set; }

        public SiloLoad? Load { get; set; }
    }
}
