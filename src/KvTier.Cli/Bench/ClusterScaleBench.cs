namespace KvTier.Cli;

/// <summary>What a map of many silos takes: memory, and time to find who holds a group.</summary>
internal sealed class ClusterScaleBench : IBenchGroup
{
    private const int Moved = 100_000;
    private const int MovedMany = 1_000_000;
    private const int Batch = 1000;
    private const int Rounds = 5;

    private static readonly TimeSpan round = TimeSpan.FromMilliseconds(50);

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } =
        ["scale_map_1000_silos", "scale_map_1m_moved", "scale_route_100_silos", "scale_route_1000_silos"];

    /// <inheritdoc/>
    public Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        var rows = new List<BenchRow>();
        if (names.Contains(Names[0])) rows.Add(Memory(Names[0], Moved));
        if (names.Contains(Names[1])) rows.Add(Memory(Names[1], MovedMany));
        if (names.Contains(Names[2])) rows.Add(Route(Names[2], 100));
        if (names.Contains(Names[3])) rows.Add(Route(Names[3], 1000));
        return Task.FromResult<IReadOnlyList<BenchRow>>(rows);
    }

    private static BenchRow Memory(string name, int moved)
    {
        long before = GC.GetTotalMemory(forceFullCollection: true);
        ClusterMap map = MapOf(1000, moved);
        long bytes = GC.GetTotalMemory(forceFullCollection: true) - before;
        GC.KeepAlive(map);

        // An entry of the table is a group and the silo it went to, which is 16 bytes and a reference.
        return BenchRow.Cost(name, bytes / 1e6, "MB", "bytes of the moved groups alone", moved * 24 / 1e6, null,
            $"a map of 1,000 silos with {moved:#,0} moved groups");
    }

    private static BenchRow Route(string name, int silos)
    {
        (ClusterMap few, ClusterMap many) = (MapOf(ClusterSilos.Standard, Moved), MapOf(silos, Moved));
        return BenchRow.Cost(
            name, CpuNs(many), "ns", $"with {ClusterSilos.Standard} silos", CpuNs(few), null,
            "two holders of a group, time of the processor");
    }

    /// <summary>
    /// Time of the processor for one question, the median of some rounds: it is the same when the machine has more to do.
    /// </summary>
    private static double CpuNs(ClusterMap map)
    {
        var found = new double[Rounds];
        Measure(map);
        for (int i = 0; i < Rounds; i++) found[i] = Measure(map);
        Array.Sort(found);
        return found[Rounds / 2];
    }

    private static double Measure(ClusterMap map)
    {
        long asked = 0;
        TimeSpan begin = Environment.CpuUsage.TotalTime;
        TimeSpan took = TimeSpan.Zero;
        for (; took < round; took = Environment.CpuUsage.TotalTime - begin) Find(map, asked++);
        return took.TotalNanoseconds / (asked * Batch);
    }

    private static void Find(ClusterMap map, long round)
    {
        Span<int> found = stackalloc int[2];
        for (int i = 0; i < Batch; i++)
        {
            ulong number = (ulong)((round * Batch) + i);
            if (map.FindHolders(new BlockId(number * 0x9E3779B97F4A7C15UL, number), found) != found.Length)
                throw new CliException(ExitCodes.Fault, "bench: a group has fewer holders than it should");
        }
    }

    private static ClusterMap MapOf(int silos, int moved)
    {
        SiloEntry[] entries = [.. Enumerable.Range(0, silos).Select(i => new SiloEntry
        {
            Name = $"silo-{i:0000}",
            Endpoint = $"10.0.{i / 256}.{i % 256}:7420",
            CapacityBytes = 64L << 30,
            Zone = $"zone-{i % 3}",
            Protocol = 1,
            DiskFormat = 2,
            JoinedEpoch = i,
        })];
        var to = new Dictionary<BlockId, string>(moved);
        for (int i = 0; i < moved; i++) to.Add(new BlockId((ulong)i, ulong.MaxValue - (ulong)i), entries[i % silos].Name);
        return new ClusterMap("bench", 5000, 4000, entries, new ClusterSettings { Replicas = 2 }, to);
    }
}
