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
        Assert.True((await a.JoinAsync(Silo("a"), Ttl, Long)).IsOk);
        Assert.True((await b.JoinAsync(Silo("b"), TimeSpan.FromMinutes(5), Long)).IsOk);
        var load = new SiloLoad { UsedBytes = 5, Blocks = 4, HostBytes = 3, RequestsPerSecond = 2.5, SettledEpoch = 1 };
        long begin = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(begin) < 2 * Ttl)
        {
            Assert.Null(await a.RenewAsync(load, Long));
            await Task.Delay(200, TestContext.Current.CancellationToken);
        }

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
        Assert.True((await a.JoinAsync(Silo("a", "data"), TimeSpan.FromSeconds(1), Long)).IsOk);
        Assert.Null(await a.RenewAsync(new SiloLoad { Blocks = 1 }, Long));
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
}
