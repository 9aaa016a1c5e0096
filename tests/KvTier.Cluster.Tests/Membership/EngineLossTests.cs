namespace KvTier.Cluster.Tests;

/// <summary>An engine that has lost its data, and silos that know what it has forgotten.</summary>
public sealed class EngineLossTests
{
    private static readonly BlockId[] groups = [.. Enumerable.Range(0, 16).Select(i => new BlockId((ulong)i * 7919, (ulong)i))];
    private static readonly TimeSpan guard = TimeSpan.FromSeconds(30);

    [Fact]
    public void Start_EngineHasForgotten_EpochsGoOnAboveThoseKnown()
    {
        using var cluster = new ModelCluster();
        cluster.Start("a", "b", "c");
        long known = cluster.Engine.Map.Epoch;
        foreach (string name in new[] { "a", "b", "c" }) cluster.Kill(name);
        cluster.Engine.Forget();
        ModelSilo first = Start(cluster, "b", known);
        ModelSilo second = Start(cluster, "a", known);
        cluster.RunUntil(() => first.Membership.MayWrite && second.Membership.MayWrite);
        Assert.Equal((known + 1, known + 2), (first.Membership.Self.JoinedEpoch, second.Membership.Self.JoinedEpoch));
        Assert.Equal((known + 2, known + 2), (cluster.Engine.Map.Epoch, cluster.Engine.Map.MembersEpoch));
        Assert.Equal(cluster.Engine.History.Select(map => map.Epoch).Distinct(), cluster.Engine.History.Select(map => map.Epoch));
    }

    [Fact]
    public void Start_SiloKnowsMoreThanThoseBeforeIt_LiftsTheEpoch()
    {
        using var cluster = new ModelCluster();
        ModelSilo first = cluster.Start("a")[0];
        ModelSilo second = Start(cluster, "b", known: 50);
        cluster.RunUntil(() => first.Membership.MayWrite && second.Membership.MayWrite);
        Assert.Equal(51, second.Membership.Self.JoinedEpoch);
        Assert.Equal((1, 51), (first.Maps[^1].Before, first.Maps[^1].After));
    }

    [Fact]
    public void Start_WhileAnotherGoesOnByItsLease_NoGroupHasTwoThatMayChangeIt()
    {
        using var cluster = new ModelCluster();
        ModelSilo other = cluster.Start("a", "b")[1];
        long known = cluster.Engine.Map.Epoch;
        cluster.Run(TimeSpan.FromSeconds(1));
        other.Session.IsCut = true;
        cluster.Kill("a");
        cluster.Engine.Forget();
        Assert.True(other.Membership.MayWrite);
        ModelSilo again = cluster.Add("a");
        again.Membership.Before = new ClusterTrace(known, 2);
        Task<KvError?> start = again.Membership.StartAsync(guard).AsTask();
        for (int ms = 0; ms < 10_000 && !again.Membership.MayWrite; ms++) cluster.Run(TimeSpan.FromMilliseconds(1), () => Check(cluster));
        Assert.Null(cluster.Finish(start));
        Assert.True(again.Membership.MayWrite);
        Assert.False(other.Membership.MayWrite);

        // The other one, which was not started again, follows when it reaches the engine.
        other.Session.IsCut = false;
        cluster.RunUntil(() =>
        {
            Check(cluster);
            return other.Membership.MayWrite && again.Membership.MayWrite && cluster.Engine.Map.Silos.Count == 2;
        });
        Assert.True(other.Membership.Self.JoinedEpoch > again.Membership.Self.JoinedEpoch);
    }

    [Fact]
    public void Start_LeaseLongerThanTheTimeToJoin_JoinsAllTheSame()
    {
        using var cluster = new ModelCluster(ttl: TimeSpan.FromSeconds(45));
        ModelSilo silo = Start(cluster, "a", known: 7);
        Assert.Equal(8, silo.Membership.Self.JoinedEpoch);
        Assert.Null(silo.Membership.Problem);
    }

    private static ModelSilo Start(ModelCluster cluster, string name, long known)
    {
        ModelSilo silo = cluster.Add(name);
        silo.Membership.Before = new ClusterTrace(known, 3);
        Assert.Null(cluster.Finish(silo.Membership.StartAsync(guard).AsTask()));
        return silo;
    }

    private static void Check(ModelCluster cluster)
    {
        foreach (BlockId group in groups)
        {
            string[] writers = [.. cluster.Silos.Where(each => MayChange(each.Value, group)).Select(each => each.Key)];
            Assert.True(writers.Length <= 1, $"{string.Join(" and ", writers)} may both change group {group}");
        }
    }

    private static bool MayChange(ModelSilo silo, BlockId group)
    {
        ClusterMap map = silo.Membership.State.Map;
        int self = map.IndexOf(silo.Membership.Self.Name);
        return self >= 0 && map.OwnerOf(group) == self && silo.Membership.MayWriteTo(group);
    }
}
