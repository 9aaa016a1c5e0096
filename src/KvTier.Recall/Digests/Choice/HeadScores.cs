namespace KvTier.Recall;

/// <summary>What is to be known of a part's units beside their scores, for one KV head. Units are counted in the part.</summary>
internal sealed class HeadScores
{
    /// <summary>Chunks that are quarantined: always chosen, never scored.</summary>
    internal List<int> Always { get; } = [];

    /// <summary>Other units that are left out of estimates.</summary>
    internal List<int> NotEstimated { get; } = [];

    /// <summary>The part's worst outliers.</summary>
    internal List<int> Outliers { get; } = [];

    /// <summary>How badly the mean of each of them stands for its keys.</summary>
    internal List<float> Badness { get; } = [];

    /// <summary>The clusters, where units are chosen by clusters; empty for chunks.</summary>
    internal IReadOnlyList<ClusterSegment> Segments { get; init; } = [];

    /// <summary>Which KV head of the segments it is: layer · Hkv + KV head.</summary>
    internal int Head { get; init; }
}
