using KvTier.Testing;
using static KvTier.Cluster.Tests.EtcdCluster;

namespace KvTier.Cluster.Tests;

public sealed class EtcdJoinTests
{
    [Fact]
    public async Task JoinAsync_FirstSilo_MakesTheClusterAndIsAlive()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine engine = Engine(etcd);
        ClusterState state = (await engine.JoinAsync(Silo("a", "data-a"), Ttl, Long)).Value;
        Assert.Equal(Silo("a", "data-a"), Assert.Single(state.Alive));
        Assert.Equal(0, state.Map.Epoch);
        Assert.Empty(state.Map.Silos);
        Assert.Equal(2, state.Map.Settings.Replicas);
        Assert.Equal(
            ["/kvtier/data/data-a", "/kvtier/epoch", "/kvtier/format", "/kvtier/membersEpoch", "/kvtier/settings", "/kvtier/silos/a"],
            await etcd.KeysAsync("/kvtier/"));
    }

    [Fact]
    public async Task JoinAsync_NameOfALivingSilo_IsAConflictThatNamesIt()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine first = Engine(etcd);
        await using EtcdEngine second = Engine(etcd);
        Assert.True((await first.JoinAsync(Silo("a", "data-a"), Ttl, Long)).IsOk);
        KvError error = (await second.JoinAsync(Silo("a", "data-b"), Ttl, Long)).Error!;
        Assert.Equal(ErrorCode.Conflict, error.Code);
        Assert.Equal("silo.name", error.Field);
        Assert.Contains("a at a.test:7420", error.Value, StringComparison.Ordinal);
        Assert.Contains("another name", error.Limit, StringComparison.Ordinal);
        Assert.Null(await first.RenewAsync(new SiloLoad(), Long));
    }

    [Fact]
    public async Task JoinAsync_DataDirectoryOfALivingSilo_IsAConflictThatNamesIt()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine first = Engine(etcd);
        await using EtcdEngine second = Engine(etcd);
        Assert.True((await first.JoinAsync(Silo("a", "data"), Ttl, Long)).IsOk);
        KvError error = (await second.JoinAsync(Silo("b", "data"), Ttl, Long)).Error!;
        Assert.Equal(ErrorCode.Conflict, error.Code);
        Assert.Equal("silo.dataDirectory", error.Field);
        Assert.Contains("a at a.test:7420", error.Value, StringComparison.Ordinal);
        Assert.Contains("a data directory of its own", error.Limit, StringComparison.Ordinal);
        Assert.Single((await first.ReadAsync(Long)).Value.Alive);
    }

    [Fact]
    public async Task JoinAsync_OtherClusterName_IsRefusedWithTheStoredName()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine first = Engine(etcd);
        await using EtcdEngine second = Engine(etcd, "tset");
        Assert.True((await first.JoinAsync(Silo("a"), Ttl, Long)).IsOk);
        KvError error = (await second.JoinAsync(Silo("b"), Ttl, Long)).Error!;
        Assert.Equal((ErrorCode.InvalidArgument, "cluster.name", "tset"), (error.Code, error.Field, error.Value));
        Assert.StartsWith("test, whose keys are under /kvtier", error.Limit, StringComparison.Ordinal);
        await using EtcdEngine beside = Engine(Options(etcd.Endpoint) with { Prefix = "/other" }, "tset");
        Assert.Equal("b", Assert.Single((await beside.JoinAsync(Silo("b"), Ttl, Long)).Value.Alive).Name);
    }

    [Theory]
    [InlineData(2, 2, "cluster.protocol", "2", "1")]
    [InlineData(1, 1, "cluster.diskFormat", "1", "2")]
    public async Task JoinAsync_OtherVersion_IsRefusedWithTheClusters(int protocol, int disk, string field, string value, string limit)
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine first = Engine(etcd);
        await using EtcdEngine second = Engine(etcd);
        Assert.True((await first.JoinAsync(Silo("a"), Ttl, Long)).IsOk);
        KvError error = (await second.JoinAsync(Silo("b") with { Protocol = protocol, DiskFormat = disk }, Ttl, Long)).Error!;
        Assert.Equal((ErrorCode.VersionMismatch, field, value), (error.Code, error.Field, error.Value));
        Assert.StartsWith(limit + ", that of the cluster", error.Limit, StringComparison.Ordinal);
    }

    [Fact]
    public async Task JoinAsync_AfterAnEarlierStartOfTheSameSilo_TakesItsPlaceAtOnce()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine killed = Engine(etcd);
        await using EtcdEngine restarted = Engine(etcd);
        Assert.True((await killed.JoinAsync(Silo("a", "data"), TimeSpan.FromMinutes(5), Long)).IsOk);
        SiloEntry moved = Silo("a", "data") with { Endpoint = "elsewhere.test:7420" };
        Assert.Equal(moved, Assert.Single((await restarted.JoinAsync(moved, Ttl, Long)).Value.Alive));

        // The earlier start, should it live after all, learns that it lost its lease, and can't take it back.
        Assert.Equal(ErrorCode.LeaseExpired, (await killed.RenewAsync(new SiloLoad(), Long))?.Code);
        Assert.Equal(ErrorCode.Conflict, (await killed.JoinAsync(Silo("a", "data"), Ttl, Long)).Error?.Code);
        Assert.Null(await restarted.RenewAsync(new SiloLoad(), Long));
    }

    [Fact]
    public async Task JoinAsync_AgainInOneStart_TakesItsOwnPlace()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine engine = Engine(etcd);
        Assert.True((await engine.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        Assert.Single((await engine.JoinAsync(Silo("a"), Ttl, Long)).Value.Alive);
        Assert.Null(await engine.RenewAsync(new SiloLoad(), Long));
    }

    [Fact]
    public async Task JoinAsync_NameThatIsNone_IsRefused()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine engine = Engine(etcd);
        Assert.Equal("silo.name", (await engine.JoinAsync(Silo("A/b"), Ttl, Long)).Error?.Field);
        Assert.Equal("silo.dataId", (await engine.JoinAsync(Silo("a", "x/y"), Ttl, Long)).Error?.Field);
    }
}
