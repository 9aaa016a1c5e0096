using System.Buffers.Binary;
using System.Diagnostics;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>Runs the chats against a silo: per request prefix, get of what is there with a check of every byte, put of the rest.</summary>
internal sealed class DemoRunner
{
    /// <summary>Gets in flight at one time.</summary>
    private const int Readers = 4;

    private const int KeyBytes = 8;
    private readonly KvNamespace blocks;
    private readonly DemoOptions options;
    private readonly int blockBytes;
    private readonly byte[][] buffers;
    private readonly byte[] putBuffer;
    private readonly LatencyHistogram put = new();
    private readonly LatencyHistogram hostGet = new();
    private readonly LatencyHistogram ssdGet = new();
    private readonly Dictionary<string, long> misses = [];
    private TimeSpan putTime;
    private TimeSpan getTime;
    private long named;
    private long found;
    private long written;
    private long wrong;
    private long lost;

    /// <summary>Runs against a namespace.</summary>
    public DemoRunner(KvNamespace blocks, DemoOptions options)
    {
        this.blocks = blocks;
        this.options = options;
        blockBytes = (int)options.Profile.BlockBytes;
        buffers = [.. Enumerable.Range(0, Readers).Select(_ => GC.AllocateUninitializedArray<byte>(blockBytes))];
        putBuffer = GC.AllocateUninitializedArray<byte>(blockBytes * Math.Max(options.Shape.TurnBlocks, 1));
    }

    /// <summary>Steps that <see cref="RunAsync"/> reports.</summary>
    public double Steps => options.Shape.Requests + (options.Shape.DistinctBlocks / 64.0) + 1;

    /// <summary>Runs all chats, then fetches every block once more, then ends one chat and asks for it again.</summary>
    public async Task RunAsync(CliProgress progress, CancellationToken cancel)
    {
        foreach (long[] request in ChatWorkload.Requests(options.Shape))
        {
            cancel.ThrowIfCancellationRequested();
            await RequestAsync(request, cancel);
            progress.Add(1);
        }

        progress.Say("read all back");
        for (long at = 0; at < options.Shape.DistinctBlocks; at += 64)
        {
            cancel.ThrowIfCancellationRequested();
            await GetAsync(IdsOf(Range(at, Math.Min(64, options.Shape.DistinctBlocks - at))), expected: true);
            progress.Add(1);
        }

        await EndOneChatAsync(cancel);
        progress.Add(1);
    }

    /// <summary>What was done, with the silo's own figures of its tiers.</summary>
    public DemoReport Report(TierFigures tiers, NeedleReport needle, TimeSpan elapsed) => new()
    {
        BlocksWritten = written,
        BlocksRead = hostGet.Count + ssdGet.Count,
        WrongBlocks = wrong,
        LostBlocks = lost,
        HostHits = hostGet.Count,
        SsdHits = ssdGet.Count,
        Misses = misses,
        Requests = options.Shape.Requests,
        PrefixHitRatio = Math.Round((double)found / named, 4),
        BlockBytes = blockBytes,
        HostBlocks = tiers.HostBlocks,
        HostBytes = tiers.HostBytes,
        SsdBlocks = tiers.SsdBlocks,
        SsdBytes = tiers.SsdBytes,
        NeedleFound = needle.Found,
        NeedleTier = needle.Tier,
        Needle = needle,
        Seconds = Math.Round(elapsed.TotalSeconds, 2),
        PutGBs = Rate(written, putTime),
        GetGBs = Rate(hostGet.Count + ssdGet.Count, getTime),
        Put = DemoLatency.Of(put),
        HostGet = DemoLatency.Of(hostGet),
        SsdGet = DemoLatency.Of(ssdGet),
    };

    private static IEnumerable<long> Range(long start, long count) => Enumerable.Range(0, (int)count).Select(i => start + i);

    private double Rate(long count, TimeSpan time) =>
        time > TimeSpan.Zero ? Math.Round(count * (double)blockBytes / time.TotalSeconds / 1e9, 3) : 0;

    private async Task RequestAsync(long[] request, CancellationToken cancel)
    {
        BlockId[] ids = IdsOf(request);
        int here = (await blocks.PrefixAsync(ids, touch: true, cancellationToken: cancel)).OrFail();
        named += ids.Length;
        found += here;
        await GetAsync(ids[..here], expected: true);
        if (here == ids.Length) return;
        // What a model would compute now: ask for the first block that is missing, to hear why, then store all that are.
        await GetAsync(ids[here..(here + 1)], expected: false);
        for (int at = here; at < ids.Length; at += options.Shape.TurnBlocks)
            await PutAsync(request, ids, at, Math.Min(options.Shape.TurnBlocks, ids.Length - at), cancel);
    }

    private async Task PutAsync(long[] request, BlockId[] ids, int at, int count, CancellationToken cancel)
    {
        var puts = new PutBlock[count];
        for (int i = 0; i < count; i++)
        {
            Memory<byte> payload = putBuffer.AsMemory(i * blockBytes, blockBytes);
            BlockContent.Fill(payload.Span, BlockContent.SeedOf(ids[at + i]));
            puts[i] = new PutBlock(KeyOf(request[at + i]), payload);
        }

        long begin = Stopwatch.GetTimestamp();
        PutSummary summary = (await blocks.PutAsync(puts, cancellationToken: cancel)).OrFail();
        summary.Error.OrFail();
        TimeSpan took = Stopwatch.GetElapsedTime(begin);
        put.Record((long)took.TotalNanoseconds);
        putTime += took;
        written += summary.Stored;
    }

    private async Task GetAsync(BlockId[] ids, bool expected)
    {
        long begin = Stopwatch.GetTimestamp();
        int next = -1;
        async Task ReadAsync(byte[] buffer)
        {
            for (int i; (i = Interlocked.Increment(ref next)) < ids.Length;) await GetOneAsync(ids[i], buffer, expected);
        }

        await Task.WhenAll(buffers.Take(ids.Length).Select(buffer => Task.Run(() => ReadAsync(buffer))));
        if (expected) getTime += Stopwatch.GetElapsedTime(begin);
    }

    private async Task GetOneAsync(BlockId id, byte[] buffer, bool expected)
    {
        long begin = Stopwatch.GetTimestamp();
        BlockResult result = (await blocks.GetAsync(new GetBlock(id, buffer))).OrFail();
        long took = (long)Stopwatch.GetElapsedTime(begin).TotalNanoseconds;
        bool right = result.IsHit && result.Length == blockBytes && BlockContent.FirstWrong(buffer, BlockContent.SeedOf(id)) < 0;
        lock (misses)
        {
            if (!result.IsHit)
            {
                misses[result.Reason.Name()] = misses.GetValueOrDefault(result.Reason.Name()) + 1;
                if (expected) lost++;
                return;
            }

            (result.Status == BlockStatus.SsdHit ? ssdGet : hostGet).Record(took);
            if (!right) wrong++;
        }
    }

    private async Task EndOneChatAsync(CancellationToken cancel)
    {
        BlockId[] ids = IdsOf(Range(options.Shape.SystemBlocks, options.Shape.Turns * options.Shape.TurnBlocks));
        (await blocks.DeleteAsync(ids, cancellationToken: cancel)).OrFail();
        await GetAsync(ids, expected: false);
    }

    private BlockId[] IdsOf(IEnumerable<long> numbers) => [.. numbers.Select(number => blocks.IdOf(KeyOf(number)))];

    private static byte[] KeyOf(long number)
    {
        var key = new byte[KeyBytes];
        BinaryPrimitives.WriteInt64LittleEndian(key, number);
        return key;
    }
}
