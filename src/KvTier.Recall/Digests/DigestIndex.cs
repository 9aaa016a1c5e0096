namespace KvTier.Recall;

/// <summary>
/// The digests of one sequence under one <see cref="DigestSpec"/>: all layers, all KV heads. Its sequence's grain is the only one who
/// changes it; <see cref="SelectHead"/> may run for several layers and KV heads at once while nobody changes it.
/// </summary>
internal abstract class DigestIndex : IDisposable
{
    /// <summary>Makes an empty index.</summary>
    /// <param name="spec">What it keeps; valid for the profile.</param>
    /// <param name="layout">Layout of the profile's blocks.</param>
    /// <param name="rotation">How stored keys are rotated before use; null when they are stored rotated.</param>
    internal static DigestIndex Create(DigestSpec spec, BlockLayout layout, RopeRotation? rotation) => spec.Kind switch
    {
        DigestKind.Mean or DigestKind.MinMax or DigestKind.Cuboid or DigestKind.Moments => new ChunkIndex(spec, layout, rotation),
        _ => new ClusterIndex(spec, layout, rotation),
    };

    /// <summary>Makes an empty index as silos of a cluster do: a run of clusters ends where a group of placement ends.</summary>
    internal static DigestIndex CreateByGroups(DigestSpec spec, BlockLayout layout, RopeRotation? rotation) =>
        spec.Kind is DigestKind.Centroids or DigestKind.Vq
            ? new ClusterIndex(spec, layout, rotation, cutsAtGroups: true)
            : Create(spec, layout, rotation);

    /// <summary>Makes an empty index of a part of a sequence.</summary>
    internal static DigestIndex CreateOfPart(DigestSpec spec, BlockLayout layout, RopeRotation? rotation) =>
        spec.Kind == DigestKind.Moments ? ChunkIndex.OfPart(spec, layout, rotation) : CreateByGroups(spec, layout, rotation);

    /// <summary>What it keeps.</summary>
    internal abstract DigestSpec Spec { get; }

    /// <summary>Tokens it covers.</summary>
    internal abstract long Tokens { get; }

    /// <summary>Native bytes; what is shared with forks is counted in each.</summary>
    internal abstract long NativeBytes { get; }

    /// <summary>Chunks with a NaN or an infinity in a key: always chosen, never scored.</summary>
    internal abstract long QuarantinedChunks { get; }

    /// <summary>Builds the digests of a block: the next one, or the last one anew when it was partly filled.</summary>
    /// <param name="block">Number of the block in the sequence: the count of blocks so far, or one less.</param>
    /// <param name="tokens">Tokens in it, 1 to B; B when another block follows.</param>
    /// <param name="payload">Its payload, as stored; empty for a block that is gone, whose units are all quarantined.</param>
    /// <param name="position">Number of the block in the whole sequence, where the index covers a part of one; -1 for
    /// <paramref name="block"/>.</param>
    internal abstract void SetBlock(int block, int tokens, ReadOnlySpan<byte> payload, int position = -1);

    /// <summary>A copy that shares what is full and copies the rest when it is written (copy on write).</summary>
    /// <param name="blocks">Blocks that the copy has, at most as many as this has.</param>
    internal abstract DigestIndex Fork(int blocks);

    /// <summary>Tokens of a unit: the chunk size, or 1.</summary>
    internal abstract int UnitTokens { get; }

    /// <summary>Chooses the units of every KV head for one layer, and estimates the rest where the selector says so.</summary>
    internal void Select(in SelectRequest request, Selection selection)
    {
        selection.UnitTokens = UnitTokens;
        for (int kvHead = 0; kvHead < selection.KvHeads; kvHead++) SelectHead(request, kvHead, selection);
    }

    /// <summary>Does the same for one KV head. Each touches its own part of the selection.</summary>
    internal abstract void SelectHead(in SelectRequest request, int kvHead, Selection selection);

    /// <summary>Scores all units of one KV head into a table, for a choice that is made elsewhere.</summary>
    /// <param name="request">What for.</param>
    /// <param name="kvHead">The KV head.</param>
    /// <param name="table">Receives the scores.</param>
    /// <param name="cost">Counts what is read.</param>
    internal abstract HeadScores ScoreHead(in SelectRequest request, int kvHead, ScoreTable table, Selection cost);

    /// <summary>Estimates, by such scores, what was not chosen of one KV head.</summary>
    /// <param name="request">What for.</param>
    /// <param name="kvHead">The KV head.</param>
    /// <param name="table">The scores; of no more use afterwards.</param>
    /// <param name="selection">What was chosen; receives the estimate.</param>
    /// <param name="only">The units, or clusters, to be estimated; null for all.</param>
    internal abstract void EstimateHead(in SelectRequest request, int kvHead, ScoreTable table, Selection selection, int[]? only);

    /// <inheritdoc/>
    public abstract void Dispose();
}
