using System.Net;

namespace KvTier.Cli;

/// <summary>The same work against Redis: connections that each do one get or set after the other over the same keys.</summary>
internal sealed class RedisBaseline : IDisposable
{
    private readonly RedisProcess process;
    private readonly bool unix;
    private readonly byte[] payload;
    private readonly RespSocket[] sockets;
    private readonly byte[][] buffers;
    private readonly string[] keys;
    private long sink;

    /// <summary>Connects to a server that speaks RESP and puts the keys there.</summary>
    public RedisBaseline(RedisProcess process, EndPoint endpoint, int connections, byte[] payload, int keyCount)
    {
        this.process = process;
        this.payload = payload;
        unix = endpoint is System.Net.Sockets.UnixDomainSocketEndPoint;
        sockets = [.. Enumerable.Range(0, connections).Select(_ => new RespSocket(endpoint))];
        buffers = [.. Enumerable.Range(0, connections).Select(_ => new byte[payload.Length])];
        keys = [.. Enumerable.Range(0, keyCount).Select(i => $"hot:{i}")];
        foreach (string key in keys) sockets[0].Set(key, payload);
    }

    /// <summary>Gets for a time.</summary>
    /// <returns>Operations a second.</returns>
    public Task<double> GetAsync(TimeSpan time, bool touch = false) => ClosedLoop.RunOnThreadsAsync(sockets.Length, time, (worker, i) =>
    {
        if (sockets[worker].Get(keys[(i + (worker * 31)) % keys.Length], buffers[worker]) != payload.Length)
            throw new InvalidDataException("redis lost a key");
        if (touch) sink += BenchBlocks.Touch(buffers[worker]);
    });

    /// <summary>Sets for a time.</summary>
    /// <returns>Operations a second.</returns>
    public Task<double> SetAsync(TimeSpan time) =>
        ClosedLoop.RunOnThreadsAsync(
            sockets.Length, time, (worker, i) => sockets[worker].Set(keys[(i + (worker * 31)) % keys.Length], payload));

    /// <summary>The better of our client's figure and redis-benchmark's, so that a slow client does not flatter us.</summary>
    public static async Task<(double? Baseline, string? Note)> BetterOfAsync(
        BenchContext context, double? own, RedisBaseline? redis, string? test)
    {
        if (own is null || redis is null) return (null, "redis-server is not on the PATH");
        if (test is null) return (own, null);
        double? tool = await redis.process.BenchmarkAsync(
            test, redis.payload.Length, redis.keys.Length, redis.sockets.Length, 2000, redis.unix, context.Cancel);
        return tool > own ? (tool, "redis by redis-benchmark") : (own, null);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (RespSocket socket in sockets) socket.Dispose();
    }
}
