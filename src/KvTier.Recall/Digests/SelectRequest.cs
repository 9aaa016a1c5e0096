namespace KvTier.Recall;

/// <summary>What is to be chosen for; checked against the profile by the caller.</summary>
internal readonly ref struct SelectRequest
{
    /// <summary>How to choose; its digest is the index's.</summary>
    internal required Selector Selector { get; init; }

    /// <summary>The layer.</summary>
    internal required int Layer { get; init; }

    /// <summary>Queries, fp32 <c>[W, Hq, D]</c>, all finite.</summary>
    internal required ReadOnlySpan<float> Queries { get; init; }

    /// <summary>Query heads (Hq).</summary>
    internal required int QueryHeads { get; init; }

    /// <summary>Queries in the window (W).</summary>
    internal required int Window { get; init; }

    /// <summary>Factor of q·k: 1 / (√D · temperature).</summary>
    internal required float Scale { get; init; }

    /// <summary>What a device has scored for this layer; null for nothing.</summary>
    internal DeviceScores? OnDevice { get; init; }
}
