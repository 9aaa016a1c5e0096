namespace KvTier.Cluster.Tests;

public sealed class MembershipTests
{
    private static readonly TimeSpan second = TimeSpan.FromSeconds(1);

    [Fact]
    public void Start_FirstSilo_IsTheOnlyMemberAndMayWrite()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a");
        Assert.Equal(["a"], silos[0].Membership.State.Map.Silos.Select(silo => silo.Name));
        Assert.Equal(1, silos[0].Membership.Self.JoinedEpoch);
    }

    [Fact]
    public void Start_ThreeSilosAtOnce_AllAreMembersWithEpochsOfTheirOwn()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = [cluster.Add("a"), cluster.Add("b"), cluster.Add("c")];
        Task<KvError?>[] starts = [.. silos.Select(silo => silo.Membership.StartAsync(TimeSpan.FromSeconds(30)).AsTask())];
        foreach (Task<KvError?> start in starts) Assert.Null(cluster.Finish(start));
        cluster.RunUntil(() => silos.All(silo => silo.Membership.MayWrite && silo.Membership.State.Map.Epoch == 3));
        Assert.Equal(3, silos.Select(silo => silo.Membership.Self.JoinedEpoch).Distinct().Count());
    }

    [Fact]
    public void Start_NameOfALivingSilo_IsRefusedOnceItsLeaseShouldHaveRunOut()
    {
        using var cluster = new ModelCluster();
        cluster.Start("a");
        var namesake = new ModelSilo(cluster, "a", new ModelSession(cluster.Engine, cluster.Time, TimeSpan.Zero), new Random(2));
        KvError? refusal = cluster.Finish(namesake.Membership.StartAsync(TimeSpan.FromSeconds(30)).AsTask());
        Assert.Equal(ErrorCode.Conflict, refusal?.Code);
        Assert.True(cluster.Time.GetUtcNow() < new DateTimeOffset(2026, 1, 1, 0, 0, 10, TimeSpan.Zero));
    }

    [Fact]
    public void Start_SiloThatWasKilled_JoinsWhenItsOldLeaseHasRunOut()
    {
        using var cluster = new ModelCluster();
        cluster.Start("a", "b");
        cluster.Kill("b");
        ModelSilo[] again = cluster.Start("b");
        Assert.Equal(cluster.Engine.Map.Silos[1].JoinedEpoch, again[0].Membership.Self.JoinedEpoch);
        Assert.True(again[0].Membership.Self.JoinedEpoch > 2);
    }

    [Fact]
    public void Start_OtherProtocol_IsRefusedAtOnceWithWhatTheClusterHas()
    {
        using var cluster = new ModelCluster();
        cluster.Start("a");
        ModelSilo other = cluster.Add("b", ModelSilo.Entry("b") with { Protocol = 2 });
        KvError? refusal = cluster.Finish(other.Membership.StartAsync(TimeSpan.FromSeconds(30)).AsTask());
        Assert.Equal((ErrorCode.VersionMismatch, "protocol"), (refusal?.Code, refusal?.Field));
        Assert.Single(cluster.Engine.Read().Alive);
    }

    [Fact]
    public void Start_NewNameWhereAllMembersAreGone_IsRefusedWithWhatToDo()
    {
        using var cluster = new ModelCluster();
        cluster.Start("a");
        cluster.Kill("a");
        KvError? refusal = cluster.Finish(cluster.Add("b").Membership.StartAsync(TimeSpan.FromSeconds(20)).AsTask());
        Assert.Equal(ErrorCode.Conflict, refusal?.Code);
        Assert.Contains("start one of them again", refusal?.Limit, StringComparison.Ordinal);
    }

    [Fact]
    public void Lost_Silo_IsRemovedByTheOthersWhichTakeItsGroups()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b", "c");
        cluster.Kill("a");
        cluster.RunUntil(() => silos[1..].All(silo => silo.Membership.State.Map.Silos.Count == 2 && silo.Membership.MayWrite), 5);
    }

    [Fact]
    public void Lost_SiloWhoseRemoverIsCutOff_IsRemovedByTheNext()
    {
        using var cluster = new ModelCluster();
        cluster.Start("a", "b", "c", "d");
        cluster.Kill("d");
        cluster.Silos["a"].Session.LosesWatches = true;
        cluster.RunUntil(() => cluster.Engine.Map.IndexOf("d") < 0, 6);
    }

    [Fact]
    public void AllLost_TwoOfThreeComeBack_MayWriteWithoutTheThird()
    {
        using var cluster = new ModelCluster();
        cluster.Start("a", "b", "c");
        foreach (string name in (string[])["a", "b", "c"]) cluster.Kill(name);
        ModelSilo[] back = [cluster.Add("b"), cluster.Add("c")];
        foreach (ModelSilo silo in back) _ = silo.Membership.StartAsync(TimeSpan.FromMinutes(1)).AsTask();
        cluster.RunUntil(() => back.All(silo => silo.Membership.MayWrite && silo.Membership.State.Map.Silos.Count == 2), 20);
    }

    [Fact]
    public void Leave_Silo_IsOutOfTheMapAtOnceAndChangesNothing()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b");
        Task<KvError?> leave = silos[1].Membership.LeaveAsync(TimeSpan.FromSeconds(5)).AsTask();
        Assert.False(silos[1].Membership.MayWrite);
        Assert.Null(cluster.Finish(leave));
        Assert.Equal(-1, silos[1].Membership.State.Map.IndexOf("b"));
        Assert.Single(cluster.Engine.Read().Alive);
        cluster.RunUntil(() => silos[0].Membership.State.Map.Silos.Count == 1 && silos[0].Membership.MayWrite, 1);
    }

    [Fact]
    public void LostWatch_NewMap_IsFoundByReadingAnyway()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b");
        silos[1].Session.LosesWatches = true;
        silos[0].Session.LosesWatches = true;
        var change = new ClusterChange(cluster.Engine.Map.Epoch) { Settings = new ClusterSettings { Replicas = 2 } };
        Assert.True(cluster.Finish(silos[0].Membership.CommitAsync(change, second).AsTask()).IsOk);
        Assert.Equal(2, silos[0].Membership.State.Map.Settings.Replicas);
        cluster.RunUntil(() => silos[1].Membership.State.Map.Settings.Replicas == 2, 15);
    }

    [Fact]
    public void CatchUp_EpochOfAnother_IsReachedAtOnceThoughWatchesAreLost()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b");
        silos[1].Session.LosesWatches = true;
        var change = new ClusterChange(cluster.Engine.Map.Epoch) { Settings = new ClusterSettings { Replicas = 2 } };
        long epoch = cluster.Finish(silos[0].Membership.CommitAsync(change, second).AsTask()).Value.Map.Epoch;
        Assert.True(cluster.Finish(silos[1].Membership.CatchUpAsync(epoch, TimeSpan.FromMilliseconds(100)).AsTask()));
        Assert.False(cluster.Finish(silos[1].Membership.CatchUpAsync(epoch + 1, TimeSpan.FromMilliseconds(100)).AsTask()));
    }

    [Fact]
    public void Commit_TwoAtOnce_OneIsMadeAndTheOtherIsAConflict()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b");
        var change = new ClusterChange(cluster.Engine.Map.Epoch) { Settings = new ClusterSettings { Replicas = 2 } };
        var other = change with { Settings = new ClusterSettings { Replicas = 3 } };
        Task<Result<ClusterState>> first = silos[0].Membership.CommitAsync(change, second).AsTask();
        Task<Result<ClusterState>> late = silos[1].Membership.CommitAsync(other, second).AsTask();
        Assert.True(cluster.Finish(first).IsOk);
        Assert.Equal(ErrorCode.Conflict, cluster.Finish(late).Error?.Code);
        Assert.Equal(2, silos[1].Membership.State.Map.Settings.Replicas);
    }

    [Fact]
    public void Commit_AnswerIsLost_IsFoundOutByReading()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a");
        silos[0].Session.LosesAnswers = true;
        var change = new ClusterChange(1) { Moved = new Dictionary<BlockId, string?> { [new BlockId(1, 2)] = "a" } };
        Assert.Equal(2, cluster.Finish(silos[0].Membership.CommitAsync(change, second).AsTask()).Value.Map.Epoch);
    }

    [Fact]
    public void Maps_OfEverySilo_ComeInOrderWithoutGapsInBetween()
    {
        using var cluster = new ModelCluster();
        cluster.Start("a", "b", "c");
        cluster.Kill("c");
        cluster.Start("d");
        foreach (ModelSilo silo in cluster.Silos.Values)
        {
            Assert.NotEmpty(silo.Maps);
            Assert.All(silo.Maps, each => Assert.True(each.Before < each.After));
            Assert.All(silo.Maps.Zip(silo.Maps.Skip(1)), pair => Assert.Equal(pair.First.After, pair.Second.Before));
        }
    }
}
