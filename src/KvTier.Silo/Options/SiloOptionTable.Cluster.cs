namespace KvTier.Silo;

/// <content>The options of a silo in a cluster.</content>
public static partial class SiloOptionTable
{
    private static IEnumerable<SiloOption> ClusterOptionList()
    {
        yield return UrlList("cluster.etcd", "URLs of etcd's members; empty for no cluster. `--etcd` is its short form.",
            o => o.Cluster.Etcd, (o, v) => o with { Cluster = o.Cluster with { Etcd = v } });
        yield return Name("cluster.name", "Name of the cluster to join.",
            o => o.Cluster.Name, (o, v) => o with { Cluster = o.Cluster with { Name = v } });
        yield return Endpoint("cluster.advertise", "Where clients and silos reach the native listener; empty for where it listens.",
            o => o.Cluster.Advertise, (o, v) => o with { Cluster = o.Cluster with { Advertise = v } });
        yield return Endpoint("cluster.respAdvertise", "Where they reach the RESP2 listener; empty for where it listens.",
            o => o.Cluster.RespAdvertise, (o, v) => o with { Cluster = o.Cluster with { RespAdvertise = v } });
        yield return Endpoint("cluster.httpAdvertise", "Where they reach the HTTP listener; empty for where it listens.",
            o => o.Cluster.HttpAdvertise, (o, v) => o with { Cluster = o.Cluster with { HttpAdvertise = v } });
        yield return Text("cluster.zone", "empty, or 1 to 128 characters of [a-z0-9._-]",
            "Failure domain: replicas go to different ones.", text => text.Length == 0 || Names.IsValid(text),
            o => o.Cluster.Zone, (o, v) => o with { Cluster = o.Cluster with { Zone = v } });
        yield return Number("cluster.leaseMs", 1000, 600_000, "That long after its last sign a silo counts as dead.",
            o => o.Cluster.LeaseMs, (o, v) => o with { Cluster = o.Cluster with { LeaseMs = (int)v } });
        yield return Number("cluster.replicas", 1, KvTier.ClusterSettings.ReplicasMax,
            "Silos that hold each group, when this silo begins a new cluster.",
            o => o.Cluster.Replicas, (o, v) => o with { Cluster = o.Cluster with { Replicas = (int)v } });
        yield return Number("cluster.joinDeadlineMs", 1, 3_600_000, "Longest that a start tries to join before it fails.",
            o => o.Cluster.JoinDeadlineMs, (o, v) => o with { Cluster = o.Cluster with { JoinDeadlineMs = (int)v } });
        yield return Number("cluster.leaveGraceMs", 0, 60_000, "How long a silo that leaves goes on saying who owns what.",
            o => o.Cluster.LeaveGraceMs, (o, v) => o with { Cluster = o.Cluster with { LeaveGraceMs = (int)v } });
        yield return Number("cluster.peerDeadlineMs", 10, 60_000, "Time for one call to another silo.",
            o => o.Cluster.PeerDeadlineMs, (o, v) => o with { Cluster = o.Cluster with { PeerDeadlineMs = (int)v } });
        yield return Number("cluster.catchUpMs", 0, 60_000, "Longest a request waits for the map to be as new as the client's.",
            o => o.Cluster.CatchUpMs, (o, v) => o with { Cluster = o.Cluster with { CatchUpMs = (int)v } });
        yield return Bytes("cluster.copyBytesPerSecond", 1 << 20, 1L << 40, "Most that copies to other silos take, replication aside.",
            o => o.Cluster.CopyBytesPerSecond, (o, v) => o with { Cluster = o.Cluster with { CopyBytesPerSecond = v } });
        yield return Number("cluster.hotReadsPerSecond", 0, 1_000_000,
            "Reads a second of a group above which it is replicated once more; 0 for never.",
            o => o.Cluster.HotReadsPerSecond, (o, v) => o with { Cluster = o.Cluster with { HotReadsPerSecond = (int)v } });
        yield return Number("cluster.highWatermark", 2, 100, "Percent of its capacity above which a silo lends groups to others.",
            o => o.Cluster.HighWatermark, (o, v) => o with { Cluster = o.Cluster with { HighWatermark = (int)v } });
        yield return Number("cluster.lowWatermark", 1, 99, "Percent of its capacity below which a silo takes such groups.",
            o => o.Cluster.LowWatermark, (o, v) => o with { Cluster = o.Cluster with { LowWatermark = (int)v } });
        yield return Secret("cluster.token", "Token that silos show each other; empty for `token`.",
            o => o.Cluster.Token, (o, v) => o with { Cluster = o.Cluster with { Token = v } });
        foreach (SiloOption option in EtcdOptionList()) yield return option;
    }

    private static IEnumerable<SiloOption> EtcdOptionList()
    {
        yield return Text("cluster.etcdPrefix", "/ and 1 to 255 characters, without a / at the end",
            "Begin of the cluster's keys; another cluster in the same etcd needs another one.",
            text => text.Length is >= 2 and <= 256 && text[0] == '/' && text[^1] != '/',
            o => o.Cluster.EtcdPrefix, (o, v) => o with { Cluster = o.Cluster with { EtcdPrefix = v } });
        yield return Text("cluster.etcdUser", "at most 128 characters", "User of etcd; empty for none.", text => text.Length <= 128,
            o => o.Cluster.EtcdUser, (o, v) => o with { Cluster = o.Cluster with { EtcdUser = v.Length == 0 ? null : v } });
        yield return Secret("cluster.etcdPassword", "Password of that user.",
            o => o.Cluster.EtcdPassword, (o, v) => o with { Cluster = o.Cluster with { EtcdPassword = v } });
        yield return FilePath("cluster.etcdCa", "Certificates (PEM) that etcd's must lead to; empty for the system's.", 4000,
            o => o.Cluster.EtcdCa, (o, v) => o with { Cluster = o.Cluster with { EtcdCa = v } });
        yield return FilePath("cluster.etcdCert", "Client certificate (PEM) that etcd is shown; empty for none.", 4000,
            o => o.Cluster.EtcdCert, (o, v) => o with { Cluster = o.Cluster with { EtcdCert = v } });
        yield return FilePath("cluster.etcdKey", "Its private key (PEM).", 4000,
            o => o.Cluster.EtcdKey, (o, v) => o with { Cluster = o.Cluster with { EtcdKey = v } });
    }

    private static SiloOption Endpoint(
        string name, string help, Func<SiloOptions, string?> get, Func<SiloOptions, string?, SiloOptions> set) =>
        Text(name, HostPort.Form, help, text => text.Length == 0 || HostPort.TryParse(text, out _, out _), get,
            (o, v) => set(o, v.Length == 0 ? null : v));

    private static SiloOption UrlList(
        string name, string help, Func<SiloOptions, IReadOnlyList<string>> get,
        Func<SiloOptions, IReadOnlyList<string>, SiloOptions> set)
    {
        const string allowed = "http or https URLs without a path, separated by commas";
        return new SiloOption(
            name, "list", allowed, help,
            o => string.Join(',', get(o)),
            (o, text) =>
            {
                string[] urls = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
                return Array.Find(urls, url => !SiloClusterCheck.IsEtcdUrl(url)) is { } wrong
                    ? KvError.InvalidArgument(name, wrong, allowed)
                    : set(o, urls);
            },
            o => get(o).FirstOrDefault(url => !SiloClusterCheck.IsEtcdUrl(url)) is { } wrong
                ? KvError.InvalidArgument(name, wrong, allowed)
                : null);
    }
}
