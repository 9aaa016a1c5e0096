namespace KvTier.Cluster.Tests;

public sealed class AuthorityTests
{
    private static readonly TimeSpan second = TimeSpan.FromSeconds(1);

    [Fact]
    public void EngineDown_AllSeeEachOther_AllMayWriteAllTheTimeAndNothingChanges()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b", "c");
        cluster.Engine.Stop();
        cluster.Run(30 * second, () => Assert.All(silos, silo => Assert.True(silo.Membership.MayWrite)));
        cluster.Engine.Restart();
        cluster.Run(10 * second, () => Assert.All(silos, silo => Assert.True(silo.Membership.MayWrite)));
        Assert.Equal(3, cluster.Engine.Map.Epoch);
    }

    [Fact]
    public void EngineDown_OneSiloCutOff_NoneMayWriteSoonAfterTheLease()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b", "c");
        cluster.Engine.Stop();
        foreach (string other in (string[])["a", "b"]) cluster.Cuts.UnionWith([("c", other), (other, "c")]);
        cluster.Run(5 * second);
        Assert.All(silos, silo => Assert.False(silo.Membership.MayWrite));
    }

    [Fact]
    public void OneWayCut_FromTheEngineAndToAPeer_EndsTheRight()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b", "c");
        silos[0].Session.IsCut = true;
        cluster.Cuts.Add(("b", "a"));
        cluster.Run(3 * second);
        Assert.False(silos[0].Membership.MayWrite);
    }

    [Fact]
    public void CutOffFromTheEngineOnly_IsFencedBeforeOthersTakeOver()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b", "c");
        BlockId group = GroupOf(cluster.Engine.Map, "c");
        silos[2].Session.IsCut = true;
        bool Writes(ModelSilo silo) => OwnsAndMayWrite(silo, group);
        cluster.RunUntil(() =>
        {
            Assert.True(silos.Count(Writes) <= 1);
            return Writes(silos[0]) || Writes(silos[1]);
        }, 10);
        Assert.False(silos[2].Membership.MayWrite);
    }

    [Fact]
    public void StoppedPastTheLease_IsFencedInTheFirstInstantAfterwards()
    {
        using var cluster = new ModelCluster();
        ModelSilo silo = cluster.Start("a", "b")[0];
        Assert.True(silo.Membership.MayWrite);
        silo.Session.IsCut = true;
        silo.IsStopped = true;

        // Only its clock has gone on: none of its loops has run yet.
        Assert.False(silo.Membership.MayWriteAt(TimeSpan.FromSeconds(4)));
        Assert.True(silo.Membership.MayWriteAt(TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public void LeaseLost_SiloThatLives_JoinsAnewAndMayWriteAgain()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b");
        long before = silos[0].Membership.Self.JoinedEpoch;
        silos[0].Session.IsCut = true;
        cluster.RunUntil(() => silos[1].Membership.State.Map.IndexOf("a") < 0, 10);
        silos[0].Session.IsCut = false;
        cluster.RunUntil(() => silos.All(silo => silo.Membership.MayWrite && silo.Membership.State.Map.Silos.Count == 2), 15);
        Assert.True(silos[0].Membership.Self.JoinedEpoch > before);
    }

    [Fact]
    public void NewGroups_WhileAnotherDoesNotKnow_WaitAndOldOnesDoNot()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b", "c");
        BlockId old = GroupOf(cluster.Engine.Map, "a");
        BlockId moved = GroupOf(cluster.Engine.Map, "b");
        silos[1].IsStopped = true;
        silos[1].Session.LosesWatches = true;
        var change = new ClusterChange(cluster.Engine.Map.Epoch) { Moved = new Dictionary<BlockId, string?> { [moved] = "a" } };
        Assert.True(cluster.Finish(silos[0].Membership.CommitAsync(change, second).AsTask()).IsOk);
        Assert.True(silos[0].Membership.MayWriteTo(old));
        Assert.False(silos[0].Membership.MayWriteTo(moved));
        silos[1].IsStopped = false;
        cluster.RunUntil(() => silos[0].Membership.MayWriteTo(moved), 5);
        Assert.Equal(cluster.Engine.Map.Epoch, silos[1].Membership.State.Map.Epoch);
    }

    [Fact]
    public void NewGroups_OneThatIsCutOffOneWay_AreSettledThroughTheEngine()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b", "c");
        cluster.Cuts.Add(("a", "b"));
        BlockId moved = GroupOf(cluster.Engine.Map, "b");
        var change = new ClusterChange(cluster.Engine.Map.Epoch) { Moved = new Dictionary<BlockId, string?> { [moved] = "a" } };
        Assert.True(cluster.Finish(silos[0].Membership.CommitAsync(change, second).AsTask()).IsOk);
        cluster.RunUntil(() => silos[0].Membership.MayWriteTo(moved), 15);
    }

    [Fact]
    public void LifeOf_ManySilos_IsLongerSoThatTheyAskLessOften()
    {
        TimeSpan ttl = 3 * second;
        Assert.Equal(second, Confirmations.LifeOf(ttl, 3));
        Assert.Equal(5 * second, Confirmations.LifeOf(ttl, 1000));
        Assert.Equal(0.5 * second, Confirmations.LifeOf(1.5 * second, 3));
    }

    private static BlockId GroupOf(ClusterMap map, string owner) =>
        Enumerable.Range(0, 1000).Select(i => new BlockId((ulong)i, 77)).First(group => map.Silos[map.OwnerOf(group)].Name == owner);

    private static bool OwnsAndMayWrite(ModelSilo silo, BlockId group)
    {
        ClusterMap map = silo.Membership.State.Map;
        return map.OwnerOf(group) == map.IndexOf(silo.Membership.Self.Name) && silo.Membership.MayWriteTo(group);
    }
}
