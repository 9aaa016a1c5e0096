namespace KvTier.Recall;

/// <summary>A block as the manifest knows it.</summary>
/// <param name="Id">The block.</param>
/// <param name="PayloadCrc">CRC32C of its payload.</param>
internal readonly record struct ManifestBlock(BlockId Id, uint PayloadCrc)
{
    /// <summary>Bytes of it in a record.</summary>
    internal const int SizeBytes = BlockId.SizeBytes + 4;
}

/// <summary>
/// The state of a sequence that a restart brings back. Its first blocks are in segments, records of
/// <see cref="SegmentBlocks"/> blocks that never change and that forks share; the rest, at least the last block, is in the head, the one
/// record that an append writes anew.
/// </summary>
internal sealed record SequenceManifest
{
    /// <summary>Blocks of a segment: about the square root of the most blocks of a sequence, which keeps the head small.</summary>
    internal const int SegmentBlocks = 1024;

    /// <summary>Fingerprint of its namespace; handles change at a restart.</summary>
    internal required NamespaceId Namespace { get; init; }

    /// <summary>Its name.</summary>
    internal required string Name { get; init; }

    /// <summary>The digests it keeps.</summary>
    internal required IReadOnlyList<DigestSpec> Digests { get; init; }

    /// <summary>How stored keys are rotated before use.</summary>
    internal RopeRotation? Rotation { get; init; }

    /// <summary>Tokens.</summary>
    internal long Tokens { get; init; }

    /// <summary>Ids of the records of its full segments.</summary>
    internal IReadOnlyList<BlockId> Segments { get; init; } = [];

    /// <summary>The blocks after those.</summary>
    internal IReadOnlyList<ManifestBlock> Tail { get; init; } = [];

    /// <summary>Full segments of so many blocks: the last block is never in one, as it may be replaced.</summary>
    internal static int SegmentsOf(int blocks) => blocks == 0 ? 0 : (blocks - 1) / SegmentBlocks;
}
