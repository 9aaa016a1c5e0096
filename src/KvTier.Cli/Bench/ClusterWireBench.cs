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
        ["cluster_get_1MiB", "cluster_route_get_1MiB", "cluster_put_1MiB", "cluster_route_put_1MiB", "cluster_put_replica_1MiB"];

    /// <inheritdoc/>
    public Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names) =>
        ClusterRows.WithEtcdAsync(Names.Where(names.Contains), "us", OneSilo, () => MeasureAsync(context, names));

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
        if (names.Contains(Names[0]) || names.Contains(Names[1])) rows.AddRange(await GetAsync(context, plain, routed, owners));
        if (names.Contains(Names[2]) || names.Contains(Names[3])) rows.AddRange(await PutAsync(context, plain, routed, owners));
        if (names.Contains(Names[4])) rows.Add(await PutReplicaAsync(context, silos, routed));
        return [.. rows.Where(row => names.Contains(row.Name))];
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
        double[] times = await InTurn.MediansAsync(
            context,
            i => routed.GetAsync(ids[i % hot], buffer),
            i => ClusterRows.GetAsync(plain.Namespace, ids[(i + 1) % hot], buffer),
            i => ClusterRows.GetAsync(of[(i + 2) % hot], ids[(i + 2) % hot], buffer));
        return Rows(Names[0], Names[1], times, null);
    }

    /// <summary>
    /// Every put is of a new block: in a cluster blocks are not replaced. Once memory is full, each put has an old block go.
    /// </summary>
    private async Task<BenchRow[]> PutAsync(BenchContext context, BenchBlocks plain, ClusterBlocks routed, OwnerClients owners)
    {
        byte[] payload = ClusterRows.Payload(context);
        ValueTask PutDirect(long i)
        {
            byte[] key = BenchBlocks.Key("direct", i);
            return owners.At(owners.OwnerOf(plain.Namespace.IdOf(key))).PutAsync(key, payload);
        }

        double[] times = await InTurn.MediansAsync(
            context,
            i => routed.PutAsync(BenchBlocks.Key("new", i), payload),
            i => plain.PutAsync(BenchBlocks.Key("new", i), payload),
            PutDirect);
        return Rows(Names[2], Names[3], times, "new blocks, old ones go");
    }

    private async Task<BenchRow> PutReplicaAsync(BenchContext context, ClusterSilos silos, ClusterBlocks routed)
    {
        var descriptor = new NamespaceDescriptor("bench-twice", Profiles.Opaque);
        (await silos.TryAdminAsync("replicas", descriptor.Name, "2")).OrFail();
        await silos.WhenSettledAsync();
        await using ClusterBlocks twice = await ClusterBlocks.ConnectAsync(silos, descriptor, context.Cancel);
        byte[] payload = ClusterRows.Payload(context);
        double[] times = await InTurn.MediansAsync(
            context,
            i => twice.PutAsync(BenchBlocks.Key("two", i), payload, AckLevel.Replica),
            i => routed.PutAsync(BenchBlocks.Key("one", i), payload));
        string note = $"two copies, both there when the put is answered: {ClusterRows.MoreOf(times)}";
        return ClusterRows.Median(Names[4], times[0], "cluster_put, one copy", times[1], null, note);
    }

    private static BenchRow[] Rows(string name, string routeName, double[] times, string? note) =>
    [
        ClusterRows.Median(name, times[0], OneSilo, times[1], 1, note),
        ClusterRows.Median(routeName, times[0], Owners, times[2], null, note),
    ];
}
