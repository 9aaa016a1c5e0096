namespace KvTier.Client;

/// <summary>A block, or a range of one, to fetch into a buffer.</summary>
/// <param name="Id">The block, from <see cref="KvNamespace.IdOf"/>.</param>
/// <param name="Destination">Where the bytes go; must not be touched until the get has completed.</param>
/// <param name="Offset">First byte of the range. Default 0.</param>
/// <param name="Length">Bytes of the range; 0 means to the end of the block. Default 0.</param>
/// <param name="Group">Its group, which must be the one it was put with; the default value stands for its own id.</param>
public readonly record struct GetBlock(BlockId Id, Memory<byte> Destination, int Offset = 0, int Length = 0, BlockId Group = default);

/// <summary>How one block of a get was answered.</summary>
public enum BlockStatus : byte
{
    /// <summary>The block is not in the answer; <see cref="BlockResult.Reason"/> says why.</summary>
    Miss = 0,

    /// <summary>It came from the silo's host memory.</summary>
    HostHit = 1,

    /// <summary>It came from the silo's SSD log.</summary>
    SsdHit = 2,

    /// <summary>It is there, but the destination is shorter than <see cref="BlockResult.Length"/>; nothing was written.</summary>
    DestinationTooSmall = 3,
}

/// <summary>The answer to one block of a get.</summary>
/// <param name="Status">Hit or miss.</param>
/// <param name="Reason">Why it is a miss; <see cref="MissReason.None"/> on a hit.</param>
/// <param name="Length">Bytes of the block or range, written to the destination on a hit.</param>
/// <param name="BlockLength">Bytes of the whole block.</param>
/// <param name="Codec">Stored form of the block; 0 is raw.</param>
public readonly record struct BlockResult(BlockStatus Status, MissReason Reason, int Length, int BlockLength, byte Codec)
{
    /// <summary>True when the bytes are in the destination and passed their check.</summary>
    public bool IsHit => Status is BlockStatus.HostHit or BlockStatus.SsdHit;

    internal static BlockResult Miss(MissReason reason) => new(BlockStatus.Miss, reason, 0, 0, 0);
}

/// <summary>How a get was answered.</summary>
/// <param name="HostHits">Blocks from host memory.</param>
/// <param name="SsdHits">Blocks from the SSD log.</param>
/// <param name="Misses">Blocks not in the answer, those with a destination that is too small included.</param>
/// <param name="Bytes">Bytes of the hits.</param>
public readonly record struct GetSummary(int HostHits, int SsdHits, int Misses, long Bytes)
{
    /// <summary>Blocks from either tier.</summary>
    public int Hits => HostHits + SsdHits;
}

/// <summary>What a silo knows of a block.</summary>
/// <param name="Tiers">Where it is; <see cref="TierSet.None"/> when it is not here.</param>
/// <param name="Reason">Why it is not here.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Codec">Stored form; 0 is raw.</param>
/// <param name="PayloadCrc">CRC32C of the bytes.</param>
/// <param name="ExpiryUnixMs">When it expires, in ms since 1970; 0 for never.</param>
/// <param name="PinnedUntilUnixMs">Until when it is pinned, in ms since 1970; 0 when it is not.</param>
/// <param name="Durable">True when its log record is committed.</param>
public readonly record struct BlockDescription(
    TierSet Tiers, MissReason Reason, int Length, byte Codec, uint PayloadCrc, long ExpiryUnixMs, long PinnedUntilUnixMs, bool Durable);
