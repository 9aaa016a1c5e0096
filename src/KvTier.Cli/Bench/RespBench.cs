using System.Net;

namespace KvTier.Cli;

/// <summary>RESP2 of ours against Redis: the same lean client on both, four connections over TCP.</summary>
internal sealed class RespBench : IBenchGroup
{
    private const int Connections = 4;

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["resp_get_1MiB_c4", "resp_set_1MiB_c4"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        await using SiloProcess silo = await MemorySilo.StartAsync(context, resp: true);
        var payload = new byte[context.Settings.BlockBytes];
        BlockContent.Fill(payload, 1);
        int hot = context.Settings.HotBlocks;
        RedisProcess? redis = await context.RedisAsync();
        var endpoint = IPEndPoint.Parse(new Uri(silo.Endpoints["resp"]).Authority);
        using var ours = new RedisBaseline(redis!, endpoint, Connections, payload, hot);
        using RedisBaseline? theirs = redis is null ? null : new RedisBaseline(redis, redis.Tcp, Connections, payload, hot);
        var rows = new List<BenchRow>();
        foreach (string name in Names.Where(names.Contains))
        {
            bool set = name.StartsWith("resp_set", StringComparison.Ordinal);
            Task<double> Measure(RedisBaseline server, TimeSpan time) => set ? server.SetAsync(time) : server.GetAsync(time);
            double[] rates = theirs is null
                ? await context.MedianRatesAsync(time => Measure(ours, time))
                : await context.MedianRatesAsync(time => Measure(ours, time), time => Measure(theirs, time));
            // The same client stands on both sides here, so redis-benchmark would compare a client and not a server.
            rows.Add(BenchRow.Rate(name, rates[0], "ops/s", "redis, tcp", theirs is null ? null : rates[1], null,
                theirs is null ? "redis-server is not on the PATH" : null));
        }

        return rows;
    }
}
