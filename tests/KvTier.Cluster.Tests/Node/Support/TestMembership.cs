namespace KvTier.Cluster.Tests.Node;

/// <summary>A silo's view of a cluster whose map the test makes.</summary>
internal sealed class TestMembership(TestCluster cluster, SiloEntry self) : IMembership
{
    public ClusterState State { get; private set; } = cluster.State;

    public SiloEntry Self { get; set; } = self;

    public bool MayWrite { get; set; } = true;

    /// <summary>True while it hears of no change.</summary>
    public bool IsFrozen { get; set; }

    /// <summary>Commits end without a word of their outcome.</summary>
    public bool LosesCommits { get; set; }

    public Action<ClusterMap, ClusterMap>? OnMap { get; set; }

    public Func<SiloLoad>? LoadOf { get; set; }

    public async ValueTask<bool> CatchUpAsync(long epoch, TimeSpan longest)
    {
        await Task.Yield();
        if (!IsFrozen) Take();
        if (State.Map.Epoch >= epoch) return true;
        await cluster.Loop.PauseAsync(longest);
        return State.Map.Epoch >= epoch;
    }

    public async ValueTask<Result<ClusterState>> CommitAsync(ClusterChange change, TimeSpan deadline)
    {
        await Task.Yield();
        Result<ClusterState> done = cluster.Commit(change);
        if (LosesCommits) return new KvError(ErrorCode.Unavailable, "engine");
        if (done.IsOk) Take();
        return done;
    }

    /// <summary>Takes the newest state over.</summary>
    public void Take()
    {
        ClusterMap before = State.Map;
        State = cluster.State;
        if (before.Epoch != State.Map.Epoch) OnMap?.Invoke(before, State.Map);
    }
}
