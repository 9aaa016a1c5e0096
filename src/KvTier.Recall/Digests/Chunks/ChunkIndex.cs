namespace KvTier.Recall;

/// <summary>The digests of a sequence's chunks, in the order of the tokens: mean, min/max, cuboid and moments.</summary>
internal sealed class ChunkIndex : DigestIndex
{
    private readonly BlockLayout layout;
    private readonly RopeRotation? rotation;
    private readonly ChunkShape shape;
    private readonly SegmentStore store;
    private readonly int heads;
    private readonly BlockRows rows;
    private readonly ChunkBuilder builder;
    private readonly NodeBuilder nodes;
    private readonly ValueMaps? maps;
    private long tokens;
    private long quarantined;
    private long blockStart;

    /// <summary>Makes an empty index.</summary>
    internal ChunkIndex(DigestSpec spec, BlockLayout layout, RopeRotation? rotation)
        : this(
            new ChunkShape(spec, layout),
            null,
            spec.ValueMap ? new ValueMaps(layout.Layers * layout.KvHeads, layout.HeadDim) : null,
            layout,
            rotation)
    {
    }

    /// <summary>Makes an empty index of a part: how values follow keys is learnt from the whole sequence, and given.</summary>
    internal static ChunkIndex OfPart(DigestSpec spec, BlockLayout layout, RopeRotation? rotation) => new(
        new ChunkShape(spec, layout), null,
        spec.ValueMap ? ValueMaps.OfPart(layout.Layers * layout.KvHeads, layout.HeadDim) : null, layout, rotation);

    /// <summary>Makes an empty index that sums up what maps are learnt from.</summary>
    internal static ChunkIndex Collector(DigestSpec spec, BlockLayout layout, RopeRotation? rotation) => new(
        new ChunkShape(spec, layout), null, ValueMaps.Collector(layout.Layers * layout.KvHeads, layout.HeadDim), layout, rotation);

    private ChunkIndex(ChunkShape shape, SegmentStore? store, ValueMaps? maps, BlockLayout layout, RopeRotation? rotation)
    {
        this.shape = shape;
        this.maps = maps;
        this.layout = layout;
        this.rotation = rotation;
        heads = layout.Layers * layout.KvHeads;
        this.store = store ?? new SegmentStore(shape, heads);
        rows = new BlockRows(layout, rotation);
        builder = new ChunkBuilder(shape);
        nodes = new NodeBuilder(shape);
    }

    /// <inheritdoc/>
    internal override DigestSpec Spec => shape.Spec;

    /// <inheritdoc/>
    internal override long Tokens => tokens;

    /// <inheritdoc/>
    internal override long NativeBytes => store.NativeBytes + (maps?.NativeBytes ?? 0);

    /// <inheritdoc/>
    internal override long QuarantinedChunks => quarantined;

    /// <summary>How values follow keys; null when that is not kept.</summary>
    internal ValueMaps? Maps => maps;

    /// <summary>KV heads of a layer.</summary>
    internal int KvHeads => layout.KvHeads;

    /// <summary>The chunks as they are now.</summary>
    internal ChunkView View => new(shape, store, maps, tokens);

    /// <inheritdoc/>
    internal override void SetBlock(int block, int tokens, ReadOnlySpan<byte> payload, int position = -1)
    {
        BlockOrder.Check(block, tokens, this.tokens, layout.BlockTokens);
        int chunks = (tokens + Spec.ChunkTokens - 1) / Spec.ChunkTokens;
        int first = block % shape.BlocksPerSegment * shape.ChunksPerBlock;
        DigestSegment segment = store.Writable(block / shape.BlocksPerSegment, first + chunks);
        int before = ChunksBefore(block, first);
        rows.MoveTo(position < 0 ? block : position);
        blockStart = (long)block * layout.BlockTokens;
        for (int head = 0; head < heads; head++)
        {
            quarantined -= CountQuarantined(segment, head, first, before);
            for (int chunk = 0; chunk < chunks; chunk++) BuildChunk(payload, segment, head, chunk, first + chunk, tokens);
            quarantined += CountQuarantined(segment, head, first, first + chunks);
            if (Spec.Fanout > 0) nodes.Build(segment, head, first, first + chunks, MainRowsOfLast(tokens));
        }

        this.tokens = blockStart + tokens;
        if (maps is { IsLearning: true })
            maps.Count((int)Math.Max(0, (this.tokens / Spec.ChunkTokens * Spec.ChunkTokens) - maps.Tokens));
    }

