namespace KvTier.Recall;

/// <summary>One silo's blocks of a sequence.</summary>
/// <param name="silo">Its name.</param>
/// <param name="positions">Numbers of the blocks in the sequence, ascending.</param>
/// <param name="stamp">What the part is of.</param>
internal sealed class PlacedPart(string silo, int[] positions, ulong stamp)
{
    internal string Silo => silo;

    internal int[] Positions => positions;

    internal ulong Stamp => stamp;

    /// <summary>What the silo said of it when it was built last; null before.</summary>
    internal PartBuilt? Built { get; set; }

    /// <summary>The unit of the sequence that a unit of the part is.</summary>
    /// <param name="unit">Unit of the part.</param>
    /// <param name="perBlock">Units of a block.</param>
    internal int ToSequence(int unit, int perBlock) => (positions[unit / perBlock] * perBlock) + (unit % perBlock);

    /// <summary>The unit of the part that a unit of the sequence is; -1 when it is not in it.</summary>
    internal int ToPart(int unit, int perBlock)
    {
        int block = Array.BinarySearch(positions, unit / perBlock);
        return block < 0 ? -1 : (block * perBlock) + (unit % perBlock);
    }
}

/// <summary>Which silo has which blocks of a sequence, under one map.</summary>
/// <param name="Epoch">Epoch of the map.</param>
/// <param name="Parts">One for each silo that has any.</param>
internal sealed record SequencePlaces(long Epoch, IReadOnlyList<PlacedPart> Parts)
{
    /// <summary>Works it out: a block is with the owner of its run's group, or of its own where it was stored alone.</summary>
    /// <returns>Null when there is no silo.</returns>
    internal static SequencePlaces? Of(SequenceState state, IPartPeers peers) =>
        Of(state.Specs, state.Rotation, state.Layout, state.Blocks, state.Tokens, peers);

    /// <summary>Works it out for blocks that are not in a state yet.</summary>
    internal static SequencePlaces? Of(
        IReadOnlyList<DigestSpec> specs, RopeRotation? rotation, in BlockLayout layout, IReadOnlyList<SequenceBlock> blocks, long tokens,
        IPartPeers peers)
    {
        long epoch = peers.Epoch;
        if (Split(blocks, peers) is not { } bySilo) return null;
        var parts = new List<PlacedPart>();
        foreach ((string silo, List<int> positions) in bySilo)
        {
            PartStamp stamp = PartStamp.Begin(specs, rotation);
            foreach (int position in positions) stamp.Add(position, blocks[position]);
            parts.Add(new PlacedPart(silo, [.. positions], stamp.End(LastTokens(positions, blocks.Count, tokens, layout))));
        }

        return new SequencePlaces(epoch, parts);
    }

    /// <summary>Positions of blocks by the silo that owns them, silos by name.</summary>
    internal static SortedDictionary<string, List<int>>? Split(IReadOnlyList<SequenceBlock> blocks, IPartPeers peers)
    {
        var bySilo = new SortedDictionary<string, List<int>>(StringComparer.Ordinal);
        string? owner = null;
        for (int i = 0, head = -1; i < blocks.Count; i++)
        {
            if (BlockGroups.HeadOf(i) != head)
            {
                head = BlockGroups.HeadOf(i);
                owner = peers.OwnerOf(blocks[head].Id);
            }

            string? silo = blocks[i].IsAlone ? peers.OwnerOf(blocks[i].Id) : owner;
            if (silo is null) return null;
            if (!bySilo.TryGetValue(silo, out List<int>? positions)) bySilo.Add(silo, positions = []);
            positions.Add(i);
        }

        return bySilo;
    }

    /// <summary>Tokens in the last of some blocks.</summary>
    internal static int LastTokens(IReadOnlyList<int> positions, int count, long tokens, in BlockLayout layout) =>
        positions.Count > 0 && positions[^1] == count - 1 ? (int)(tokens - ((long)(count - 1) * layout.BlockTokens)) : layout.BlockTokens;
}
