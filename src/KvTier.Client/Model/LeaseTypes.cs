namespace KvTier.Client;

/// <summary>A block to write in place in shared memory.</summary>
/// <param name="Key">The key, 1 to <see cref="Limits.KeyBytesMax"/> bytes.</param>
/// <param name="Length">Bytes of the block.</param>
/// <param name="Codec">Stored form of the payload; 0 is raw.</param>
/// <param name="Group">Its group; the default value stands for its own id.</param>
public readonly record struct ReserveBlock(ReadOnlyMemory<byte> Key, int Length, byte Codec = 0, BlockId Group = default);

/// <summary>How one block of a reserve was answered. The numbers are those of the protocol.</summary>
public enum ReserveStatus : byte
{
    /// <summary>A slot is reserved: write it, then commit or dispose.</summary>
    Reserved = 0,

    /// <summary>The block is there already; nothing to write.</summary>
    Present = 1,

    /// <summary>It was refused; <see cref="ReserveSummary.Error"/> says why the first refused one was.</summary>
    Refused = 2,

    /// <summary>Another silo of the cluster owns its group.</summary>
    Moved = 3,
}

/// <summary>How a reserve was answered.</summary>
/// <param name="Reserved">Slots reserved.</param>
/// <param name="Present">Blocks that were there already.</param>
/// <param name="Refused">Blocks refused.</param>
/// <param name="Error">Why the first refused one was; null when none was.</param>
/// <param name="Moved">Blocks that belong to another silo of the cluster.</param>
public readonly record struct ReserveSummary(int Reserved, int Present, int Refused, KvError? Error, int Moved = 0);
