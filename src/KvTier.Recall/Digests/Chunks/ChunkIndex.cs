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
    private long tokens;
    private long quarantined;

    /// <summary>Makes an empty index.</summary>
    internal ChunkIndex(DigestSpec spec, BlockLayout layout, RopeRotation? rotation)
        : this(new ChunkShape(spec, layout), null, layout, rotation)
    {
    }

    private ChunkIndex(ChunkShape shape, SegmentStore? store, BlockLayout layout, RopeRotation? rotation)
    {
        this.shape = shape;
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
    internal override long NativeBytes => store.NativeBytes;

    /// <inheritdoc/>
    internal override long QuarantinedChunks => quarantined;

    /// <summary>The chunks as they are now.</summary>
    internal ChunkView View => new(shape, store, tokens);

    /// <inheritdoc/>
    internal override void SetBlock(int block, int tokens, ReadOnlySpan<byte> payload)
    {
        BlockOrder.Check(block, tokens, this.tokens, layout.BlockTokens);
        int chunks = (tokens + Spec.ChunkTokens - 1) / Spec.ChunkTokens;
        int first = block % shape.BlocksPerSegment * shape.ChunksPerBlock;
        DigestSegment segment = store.Writable(block / shape.BlocksPerSegment, first + chunks);
        int before = ChunksBefore(block, first);
        rows.MoveTo(block);
        for (int head = 0; head < heads; head++)
        {
            quarantined -= CountQuarantined(segment, head, first, before);
            for (int chunk = 0; chunk < chunks; chunk++) BuildChunk(payload, segment, head, chunk, first + chunk, tokens);
            quarantined += CountQuarantined(segment, head, first, first + chunks);
            if (Spec.Fanout > 0) nodes.Build(segment, head, first, first + chunks, MainRowsOfLast(tokens));
        }

        this.tokens = ((long)block * layout.BlockTokens) + tokens;
    }

    /// <inheritdoc/>
    internal override DigestIndex Fork(int blocks)
    {
        long kept = Math.Min(tokens, (long)blocks * layout.BlockTokens);
        int segments = (blocks + shape.BlocksPerSegment - 1) / shape.BlocksPerSegment;
        var copy = new ChunkIndex(shape, store.Share(segments), layout, rotation) { tokens = kept };
        if (quarantined > 0) copy.CountAllQuarantined();
        return copy;
    }

    /// <inheritdoc/>
    internal override void Select(in SelectRequest request, Selection selection)
    {
        selection.UnitTokens = Spec.ChunkTokens;
        if (tokens == 0) return;
        for (int kvHead = 0; kvHead < layout.KvHeads; kvHead++) ChunkSelection.Run(View, layout, request, kvHead, selection);
    }

    /// <inheritdoc/>
    public override void Dispose() => store.Dispose();

    private void BuildChunk(ReadOnlySpan<byte> payload, DigestSegment segment, int head, int chunk, int target, int tokens)
    {
        int start = chunk * Spec.ChunkTokens;
        int count = Math.Min(Spec.ChunkTokens, tokens - start);
        int layer = head / layout.KvHeads;
        rows.Keys(payload, layer, head % layout.KvHeads, start, count, builder.Scratch.Keys);
        if (Spec.Kind == DigestKind.Moments) rows.Values(payload, layer, head % layout.KvHeads, start, count, builder.Scratch.Values);
        builder.Build(count, segment, head, target);
    }

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
