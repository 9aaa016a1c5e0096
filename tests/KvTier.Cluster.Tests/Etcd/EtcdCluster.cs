using KvTier.Testing;

namespace KvTier.Cluster.Tests;

/// <summary>What tests of the engine on etcd share.</summary>
internal static class EtcdCluster
{
    /// <summary>Of a lease that is to last, on a machine that stalls too.</summary>
    public static readonly TimeSpan Ttl = TimeSpan.FromMinutes(5);

    /// <summary>For calls that are to succeed, on a machine that is busy.</summary>
    public static readonly TimeSpan Long = TimeSpan.FromSeconds(60);

    public static EtcdOptions Options(params IReadOnlyList<Uri> endpoints) =>
        new() { Endpoints = endpoints, WatchSilence = TimeSpan.FromSeconds(1) };

    public static EtcdEngine Engine(EtcdProcess etcd, string cluster = "test") => Engine(Options(etcd.Endpoint), cluster);

    public static EtcdEngine Engine(EtcdOptions options, string cluster = "test") =>
        EtcdEngine.Create(options, new ClusterOptions { Cluster = cluster, Replicas = 2 }, TimeProvider.System).Value;

    public static SiloEntry Silo(string name, string dataId = "") => new()
    {
        Name = name,
        Endpoint = $"{name}.test:7420",
        CapacityBytes = 1 << 30,
        Protocol = 1,
        DiskFormat = 2,
        DataId = dataId,
    };

    /// <summary>Waits for a state that fits.</summary>
    public static async Task<ClusterState> WhenAsync(IClusterEngine engine, Func<ClusterState, bool> fits)
    {
        long begin = TimeProvider.System.GetTimestamp();
        long revision = -1;
        while (true)
        {
            TimeSpan left = Long - TimeProvider.System.GetElapsedTime(begin);
            Assert.True(left > TimeSpan.Zero, "the state did not come about in time");
            Result<ClusterState> next = await engine.WaitAsync(revision, left);
            if (next.IsOk && fits(next.Value)) return next.Value;
            if (next.IsOk) revision = next.Value.Revision;
            else await Task.Delay(50);
        }
    }

    /// <summary>Registers a silo under a lease that runs out a second after it published a load. On a machine that stalls it may run out
    /// before that; then it registers again.</summary>
    public static async Task JoinBrieflyAsync(IClusterEngine engine, SiloEntry silo)
    {
        KvError? error = null;
        for (int tries = 0; tries < 20; tries++)
        {
            error = (await engine.JoinAsync(silo, TimeSpan.FromSeconds(1), Long)).Error
                ?? await engine.RenewAsync(new SiloLoad { Blocks = 1 }, Long);
            if (error?.Code is not ErrorCode.LeaseExpired) break;
        }

        Assert.Null(error);
    }

    /// <summary>Makes a registered silo a member.</summary>
    public static async Task<ClusterState> AdmitAsync(IClusterEngine engine, SiloEntry silo)
    {
        ClusterMap map = (await engine.ReadAsync(Long)).Value.Map;
        SiloEntry member = silo with { JoinedEpoch = map.Epoch + 1 };
        return (await engine.CommitAsync(new ClusterChange(map.Epoch) { Silos = [.. map.Silos, member] }, Long)).Value;
    }
}
