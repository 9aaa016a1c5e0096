namespace KvTier.Cli;

/// <summary>What one selector did at one budget. Means over steps and query heads, unless said otherwise.</summary>
internal sealed record RecallFigures
{
    /// <summary>|S ∩ the budget tokens of largest p| / budget.</summary>
    public required double RecallAtK { get; init; }

    /// <summary>Σ p over S.</summary>
    public required double MassRecall { get; init; }

    /// <summary>massRecall / Σ p over the budget tokens of largest p.</summary>
    public required double MassRecallOfBest { get; init; }

    /// <summary>‖o - o_S‖ / ‖o‖; null when the service's output is not a number.</summary>
    public required double? OutputRelativeL2 { get; init; }

    /// <summary>Cosine of o and o_S; null when the service's output is not a number.</summary>
    public required double? OutputCosine { get; init; }

    /// <summary>Units scored a step, in all KV heads.</summary>
    public required double ChunksScored { get; init; }

    /// <summary>Bytes of digests, K and V touched a step.</summary>
    public required double BytesRead { get; init; }

    /// <summary>The same as a share of the bytes of all K and V.</summary>
    public required double BytesReadShare { get; init; }

    /// <summary>|S of a step ∩ S of the next| / |S of a step ∪ S of the next|, a mean over steps and KV heads; null for one step.</summary>
    public required double? Jaccard { get; init; }

    /// <summary>Tokens chosen, a mean over steps and KV heads.</summary>
    public required double TokensChosen { get; init; }

    /// <summary>Bytes read from the SSD a step.</summary>
    public required double SsdBytes { get; init; }

    /// <summary>Steps that used an earlier choice again.</summary>
    public required int ReusedSteps { get; init; }

    /// <summary>The largest ‖o' - o_S‖ / ‖o'‖ of any step and query head, with o' the judge's own softmax over S in double precision: how
    /// well the service computes. Null where the selector adds an estimate, or where there is no number.</summary>
    public required double? AttendError { get; init; }

    /// <summary>Chunks with a key that is no finite number: always read, never scored.</summary>
    public long QuarantinedChunks { get; init; }

    /// <summary>Bytes of the sequence on the device after the last step.</summary>
    public long DeviceBytes { get; init; }

    /// <summary>Needles found, by depth; empty without needles.</summary>
    public required IReadOnlyList<NeedleFigures> Needles { get; init; }
}

/// <summary>The needles of one depth.</summary>
/// <param name="DepthPercent">Where they stand: 0 at the start, 100 at the end.</param>
/// <param name="Count">How many there are.</param>
/// <param name="Accuracy">Share of them whose token was chosen for the KV head that asks, and whose planted value the output has (cosine
/// above 0.9).</param>
internal sealed record NeedleFigures(int DepthPercent, int Count, double Accuracy);
