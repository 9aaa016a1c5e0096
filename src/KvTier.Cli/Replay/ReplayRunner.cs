using System.Buffers.Binary;
using System.Diagnostics;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>
/// Replays a trace through a client: per request prefix with touch, get of the hits with a check of every byte, put of the rest in order.
/// </summary>
internal sealed class ReplayRunner
{
    private const int KeyBytes = 8;
    private readonly IReplayTarget blocks;
    private readonly ReplayOptions options;
    private readonly int batch;
    private readonly byte[] buffer;
    private readonly LatencyHistogram latency = new();
    private readonly HashSet<long> distinct = [];
    private long references;
    private long prefixHits;
    private long hostHits;
    private long ssdHits;
    private long lost;
    private long wrong;
    private long written;

    /// <summary>Replays into a silo or a cluster.</summary>
    public ReplayRunner(IReplayTarget blocks, ReplayOptions options)
    {
        this.blocks = blocks;
        this.options = options;
        // A batch is as many blocks as one request may name, and no more than 64 MiB of them.
        batch = (int)Math.Clamp((64L << 20) / options.BlockBytes, 1, Limits.Default.BatchBlocksMax);
        buffer = new byte[(long)batch * options.BlockBytes];
    }

    /// <summary>Replays the requests one after the other.</summary>
    public async Task<ReplayReport> RunAsync(IReadOnlyList<TraceRequest> trace, CliProgress progress, CancellationToken cancel)
    {
        long start = Stopwatch.GetTimestamp();
        foreach (TraceRequest request in trace)
        {
            cancel.ThrowIfCancellationRequested();
            long begin = Stopwatch.GetTimestamp();
            await RequestAsync(request.HashIds, cancel);
            latency.Record((long)Stopwatch.GetElapsedTime(begin).TotalNanoseconds);
            progress.Add(1);
        }

        return Report(trace.Count, Stopwatch.GetElapsedTime(start));
    }

    private async ValueTask RequestAsync(long[] hashIds, CancellationToken cancel)
    {
        var keys = new byte[hashIds.Length * KeyBytes];
        var ids = new BlockId[hashIds.Length];
        for (int i = 0; i < ids.Length; i++)
        {
            Span<byte> key = keys.AsSpan(i * KeyBytes, KeyBytes);
            BinaryPrimitives.WriteInt64LittleEndian(key, hashIds[i]);
            ids[i] = blocks.IdOf(key);
            distinct.Add(hashIds[i]);
        }

        var groups = new BlockId[ids.Length];
        BlockGroups.Fill(ids, groups);
        references += ids.Length;
        int found = await PrefixAsync(ids, groups, cancel);
        prefixHits += found;
        for (int at = 0; at < found; at += batch) await GetAsync(ids, groups, at, Math.Min(batch, found - at), cancel);
        for (int at = found; at < ids.Length; at += batch) await PutAsync(keys, ids, groups, at, Math.Min(batch, ids.Length - at), cancel);
    }

    private async ValueTask<int> PrefixAsync(BlockId[] ids, BlockId[] groups, CancellationToken cancel)
    {
        int found = 0;
        while (found < ids.Length)
        {
            int asked = Math.Min(Limits.Default.BatchBlocksMax, ids.Length - found);
            int here = (await blocks.PrefixAsync(ids.AsMemory(found, asked), groups.AsMemory(found, asked), cancel)).OrFail();
            found += here;
            if (here < asked) break;
        }

        return found;
    }

    private async ValueTask GetAsync(BlockId[] ids, BlockId[] groups, int at, int count, CancellationToken cancel)
    {
        var gets = new GetBlock[count];
        var results = new BlockResult[count];
        for (int i = 0; i < gets.Length; i++) gets[i] = new GetBlock(ids[at + i], Slot(i), Group: groups[at + i]);
        GetSummary summary = (await blocks.GetAsync(gets, results, cancel)).OrFail();
        hostHits += summary.HostHits;
        ssdHits += summary.SsdHits;
        for (int i = 0; i < gets.Length; i++)
        {
            if (!results[i].IsHit) lost++;
            else if (results[i].Length != options.BlockBytes
                || BlockContent.FirstWrong(Slot(i).Span, BlockContent.SeedOf(gets[i].Id)) >= 0) wrong++;
        }
    }

    private async ValueTask PutAsync(byte[] keys, BlockId[] ids, BlockId[] groups, int at, int count, CancellationToken cancel)
    {
        var puts = new PutBlock[count];
        for (int i = 0; i < count; i++)
        {
            BlockContent.Fill(Slot(i).Span, BlockContent.SeedOf(ids[at + i]));
            puts[i] = new PutBlock(keys.AsMemory((at + i) * KeyBytes, KeyBytes), Slot(i), Group: groups[at + i]);
        }

        PutSummary summary = (await blocks.PutAsync(puts, cancel)).OrFail();
        summary.Error.OrFail();
        written += summary.Stored;
    }

    private Memory<byte> Slot(int i) => buffer.AsMemory(i * options.BlockBytes, options.BlockBytes);

    private ReplayReport Report(int requests, TimeSpan elapsed) => new()
    {
        Policy = options.Policy,
        PrefixHitRatio = references == 0 ? 0 : Math.Round((double)prefixHits / references, 6),
        WrongBlocks = wrong,
        HostBlocks = options.HostBlocks,
        SsdBlocks = options.SsdBlocks,
        BlockBytes = options.BlockBytes,
        Requests = requests,
        BlockReferences = references,
        DistinctBlocks = distinct.Count,
        PrefixHits = prefixHits,
        HostHits = hostHits,
        SsdHits = ssdHits,
        LostBlocks = lost,
        BlocksWritten = written,
        Seconds = Math.Round(elapsed.TotalSeconds, 3),
        RequestP50Us = latency.Percentile(0.5) / 1e3,
        RequestP99Us = latency.Percentile(0.99) / 1e3,
    };
}
