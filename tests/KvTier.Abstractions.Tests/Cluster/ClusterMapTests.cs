namespace KvTier.Abstractions.Tests.Cluster;

public sealed class ClusterMapTests
{
    [Fact]
    public void FindHolders_ManyGroups_SpreadByWeight()
    {
        ClusterMap map = Map([Silo("a", 1), Silo("b", 2), Silo("c", 1)]);
        var random = new Random(7);
        var counts = new int[3];
        for (int i = 0; i < 40_000; i++) counts[map.OwnerOf(Group(random))]++;
        Assert.InRange(counts[0], 9_600, 10_400);
        Assert.InRange(counts[1], 19_500, 20_500);
        Assert.InRange(counts[2], 9_600, 10_400);
    }

    [Fact]
    public void FindHolders_OneSiloIsLost_OnlyItsGroupsMoveAndToTheirFirstReplica()
    {
        ClusterMap before = Map([.. "abcde".Select(name => Silo($"{name}", 1))]);
        ClusterMap after = Map([.. "abde".Select(name => Silo($"{name}", 1))]);
        var random = new Random(8);
        int moved = 0;
        Span<int> old = stackalloc int[2];
        for (int i = 0; i < 5_000; i++)
        {
            BlockId group = Group(random);
            before.FindHolders(group, old);
            string owner = before.Silos[old[0]].Name;
            string expected = owner == "c" ? before.Silos[old[1]].Name : owner;
            if (owner == "c") moved++;
            Assert.Equal(expected, after.Silos[after.OwnerOf(group)].Name);
        }

        Assert.InRange(moved, 800, 1_200);
    }

    [Fact]
    public void FindHolders_SeveralZones_AreAllUsedBeforeOneIsUsedTwice()
    {
        ClusterMap map = Map([Silo("a", 1, "x"), Silo("b", 1, "x"), Silo("c", 1, "y"), Silo("d", 1, "y")]);
        var random = new Random(9);
        Span<int> found = stackalloc int[3];
        for (int i = 0; i < 1_000; i++)
        {
            Assert.Equal(3, map.FindHolders(Group(random), found));
            Assert.NotEqual(map.Silos[found[0]].Zone, map.Silos[found[1]].Zone);
            Assert.Equal(3, found.ToArray().Distinct().Count());
        }
    }

    [Fact]
    public void FindHolders_MovedGroup_IsOwnedByItsSiloAndReplicasFollowTheOrder()
    {
        BlockId group = Group(new Random(10));
        ClusterMap plain = Map([Silo("a", 1), Silo("b", 1), Silo("c", 1)]);
        Span<int> order = stackalloc int[3];
        plain.FindHolders(group, order);
        string last = plain.Silos[order[2]].Name;
        ClusterMap map = Map([Silo("a", 1), Silo("b", 1), Silo("c", 1)], new() { [group] = last });
        Span<int> found = stackalloc int[3];
        Assert.Equal(3, map.FindHolders(group, found));
        Assert.Equal([order[2], order[0], order[1]], found.ToArray());
    }

    [Fact]
    public void FindHolders_DrainingSilo_HoldsNothingUnlessAllDrain()
    {
        BlockId group = Group(new Random(11));
        SiloEntry draining = Silo("a", 1) with { Draining = true };
        Assert.Equal("b", Owner(Map([draining, Silo("b", 1)]), group));
        Assert.Equal("a", Owner(Map([draining]), group));
    }

    [Fact]
    public void FindHolders_OfEarlierDays_LeavesOutWhoJoinedLater()
    {
        ClusterMap map = Map([Silo("a", 1) with { JoinedEpoch = 1 }, Silo("b", 1) with { JoinedEpoch = 5 }]);
        Span<int> found = stackalloc int[2];
        Assert.Equal(1, map.FindHolders(Group(new Random(12)), found, joinedBefore: 5));
        Assert.Equal("a", map.Silos[found[0]].Name);
    }

    [Fact]
    public void OwnerOf_NoSilos_IsNone() => Assert.Equal(-1, Map([]).OwnerOf(default));

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(3, 1)]
    [InlineData(4, 4)]
    [InlineData(15, 4)]
    [InlineData(16, 16)]
    [InlineData(63, 16)]
    [InlineData(64, 64)]
    [InlineData(127, 64)]
    [InlineData(128, 128)]
    public void HeadOf_Positions_AreThoseOfTheRuns(int position, int head) => Assert.Equal(head, BlockGroups.HeadOf(position));

    private static string Owner(ClusterMap map, BlockId group) => map.Silos[map.OwnerOf(group)].Name;

    private static BlockId Group(Random random) => new((ulong)random.NextInt64(), (ulong)random.NextInt64());

    private static SiloEntry Silo(string name, long weight, string zone = "") => new()
    {
        Name = name,
        Endpoint = "127.0.0.1:1",
        CapacityBytes = weight << 30,
        Zone = zone,
        Protocol = 1,
        DiskFormat = 1,
    };

    private static ClusterMap Map(SiloEntry[] silos, Dictionary<BlockId, string>? moved = null) =>
        new("test", 1, 1, silos, new ClusterSettings(), moved ?? []);
}
