namespace KvTier.Cluster;

/// <summary>
/// Says when a silo publishes its load: at once when it has settled another epoch or has come to know other members, else only when it has
/// changed by much, and so that all silos together write at most <see cref="WritesPerSecond"/> times a second: each write goes to all.
/// </summary>
internal sealed class EtcdLoads(TimeProvider time)
{
    /// <summary>Writes of load in the whole cluster, a second, at most: each of N silos waits N / 20 s, and never under 2 s.</summary>
    public const int WritesPerSecond = 20;

    private static readonly TimeSpan intervalMin = TimeSpan.FromSeconds(2);
    private SiloLoad? last;
    private long lastAt;

    /// <summary>Forgets what was published: it went with the lease.</summary>
    public void Clear() => last = null;

    /// <summary>True when a load is to be published.</summary>
    /// <param name="load">The load.</param>
    /// <param name="state">The state of the cluster; null when it is unknown.</param>
    /// <param name="self">Name of the silo.</param>
    public bool IsDue(SiloLoad load, ClusterState? state, string self)
    {
        if (last is null || load.SettledEpoch != last.SettledEpoch) return true;
        if (load.Epoch > last.Epoch && state is not null && state.Map.MembersEpoch > last.Epoch) return true;
        TimeSpan interval = TimeSpan.FromSeconds((double)(state?.Alive.Count ?? 1) / WritesPerSecond);
        return time.GetElapsedTime(lastAt) >= (interval > intervalMin ? interval : intervalMin)
            && (IsOverwritten(state, self) || load.Epoch != last.Epoch
                || Differs(load.UsedBytes, last.UsedBytes) || Differs(load.HostBytes, last.HostBytes)
                || Differs(load.Blocks, last.Blocks) || Differs(load.RequestsPerSecond, last.RequestsPerSecond));
    }

    /// <summary>Notes what was published.</summary>
    public void OnPublished(SiloLoad load) => (last, lastAt) = (load, time.GetTimestamp());

    /// <summary>True when etcd shows another load than was published last: a write that was given up for lost came after it.</summary>
    private bool IsOverwritten(ClusterState? state, string self) =>
        state is not null && last is not null && state.Loads.TryGetValue(self, out SiloLoad? shown)
        && (shown.SettledEpoch, shown.Epoch) != (last.SettledEpoch, last.Epoch);

    /// <summary>By 2 % or more, or from or to zero.</summary>
    private static bool Differs(double now, double before) => Math.Abs(now - before) > 0.02 * Math.Abs(before);
}
