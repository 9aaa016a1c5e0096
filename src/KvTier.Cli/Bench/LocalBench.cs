using KvTier.Client;

namespace KvTier.Cli;

/// <summary>The local path (shared memory) against Redis over its Unix socket: one caller, one operation at a time.</summary>
internal sealed class LocalBench : IBenchGroup
{
    private const string Baseline = "redis, unix socket";
    private long sink;

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["local_get_1MiB", "local_get_touch_1MiB", "local_put_1MiB"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        await using SiloProcess silo = await MemorySilo.StartAsync(context);
        await using BenchBlocks blocks = await BenchBlocks.ConnectAsync(silo.Endpoints["unix"], TransportMode.Local, context.Cancel);
        var payload = new byte[context.Settings.BlockBytes];
        BlockContent.Fill(payload, 1);
        int hot = context.Settings.HotBlocks;
        await blocks.FillAsync("hot", hot, payload);
        BlockId[] ids = blocks.Ids("hot", hot);
        RedisProcess? redis = await context.RedisAsync();
        using RedisBaseline? baseline = redis is null ? null : new RedisBaseline(redis, redis.Unix, 1, payload, hot);
        var rows = new List<BenchRow>();
        foreach ((int row, double? goal, bool touch) in ((int, double?, bool)[])[(0, 10, false), (1, null, true)])
        {
            if (!names.Contains(Names[row])) continue;
            Func<TimeSpan, Task<double>>? theirs = baseline is null ? null : time => baseline.GetAsync(time, touch);
            // redis-benchmark does not touch what it gets.
            string? test = touch ? null : "get";
            rows.Add(await RowAsync(context, Names[row], goal, time => GetAsync(blocks, ids, time, touch), theirs, baseline, test));
        }

        if (names.Contains(Names[2]))
        {
            byte[][] keys = [.. Enumerable.Range(0, hot).Select(i => BenchBlocks.Key("put", i))];
            var overwrite = new PutOptions { Overwrite = true };
            Task<double> Put(TimeSpan time) => ClosedLoop.RunAsync(1, time, (_, i) => blocks.PutAsync(keys[i % hot], payload, overwrite));
            rows.Add(await RowAsync(context, Names[2], null, Put, baseline is null ? null : baseline.SetAsync, baseline, "set"));
        }

        return rows;
    }

    private static async Task<BenchRow> RowAsync(
        BenchContext context, string name, double? goal, Func<TimeSpan, Task<double>> ours, Func<TimeSpan, Task<double>>? theirs,
            RedisBaseline? redis, string? test)
    {
        double[] rates = theirs is null ? await context.MedianRatesAsync(ours) : await context.MedianRatesAsync(ours, theirs);
        (double? baseline, string? note) = await RedisBaseline.BetterOfAsync(context, theirs is null ? null : rates[1], redis, test);
        return BenchRow.Rate(name, rates[0], "ops/s", Baseline, baseline, goal, note);
    }

    private Task<double> GetAsync(BenchBlocks blocks, BlockId[] ids, TimeSpan time, bool touch) =>
        ClosedLoop.RunAsync(1, time, async (_, i) =>
    {
        BlockLease lease = (await blocks.Namespace.LeaseAsync(ids[i % ids.Length])).OrFail();
        if (!lease.IsHit) throw new CliException(ExitCodes.Fault, $"bench: a block that was put is not there: {lease.Reason.Name()}");
        if (touch) sink += BenchBlocks.Touch(lease.Memory.Span);
        lease.Dispose();
    });
}
