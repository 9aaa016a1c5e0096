namespace KvTier.Client.Local;

/// <summary>Cuts a put through shared memory into parts that are reserved, written and committed one after the other.</summary>
internal static class PutParts
{
    /// <summary>Of the arena a part takes at most one such share: others have reservations and leases too.</summary>
    public const int ArenaShare = 8;

    /// <summary>Most bytes of a part, one block aside: above it a further round trip is not to be noticed.</summary>
    public const long BytesMax = 64L << 20;

    /// <summary>Blocks of the first part; at least one.</summary>
    /// <param name="blocks">The blocks; one or more.</param>
    /// <param name="silo">The silo, when it is known.</param>
    public static int FirstOf(ReadOnlySpan<PutBlock> blocks, SiloInfo? silo)
    {
        // A batch that no request may have is refused whole.
        if (silo is null || blocks.Length > silo.Limits.BatchBlocksMax) return blocks.Length;
        long room = silo.ArenaBytes > 0 ? Math.Min(silo.ArenaBytes / ArenaShare, BytesMax) : BytesMax;
        int most = Math.Min(blocks.Length, silo.Limits.ReservationsMax);
        int count = 0;
        while (count < most && (room -= blocks[count].Payload.Length) >= 0) count++;
        return Math.Max(count, 1);
    }
}
