namespace KvTier.Cli;

/// <summary>Size of the decode loop; by default one sequence of 131,072 tokens with the geometry of Llama 3.1 8B.</summary>
internal sealed record DecodeOptions
{
    /// <summary>Tokens of the sequence. Default 131,072.</summary>
    public int Tokens { get; init; } = 131_072;

    /// <summary>Decode steps. Default 200.</summary>
    public int Steps { get; init; } = 200;

    /// <summary>Steps of full attention, which reads everything. Default 3.</summary>
    public int FullSteps { get; init; } = 3;

    /// <summary>Layers. Default 4.</summary>
    public int Layers { get; init; } = 4;

    /// <summary>KV heads. Default 8.</summary>
    public int KvHeads { get; init; } = 8;

    /// <summary>Query heads. Default 32.</summary>
    public int QueryHeads { get; init; } = 32;

    /// <summary>Elements of a row. Default 128.</summary>
    public int HeadDim { get; init; } = 128;

    /// <summary>How K and V are stored. Default bf16, as Llama's are.</summary>
    public Dtype Dtype { get; init; } = Dtype.BFloat16;

    /// <summary>Share of the tokens that a recall chooses. Default 4 %.</summary>
    public double Budget { get; init; } = 0.04;

    /// <summary>Bytes of host memory for blocks and hot set together, as a share of all K and V. Default 10 %.</summary>
    public double HostShare { get; init; } = 0.10;

    /// <summary>Part of the host memory that is the hot set, where there is one. Default 60 %.</summary>
    public double HotPart { get; init; } = 0.6;

    /// <summary>How alike queries must be for an earlier choice to serve, in the rows with reuse. Default 0.8.</summary>
    public double ReuseCosine { get; init; } = 0.8;

    /// <summary>Name of the preset. Default <c>moments</c>.</summary>
    public string Selector { get; init; } = Selectors.Moments.Name;

    /// <summary>Bytes of all K and V.</summary>
    public long KvBytes => 2L * Layers * KvHeads * Tokens * HeadDim * Dtype.SizeBytes();
}
