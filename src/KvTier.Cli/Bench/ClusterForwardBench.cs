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
        ClusterRows.WithEtcdAsync(Names.Where(names.Contains), "ops/s", Owner, () => MeasureAsync(context, names));

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
        ValueTask Direct(int worker, long i) => ClusterRows.GetAsync(clients.At(owners[i % hot]).Namespace, ids[i % hot], buffer);
        async ValueTask Detour(int worker, long i)
        {
            KvNamespace wrong = clients.At((owners[i % hot] + 1) % clients.Count).Namespace;
            BlockResult said = (await wrong.GetAsync(new GetBlock(ids[i % hot], buffer))).OrFail();
            if (said.Reason != MissReason.Moved)
                throw new CliException(ExitCodes.Fault, $"bench: a silo that does not own a block said {said.Reason.Name()}");
            await Direct(worker, i);
        }

        double[] rates = await context.MedianRatesAsync(
            time => ClosedLoop.RunAsync(1, time, Detour, ClusterRows.LeastOperations),
            time => ClosedLoop.RunAsync(1, time, Direct, ClusterRows.LeastOperations));
        return Row(Names[0], rates, "answered that it is another's, and got there");
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
            void Get(int key, int silo)
            {
                if (sockets[silo].Get(keys[key], buffer) != payload.Length)
                    throw new CliException(ExitCodes.Fault, "bench: a value that was set is not there");
            }

            Task<double> RunAsync(TimeSpan time, int off) => ClosedLoop.RunOnThreadsAsync(
                1, time, (_, i) => Get((int)(i % hot), (owners[i % hot] + off) % sockets.Length), ClusterRows.LeastOperations);
            double[] rates = await context.MedianRatesAsync(time => RunAsync(time, 1), time => RunAsync(time, 0));
            return Row(Names[1], rates, "RESP GET, the silo asks the owner");
        }
        finally
        {
            foreach (RespSocket socket in sockets) socket.Dispose();
        }
    }

    private static BenchRow Row(string name, double[] rates, string what) => BenchRow.Rate(
        name, rates[0], "ops/s", Owner, rates[1], null, $"{what}: {ClusterRows.MoreOf(rates)}");
}
