using KvTier.Client;

namespace KvTier.Cli;

/// <summary>
/// A client that routes among three silos, one request at a time over TCP: against a plain client of one silo on its own, and against plain
/// clients of the same three silos that ask each block's owner at once, which tells what the routing costs from what three processes do.
/// </summary>
internal sealed class ClusterWireBench : IBenchGroup
{
    private const string OneSilo = "one silo, plain client";
    private const string Owners = "its owners, plain clients";

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } =
        ["cluster_get_1MiB", "cluster_put_1MiB", "cluster_route_get_1MiB", "cluster_route_put_1MiB", "cluster_put_replica_1MiB"];

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
        await using OwnerClients owners = await OwnerClients.ConnectAsync(silos, routed.Map, context.Cancel);
        var rows = new List<BenchRow>();
        if (names.Contains(Names[0]) || names.Contains(Names[2])) rows.AddRange(await GetAsync(context, plain, routed, owners));
        if (names.Contains(Names[1]) || names.Contains(Names[3])) rows.AddRange(await PutAsync(context, plain, routed, owners));
        if (names.Contains(Names[4])) rows.Add(await PutReplicaAsync(context, silos, routed));
        return [.. Names.SelectMany(name => rows.Where(row => row.Name == name && names.Contains(name)))];
    }

    private async Task<BenchRow[]> GetAsync(BenchContext context, BenchBlocks plain, ClusterBlocks routed, OwnerClients owners)
    {
        int hot = context.Settings.HotBlocks;
        byte[] payload = ClusterRows.Payload(context);
        byte[] buffer = new byte[payload.Length];
        await plain.FillAsync("hot", hot, payload);
        for (int i = 0; i < hot; i++) await routed.PutAsync(BenchBlocks.Key("hot", i), payload);
        BlockId[] ids = plain.Ids("hot", hot);
        KvNamespace[] of = [.. ids.Select(id => owners.At(owners.OwnerOf(id)).Namespace)];
        double[] rates = await context.MedianRatesAsync(
            time => RunAsync(time, i => routed.GetAsync(ids[i % hot], buffer)),
            time => RunAsync(time, i => ClusterRows.GetAsync(plain.Namespace, ids[i % hot], buffer)),
            time => RunAsync(time, i => ClusterRows.GetAsync(of[i % hot], ids[i % hot], buffer)));
        return Rows(Names[0], Names[2], rates, null);
    }

    /// <summary>Every put is of a new block: in a cluster blocks are not replaced. Once memory is full, each put has an old block
    /// go.</summary>
    private async Task<BenchRow[]> PutAsync(BenchContext context, BenchBlocks plain, ClusterBlocks routed, OwnerClients owners)
    {
        byte[] payload = ClusterRows.Payload(context);
        (long ours, long theirs, long direct) = (0, 0, 0);
        ValueTask PutDirect()
        {
            byte[] key = BenchBlocks.Key("direct", direct++);
            return owners.At(owners.OwnerOf(plain.Namespace.IdOf(key))).PutAsync(key, payload);
        }

        double[] rates = await context.MedianRatesAsync(
            time => RunAsync(time, _ => routed.PutAsync(BenchBlocks.Key("new", ours++), payload)),
            time => RunAsync(time, _ => plain.PutAsync(BenchBlocks.Key("new", theirs++), payload)),
            time => RunAsync(time, _ => PutDirect()));
        return Rows(Names[1], Names[3], rates, "new blocks, old ones go");
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
            time => RunAsync(time, _ => twice.PutAsync(BenchBlocks.Key("two", ours++), payload, AckLevel.Replica)),
            time => RunAsync(time, _ => routed.PutAsync(BenchBlocks.Key("one", theirs++), payload)));
        string note = $"two copies, both there when the put is answered: {ClusterRows.MoreOf(rates)}, {rates[1] / rates[0]:0.0} puts";
        return BenchRow.Rate(Names[4], rates[0], "ops/s", "cluster_put, one copy", rates[1], null, note);
    }

    private static Task<double> RunAsync(TimeSpan time, Func<long, ValueTask> operation) =>
        ClosedLoop.RunAsync(1, time, (_, i) => operation(i), ClusterRows.LeastOperations);

    private static BenchRow[] Rows(string name, string routeName, double[] rates, string? note) =>
    [
        BenchRow.Rate(name, rates[0], "ops/s", OneSilo, rates[1], 1, note),
        BenchRow.Rate(routeName, rates[0], "ops/s", Owners, rates[2], null, note),
    ];
}
