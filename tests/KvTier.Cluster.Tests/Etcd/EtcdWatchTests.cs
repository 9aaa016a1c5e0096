using KvTier.Testing;
using static KvTier.Cluster.Tests.EtcdCluster;

namespace KvTier.Cluster.Tests;

public sealed class EtcdWatchTests
{
    [Fact]
    public async Task WaitAsync_NothingChanges_EndsByItsDeadline()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine a = Engine(etcd);
        ClusterState state = (await a.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).Value;
        Result<ClusterState> waited = await a.WaitAsync(state.Revision, TimeSpan.FromMilliseconds(300));
        Assert.Equal(ErrorCode.DeadlineExceeded, waited.Error?.Code);
    }

    [Fact]
    public async Task WaitAsync_EtcdKilledAndStartedAgain_GoesOnWithTheChangesSince()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine a = Engine(etcd);
        await using EtcdEngine b = Engine(etcd);
        Assert.True((await a.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await AdmitAsync(a, Silo("a"));
        ClusterState before = await WhenAsync(b, state => state.Map.Epoch == 1);
        await etcd.KillAsync();
        Result<ClusterState> away = await b.WaitAsync(before.Revision, TimeSpan.FromMilliseconds(500));
        Assert.False(away.IsOk);
        Assert.Equal(ErrorCode.Unavailable, (await b.ReadAsync(Long)).Error?.Code);
        await etcd.RestartAsync();
        Result<ClusterState> made = await a.CommitAsync(new ClusterChange(1) { Settings = new ClusterSettings { Replicas = 3 } }, Long);
        Assert.Equal(2, made.Value.Map.Epoch);
        Assert.Equal(3, (await WhenAsync(b, state => state.Map.Epoch == 2)).Map.Settings.Replicas);
    }

    [Fact]
    public async Task WaitAsync_RevisionCompactedWhileEtcdWasAway_ReadsEverythingAgain()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine a = Engine(etcd);
        await using EtcdEngine b = Engine(Options(etcd.Endpoint) with { WatchSilence = TimeSpan.FromMilliseconds(500) });
        Assert.True((await a.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await AdmitAsync(a, Silo("a"));
        await WhenAsync(b, state => state.Map.Epoch == 1);

        // Changes of other keys only: what b has seen falls behind, and is forgotten before b's stream is opened again.
        for (int i = 0; i < 20; i++) await etcd.PutAsync("/other", $"{i}");
        await etcd.CompactAsync();
        await etcd.KillAsync();
        await etcd.RestartAsync();
        for (int i = 0; i < 20; i++) await etcd.PutAsync("/other", $"{i}");
        await etcd.CompactAsync();
        Assert.True((await a.CommitAsync(new ClusterChange(1) { Settings = new ClusterSettings { Replicas = 1 } }, Long)).IsOk);
        Assert.Equal(1, (await WhenAsync(b, state => state.Map.Epoch == 2)).Map.Settings.Replicas);
    }

    [Fact]
    public async Task ReadAsync_TenThousandMovedGroups_ReadsThemAllInPages()
    {
        const int Groups = 10_000;
        const int Written = 2_500;
        await using EtcdProcess etcd = await EtcdProcess.StartAsync(new EtcdProcessOptions { More = ["--max-txn-ops", $"{Written}"] });
        await using EtcdEngine a = Engine(etcd);
        await using EtcdEngine b = Engine(etcd);
        Assert.True((await a.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await AdmitAsync(a, Silo("a"));
        for (int done = 0; done < Groups; done += Written)
        {
            await etcd.CallAsync("/v3/kv/txn", new
            {
                success = Enumerable.Range(done, Written).Select(i => new
                {
                    request_put = new { key = Base64($"/kvtier/moved/{GroupOf(i)}"), value = Base64($"s{i % 3}") },
                }),
            });
        }

        // One by one they are changes without an epoch; the next epoch shows them all.
        var last = new Dictionary<BlockId, string?> { [GroupOf(Groups)] = "a" };
        Assert.True((await a.CommitAsync(new ClusterChange(1) { Moved = last }, Long)).IsOk);
        foreach (EtcdEngine engine in new[] { a, b })
        {
            ClusterMap read = (await engine.ReadAsync(Long)).Value.Map;
            Assert.Equal((2, Groups + 1), (read.Epoch, read.Moved.Count));
            for (int i = 0; i < Groups; i++) Assert.Equal($"s{i % 3}", read.Moved[GroupOf(i)]);
        }

        static BlockId GroupOf(int i) => new((ulong)i * 0x9E3779B97F4A7C15, 7);
        static string Base64(string text) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(text));
    }

    [Fact]
    public async Task ReadAsync_EtcdSetUpAnew_ShowsThatItKnowsNothing()
    {
        int port = TestPorts.Reserve();
        EtcdEngine engine;
        await using (EtcdProcess etcd = await EtcdProcess.StartAsync(new EtcdProcessOptions { Port = port }))
        {
            engine = Engine(etcd);
            Assert.True((await engine.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
            for (int epoch = 0; epoch < 20; epoch++)
                Assert.True((await engine.CommitAsync(new ClusterChange(epoch) { Silos = [Silo("a")] }, Long)).IsOk);
        }

        await using (engine)
        {
            await using EtcdProcess empty = await EtcdProcess.StartAsync(new EtcdProcessOptions { Port = port });
            ClusterState state = (await engine.ReadAsync(Long)).Value;
            Assert.Equal(0, state.Map.Epoch);
            Assert.Empty(state.Alive);
            Assert.Equal(ErrorCode.LeaseExpired, (await engine.RenewAsync(new SiloLoad(), Long))?.Code);
            await empty.PutAsync("/kvtier/silos/b", """{"name":"b","endpoint":"b:1","capacityBytes":1,"protocol":1,"diskFormat":2}""");
            await WhenAsync(engine, seen => seen.Alive.Count == 1);
        }
    }

    [Fact]
    public async Task ReadAsync_ValueThatIsBroken_SaysWhichKey()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine engine = Engine(etcd);
        await etcd.PutAsync("/kvtier/members/a", "{}");
        KvError error = (await engine.ReadAsync(Long)).Error!;
        Assert.Equal((ErrorCode.Corrupt, "members/a"), (error.Code, error.Field));
        await etcd.PutAsync("/kvtier/moved/xyz", "a");
        await etcd.CallAsync("/v3/kv/deleterange", new { key = Convert.ToBase64String("/kvtier/members/a"u8) });
        Assert.Equal("moved/xyz", (await engine.ReadAsync(Long)).Error?.Field);
    }
}
