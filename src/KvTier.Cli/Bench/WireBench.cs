using KvTier.Client;

namespace KvTier.Cli;

/// <summary>Our protocol over TCP against Redis over TCP, one connection and four.</summary>
internal sealed class WireBench : IBenchGroup
{
    private const double Goal = 1.5;

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["tcp_get_1MiB_c1", "tcp_get_1MiB_c4", "tcp_put_1MiB_c1", "tcp_put_1MiB_c4"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        await using SiloProcess silo = await MemorySilo.StartAsync(context);
        var rows = new List<BenchRow>();
        foreach (string name in Names.Where(names.Contains))
            rows.Add(await RowAsync(context, silo, name, name.Contains("_put_", StringComparison.Ordinal),
                name.EndsWith("c4", StringComparison.Ordinal) ? 4 : 1));
        return rows;
    }

    private static async Task<BenchRow> RowAsync(BenchContext context, SiloProcess silo, string name, bool put, int connections)
    {
        int hot = context.Settings.HotBlocks;
        var payload = new byte[context.Settings.BlockBytes];
        BlockContent.Fill(payload, 1);
        var clients = new BenchBlocks[connections];
        for (int i = 0; i < connections; i++)
            clients[i] = await BenchBlocks.ConnectAsync(silo.Endpoints["tcp"], TransportMode.Wire, context.Cancel);
        try
        {
            await clients[0].FillAsync("hot", hot, payload);
            BlockId[] ids = clients[0].Ids("hot", hot);
            byte[][] keys = [.. Enumerable.Range(0, hot).Select(i => BenchBlocks.Key("hot", i))];
            byte[][] buffers = [.. clients.Select(_ => new byte[payload.Length])];
            var overwrite = new PutOptions { Overwrite = true };
            ValueTask Put(int worker, long i) => clients[worker].PutAsync(keys[(i + (worker * 31)) % hot], payload, overwrite);
            async ValueTask Get(int worker, long i)
            {
                BlockResult result =
                    (await clients[worker].Namespace.GetAsync(new GetBlock(ids[(i + (worker * 31)) % hot], buffers[worker]))).OrFail();
                if (!result.IsHit)
                    throw new CliException(ExitCodes.Fault, $"bench: a block that was put is not there: {result.Reason.Name()}");
            }

            Task<double> Ours(TimeSpan time) => ClosedLoop.RunAsync(connections, time, put ? Put : Get);
            RedisProcess? redis = await context.RedisAsync();
            using RedisBaseline? baseline = redis is null ? null : new RedisBaseline(redis, redis.Tcp, connections, payload, hot);
            double[] rates = baseline is null
                ? await context.MedianRatesAsync(Ours)
                : await context.MedianRatesAsync(Ours, time => put ? baseline.SetAsync(time) : baseline.GetAsync(time));
            (double? theirs, string? note) =
                await RedisBaseline.BetterOfAsync(context, baseline is null ? null : rates[1], baseline, put ? "set" : "get");
            return BenchRow.Rate(name, rates[0], "ops/s", "redis, tcp", theirs, Goal, note);
        }
        finally
        {
            foreach (BenchBlocks client in clients) await client.DisposeAsync();
        }
    }
}
