using System.Diagnostics;
using KvTier.Client;
using KvTier.Testing;

namespace KvTier.ProcessTests.Cluster;

/// <summary>
/// How long processes were late because the machine did not let them run, which is no delay of their own: each is asked for next to
/// nothing again and again, and what it took above a moment is counted.
/// </summary>
internal sealed class Stalls : IAsyncDisposable
{
    private static readonly TimeSpan moment = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan pause = TimeSpan.FromMilliseconds(50);
    private readonly CancellationTokenSource stop = new();
    private readonly List<KvTierClient> clients = [];
    private readonly List<Task> watches = [];
    private long ticks;

    private Stalls()
    {
    }

    /// <summary>All that was counted.</summary>
    public TimeSpan Total => TimeSpan.FromTicks(Interlocked.Read(ref ticks));

    /// <summary>Begins to watch an etcd, some silos, and this process.</summary>
    public static async Task<Stalls> WatchAsync(EtcdProcess etcd, IEnumerable<TestMember> silos)
    {
        var stalls = new Stalls();
        foreach (TestMember silo in silos) stalls.clients.Add(await silo.ConnectAsync());
        stalls.watches.Add(stalls.WatchAsync(() => Task.CompletedTask));
        stalls.watches.Add(stalls.WatchAsync(() => etcd.KeysAsync("/none")));
        stalls.watches.AddRange(stalls.clients.Select(client => stalls.WatchAsync(() => client.StatAsync().AsTask())));
        return stalls;
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await Task.WhenAll(watches);
        foreach (KvTierClient client in clients) await client.DisposeAsync();
        stop.Dispose();
    }

    private async Task WatchAsync(Func<Task> ask)
    {
        while (!stop.IsCancellationRequested)
        {
            long begin = Stopwatch.GetTimestamp();
            await ask();
            await Task.Delay(pause);
            TimeSpan late = Stopwatch.GetElapsedTime(begin) - pause - moment;
            if (late > TimeSpan.Zero) Interlocked.Add(ref ticks, late.Ticks);
        }
    }
}
