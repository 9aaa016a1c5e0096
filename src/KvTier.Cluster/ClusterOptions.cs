namespace KvTier.Cluster;

/// <summary>How a silo takes part in a cluster.</summary>
public sealed record ClusterOptions
{
    /// <summary>Name of the cluster; a silo that says another one is refused. Default <c>kvtier</c>.</summary>
    public string Cluster { get; init; } = "kvtier";

    /// <summary>How long a silo counts as alive without renewing its lease. Default 3 s.</summary>
    public TimeSpan LeaseTtl { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Replicas that a new cluster begins with, 1 to 3. Default 1.</summary>
    public int Replicas { get; init; } = 1;

    /// <summary>Longest that a request waits for the silo's map to become as new as the sender's. Default 500 ms.</summary>
    public TimeSpan CatchUp { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Time for one call to another silo. Default 2 s.</summary>
    public TimeSpan PeerDeadline { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Bytes a second that copies to other silos may take, replication not counted. Default 256 MiB.</summary>
    public long CopyBytesPerSecond { get; init; } = 256L << 20;

    /// <summary>Reads a second of a group above which it is replicated once more; 0 for never. Default 500.</summary>
    public int HotReadsPerSecond { get; init; } = 500;

    /// <summary>Share of its capacity above which a silo lends groups to others. Default 0.9.</summary>
    public double HighWatermark { get; init; } = 0.9;

    /// <summary>Share of its capacity below which a silo borrows. Default 0.7.</summary>
    public double LowWatermark { get; init; } = 0.7;

    /// <summary>Checks every option.</summary>
    /// <returns>Null when all are valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (!Names.IsValid(Cluster)) return KvError.InvalidArgument("cluster.name", Cluster, "1 to 128 characters of [a-z0-9._-]");
        if (LeaseTtl < TimeSpan.FromSeconds(1) || LeaseTtl > TimeSpan.FromMinutes(10))
            return KvError.InvalidArgument("cluster.leaseMs", LeaseTtl, "1 s to 10 min");
        if (Replicas is < 1 or > ClusterSettings.ReplicasMax)
            return KvError.InvalidArgument("cluster.replicas", Replicas, $"1 to {ClusterSettings.ReplicasMax}");
        if (CatchUp < TimeSpan.Zero) return KvError.InvalidArgument("cluster.catchUpMs", CatchUp, "0 or more");
        if (PeerDeadline <= TimeSpan.Zero) return KvError.InvalidArgument("cluster.peerDeadlineMs", PeerDeadline, "above 0");
        if (CopyBytesPerSecond < 1 << 20) return KvError.InvalidArgument("cluster.copyBytesPerSecond", CopyBytesPerSecond, "1 MiB or more");
        if (HotReadsPerSecond < 0) return KvError.InvalidArgument("cluster.hotReadsPerSecond", HotReadsPerSecond, "0 or more");
        return LowWatermark is > 0 and < 1 && HighWatermark > LowWatermark && HighWatermark <= 1
            ? null
            : KvError.InvalidArgument("cluster.lowWatermark", LowWatermark, "0 < lowWatermark < highWatermark <= 1");
    }
}
