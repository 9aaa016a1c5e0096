namespace KvTier.Cli;

/// <summary>What a demo run did; durations in us, rates in GB/s (10^9 bytes).</summary>
internal sealed record DemoReport
{
    /// <summary>Blocks stored.</summary>
    public required long BlocksWritten { get; init; }

    /// <summary>Blocks fetched, every byte compared.</summary>
    public required long BlocksRead { get; init; }

    /// <summary>Blocks fetched with wrong bytes. Must be 0.</summary>
    public required long WrongBlocks { get; init; }

    /// <summary>Blocks that should have been there and were not. Must be 0.</summary>
    public required long LostBlocks { get; init; }

    /// <summary>Blocks fetched from host memory.</summary>
    public required long HostHits { get; init; }

    /// <summary>Blocks fetched from the SSD log.</summary>
    public required long SsdHits { get; init; }

    /// <summary>Misses by reason, as the silo gave them.</summary>
    public required IReadOnlyDictionary<string, long> Misses { get; init; }

    /// <summary>Requests of the chats.</summary>
    public required long Requests { get; init; }

    /// <summary>Of the blocks named by the requests, the share that was there.</summary>
    public required double PrefixHitRatio { get; init; }

    /// <summary>Bytes of one block.</summary>
    public required long BlockBytes { get; init; }

    /// <summary>Blocks in host memory at the end.</summary>
    public required long HostBlocks { get; init; }

    /// <summary>Bytes of them.</summary>
    public required long HostBytes { get; init; }

    /// <summary>Blocks in the log at the end.</summary>
    public required long SsdBlocks { get; init; }

    /// <summary>Bytes of them.</summary>
    public required long SsdBytes { get; init; }

    /// <summary>True when recall found the needle that was planted at the start of a long context. Must be so.</summary>
    public required bool NeedleFound { get; init; }

    /// <summary>Where the needle's block lay before: <c>ssd</c>.</summary>
    public required string NeedleTier { get; init; }

    /// <summary>More of the needle.</summary>
    public required NeedleReport Needle { get; init; }

    /// <summary>Wall time in s, from the silo's start to the last check.</summary>
    public required double Seconds { get; init; }

    /// <summary>Rate of puts while putting.</summary>
    public required double PutGBs { get; init; }

    /// <summary>Rate of gets while getting, the comparison of every byte included.</summary>
    public required double GetGBs { get; init; }

    /// <summary>Puts of one request's new blocks.</summary>
    public required DemoLatency Put { get; init; }

    /// <summary>Gets of single blocks from host memory.</summary>
    public required DemoLatency HostGet { get; init; }

    /// <summary>Gets of single blocks from the SSD log.</summary>
    public required DemoLatency SsdGet { get; init; }
}

/// <summary>Latencies in us.</summary>
internal sealed record DemoLatency(long Count, double P50Us, double P99Us)
{
    /// <summary>Of a histogram.</summary>
    public static DemoLatency Of(LatencyHistogram histogram) =>
        new(histogram.Count, histogram.Percentile(0.5) / 1e3, histogram.Percentile(0.99) / 1e3);
}
