namespace KvTier.Cluster;

/// <summary>Sizes of pushes.</summary>
internal static class Pushing
{
    /// <summary>Most blocks of a push.</summary>
    public const int BlocksMax = 64;

    /// <summary>Bytes at which a push ends, unless a single block has more.</summary>
    public const long BytesMax = 16 << 20;
}
