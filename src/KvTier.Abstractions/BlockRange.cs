namespace KvTier;

/// <summary>A run of bytes of a block's payload.</summary>
/// <param name="Offset">First byte, 0 or more.</param>
/// <param name="Length">How many, 0 or more.</param>
public readonly record struct BlockRange(int Offset, int Length)
{
    /// <summary>The byte after the last one.</summary>
    public long End => (long)Offset + Length;
}
