namespace KvTier.Recall;

/// <summary>What is odd about a chunk of one KV head.</summary>
[Flags]
internal enum ChunkFlags : byte
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>A key has a NaN, an infinity, or a number that the digest cannot hold: always read, never scored.</summary>
    Quarantined = 1,

    /// <summary>A value has one: never estimated.</summary>
    NoEstimate = 2,
}
