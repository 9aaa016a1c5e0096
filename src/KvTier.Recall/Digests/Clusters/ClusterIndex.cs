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
    private readonly bool cutsAtGroups;
    private long quarantined;

    /// <summary>Makes an empty index.</summary>
    /// <param name="spec">What it keeps.</param>
    /// <param name="layout">Layout of the profile's blocks.</param>
    /// <param name="rotation">How stored keys are rotated before use; null when they are stored rotated.</param>
    /// <param name="cutsAtGroups">True to end a run where a group of placement ends, so that each run lies on one silo.</param>
    internal ClusterIndex(DigestSpec spec, BlockLayout layout, RopeRotation? rotation, bool cutsAtGroups = false)
        : this(
            spec,
            layout,
            rotation,
            spec.Kind == DigestKind.Vq ? new LearntMetrics(layout.Layers * layout.KvHeads, layout.HeadDim) : null,
            cutsAtGroups)
    {
    }

    private ClusterIndex(
        DigestSpec spec, BlockLayout layout, RopeRotation? rotation, LearntMetrics? metrics, bool cutsAtGroups)
    {
        this.metrics = metrics;
        this.cutsAtGroups = cutsAtGroups;
        this.layout = layout;
        this.rotation = rotation;
        shape = new ChunkShape(spec, layout);
        builder = new ClusterBuilder(shape, layout, rotation, metrics);
        int goal = Math.Min(SegmentTokensMax, Math.Max(SegmentTokensGoal, TokensPerCode * spec.CodebookSize));
        blocksPerSegment = Math.Max(1, goal / layout.BlockTokens);
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
    internal override void SetBlock(int block, int tokens, ReadOnlySpan<byte> payload, int position = -1)
    {
        BlockOrder.Check(block, tokens, Tokens, layout.BlockTokens);
        if (Tokens > (long)block * layout.BlockTokens) RemoveLast(1);
        int place = position < 0 ? block : position;
        Add(builder.BuildBlock(block, tokens, payload, place));
        int open = 0;
        while (open < segments.Count && segments[^(open + 1)].Payload is not null) open++;
        bool ends = open == blocksPerSegment || (cutsAtGroups && BlockGroups.HeadOf(place + 1) == place + 1);
        if (!ends || tokens < layout.BlockTokens) return;
        ClusterSegment full = builder.Cluster(segments.Skip(segments.Count - open).ToArray(), ClustersOf(open));
        RemoveLast(open);
        Add(full);
    }

    /// <inheritdoc/>
    internal override DigestIndex Fork(int blocks)
    {
        var copy = new ClusterIndex(Spec, layout, rotation, metrics?.Share(), cutsAtGroups);
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
    internal override HeadScores ScoreHead(in SelectRequest request, int kvHead, ScoreTable table, Selection cost)
    {
        HeadScores scores = ClusterSelection.ScorePart(new ClusterView(shape, segments, (int)Tokens), layout, request, kvHead, table, cost);
        metrics?.Learn(request, kvHead, layout.KvHeads);
        return scores;
    }

    /// <inheritdoc/>
    internal override void EstimateHead(in SelectRequest request, int kvHead, ScoreTable table, Selection selection, int[]? only) =>
        ClusterSelection.EstimatePart(
            new ClusterView(shape, segments, (int)Tokens), (request.Layer * layout.KvHeads) + kvHead, kvHead, table, request.Selector,
            selection, only);

    /// <inheritdoc/>
    public override void Dispose() => RemoveLast(segments.Count);

    private int ClustersOf(int blocks) => Spec.Kind == DigestKind.Vq
        ? Math.Min(Spec.CodebookSize, blocks * layout.BlockTokens)
        : blocks * layout.BlockTokens / Spec.ChunkTokens;

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
