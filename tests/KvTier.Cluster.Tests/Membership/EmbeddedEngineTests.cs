using KvTier.Testing;

namespace KvTier.Cluster.Tests;

public sealed class EmbeddedEngineTests
{
    private static readonly TimeSpan second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ttl = TimeSpan.FromSeconds(3);
    private readonly ManualTimeProvider time = new();
    private readonly EmbeddedEngine engine;

    public EmbeddedEngineTests() => engine = new EmbeddedEngine(new ClusterOptions { Replicas = 2 }, time);

    [Fact]
    public async Task JoinAsync_IsAliveUntilItsLeaseRunsOut()
    {
        Assert.Equal(Silo("a"), Assert.Single((await engine.JoinAsync(Silo("a"), ttl, second)).Value.Alive));
        time.Advance(second * 2);
        Assert.Null(await engine.RenewAsync(new SiloLoad { Blocks = 7 }, second));
        time.Advance(second * 2);
        ClusterState state = (await engine.ReadAsync(second)).Value;
        Assert.Single(state.Alive);
        Assert.Equal(7, state.Loads["a"].Blocks);
        time.Advance(second);
        Assert.Equal(ErrorCode.LeaseExpired, (await engine.RenewAsync(new SiloLoad(), second))?.Code);
        state = (await engine.ReadAsync(second)).Value;
        Assert.Empty(state.Alive);
        Assert.Empty(state.Loads);
        Assert.True((await engine.JoinAsync(Silo("b"), ttl, second)).IsOk);
    }

    [Fact]
    public async Task JoinAsync_BesideALivingSilo_IsAConflictThatNamesIt()
    {
        Assert.True((await engine.JoinAsync(Silo("a"), ttl, second)).IsOk);
        KvError error = (await engine.JoinAsync(Silo("b"), ttl, second)).Error!;
        Assert.Equal(ErrorCode.Conflict, error.Code);
        Assert.Contains("a at a.test:7420", error.Value, StringComparison.Ordinal);
        Assert.Null(await engine.LeaveAsync(second));
        Assert.True((await engine.JoinAsync(Silo("b"), ttl, second)).IsOk);
    }

    [Fact]
    public async Task CommitAsync_RightEpochAndLease_MakesTheNextEpoch()
    {
        var change = new ClusterChange(0) { Silos = [Silo("a") with { JoinedEpoch = 1 }] };
        Assert.Equal(ErrorCode.Fenced, (await engine.CommitAsync(change, second)).Error?.Code);
        Assert.True((await engine.JoinAsync(Silo("a"), ttl, second)).IsOk);
        ClusterMap map = (await engine.CommitAsync(change, second)).Value.Map;
        Assert.Equal((1, 1, 2), (map.Epoch, map.MembersEpoch, map.Settings.Replicas));
        Assert.Equal(ErrorCode.Conflict, (await engine.CommitAsync(change, second)).Error?.Code);
        change = new ClusterChange(1) { Moved = new Dictionary<BlockId, string?> { [new(1, 1)] = "a" } };
        map = (await engine.CommitAsync(change, second)).Value.Map;
        Assert.Equal((2, 1, "a"), (map.Epoch, map.MembersEpoch, map.Moved[new BlockId(1, 1)]));
        change = new ClusterChange(2) { Settings = new ClusterSettings { Replicas = 3 } };
        map = (await engine.CommitAsync(change, second)).Value.Map;
        Assert.Equal((3, 3, 3), (map.Epoch, map.MembersEpoch, map.Settings.Replicas));
        change = new ClusterChange(3) { Moved = new Dictionary<BlockId, string?> { [new(1, 1)] = null } };
        Assert.Empty((await engine.CommitAsync(change, second)).Value.Map.Moved);
    }

    [Fact]
    public async Task WaitAsync_EndsByAChangeOrItsDeadline()
    {
        long revision = (await engine.JoinAsync(Silo("a"), ttl, second)).Value.Revision;
        ValueTask<Result<ClusterState>> waiting = engine.WaitAsync(revision, second);
        Assert.True((await engine.CommitAsync(new ClusterChange(0) { Silos = [Silo("a")] }, second)).IsOk);
        ClusterState state = (await waiting).Value;
        Assert.Equal(1, state.Map.Epoch);
        waiting = engine.WaitAsync(state.Revision, second);
        time.Advance(second);
        Assert.Equal(ErrorCode.DeadlineExceeded, (await waiting).Error?.Code);
    }

    private static SiloEntry Silo(string name) =>
        new() { Name = name, Endpoint = $"{name}.test:7420", CapacityBytes = 1, Protocol = 1, DiskFormat = 2 };
}
