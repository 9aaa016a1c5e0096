using System.Globalization;
using System.Text;
using System.Text.Json;
using KvTier.Testing;
using static KvTier.Cluster.Tests.EtcdCluster;

namespace KvTier.Cluster.Tests;

public sealed class EtcdLeaseTests
{
    [Fact]
    public async Task RenewAsync_WithinTheLease_KeepsTheSiloAliveAndPublishesItsLoad()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine a = Engine(etcd);
        await using EtcdEngine b = Engine(etcd);
        Assert.True((await a.JoinAsync(Silo("a"), TimeSpan.FromSeconds(60), Long)).IsOk);
        Assert.True((await b.JoinAsync(Silo("b"), TimeSpan.FromMinutes(5), Long)).IsOk);
        var load = new SiloLoad { UsedBytes = 5, Blocks = 4, HostBytes = 3, RequestsPerSecond = 2.5, SettledEpoch = 1 };

        // A lease that runs out while this test waits runs out on a machine that stalls too: etcd is asked how much of it is left.
        (long granted, long left) = await LeaseOfAsync(etcd, "a");
        Assert.Equal(60, granted);
        for (; left > 54; (_, left) = await LeaseOfAsync(etcd, "a")) await Task.Delay(200, TestContext.Current.CancellationToken);
        Assert.Null(await a.RenewAsync(load, Long));
        Assert.InRange((await LeaseOfAsync(etcd, "a")).Left, 55, 60);
        ClusterState state = await WhenAsync(b, state => state.Loads.Count == 1);
        Assert.Equal(["a", "b"], state.Alive.Select(silo => silo.Name));
        Assert.Equal(load, state.Loads["a"]);
    }

    [Fact]
    public async Task RenewAsync_AfterTheLeaseRanOut_SaysSoAndOthersSeeIt()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine a = Engine(etcd);
        await using EtcdEngine b = Engine(etcd);
        await JoinBrieflyAsync(a, Silo("a", "data"));
        Assert.True((await b.JoinAsync(Silo("b"), TimeSpan.FromMinutes(5), Long)).IsOk);
        ClusterState gone = await WhenAsync(b, state => state.Alive.Count == 1);
        Assert.Equal("b", gone.Alive[0].Name);
        Assert.Empty(gone.Loads);
        Assert.Equal(ErrorCode.LeaseExpired, (await a.RenewAsync(new SiloLoad(), Long))?.Code);
        Assert.True((await a.JoinAsync(Silo("a", "data"), Ttl, Long)).IsOk);
    }

    [Fact]
    public async Task LeaveAsync_EndsTheLeaseAtOnceAndCanBeRepeated()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine a = Engine(etcd);
        await using EtcdEngine b = Engine(etcd);
        Assert.True((await a.JoinAsync(Silo("a", "data"), TimeSpan.FromMinutes(5), Long)).IsOk);
        Assert.True((await b.JoinAsync(Silo("b"), TimeSpan.FromMinutes(5), Long)).IsOk);
        Assert.Null(await a.LeaveAsync(Long));
        Assert.Null(await a.LeaveAsync(Long));
        await WhenAsync(b, state => state.Alive.Count == 1);
        Assert.Equal(ErrorCode.LeaseExpired, (await a.RenewAsync(new SiloLoad(), Long))?.Code);
        Assert.DoesNotContain("/kvtier/data/data", await etcd.KeysAsync("/kvtier/"));
    }

    /// <summary>Seconds that a silo's lease was granted for, and those that are left of it.</summary>
    private static async Task<(long Granted, long Left)> LeaseOfAsync(EtcdProcess etcd, string silo)
    {
        string key = Convert.ToBase64String(Encoding.UTF8.GetBytes($"/kvtier/silos/{silo}"));
        JsonElement found = (await etcd.CallAsync("/v3/kv/range", new { key })).GetProperty("kvs")[0];
        var asked = new Dictionary<string, string?> { ["ID"] = found.GetProperty("lease").GetString() };
        JsonElement lease = await etcd.CallAsync("/v3/lease/timetolive", asked);
        return (SecondsOf("grantedTTL"), SecondsOf("TTL"));

        long SecondsOf(string name) => long.Parse(lease.GetProperty(name).GetString()!, CultureInfo.InvariantCulture);
    }
}
