namespace KvTier.Cluster;

/// <summary>What a cluster is, written once when it is made.</summary>
/// <param name="Cluster">Its name.</param>
/// <param name="Version">Version of the keys and their values in etcd.</param>
/// <param name="Protocol">Version of the protocol that its silos speak.</param>
/// <param name="DiskFormat">Version of the disk format that they write.</param>
internal sealed record EtcdFormat(string Cluster, int Version, int Protocol, int DiskFormat)
{
    /// <summary>The version that this build reads and writes.</summary>
    public const int CurrentVersion = 1;

    /// <summary>Says whether a silo fits in.</summary>
    /// <param name="wanted">What the silo would have made of it.</param>
    /// <param name="prefix">Begin of the cluster's keys.</param>
    /// <returns>Null when it does, else what does not fit and what to do.</returns>
    public KvError? Check(EtcdFormat wanted, string prefix)
    {
        if (Version != wanted.Version)
            return Mismatch("cluster.format", wanted.Version, $"{Version}, that of the cluster; {SameBuild}");
        if (Cluster != wanted.Cluster)
        {
            return new KvError(
                ErrorCode.InvalidArgument, "cluster.name", wanted.Cluster,
                $"{Cluster}, whose keys are under {prefix} in etcd; another cluster needs a prefix of its own (cluster.etcdPrefix)");
        }

        if (Protocol != wanted.Protocol)
            return Mismatch("cluster.protocol", wanted.Protocol, $"{Protocol}, that of the cluster; {SameBuild}");
        return DiskFormat == wanted.DiskFormat
            ? null
            : Mismatch("cluster.diskFormat", wanted.DiskFormat, $"{DiskFormat}, that of the cluster; {SameBuild}");
    }

    private const string SameBuild = "run the build that its other silos run";

    private static KvError Mismatch(string field, int value, string limit) =>
        new(ErrorCode.VersionMismatch, field, value.ToString(System.Globalization.CultureInfo.InvariantCulture), limit);
}
