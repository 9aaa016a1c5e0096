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

    /// <summary>A bit for each block, set for one that is a group of its own; empty when none is.</summary>
    internal byte[] Alone { get; init; } = [];

    /// <summary>Epoch of the cluster's map in which its owner wrote it; 0 outside of a cluster.</summary>
    internal long Epoch { get; init; }

    /// <summary>Number of the change that made it, under its owners one after the other; 0 outside of a cluster.</summary>
    internal long Version { get; init; }

    /// <summary>True for what stays of a sequence that was closed in a cluster, so that no older copy brings it back.</summary>
    internal bool IsClosed { get; init; }

    /// <summary>True when another manifest of the same sequence is older.</summary>
    internal bool IsNewerThan(long epoch, long version) => Epoch != epoch ? Epoch > epoch : Version > version;

    /// <summary>The bits of <see cref="Alone"/> for some blocks.</summary>
    internal static byte[] AloneOf(IReadOnlyList<SequenceBlock> blocks)
    {
        byte[] bits = [];
        for (int i = 0; i < blocks.Count; i++)
        {
            if (!blocks[i].IsAlone) continue;
            if (bits.Length == 0) bits = new byte[(blocks.Count + 7) / 8];
            bits[i / 8] |= (byte)(1 << (i % 8));
        }

        return bits;
    }

    /// <summary>True when a block is a group of its own.</summary>
    internal bool IsAlone(int block) => block / 8 < Alone.Length && (Alone[block / 8] & (1 << (block % 8))) != 0;

    /// <summary>Full segments of so many blocks: the last block is never in one, as it may be replaced.</summary>
    internal static int SegmentsOf(int blocks) => blocks == 0 ? 0 : (blocks - 1) / SegmentBlocks;
}
