using System.Runtime.InteropServices;

namespace KvTier.Kernels.Device;

/// <summary>A chunk as <c>attend.cl</c> reads it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ChunkEntry
{
    public ulong KeyAt;
    public ulong ValueAt;
    public ulong KeyScaleAt;
    public ulong ValueScaleAt;
    public int FirstToken;
    public int Tokens;
}

/// <summary>A split as <c>attend.cl</c> reads it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SplitEntry
{
    public int FirstToken;
    public int Tokens;
    public int FirstChunk;
    public int FirstQuery;
    public int Queries;
    public int Unused;
}

/// <summary>A query's parts as <c>merge.cl</c> reads them.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MergeEntry
{
    public int FirstSplit;
    public int Splits;
    public int Place;
    public int Unused;
}

/// <summary>
/// One attention in scratch. The tokens of each group are cut into splits, a work group each, so that one long list fills the device
/// too; a group of more than eight queries takes its splits once for every eight.
/// </summary>
internal ref struct AttendPlan
{
    /// <summary>Queries of a split; <c>QUERY_BLOCK</c> in the sources.</summary>
    private const int QueryBlock = 8;

    /// <summary>Tokens of a tile; <c>TILE_TOKENS</c> in the sources. Splits are whole tiles.</summary>
    private const int TileTokens = 32;

    /// <summary>Longest split.</summary>
    private const int SplitTokensMax = 2048;

    /// <summary>Work groups a compute unit should have, to hide its waits for memory.</summary>
    private const int GroupsPerUnit = 4;

    private readonly int splitTokens;
    private readonly int splits;
    private readonly int queries;
    private readonly int chunks;
    private long queriesAt;
    private long chunksAt;
    private long splitsAt;
    private long mergesAt;
    private int blockQueries;

    private AttendPlan(int splitTokens, int splits, int queries, int chunks)
    {
        this.splitTokens = splitTokens;
        this.splits = splits;
        this.queries = queries;
        this.chunks = chunks;
    }

    /// <summary>Where the inputs end.</summary>
    public long InputBytes { get; private set; }

    /// <summary>Lays the inputs out and fills them in.</summary>
    public static KvError? Make(DeviceSession session, in AttendBatch batch, out AttendPlan plan)
    {
        if (!Measure(batch, session.Driver.Info.ComputeUnits, out plan))
            return KvError.LimitExceeded("attend.tokens", "all groups together", int.MaxValue);
        Scratch scratch = session.Scratch;
        plan.queriesAt = scratch.Take<float>(batch.Queries.Length);
        plan.chunksAt = scratch.Take<ChunkEntry>(plan.chunks);
        plan.splitsAt = scratch.Take<SplitEntry>(plan.splits);
        plan.mergesAt = scratch.Take<MergeEntry>(plan.queries);
        plan.InputBytes = scratch.UsedBytes;
        if (scratch.Overflow is { } overflow) return overflow;
        batch.Queries.CopyTo(scratch.Host<float>(plan.queriesAt, batch.Queries.Length));
        plan.Fill(scratch, batch);
        return null;
    }

    /// <summary>Runs both kernels and fetches the answer.</summary>
    public readonly KvError? Run(DeviceSession session, in AttendBatch batch, Span<float> outputs, Span<float> lses)
    {
        Scratch scratch = session.Scratch;
        long partsAt = scratch.Take<float>((long)splits * QueryBlock * batch.Dims);
        long partLsesAt = scratch.Take<float>((long)splits * QueryBlock);
        long outputsAt = scratch.Take<float>((long)queries * batch.Dims);
        long lsesAt = scratch.Take<float>(queries);
        long end = scratch.UsedBytes;
        KvError? error = scratch.Overflow ?? session.Upload(InputBytes);
        if (error is null && splits > 0) error = StartSplits(session, batch, partsAt, partLsesAt);
        if (error is not null) return error;
        ReadOnlySpan<KernelArgument> arguments = [scratch.Buffer, mergesAt, partsAt, partLsesAt, outputsAt, lsesAt, batch.Dims];
        var merge = new KernelLaunch
        {
            Kernel = DeviceKernel.Merge,
            Dtype = Dtype.Raw,
            Groups = queries,
            GroupSize = 64,
            Arguments = arguments,
            WantsToken = true,
        };
        error = session.Finish(merge) ?? session.Download(outputsAt, end - outputsAt);
        if (error is not null) return error;
        scratch.Host<float>(outputsAt, outputs.Length).CopyTo(outputs);
        scratch.Host<float>(lsesAt, lses.Length).CopyTo(lses);
        return null;
    }

    /// <summary>Chooses how long a split is: enough of them to fill the device, none shorter than two tiles.</summary>
    private static bool Measure(in AttendBatch batch, int computeUnits, out AttendPlan plan)
    {
        long work = 0;
        long entries = 0;
        foreach (AttendGroup group in batch.Groups)
        {
            work += Tokens(batch, group) * Blocks(group);
            entries += group.Chunks;
        }

        long wanted = work / Math.Max(1, computeUnits * GroupsPerUnit);
        int length = (int)Math.Clamp((wanted + TileTokens - 1) / TileTokens * TileTokens, 2 * TileTokens, SplitTokensMax);
        long count = 0;
        foreach (AttendGroup group in batch.Groups) count += (Tokens(batch, group) + length - 1) / length * Blocks(group);
        bool fits = work <= int.MaxValue && entries <= int.MaxValue;
        plan = fits ? new AttendPlan(length, (int)count, batch.Queries.Length / batch.Dims, (int)entries) : default;
        return fits;
    }

    private static int Blocks(AttendGroup group) => (group.Queries + QueryBlock - 1) / QueryBlock;

    private static long Tokens(in AttendBatch batch, AttendGroup group)
    {
        long tokens = 0;
        foreach (AttendChunk chunk in batch.Chunks.Slice(group.FirstChunk, group.Chunks)) tokens += chunk.Tokens;
        return tokens;
    }

    private readonly KvError? StartSplits(DeviceSession session, in AttendBatch batch, long partsAt, long partLsesAt)
    {
        ReadOnlySpan<KernelArgument> arguments =
        [
            session.Memory.Buffer, session.Scratch.Buffer, queriesAt, chunksAt, splitsAt, partsAt, partLsesAt, batch.Dims, batch.Scale,
        ];
        var launch = new KernelLaunch
        {
            Kernel = DeviceKernel.Attend,
            Dtype = batch.Dtype,
            Groups = splits,
            GroupSize = 128,
            // The queries of a split, then a tile whose rows are one float apart, so that lanes hit different banks.
            LocalBytes = ((blockQueries * batch.Dims) + (TileTokens * (batch.Dims + 1))) * sizeof(float),
            Arguments = arguments,
        };
        return session.Start(launch);
    }

    private void Fill(Scratch scratch, in AttendBatch batch)
    {
        Span<ChunkEntry> entries = scratch.Host<ChunkEntry>(chunksAt, chunks);
        Span<SplitEntry> splitEntries = scratch.Host<SplitEntry>(splitsAt, splits);
        Span<MergeEntry> merges = scratch.Host<MergeEntry>(mergesAt, queries);
        merges.Clear();
        int firstChunk = 0;
        int made = 0;
        foreach (AttendGroup group in batch.Groups)
        {
            Span<ChunkEntry> mine = entries.Slice(firstChunk, group.Chunks);
            int tokens = FillChunks(batch.Chunks.Slice(group.FirstChunk, group.Chunks), mine);
            for (int block = 0; block < group.Queries; block += QueryBlock)
            {
                int count = Math.Min(QueryBlock, group.Queries - block);
                blockQueries = Math.Max(blockQueries, count);
                int firstSplit = made;
                int chunk = 0;
                for (int token = 0; token < tokens; token += splitTokens)
                {
                    while (token >= mine[chunk].FirstToken + mine[chunk].Tokens) chunk++;
                    splitEntries[made++] = new SplitEntry
                    {
                        FirstToken = token,
                        Tokens = Math.Min(splitTokens, tokens - token),
                        FirstChunk = firstChunk + chunk,
                        FirstQuery = group.FirstQuery + block,
                        Queries = count,
                    };
                }

                for (int q = 0; q < count; q++)
                {
                    ref MergeEntry merge = ref merges[group.FirstQuery + block + q];
                    merge = new MergeEntry { FirstSplit = firstSplit, Splits = made - firstSplit, Place = q };
                }
            }

            firstChunk += group.Chunks;
        }
    }

    /// <summary>Copies the chunks of a group and notes where each one's tokens begin.</summary>
    /// <returns>Tokens of the group.</returns>
    private static int FillChunks(ReadOnlySpan<AttendChunk> chunks, Span<ChunkEntry> entries)
    {
        int tokens = 0;
        for (int i = 0; i < chunks.Length; i++)
        {
            AttendChunk chunk = chunks[i];
            entries[i] = new ChunkEntry
            {
                KeyAt = (ulong)chunk.KeyOffset,
                ValueAt = (ulong)chunk.ValueOffset,
                KeyScaleAt = chunk.KeyScaleOffset < 0 ? ulong.MaxValue : (ulong)chunk.KeyScaleOffset,
                ValueScaleAt = chunk.ValueScaleOffset < 0 ? ulong.MaxValue : (ulong)chunk.ValueScaleOffset,
                FirstToken = tokens,
                Tokens = chunk.Tokens,
            };
            tokens += chunk.Tokens;
        }

        return tokens;
    }
}
