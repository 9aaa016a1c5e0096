namespace KvTier.Cli;

/// <summary>A silo of a replay's cluster.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Bytes">Bytes of the blocks on it.</param>
internal sealed record ReplaySilo(string Name, long Bytes);

/// <summary>What a replay found.</summary>
internal sealed record ReplayReport
{
    /// <summary>Victim order of the host tier.</summary>
    public required string Policy { get; init; }

    /// <summary>Blocks hit in the unbroken prefix of their request, as a share of all block references.</summary>
    public required double PrefixHitRatio { get; init; }

    /// <summary>Blocks whose bytes were not those that were put. Must be 0.</summary>
    public required long WrongBlocks { get; init; }

    /// <summary>Most blocks in host memory.</summary>
    public required long HostBlocks { get; init; }

    /// <summary>Blocks that the SSD tier has room for.</summary>
    public required long SsdBlocks { get; init; }

    /// <summary>Bytes of every block.</summary>
    public required int BlockBytes { get; init; }

    /// <summary>Requests replayed.</summary>
    public required long Requests { get; init; }

    /// <summary>Blocks that they name.</summary>
    public required long BlockReferences { get; init; }

    /// <summary>Different blocks among them.</summary>
    public required long DistinctBlocks { get; init; }

    /// <summary>Blocks hit in the prefixes.</summary>
    public required long PrefixHits { get; init; }

    /// <summary>Of the hits, those fetched from host memory.</summary>
    public required long HostHits { get; init; }

    /// <summary>Of the hits, those fetched from the SSD log.</summary>
    public required long SsdHits { get; init; }

    /// <summary>Blocks that a prefix counted and the get after it did not find.</summary>
    public required long LostBlocks { get; init; }

    /// <summary>Blocks stored.</summary>
    public required long BlocksWritten { get; init; }

    /// <summary>Wall time in s.</summary>
    public required double Seconds { get; init; }

    /// <summary>Requests a second.</summary>
    public double RequestsPerSecond => Requests / Seconds;

    /// <summary>Median time of a request in us.</summary>
    public required double RequestP50Us { get; init; }

    /// <summary>99th percentile of it in us.</summary>
    public required double RequestP99Us { get; init; }

    /// <summary>Silos of the cluster with the bytes that each has at the end; null for a single silo.</summary>
    public IReadOnlyList<ReplaySilo>? Silos { get; init; }

    /// <summary>How far the bytes of the silo that is farthest off are from an even share, as a part of that share; null for a single
    /// silo.</summary>
    public double? BytesDeviation => Silos is { Count: > 0 } && Silos.Average(silo => silo.Bytes) is > 0 and var even
        ? Math.Round(Silos.Max(silo => Math.Abs(silo.Bytes - even)) / even, 6)
        : null;

    /// <summary>The same run with the other policies.</summary>
    public IReadOnlyList<ReplayReport>? Others { get; init; }
}
