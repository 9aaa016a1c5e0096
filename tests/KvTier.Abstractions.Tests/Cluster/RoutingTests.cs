namespace KvTier.Abstractions.Tests.Cluster;

/// <summary>The fast way to the holders of a group gives exactly what scoring every silo gives.</summary>
public sealed class RoutingTests
{
    [Theory]
    [InlineData(1, 2_000)]
    [InlineData(3, 4_000)]
    [InlineData(4, 4_000)]
    [InlineData(5, 4_000)]
    [InlineData(8, 4_000)]
    [InlineData(9, 4_000)]
    [InlineData(63, 1_000)]
    [InlineData(64, 1_000)]
    [InlineData(65, 1_000)]
    [InlineData(1_000, 300)]
    [InlineData(ClusterMap.SilosMax, 50)]
    public void FindHolders_AnyMap_IsWhatScoringEverySiloGives(int silos, int groups)
    {
        var random = new Random(silos);
        Span<int> found = stackalloc int[4];
        Span<int> expected = stackalloc int[4];
        foreach (int shape in Enumerable.Range(0, 8))
        {
            ClusterMap map = Map(random, silos, weighted: (shape & 1) != 0, zones: (shape & 2) != 0 ? 3 : 1, drain: (shape & 4) != 0);
            for (int i = 0; i < groups / 8; i++)
            {
                var group = new BlockId((ulong)random.NextInt64(), (ulong)random.NextInt64());
                long before = random.Next(4) == 0 ? random.Next(1, 20) : long.MaxValue;
                int count = random.Next(1, 5);
                Assert.Equal(Score(map, group, expected[..count], before), map.FindHolders(group, found[..count], before));
                Assert.Equal(expected[..count].ToArray(), found[..count].ToArray());
            }
        }
    }

    [Fact]
    public void FindHoldersFrom_AnotherOwner_IsAsIfTheGroupWasMovedThere()
    {
        ClusterMap map = Map(new Random(3), 7, weighted: true, zones: 2, drain: false);
        var group = new BlockId(5, 6);
        Span<int> found = stackalloc int[3];
        Span<int> expected = stackalloc int[3];
        for (int i = 0; i < 7; i++)
        {
            var moved = new ClusterMap("t", 2, 1, map.Silos, map.Settings, new Dictionary<BlockId, string> { [group] = map.Silos[i].Name });
            Assert.Equal(moved.FindHolders(group, expected), map.FindHoldersFrom(group, i, found));
            Assert.Equal(expected.ToArray(), found.ToArray());
            Assert.Equal(map.OwnerOf(group), moved.HomeOf(group));
        }
    }

    private static ClusterMap Map(Random random, int silos, bool weighted, int zones, bool drain)
    {
        SiloEntry[] entries =
        [
            .. Enumerable.Range(0, silos).Select(i => new SiloEntry
            {
                Name = $"silo-{i}", Endpoint = "h:1", Protocol = 1, DiskFormat = 1,
                CapacityBytes = weighted ? 1 + random.NextInt64(1L << 40) : 1L << 40,
                Zone = $"z{random.Next(zones)}", Draining = drain && random.Next(3) == 0, JoinedEpoch = random.Next(1, 20),
            }),
        ];
        return new ClusterMap("t", 20, 20, entries, new ClusterSettings(), new Dictionary<BlockId, string>());
    }

    /// <summary>The definition, word for word: the highest score, each from a new zone as long as there is one.</summary>
    private static int Score(ClusterMap map, BlockId group, Span<int> found, long before)
    {
        int count = 0;
        while (count < found.Length)
        {
            int best = Next(map, group, found[..count], before, newZone: true);
            if (best < 0) best = Next(map, group, found[..count], before, newZone: false);
            if (best < 0) break;
            found[count++] = best;
        }

        return count;
    }

    private static int Next(ClusterMap map, BlockId group, ReadOnlySpan<int> taken, long before, bool newZone)
    {
        bool allDrain = !map.Silos.Any(silo => !silo.Draining);
        int best = -1;
        double highest = double.NegativeInfinity;
        for (int i = 0; i < map.Silos.Count; i++)
        {
            SiloEntry silo = map.Silos[i];
            if ((silo.Draining && !allDrain) || silo.JoinedEpoch >= before || taken.Contains(i)) continue;
            bool isTaken = false;
            foreach (int other in taken) isTaken |= map.Silos[other].Zone == silo.Zone;
            if (newZone && isTaken) continue;
            double score = Rendezvous.Score(Rendezvous.Hash(Rendezvous.SeedOf(silo.Name), group), silo.CapacityBytes);
            if (score <= highest) continue;
            highest = score;
            best = i;
        }

        return best;
    }
}
