namespace KvTier.Recall;

/// <summary>One layer of one sequence that is asked about.</summary>
public sealed record RecallItem
{
    /// <summary>Name of the sequence.</summary>
    public required string Sequence { get; init; }

    /// <summary>The layer, 0 to L - 1.</summary>
    public required int Layer { get; init; }

    /// <summary>Queries, fp32 <c>[W, Hq, D]</c>, rotated as the sequence's keys are after rotation; W is 1 in decoding.</summary>
    public required ReadOnlyMemory<float> Queries { get; init; }

    /// <summary>Units that the caller still holds, <c>[Hkv, slots]</c>, -1 for a free slot; empty when it holds none and wants no slots.
    /// A partly filled last unit must not be named after an append: the silo can't know that the caller has only its first rows.</summary>
    public ReadOnlyMemory<int> Held { get; init; }
}

/// <summary>A recall: what is asked, of which sequences and layers, and in which form the answer comes.</summary>
public sealed record RecallRequest
{
    /// <summary>Handle of the namespace of all sequences asked about.</summary>
    public required ushort Namespace { get; init; }

    /// <summary>What is answered.</summary>
    public required RecallMode Mode { get; init; }

    /// <summary>How units are chosen.</summary>
    public required Selector Selector { get; init; }

    /// <summary>Query heads (Hq), a multiple of the profile's KV heads.</summary>
    public required int QueryHeads { get; init; }

    /// <summary>Queries in the window (W). Default 1.</summary>
    public int Window { get; init; } = 1;

    /// <summary>Order of a gather's rows. Default <c>[K,V][Hkv][n][D]</c>.</summary>
    public GatherLayout Layout { get; init; } = GatherLayout.KvHeadToken;

    /// <summary>Divides logits, in attention as in scores (APE's T). Default 1.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>Multiplies the lse that is answered (APE's S). Default 1.</summary>
    public float LseMultiplier { get; init; } = 1;

    /// <summary>True to put the payload into host memory that a client on this machine may map. Default false.</summary>
    public bool InSharedMemory { get; init; }

    /// <summary>What is asked about; answered in this order.</summary>
    public required IReadOnlyList<RecallItem> Items { get; init; }
}
