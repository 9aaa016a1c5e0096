namespace KvTier.Simulation.Tests;

/// <summary>What a cluster asks of etcd and of its silos: the figures of docs/explanation/scale.md, with a smaller cluster.</summary>
public sealed class ScaleTests
{
    private const int Silos = 12;

    private static readonly Lazy<IReadOnlyList<ScalePhase>> phases = new(() => ScaleRun.Run(Silos, 1));

    [Fact]
    public void Rest_ASecond_IsOneRenewalOfEachSiloAndNothingThatGoesToAll()
    {
        ScalePhase rest = Find(ScaleRun.Rest);
        Assert.InRange(rest.EtcdRequestsPerSilo, 1.0, 1.25);
        Assert.Equal((0, 0, 0), (rest.Traffic.LoadWrites, rest.Traffic.Commits, rest.Traffic.WatchMessages));
        Assert.Equal(0, rest.Traffic.MemberCalls + rest.Traffic.BlockCalls + rest.Traffic.Pushes);
    }

    [Fact]
    public void Death_OfOne_IsOneChangeOfTheMapAndEachOfItsBlocksCopiedOnce()
    {
        ScalePhase death = Find(ScaleRun.Death);
        Assert.Equal(1, death.Traffic.Commits);
        Assert.True(death.Blocks > 0);
        Assert.Equal((death.Blocks, death.Bytes), (death.Traffic.PushedBlocks, death.Traffic.PushedBytes));
        Assert.InRange(death.Traffic.WatchMessages, Silos, Silos * (Silos + 3));
        Assert.InRange(death.Seconds, 2, 6);
    }

    [Fact]
    public void Join_OfOne_IsOneChangeOfTheMap()
    {
        ScalePhase join = Find(ScaleRun.Join);
        Assert.Equal((1, 1), (join.Traffic.Joins, join.Traffic.Commits));
        Assert.InRange(join.Traffic.WatchMessages, Silos, Silos * (Silos + 4));
        Assert.InRange(join.Traffic.PushedBlocks, 1, 2 * Workload.Sequences * Workload.SequenceBlocks * 2 / Silos);
    }

    private static ScalePhase Find(string name) => phases.Value.Single(phase => phase.Name == name);
}
