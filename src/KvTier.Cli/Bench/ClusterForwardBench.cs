using System.Net;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>What it costs to ask a silo that does not own the block, against asking its owner.</summary>
internal sealed class ClusterForwardBench : IBenchGroup
{
    private const string Owner = "the owner at once";

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["cluster_forward_get", "cluster_forward_resp"];

    /// <inheritdoc/>
    public Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names) =>
        ClusterRows.WithEtcdAsync(Names.Where(names.Contains), "us", Owner, () => MeasureAsync(context, names));

    private async Task<IReadOnlyList<BenchRow>> MeasureAsync(BenchContext context, IReadOnlySet<string> names)
    {
        long hostBytes = 2L * context.Settings.HotBlocks * context.Settings.BlockBytes;
        await using ClusterSilos silos = await ClusterSilos.StartAsync(
            context, hostBytes, ClusterSilos.Standard, "--cluster-lease-ms", "15000", "--resp-enabled", "--resp-port", "0");
        var rows = new List<BenchRow>();
        if (names.Contains(Names[0])) rows.Add(await NativeAsync(context, silos));
        if (names.Contains(Names[1])) rows.Add(await RespAsync(context, silos));
        return rows;
    }

    /// <summary>A get at a silo that does not own the block, which says so, and the get at its owner that follows.</summary>
    private async Task<BenchRow> NativeAsync(BenchContext context, ClusterSilos silos)
    {
        int hot = context.Settings.HotBlocks;
        byte[] payload = ClusterRows.Payload(context);
        byte[] buffer = new byte[payload.Length];
        await using ClusterBlocks routed = await ClusterBlocks.ConnectAsync(
            silos, new NamespaceDescriptor("bench", Profiles.Opaque), context.Cancel);
        BlockId[] ids = [.. Enumerable.Range(0, hot).Select(i => routed.Namespace.IdOf(BenchBlocks.Key("hot", i)))];
        for (int i = 0; i < hot; i++) await routed.PutAsync(BenchBlocks.Key("hot", i), payload);
        await using OwnerClients clients = await OwnerClients.ConnectAsync(silos, routed.Map, context.Cancel);
        int[] owners = [.. ids.Select(clients.OwnerOf)];
        ValueTask Direct(long i) => ClusterRows.GetAsync(clients.At(owners[i % hot]).Namespace, ids[i % hot], buffer);
        async ValueTask Detour(long i)
        {
            KvNamespace wrong = clients.At((owners[i % hot] + 1) % clients.Count).Namespace;
            BlockResult said = (await wrong.GetAsync(new GetBlock(ids[i % hot], buffer))).OrFail();
            if (said.Reason != MissReason.Moved)
                throw new CliException(ExitCodes.Fault, $"bench: a silo that does not own a block said {said.Reason.Name()}");
            await Direct(i);
        }

        double[] times = await InTurn.MediansAsync(context, Detour, i => Direct(i + 1));
        return Row(Names[0], times, "answered that it is another's, and got there");
    }

    /// <summary>A RESP GET at a silo that has the owner answer, and passes the answer on.</summary>
    private async Task<BenchRow> RespAsync(BenchContext context, ClusterSilos silos)
    {
        int hot = context.Settings.HotBlocks;
        byte[] payload = ClusterRows.Payload(context);
        byte[] buffer = new byte[payload.Length];
        ClusterMap map = await silos.MapAsync();
        RespSocket[] sockets = [.. map.Silos.Select(silo =>
            new RespSocket(IPEndPoint.Parse(new Uri(silos.Silos[silo.Name].Endpoints["resp"]).Authority)))];
        try
        {
            // The namespace of database 0.
            NamespaceId database = new NamespaceDescriptor("resp", Profiles.Opaque with { Name = "opaque.0" }).Id;
            string[] keys = [.. Enumerable.Range(0, hot).Select(i => $"hot:{i}")];
            int[] owners = [.. Enumerable.Range(0, hot).Select(i => map.OwnerOf(BlockId.Compute(database, BenchBlocks.Key("hot", i))))];
            for (int i = 0; i < hot; i++) sockets[owners[i]].Set(keys[i], payload);
            ValueTask Get(long key, int off)
            {
                if (sockets[(owners[key % hot] + off) % sockets.Length].Get(keys[key % hot], buffer) != payload.Length)
                    throw new CliException(ExitCodes.Fault, "bench: a value that was set is not there");
                return ValueTask.CompletedTask;
            }

            double[] times = await InTurn.MediansAsync(context, i => Get(i, 1), i => Get(i + 1, 0));
            return Row(Names[1], times, "RESP GET, the silo asks the owner");
        }
        finally
        {
            foreach (RespSocket socket in sockets) socket.Dispose();
        }
    }

    private static BenchRow Row(string name, double[] times, string what) =>
        ClusterRows.Median(name, times[0], Owner, times[1], null, $"{what}: {ClusterRows.MoreOf(times)}");
}
