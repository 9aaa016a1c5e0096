using System.Collections.Concurrent;
using System.Diagnostics;
using KvTier.Client;

namespace KvTier.ProcessTests.Cluster;

/// <summary>
/// Writers and readers that go on whatever happens to the cluster, note every failure, and compare every byte. Blocks follow from their
/// numbers.
/// </summary>
internal sealed class SteadyLoad : IAsyncDisposable
{
    /// <summary>Between puts, when there are enough blocks.</summary>
    private static readonly TimeSpan pause = TimeSpan.FromMilliseconds(20);

    private readonly ClusterBlocks blocks;
    private readonly AckLevel ack;
    private readonly int enough;
    private readonly CancellationTokenSource stop = new();
    private readonly List<Task> workers = [];
    private readonly ConcurrentDictionary<long, bool> acknowledged = new();
    private readonly ConcurrentQueue<string> failures = new();
    private readonly ConcurrentQueue<long> missed = new();
    private long next;
    private long written;
    private long done;
    private long wrong;
    private long longestTicks;

    /// <summary>Begins.</summary>
    /// <param name="blocks">Where blocks are put and got.</param>
    /// <param name="ack">What puts wait for.</param>
    /// <param name="writers">How many write.</param>
    /// <param name="readers">How many read.</param>
    /// <param name="first">The number before the first block's.</param>
    /// <param name="enough">Blocks, of 20 kB on average, after which few are written: a fast machine, or a wait that takes long, must not
    /// fill the silos, which would give up what is oldest.</param>
    public SteadyLoad(ClusterBlocks blocks, AckLevel ack, int writers, int readers, long first = 0, int enough = 15_000)
    {
        this.blocks = blocks;
        this.ack = ack;
        this.enough = enough;
        next = first;
        for (int i = 0; i < writers; i++) workers.Add(Task.Run(WriteAsync));
        for (int i = 0; i < readers; i++)
        {
            int seed = i;
            workers.Add(Task.Run(() => ReadAsync(new Random(seed))));
        }
    }

    /// <summary>Numbers of the blocks whose put was acknowledged.</summary>
    public IReadOnlyList<long> Acknowledged => [.. acknowledged.Keys];

    /// <summary>What requests that failed said.</summary>
    public IReadOnlyList<string> Failures => [.. failures];

    /// <summary>Acknowledged blocks that a read did not find.</summary>
    public IReadOnlyList<long> Missed => [.. missed];

    /// <summary>Blocks that were read with other bytes than their own.</summary>
    public long Wrong => Interlocked.Read(ref wrong);

    /// <summary>Requests that ended well.</summary>
    public long Done => Interlocked.Read(ref done);

    /// <summary>The longest that a request took that ended well.</summary>
    public TimeSpan Longest => Stopwatch.GetElapsedTime(0, Interlocked.Read(ref longestTicks));

    /// <summary>Waits until so many more requests have ended well.</summary>
    public async Task PassAsync(long more)
    {
        long goal = Done + more;
        var clock = Stopwatch.StartNew();
        while (Done < goal)
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(90),
                $"only {Done} of {goal} requests: {string.Join(" | ", failures.TakeLast(5))}");
            await Task.Delay(10, TestSilo.Cancel);
        }
    }

    /// <summary>Ends the load. Errors of the test itself are thrown.</summary>
    public async Task StopAsync()
    {
        await stop.CancelAsync();
        await Task.WhenAll(workers).WaitAsync(TimeSpan.FromSeconds(60));
        workers.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        stop.Dispose();
    }

    private async Task WriteAsync()
    {
        while (!stop.IsCancellationRequested)
        {
            if (Interlocked.Read(ref written) >= enough) await Task.Delay(pause);
            long number = Interlocked.Increment(ref next);
            long begin = Stopwatch.GetTimestamp();
            if (await blocks.PutAsync(number, ack) is { } error)
            {
                failures.Enqueue($"put {number} after {Stopwatch.GetElapsedTime(begin).TotalSeconds:0.0} s: {error.Message}");
                continue;
            }

            acknowledged[number] = true;
            Interlocked.Increment(ref written);
            Succeeded(begin);
        }
    }

    private async Task ReadAsync(Random random)
    {
        var buffer = new byte[40_000];
        while (!stop.IsCancellationRequested)
        {
            long newest = Interlocked.Read(ref next);
            long number = newest < 1 ? 1 : random.NextInt64(1, newest + 1);
            if (!acknowledged.ContainsKey(number))
            {
                await Task.Delay(1);
                continue;
            }

            long begin = Stopwatch.GetTimestamp();
            (Result<BlockResult> result, bool right) = await blocks.GetAsync(number, buffer);
            if (result.Error is { } error)
            {
                failures.Enqueue($"get {number} after {Stopwatch.GetElapsedTime(begin).TotalSeconds:0.0} s: {error.Message}");
                continue;
            }

            if (!result.Value.IsHit) missed.Enqueue(number);
            else if (!right) Interlocked.Increment(ref wrong);
            Succeeded(begin);
        }
    }

    private void Succeeded(long begin)
    {
        Interlocked.Increment(ref done);
        long took = Stopwatch.GetTimestamp() - begin;
        for (long seen = Interlocked.Read(ref longestTicks); took > seen;)
        {
            long before = Interlocked.CompareExchange(ref longestTicks, took, seen);
            if (before == seen) return;
            seen = before;
        }
    }
}
