namespace KvTier.Cli;

/// <summary>What a map of many silos takes: memory, and time to find who holds a group.</summary>
internal sealed class ClusterScaleBench : IBenchGroup
{
    private const int Moved = 100_000;
    private const int Batch = 1000;

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["scale_map_1000_silos", "scale_route_100_silos", "scale_route_1000_silos"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        var rows = new List<BenchRow>();
        if (names.Contains(Names[0])) rows.Add(Memory());
        if (names.Contains(Names[1])) rows.Add(await RouteAsync(context, Names[1], 100));
        if (names.Contains(Names[2])) rows.Add(await RouteAsync(context, Names[2], 1000));
        return rows;
    }

    private BenchRow Memory()
    {
        long before = GC.GetTotalMemory(forceFullCollection: true);
        ClusterMap map = MapOf(1000, Moved);
        long bytes = GC.GetTotalMemory(forceFullCollection: true) - before;
        GC.KeepAlive(map);
        // An entry of the table is a group and the silo it went to, which is 16 bytes and a reference.
        return BenchRow.Cost(Names[0], bytes / 1e6, "MB", "bytes of the moved groups alone", Moved * 24 / 1e6, null,
            $"a map of 1,000 silos with {Moved:#,0} moved groups");
    }

    private static async Task<BenchRow> RouteAsync(BenchContext context, string name, int silos)
    {
        (ClusterMap few, ClusterMap many) = (MapOf(ClusterSilos.Standard, Moved), MapOf(silos, Moved));
        double[] rates = await context.MedianRatesAsync(
            time => ClosedLoop.RunOnThreadsAsync(1, time, (_, i) => Find(few, i)),
            time => ClosedLoop.RunOnThreadsAsync(1, time, (_, i) => Find(many, i)));
        double[] ns = [.. rates.Select(rate => 1e9 / rate / Batch)];
        return BenchRow.Cost(name, ns[1], "ns", $"with {ClusterSilos.Standard} silos", ns[0], null, "two holders of a group");
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
