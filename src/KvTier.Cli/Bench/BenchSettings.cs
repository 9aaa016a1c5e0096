namespace KvTier.Cli;

/// <summary>How long and how large measurements are.</summary>
internal sealed record BenchSettings
{
    /// <summary>Rounds; in each, everything that is compared is measured once, one after the other.</summary>
    public int Rounds { get; init; } = 5;

    /// <summary>Time of one measurement in a round.</summary>
    public TimeSpan Slice { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>Bytes of a block in the rows that say 1 MiB.</summary>
    public int BlockBytes { get; init; } = 1 << 20;

    /// <summary>Different blocks that the memory rows go round; more than the processor's caches hold.</summary>
    public int HotBlocks { get; init; } = 128;

    /// <summary>Blocks that the SSD rows write and read.</summary>
    public int SsdBlocks { get; init; } = 1536;

    /// <summary>Requests in flight in the SSD rows, and threads of the raw probe.</summary>
    public int SsdDepth { get; init; } = 8;

    /// <summary>Blocks in the index rows.</summary>
    public int IndexBlocks { get; init; } = 10_000_000;

    /// <summary>Blocks in the recovery rows.</summary>
    public int RecoverBlocks { get; init; } = 1_000_000;

    /// <summary>Tokens of the sequence in the recall rows.</summary>
    public int RecallTokens { get; init; } = 65_536;

    /// <summary>Tokens that a recall chooses for each KV head.</summary>
    public int RecallBudget { get; init; } = 4096;

    /// <summary>Tokens of the sequence in the rows of the Python client.</summary>
    public int PythonTokens { get; init; } = 131_072;

    /// <summary>The Python of the baselines and of the Python client's rows; null to look for one.</summary>
    public string? Python { get; init; }

    /// <summary>Bytes of digests in the scoring rows; more than the processor's caches hold.</summary>
    public int ScoreBytes { get; init; } = 512 << 20;

    /// <summary>Parent of the folder for data; null for the system's.</summary>
    public string? DataFolder { get; init; }
}
