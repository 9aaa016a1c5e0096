using KvTier.Testing;
using static KvTier.Cluster.Tests.EtcdCluster;

namespace KvTier.Cluster.Tests;

public sealed class EtcdCommitTests
{
    [Fact]
    public async Task CommitAsync_MembersSettingsAndGroups_AreSeenByAllInOneEpoch()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine a = Engine(etcd);
        await using EtcdEngine b = Engine(etcd);
        Assert.True((await a.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        Assert.True((await b.JoinAsync(Silo("b"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await AdmitAsync(a, Silo("a"));
        await AdmitAsync(b, Silo("b"));
        var settings = new ClusterSettings { Replicas = 3, NamespaceReplicas = new Dictionary<string, int> { ["t/p"] = 1 } };
        var change = new ClusterChange(2) { Settings = settings, Moved = new Dictionary<BlockId, string?> { [new(1, 2)] = "b" } };
        ClusterMap made = (await a.CommitAsync(change, Long)).Value.Map;
        Assert.Equal((3, 3), (made.Epoch, made.MembersEpoch));
        ClusterMap seen = (await WhenAsync(b, state => state.Map.Epoch == 3)).Map;
        Assert.Equal(["a", "b"], seen.Silos.Select(silo => silo.Name));
        Assert.Equal([1L, 2L], seen.Silos.Select(silo => silo.JoinedEpoch));
        Assert.Equal((3, 3, 1), (seen.MembersEpoch, seen.Settings.Replicas, seen.Settings.NamespaceReplicas["t/p"]));
        Assert.Equal("b", seen.Moved[new BlockId(1, 2)]);

        change = new ClusterChange(3) { Silos = [seen.Silos[1]], Moved = new Dictionary<BlockId, string?> { [new(1, 2)] = null } };
        Assert.True((await b.CommitAsync(change, Long)).IsOk);
        seen = (await WhenAsync(a, state => state.Map.Epoch == 4)).Map;
        Assert.Equal("b", Assert.Single(seen.Silos).Name);
        Assert.Empty(seen.Moved);
        Assert.Equal(seen.Silos, (await a.ReadAsync(Long)).Value.Map.Silos);
    }

    [Fact]
    public async Task CommitAsync_OnlyGroups_LeavesTheMembersEpoch()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine a = Engine(etcd);
        Assert.True((await a.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await AdmitAsync(a, Silo("a"));
        var change = new ClusterChange(1) { Moved = new Dictionary<BlockId, string?> { [new(7, 7)] = "a" } };
        ClusterMap map = (await a.CommitAsync(change, Long)).Value.Map;
        Assert.Equal((2, 1), (map.Epoch, map.MembersEpoch));
    }

    [Fact]
    public async Task CommitAsync_ManyAtOnceOfOneEpoch_OneIsMadeAndTheOthersConflict()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        var engines = new List<EtcdEngine>();
        try
        {
            for (int i = 0; i < 4; i++)
            {
                engines.Add(Engine(etcd));
                Assert.True((await engines[i].JoinAsync(Silo($"s{i}"), TimeSpan.FromMinutes(5), Long)).IsOk);
            }

            for (int epoch = 0; epoch < 5; epoch++)
            {
                Result<ClusterState>[] results = await Task.WhenAll(engines.Select((engine, i) => engine.CommitAsync(
                    new ClusterChange(epoch) { Moved = new Dictionary<BlockId, string?> { [new(1, 1)] = $"s{i}" } }, Long).AsTask()));
                int winner = Array.FindIndex(results, result => result.IsOk);
                Assert.Equal(1, results.Count(result => result.IsOk));
                Assert.All(results.Where(result => !result.IsOk), result => Assert.Equal(ErrorCode.Conflict, result.Error!.Code));
                Assert.Equal($"s{winner}", (await engines[0].ReadAsync(Long)).Value.Map.Moved[new BlockId(1, 1)]);
            }
        }
        finally
        {
            foreach (EtcdEngine engine in engines) await engine.DisposeAsync();
        }
    }

    [Fact]
    public async Task CommitAsync_WithoutALease_IsFenced()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine a = Engine(etcd);
        await using EtcdEngine b = Engine(etcd);
        var change = new ClusterChange(0) { Silos = [] };
        Assert.Equal(ErrorCode.Fenced, (await a.CommitAsync(change, Long)).Error?.Code);
        await JoinBrieflyAsync(a, Silo("a"));
        Assert.True((await b.JoinAsync(Silo("b"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await WhenAsync(b, state => state.Alive.Count == 1);
        Assert.Equal(ErrorCode.Fenced, (await a.CommitAsync(change, Long)).Error?.Code);
        Assert.Equal(0, (await b.ReadAsync(Long)).Value.Map.Epoch);
    }

    [Fact]
    public async Task CommitAsync_TooMuchAtOnce_IsRefused()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine a = Engine(etcd);
        Assert.True((await a.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        var moved = Enumerable.Range(0, 65).ToDictionary(i => new BlockId(1, (ulong)i), string? (_) => "a");
        Assert.Equal(ErrorCode.LimitExceeded, (await a.CommitAsync(new ClusterChange(0) { Moved = moved }, Long)).Error?.Code);
        var silos = Enumerable.Range(0, 200).Select(i => Silo($"s{i}")).ToList();
        Assert.Equal(ErrorCode.LimitExceeded, (await a.CommitAsync(new ClusterChange(0) { Silos = silos }, Long)).Error?.Code);
    }
}