    /// <inheritdoc/>
    internal override DigestIndex Fork(int blocks)
    {
        long kept = Math.Min(tokens, (long)blocks * layout.BlockTokens);
        int segments = (blocks + shape.BlocksPerSegment - 1) / shape.BlocksPerSegment;
        var copy = new ChunkIndex(shape, store.Share(segments), maps?.Share(), layout, rotation) { tokens = kept };
        if (quarantined > 0) copy.CountAllQuarantined();
        return copy;
    }

    /// <inheritdoc/>
    internal override int UnitTokens => Spec.ChunkTokens;

    /// <inheritdoc/>
    internal override void SelectHead(in SelectRequest request, int kvHead, Selection selection)
    {
        if (tokens > 0) ChunkSelection.Run(View, layout, request, kvHead, selection);
    }

    /// <inheritdoc/>
    internal override HeadScores ScoreHead(in SelectRequest request, int kvHead, ScoreTable table, Selection cost) =>
        ChunkSelection.Score(View, layout, request, kvHead, table, cost);

    /// <inheritdoc/>
    internal override void EstimateHead(in SelectRequest request, int kvHead, ScoreTable table, Selection selection, int[]? only) =>
        ChunkSelection.Estimate(View, (request.Layer * layout.KvHeads) + kvHead, kvHead, table, selection, only);

    /// <inheritdoc/>
    public override void Dispose()
    {
        store.Dispose();
        maps?.Dispose();
    }

    private void BuildChunk(ReadOnlySpan<byte> payload, DigestSegment segment, int head, int chunk, int target, int tokens)
    {
        int start = chunk * Spec.ChunkTokens;
        int count = Math.Min(Spec.ChunkTokens, tokens - start);
        int layer = head / layout.KvHeads;
        rows.Keys(payload, layer, head % layout.KvHeads, start, count, builder.Scratch.Keys);
        if (Spec.Kind == DigestKind.Moments) rows.Values(payload, layer, head % layout.KvHeads, start, count, builder.Scratch.Values);
        ChunkFlags flags = builder.Build(count, segment, head, target);
        if (flags != ChunkFlags.None || !IsSampled(start, count)) return;
        int rest = (count - shape.PeaksOf(count)) * layout.HeadDim;
        maps!.Add(head, builder.Scratch.Keys[..rest], builder.Scratch.Values[..rest]);
    }

    // Full chunks, once each: a block that is set anew brings those again that it had.
    private bool IsSampled(int start, int count) =>
        maps is { IsLearning: true } && count == Spec.ChunkTokens && blockStart + start >= maps.Tokens;

    // Main rows of the last chunk: its sub-chunks that have tokens.
    private int MainRowsOfLast(int tokens)
    {
        int subTokens = Spec.ChunkTokens / Spec.SubChunks;
        return (((tokens - 1) % Spec.ChunkTokens) / subTokens) + 1;
    }

    // End of the chunks of a block that were there before, in its segment.
    private int ChunksBefore(int block, int first)
    {
        long had = Math.Max(0, tokens - ((long)block * layout.BlockTokens));
        return first + (int)((had + Spec.ChunkTokens - 1) / Spec.ChunkTokens);
    }

    private void CountAllQuarantined()
    {
        ChunkView view = View;
        for (int s = 0; s < store.Count; s++)
            for (int head = 0; head < heads; head++) quarantined += CountQuarantined(store[s], head, 0, view.ChunksOf(s));
    }

    private static int CountQuarantined(DigestSegment segment, int head, int start, int end)
    {
        int count = 0;
        foreach (ChunkFlags flags in segment.Flags(head)[start..end])
            if (flags.HasFlag(ChunkFlags.Quarantined)) count++;
        return count;
    }
}
