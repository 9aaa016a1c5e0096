namespace KvTier.Cli;

/// <summary>Shape of synthetic keys, values and queries.</summary>
internal sealed record SyntheticOptions
{
    /// <summary>Tokens (T). Default 32,768; at least 512, so that needles, sinks and recent tokens have room.</summary>
    public int Tokens { get; init; } = 32_768;

    /// <summary>KV heads. Default 8.</summary>
    public int KvHeads { get; init; } = 8;

    /// <summary>Query heads, a multiple of <see cref="KvHeads"/>. Default 32.</summary>
    public int QueryHeads { get; init; } = 32;

    /// <summary>Head dimension (D), a multiple of 16, 64 to 256. Default 128.</summary>
    public int HeadDim { get; init; } = 128;

    /// <summary>Decode steps. Default 32. The last ones ask for the needles, one depth each.</summary>
    public int Steps { get; init; } = 32;

    /// <summary>Depths of the needles in percent of the sequence. Default 0, 10 .. 100; at most <see cref="Steps"/> of them.</summary>
    public IReadOnlyList<int> NeedleDepths { get; init; } = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];

    /// <summary>Base of RoPE's frequencies. Default 500,000, Llama 3's.</summary>
    public double RopeTheta { get; init; } = 500_000;

    /// <summary>Seed: the same options give the same tensors. Default 1.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Query heads of a KV head (G).</summary>
    internal int Group => QueryHeads / KvHeads;

    /// <summary>Checks every field.</summary>
    /// <returns>Null when all are valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (Tokens is < 512 or > 1 << 20) return KvError.InvalidArgument("tokens", Tokens, "512 to 1048576");
        if (KvHeads is < 1 or > 64) return KvError.InvalidArgument("kvHeads", KvHeads, "1 to 64");
        if (QueryHeads < KvHeads || QueryHeads > 512 || QueryHeads % KvHeads != 0)
        {
            return KvError.InvalidArgument("queryHeads", QueryHeads, $"a multiple of the {KvHeads} KV heads, at most 512");
        }

        if (HeadDim is < 64 or > 256 || HeadDim % 16 != 0)
        {
            return KvError.InvalidArgument("headDim", HeadDim, "a multiple of 16, 64 to 256");
        }

        if ((long)KvHeads * Tokens * HeadDim > Array.MaxLength)
        {
            return KvError.LimitExceeded("kvHeads * tokens * headDim", (long)KvHeads * Tokens * HeadDim, Array.MaxLength);
        }

        if (Steps is < 1 or > 4096) return KvError.InvalidArgument("steps", Steps, "1 to 4096");
        if (NeedleDepths.Count > Steps) return KvError.InvalidArgument("needleDepths", NeedleDepths.Count, $"at most the {Steps} steps");
        foreach (int depth in NeedleDepths)
        {
            if (depth is < 0 or > 100) return KvError.InvalidArgument("needleDepths", depth, "0 to 100 percent");
        }

        return RopeTheta is > 1 and < 1e12 ? null : KvError.InvalidArgument("ropeTheta", RopeTheta, "above 1, below 1e12");
    }
}
