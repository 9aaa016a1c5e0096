using KvTier.Client;

namespace KvTier.Cli;

/// <summary>A client that routes among three silos against a plain client of one silo, over TCP, one request at a time.</summary>
internal sealed class ClusterWireBench : IBenchGroup
{
    private const string OneSilo = "one silo, plain client";

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["cluster_get_1MiB", "cluster_put_1MiB", "cluster_put_replica_1MiB"];

    /// <inheritdoc/>
    public Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names) =>
        ClusterRows.WithEtcdAsync(Names.Where(names.Contains), "ops/s", OneSilo, () => MeasureAsync(context, names));

    private async Task<IReadOnlyList<BenchRow>> MeasureAsync(BenchContext context, IReadOnlySet<string> names)
    {
        long hostBytes = 2L * context.Settings.HotBlocks * context.Settings.BlockBytes;
        await using ClusterSilos silos = await ClusterSilos.StartAsync(
            context, hostBytes, ClusterSilos.Standard, "--cluster-lease-ms", "15000");
        await using SiloProcess alone = await SiloProcess.StartAsync(ClusterSilos.MemoryArguments(context, hostBytes), context.Cancel);
        await using BenchBlocks plain = await BenchBlocks.ConnectAsync(alone.Endpoints["tcp"], TransportMode.Wire, context.Cancel);
        await using ClusterBlocks routed = await ClusterBlocks.ConnectAsync(silos, plain.Namespace.Descriptor, context.Cancel);
        var rows = new List<BenchRow>();
        if (names.Contains(Names[0])) rows.Add(await GetAsync(context, plain, routed));
        if (names.Contains(Names[1])) rows.Add(await PutAsync(context, plain, routed));
        if (names.Contains(Names[2])) rows.Add(await PutReplicaAsync(context, silos, routed));
        return rows;
    }

    private async Task<BenchRow> GetAsync(BenchContext context, BenchBlocks plain, ClusterBlocks routed)
    {
        int hot = context.Settings.HotBlocks;
        byte[] payload = ClusterRows.Payload(context);
        byte[] buffer = new byte[payload.Length];
        await plain.FillAsync("hot", hot, payload);
        for (int i = 0; i < hot; i++) await routed.PutAsync(BenchBlocks.Key("hot", i), payload);
        BlockId[] ids = plain.Ids("hot", hot);
        double[] rates = await context.MedianRatesAsync(
            time => ClosedLoop.RunAsync(1, time, (_, i) => routed.GetAsync(ids[i % hot], buffer)),
            time => ClosedLoop.RunAsync(1, time, (_, i) => ClusterRows.GetAsync(plain.Namespace, ids[i % hot], buffer)));
        return BenchRow.Rate(Names[0], rates[0], "ops/s", OneSilo, rates[1], 1);
    }

    /// <summary>Every put is of a new block: in a cluster blocks are not replaced. Once memory is full, each put has an old block
    /// go.</summary>
    private async Task<BenchRow> PutAsync(BenchContext context, BenchBlocks plain, ClusterBlocks routed)
    {
        byte[] payload = ClusterRows.Payload(context);
        (long ours, long theirs) = (0, 0);
        double[] rates = await context.MedianRatesAsync(
            time => ClosedLoop.RunAsync(1, time, (_, _) => routed.PutAsync(BenchBlocks.Key("new", ours++), payload)),
            time => ClosedLoop.RunAsync(1, time, (_, _) => plain.PutAsync(BenchBlocks.Key("new", theirs++), payload)));
        return BenchRow.Rate(Names[1], rates[0], "ops/s", OneSilo, rates[1], 1, "new blocks, old ones go");
    }

    private async Task<BenchRow> PutReplicaAsync(BenchContext context, ClusterSilos silos, ClusterBlocks routed)
    {
        var descriptor = new NamespaceDescriptor("bench-twice", Profiles.Opaque);
        (await silos.TryAdminAsync("replicas", descriptor.Name, "2")).OrFail();
        await silos.WhenSettledAsync();
        await using ClusterBlocks twice = await ClusterBlocks.ConnectAsync(silos, descriptor, context.Cancel);
        byte[] payload = ClusterRows.Payload(context);
        (long ours, long theirs) = (0, 0);
        double[] rates = await context.MedianRatesAsync(
            time => ClosedLoop.RunAsync(1, time, (_, _) => twice.PutAsync(BenchBlocks.Key("two", ours++), payload, AckLevel.Replica)),
            time => ClosedLoop.RunAsync(1, time, (_, _) => routed.PutAsync(BenchBlocks.Key("one", theirs++), payload)));
        return BenchRow.Rate(
            Names[2], rates[0], "ops/s", "cluster_put, one copy", rates[1], null, "two copies, both there when the put is answered");
    }
}
