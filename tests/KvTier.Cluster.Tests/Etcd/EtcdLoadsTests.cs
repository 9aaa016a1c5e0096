using KvTier.Testing;

namespace KvTier.Cluster.Tests;

public sealed class EtcdLoadsTests
{
    private readonly ManualTimeProvider time = new();

    [Fact]
    public void IsDue_SmallChanges_AreNotWritten()
    {
        var loads = new EtcdLoads(time);
        var load = new SiloLoad { UsedBytes = 1000, Blocks = 100 };
        Assert.True(loads.IsDue(load, null, "s0"));
        loads.OnPublished(load);
        time.Advance(TimeSpan.FromMinutes(1));
        Assert.False(loads.IsDue(load with { UsedBytes = 1010 }, null, "s0"));
        Assert.True(loads.IsDue(load with { UsedBytes = 1030 }, null, "s0"));
        Assert.True(loads.IsDue(load with { RequestsPerSecond = 1 }, null, "s0"));
        loads.Clear();
        Assert.True(loads.IsDue(load, null, "s0"));
    }

    [Theory]
    [InlineData(3, 2)]
    [InlineData(1000, 50)]
    public void IsDue_BigChanges_WaitForTheShareOfTheSilo(int silos, int seconds)
    {
        var loads = new EtcdLoads(time);
        ClusterState state = State(silos, membersEpoch: 5);
        loads.OnPublished(new SiloLoad { Epoch = 5 });
        var busy = new SiloLoad { Epoch = 6, UsedBytes = 1 };
        time.Advance(TimeSpan.FromSeconds(seconds) - TimeSpan.FromMilliseconds(1));
        Assert.False(loads.IsDue(busy, state, "s0"));
        time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.True(loads.IsDue(busy, state, "s0"));
    }

    [Fact]
    public void IsDue_SettledOrOtherMembers_IsWrittenAtOnce()
    {
        var loads = new EtcdLoads(time);
        loads.OnPublished(new SiloLoad { Epoch = 5, SettledEpoch = 4 });
        Assert.True(loads.IsDue(new SiloLoad { Epoch = 5, SettledEpoch = 5 }, State(3, 5), "s0"));
        Assert.True(loads.IsDue(new SiloLoad { Epoch = 6, SettledEpoch = 4 }, State(3, 6), "s0"));
        Assert.False(loads.IsDue(new SiloLoad { Epoch = 6, SettledEpoch = 4 }, State(3, 5), "s0"));
    }

    [Fact]
    public void IsDue_LateWriteHasComeOverTheLastOne_IsWrittenAgain()
    {
        var loads = new EtcdLoads(time);
        var settled = new SiloLoad { Epoch = 5, SettledEpoch = 5 };
        loads.OnPublished(settled);
        time.Advance(TimeSpan.FromSeconds(2));
        ClusterState state = State(3, 5);
        Assert.False(loads.IsDue(settled, state with { Loads = new Dictionary<string, SiloLoad> { ["s0"] = settled } }, "s0"));
        SiloLoad late = settled with { SettledEpoch = 4 };
        Assert.True(loads.IsDue(settled, state with { Loads = new Dictionary<string, SiloLoad> { ["s0"] = late } }, "s0"));
    }

    private static ClusterState State(int silos, long membersEpoch)
    {
        SiloEntry[] alive = [.. Enumerable.Range(0, silos).Select(i => EtcdCluster.Silo($"s{i}"))];
        var map = new ClusterMap("test", membersEpoch, membersEpoch, alive, new ClusterSettings(), new Dictionary<BlockId, string>());
        return new ClusterState(1, map, alive, new Dictionary<string, SiloLoad>());
    }
}
