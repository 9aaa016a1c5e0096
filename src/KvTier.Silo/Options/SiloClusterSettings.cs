using KvTier.Cluster;

namespace KvTier.Silo;

/// <summary>How the silo takes part in a cluster; without etcd it is one of its own.</summary>
public sealed record SiloClusterSettings
{
    /// <summary>URLs of etcd's members, such as <c>http://10.0.0.2:2379</c>; empty for no cluster. Default empty.</summary>
    public IReadOnlyList<string> Etcd { get; init; } = [];

    /// <summary>Name of the cluster. Default <c>kvtier</c>.</summary>
    public string Name { get; init; } = "kvtier";

    /// <summary>
    /// Address (<c>host:port</c>) at which clients and other silos reach the native listener; null for the listener's own. Default null.
    /// </summary>
    public string? Advertise { get; init; }

    /// <summary>The same for the RESP2 listener. Default null.</summary>
    public string? RespAdvertise { get; init; }

    /// <summary>The same for the HTTP listener. Default null.</summary>
    public string? HttpAdvertise { get; init; }

    /// <summary>Failure domain; replicas go to different ones. Default empty.</summary>
    public string Zone { get; init; } = "";

    /// <summary>Lease in etcd, in ms: that long after its last sign a silo counts as dead. Default 3,000.</summary>
    public int LeaseMs { get; init; } = 3000;

    /// <summary>Silos that hold each group when this silo begins a new cluster. Default 1.</summary>
    public int Replicas { get; init; } = 1;

    /// <summary>Begin of the cluster's keys in etcd; another cluster in the same etcd needs another one. Default <c>/kvtier</c>.</summary>
    public string EtcdPrefix { get; init; } = "/kvtier";

    /// <summary>User of etcd; null for none. Default null.</summary>
    public string? EtcdUser { get; init; }

    /// <summary>Password of that user. Default null.</summary>
    public string? EtcdPassword { get; init; }

    /// <summary>File with the certificates (PEM) that etcd's own must lead to; null for those of the system. Default null.</summary>
    public string? EtcdCa { get; init; }

    /// <summary>File with the client certificate (PEM) that etcd is shown; null for none. Default null.</summary>
    public string? EtcdCert { get; init; }

    /// <summary>File with its private key (PEM). Default null.</summary>
    public string? EtcdKey { get; init; }

    /// <summary>Longest that a start tries to join, in ms. Default 30,000.</summary>
    public int JoinDeadlineMs { get; init; } = 30_000;

    /// <summary>Longest that a silo which leaves goes on answering who owns what, in ms. Default 1,000.</summary>
    public int LeaveGraceMs { get; init; } = 1000;

    /// <summary>Time for one call to another silo, in ms. Default 2,000.</summary>
    public int PeerDeadlineMs { get; init; } = 2000;

    /// <summary>Longest that a request waits for the map to become as new as the client's, in ms. Default 500.</summary>
    public int CatchUpMs { get; init; } = 500;

    /// <summary>Bytes a second that copies to other silos may take, replication not counted. Default 256 MiB.</summary>
    public long CopyBytesPerSecond { get; init; } = 256L << 20;

    /// <summary>Reads a second of a group above which it is replicated once more; 0 for never. Default 500.</summary>
    public int HotReadsPerSecond { get; init; } = 500;

    /// <summary>Share of its capacity, in percent, above which a silo lends groups to others. Default 90.</summary>
    public int HighWatermark { get; init; } = 90;

    /// <summary>Share of its capacity, in percent, below which a silo takes such groups. Default 70.</summary>
    public int LowWatermark { get; init; } = 70;

    /// <summary>Token that silos show each other; null for the one of clients. Default null.</summary>
    public string? Token { get; init; }

    /// <summary>True when the silo joins a cluster.</summary>
    public bool IsOn => Etcd.Count > 0;

    /// <summary>What the cluster's code is told.</summary>
    internal ClusterOptions ToClusterOptions() => new()
    {
        Cluster = Name,
        LeaseTtl = TimeSpan.FromMilliseconds(LeaseMs),
        Replicas = Replicas,
        CatchUp = TimeSpan.FromMilliseconds(CatchUpMs),
        PeerDeadline = TimeSpan.FromMilliseconds(PeerDeadlineMs),
        CopyBytesPerSecond = CopyBytesPerSecond,
        HotReadsPerSecond = HotReadsPerSecond,
        HighWatermark = HighWatermark / 100.0,
        LowWatermark = LowWatermark / 100.0,
    };
}
