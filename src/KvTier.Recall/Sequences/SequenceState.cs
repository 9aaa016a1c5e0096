namespace KvTier.Recall;

/// <summary>What a sequence is: its blocks and digests. Only the message whose turn it is touches it.</summary>
internal sealed class SequenceState : IDisposable
{
    private readonly List<SequenceBlock> blocks = [];
    private readonly List<BlockId> segments = [];
    private DigestIndex[] digests;

    /// <summary>Makes an empty sequence.</summary>
    internal SequenceState(
        BlockLayout layout, IReadOnlyList<DigestSpec> specs, RopeRotation? rotation, DigestIndex[] digests)
    {
        Layout = layout;
        Specs = specs;
        Rotation = rotation;
        Rope = rotation is { } given ? new KeyRotation(given, layout.HeadDim) : null;
        Checks = new GranuleChecks(layout, specs.Min(spec => spec.ChunkTokens));
        this.digests = digests;
    }

    /// <summary>Where rows lie in its blocks.</summary>
    internal BlockLayout Layout { get; }

    /// <summary>The digests it keeps.</summary>
    internal IReadOnlyList<DigestSpec> Specs { get; }

    /// <summary>How stored keys are rotated before use; null when they are stored rotated.</summary>
    internal RopeRotation? Rotation { get; }

    /// <summary>Rotates stored keys; null when they are stored rotated.</summary>
    internal KeyRotation? Rope { get; }

    /// <summary>Checks of parts of its blocks.</summary>
    internal GranuleChecks Checks { get; }

    /// <summary>Its blocks in order.</summary>
    internal IReadOnlyList<SequenceBlock> Blocks => blocks;

    /// <summary>Records of the manifest that hold its first blocks, a full segment each.</summary>
    internal IReadOnlyList<BlockId> Segments => segments;

    /// <summary>Its digests, in the order of <see cref="Specs"/>.</summary>
    internal IReadOnlyList<DigestIndex> Digests => digests;

    /// <summary>Tokens.</summary>
    internal long Tokens { get; private set; }

    /// <summary>Blocks of which digests and checks are built; the others' are built at the next use.</summary>
    internal int Loaded { get; private set; }

    /// <summary>
    /// Of a part: the numbers of its blocks in the sequence, ascending; null when it has the first blocks, none left out.
    /// </summary>
    internal int[]? Positions { get; set; }

    /// <summary>Of a part: what says which blocks it has (<see cref="PartStamp"/>).</summary>
    internal ulong Stamp { get; set; }

    /// <summary>Native bytes of the digests.</summary>
    internal long DigestBytes => digests.Sum(index => index.NativeBytes);

    /// <summary>A block.</summary>
    internal SequenceBlock this[int block] => blocks[block];

    /// <summary>Tokens in a block.</summary>
    internal int TokensIn(int block) =>
        (int)Math.Min(Layout.BlockTokens, Tokens - ((long)block * Layout.BlockTokens));

    /// <summary>Number of a block in the sequence that this is a part of.</summary>
    internal int PositionOf(int block) => Positions is null ? block : Positions[block];

    /// <summary>Position of a token in the sequence that this is a part of.</summary>
    internal long PositionOf(long token) => Positions is null
        ? token
        : ((long)Positions[(int)(token / Layout.BlockTokens)] * Layout.BlockTokens) + (token % Layout.BlockTokens);

    /// <summary>The digests under a specification; null when they are not kept.</summary>
    internal DigestIndex? Find(DigestSpec spec)
    {
        for (int i = 0; i < Specs.Count; i++)
        {
            if (Specs[i] == spec) return digests[i];
        }

        return null;
    }

    /// <summary>Copies of the digests that share what is full.</summary>
    /// <param name="count">Blocks that the copies have.</param>
    internal DigestIndex[] ForkDigests(int count)
    {
        var copies = new DigestIndex[digests.Length];
        for (int i = 0; i < copies.Length; i++) copies[i] = digests[i].Fork(count);
        return copies;
    }

    /// <summary>Takes blocks in, whose digests are built.</summary>
    /// <param name="keep">Blocks that stay.</param>
    /// <param name="added">Blocks that follow them.</param>
    /// <param name="tokens">Tokens then.</param>
    /// <param name="built">Digests of all; the ones before are freed.</param>
    /// <param name="records">Records of the manifest then.</param>
    internal void Extend(
        int keep, IReadOnlyList<SequenceBlock> added, long tokens, DigestIndex[] built, IReadOnlyList<BlockId> records)
    {
        foreach (DigestIndex index in digests) index.Dispose();
        digests = built;
        blocks.RemoveRange(keep, blocks.Count - keep);
        blocks.AddRange(added);
        Tokens = tokens;
        Loaded = blocks.Count;
        SetSegments(records);
    }

    /// <summary>Takes the blocks in that another sequence's digests, of which this one has copies, were built for.</summary>
    internal void Adopt(IReadOnlyList<SequenceBlock> known, long tokens, IReadOnlyList<BlockId> records)
    {
        Restore(known, tokens, records);
        Loaded = blocks.Count;
    }

    /// <summary>Takes the blocks of a part in.</summary>
    /// <param name="known">The blocks.</param>
    /// <param name="positions">Their numbers in the sequence.</param>
    /// <param name="tokens">Tokens in them.</param>
    /// <param name="loaded">Blocks of which digests are built.</param>
    internal void RestorePart(IReadOnlyList<SequenceBlock> known, int[] positions, long tokens, int loaded)
    {
        blocks.Clear();
        Restore(known, tokens, []);
        Positions = positions;
        Loaded = loaded;
    }

    /// <summary>Takes blocks in that a restart brought back, without digests.</summary>
    internal void Restore(IReadOnlyList<SequenceBlock> known, long tokens, IReadOnlyList<BlockId> records)
    {
        blocks.AddRange(known);
        Tokens = tokens;
        SetSegments(records);
    }

    /// <summary>Notes that digests and checks of the next block are built.</summary>
    internal void SetLoaded(int block, uint[]? checks)
    {
        blocks[block] = blocks[block] with { Checks = checks };
        Loaded = block + 1;
    }

    /// <summary>Takes checks in that were not known, of a block that came back.</summary>
    internal void SetChecks(int block, uint[] checks) => blocks[block] = blocks[block] with { Checks = checks };

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (DigestIndex index in digests) index.Dispose();
        digests = [];
    }

    private void SetSegments(IReadOnlyList<BlockId> records)
    {
        if (ReferenceEquals(records, segments)) return;
        segments.Clear();
        segments.AddRange(records);
    }
}
