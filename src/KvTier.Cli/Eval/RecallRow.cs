namespace KvTier.Cli;

/// <summary>One line of a comparison: a selector at a budget.</summary>
/// <param name="Selector">Name of the preset or of the reference.</param>
/// <param name="ChunkTokens">Tokens of a chunk; for centroids the mean size of a cluster.</param>
/// <param name="Budget">Tokens for each KV head.</param>
/// <param name="Figures">What it did.</param>
internal sealed record RecallRow(string Selector, int ChunkTokens, int Budget, RecallFigures Figures);

/// <summary>What was evaluated.</summary>
internal sealed record RecallCase
{
    /// <summary>Of tensors.</summary>
    public static RecallCase Of(RecallTensors tensors, string source, RecallTier tier) => new()
    {
        Source = source,
        Tokens = tensors.Tokens,
        KvHeads = tensors.KvHeads,
        QueryHeads = tensors.QueryHeads,
        HeadDim = tensors.HeadDim,
        Steps = tensors.Steps,
        Dtype = tensors.Dtype.Name(),
        Tier = tier.ToString().ToLowerInvariant(),
        KvBytes = tensors.StoredBytes,
    };

    /// <summary><c>synthetic, seed 1</c>, or the names of the files.</summary>
    public required string Source { get; init; }

    /// <summary>Tokens (T).</summary>
    public required int Tokens { get; init; }

    /// <summary>KV heads (Hkv).</summary>
    public required int KvHeads { get; init; }

    /// <summary>Query heads (Hq).</summary>
    public required int QueryHeads { get; init; }

    /// <summary>Elements of a row (D).</summary>
    public required int HeadDim { get; init; }

    /// <summary>Queries of each head.</summary>
    public required int Steps { get; init; }

    /// <summary>Element type in which keys and values are stored.</summary>
    public required string Dtype { get; init; }

    /// <summary>Where the blocks lie: host, ssd or device.</summary>
    public required string Tier { get; init; }

    /// <summary>Bytes of all K and V.</summary>
    public required long KvBytes { get; init; }
}
