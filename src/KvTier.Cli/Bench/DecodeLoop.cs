using System.Diagnostics;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>Decode steps over an open sequence: in each, one recall a layer, one after the other, as a model would ask.</summary>
internal sealed class DecodeLoop
{
    private readonly TensorBlocks blocks;
    private readonly KvSequence sequence;
    private readonly RecallMode mode;
    private readonly Selector selector;
    private readonly int queryHeads;
    private readonly bool holds;
    private readonly LayerRoom[] rooms;
    private readonly LatencyHistogram times = new();
    private double firstMs;
    private long ssd;
    private long read;
    private long sent;
    private long hits;
    private long misses;
    private long recalls;
    private long reused;
    private int counted;

    /// <summary>A loop.</summary>
    /// <param name="blocks">What is stored.</param>
    /// <param name="sequence">The sequence over it.</param>
    /// <param name="mode">Gather or attend.</param>
    /// <param name="selector">How to choose.</param>
    /// <param name="queryHeads">Query heads.</param>
    /// <param name="holds">True when the caller keeps what it got, so that only the difference is sent.</param>
    public DecodeLoop(TensorBlocks blocks, KvSequence sequence, RecallMode mode, Selector selector, int queryHeads, bool holds)
    {
        this.blocks = blocks;
        this.sequence = sequence;
        this.mode = mode;
        this.selector = selector;
        this.queryHeads = queryHeads;
        this.holds = holds;
        int tokens = (int)Math.Ceiling(selector.Budget.Kind == BudgetKind.Share
            ? selector.Budget.Value * blocks.Tokens
            : selector.Budget.Value);
        rooms = [.. Enumerable.Range(0, blocks.Profile.Layers).Select(_ => new LayerRoom(blocks.Profile, mode, queryHeads, tokens,
            holds ? selector.Digest.ChunkTokens : 0))];
    }

    /// <summary>Runs steps.</summary>
    public async Task RunAsync(int steps, CliProgress progress, CancellationToken cancel)
    {
        for (int step = 0; step < steps; step++)
        {
            cancel.ThrowIfCancellationRequested();
            float[][] queries = [.. Enumerable.Range(0, rooms.Length).Select(layer => blocks.QueriesOf(step, layer))];
            long begin = Stopwatch.GetTimestamp();
            for (int layer = 0; layer < rooms.Length; layer++) await RecallAsync(layer, queries[layer], step > 0, cancel);
            TimeSpan took = Stopwatch.GetElapsedTime(begin);
            if (step == 0) firstMs = took.TotalMilliseconds;
            else times.Record((long)took.TotalNanoseconds);
            progress.Add(1);
        }
    }

    /// <summary>What it did.</summary>
    public DecodeRow Row(string name, string reuse, long hotSetBytes, long hostBytes)
    {
        int steps = Math.Max(counted / rooms.Length, 1);
        return new DecodeRow(
            name, reuse, hotSetBytes, hostBytes, counted / rooms.Length + 1, Math.Round(firstMs, 2),
            Math.Round(times.Percentile(0.5) / 1e6, 2), Math.Round(times.Percentile(0.99) / 1e6, 2), ssd / steps, read / steps,
            sent / steps, hotSetBytes > 0 && hits + misses > 0 ? Math.Round((double)hits / (hits + misses), 4) : null,
            Math.Round((double)reused / Math.Max(recalls, 1), 4));
    }

    private async Task RecallAsync(int layer, float[] queries, bool counts, CancellationToken cancel)
    {
        LayerRoom room = rooms[layer];
        var item = new RecallQueryItem
        {
            Sequence = sequence.Name,
            Layer = layer,
            Queries = queries,
            Held = room.Held,
            Destination = room.Rows,
            Output = room.Output,
            Lse = room.Lse,
        };
        var query = new RecallQuery { Mode = mode, Selector = selector, QueryHeads = queryHeads, Items = [item] };
        RecallItemResult result = (await sequence.Namespace.RecallAsync(query, cancellationToken: cancel)).OrFail()[0];
        if (result.Missing.Count > 0)
            throw new CliException(ExitCodes.Fault, $"bench: tokens are missing: {result.Missing[0].Reason.Name()}");
        if (holds) result.Slots.CopyTo(room.Held);
        if (!counts) return;
        counted++;
        recalls++;
        if (result.Cost.Reused) reused++;
        ssd += result.Cost.SsdBytes;
        read += result.Cost.KvBytes;
        hits += result.Cost.HotHits;
        misses += result.Cost.HotMisses;
        sent += result.PayloadLength;
    }

    /// <summary>The caller's memory for one layer.</summary>
    private sealed class LayerRoom
    {
        public LayerRoom(ModelProfile profile, RecallMode mode, int queryHeads, int tokens, int slotTokens)
        {
            int slots = slotTokens == 0 ? 0 : (tokens + slotTokens - 1) / slotTokens;
            Held = new int[profile.KvHeads * slots];
            Held.AsSpan().Fill(-1);
            // Chunks are whole, and those that are always in may be more than a small budget.
            long rows = 2L * profile.KvHeads * (tokens + 256) * profile.HeadDim * profile.Dtype.SizeBytes();
            Rows = mode == RecallMode.Gather ? new byte[rows] : [];
            Output = mode == RecallMode.Attend ? new float[queryHeads * profile.HeadDim] : [];
            Lse = mode == RecallMode.Attend ? new float[queryHeads] : [];
        }

        public int[] Held { get; }

        public byte[] Rows { get; }

        public float[] Output { get; }

        public float[] Lse { get; }
    }
}
