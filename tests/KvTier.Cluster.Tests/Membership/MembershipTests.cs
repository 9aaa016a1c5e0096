namespace KvTier.Cluster.Tests;

public sealed class MembershipTests
{
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
    public void Lost_Silo_IsRemovedByTheOthersWhichTakeItsGroups()
    {
        using var cluster = new ModelCluster();
        ModelSilo[] silos = cluster.Start("a", "b", "c");
        cluster.Kill("a");
        cluster.RunUntil(() => silos[1..].All(silo => silo.Membership.State.Map.Silos.Count == 2 && silo.Membership.MayWrite), 5);
    }
}
