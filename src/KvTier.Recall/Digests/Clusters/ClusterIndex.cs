namespace KvTier.Recall;

/// <summary>
/// The digests of a sequence by what its keys are like and not by where they lie: centroids, and codebooks (vq). Each run of blocks is
/// clustered once it is full; until then the chunks of its blocks are its clusters. Units are single tokens.
/// </summary>
internal sealed class ClusterIndex : DigestIndex
{
    private const int SegmentTokensGoal = 1024;

    /// <summary>Tokens for each entry of a codebook.</summary>
    private const int TokensPerCode = 8;
    private const int SegmentTokensMax = 32_768;
    private readonly BlockLayout layout;
    private readonly RopeRotation? rotation;
    private readonly ChunkShape shape;
    private readonly ClusterBuilder builder;
    private readonly List<ClusterSegment> segments = [];
    private readonly LearntMetrics? metrics;
    private readonly int blocksPerSegment;
    private readonly int clusters;
    private long quarantined;

    /// <summary>Makes an empty index.</summary>
    internal ClusterIndex(DigestSpec spec, BlockLayout layout, RopeRotation? rotation)
        : this(
            spec,
            layout,
            rotation,
            spec.Kind == DigestKind.Vq ? new LearntMetrics(layout.Layers * layout.KvHeads, layout.HeadDim) : null)
    {
    }

    private ClusterIndex(DigestSpec spec, BlockLayout layout, RopeRotation? rotation, LearntMetrics? metrics)
    {
        this.metrics = metrics;
        this.layout = layout;
        this.rotation = rotation;
        shape = new ChunkShape(spec, layout);
        builder = new ClusterBuilder(shape, layout, rotation, metrics);
        int goal = Math.Min(SegmentTokensMax, Math.Max(SegmentTokensGoal, TokensPerCode * spec.CodebookSize));
        blocksPerSegment = Math.Max(1, goal / layout.BlockTokens);
        clusters = spec.Kind == DigestKind.Vq
            ? Math.Min(spec.CodebookSize, blocksPerSegment * layout.BlockTokens)
            : blocksPerSegment * layout.BlockTokens / spec.ChunkTokens;
    }

    /// <inheritdoc/>
    internal override DigestSpec Spec => shape.Spec;

    /// <inheritdoc/>
    internal override long Tokens => segments.Count == 0 ? 0 : segments[^1].FirstToken + segments[^1].Tokens;

    /// <inheritdoc/>
    internal override long NativeBytes => segments.Sum(segment => segment.Bytes);

    /// <inheritdoc/>
    internal override long QuarantinedChunks => quarantined;

    /// <summary>The segments, in order.</summary>
    internal IReadOnlyList<ClusterSegment> Segments => segments;

    /// <inheritdoc/>
    internal override void SetBlock(int block, int tokens, ReadOnlySpan<byte> payload)
    {
        BlockOrder.Check(block, tokens, Tokens, layout.BlockTokens);
        if (Tokens > (long)block * layout.BlockTokens) RemoveLast(1);
        Add(builder.BuildBlock(block, tokens, payload));
        int open = 0;
        while (open < segments.Count && segments[^(open + 1)].Payload is not null) open++;
        if (open < blocksPerSegment || tokens < layout.BlockTokens) return;
        ClusterSegment full = builder.Cluster(segments.Skip(segments.Count - open).ToArray(), clusters);
        RemoveLast(open);
        Add(full);
    }

    /// <inheritdoc/>
    internal override DigestIndex Fork(int blocks)
    {
        var copy = new ClusterIndex(Spec, layout, rotation, metrics?.Share());
        long end = Math.Min(Tokens, (long)blocks * layout.BlockTokens);
        foreach (ClusterSegment segment in segments)
        {
            if (segment.FirstToken >= end) break;
            copy.Add(segment.Share((int)Math.Min(segment.Tokens, end - segment.FirstToken)));
        }

        return copy;
    }

    /// <inheritdoc/>
    internal override int UnitTokens => 1;

    /// <inheritdoc/>
    internal override void SelectHead(in SelectRequest request, int kvHead, Selection selection)
    {
        if (Tokens == 0) return;
        ClusterSelection.Run(new ClusterView(shape, segments, (int)Tokens), layout, request, kvHead, selection);
        metrics?.Learn(request, kvHead, layout.KvHeads);
    }

    /// <inheritdoc/>
    public override void Dispose() => RemoveLast(segments.Count);

    private void Add(ClusterSegment segment)
    {
        segments.Add(segment);
        quarantined += Bad(segment);
    }

    private void RemoveLast(int count)
    {
        for (; count > 0; count--)
        {
            quarantined -= Bad(segments[^1]);
            segments[^1].Release();
            segments.RemoveAt(segments.Count - 1);
        }
    }

    private long Bad(ClusterSegment segment)
    {
        long bad = 0;
        for (int head = 0; head < layout.Layers * layout.KvHeads; head++) bad += segment.Members(head, segment.Clusters).Length;
        return bad;
    }
}
