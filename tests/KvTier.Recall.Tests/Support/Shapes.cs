namespace KvTier.Recall.Tests;

/// <summary>Profiles, digests and selectors of the tests.</summary>
internal static class Shapes
{
    internal static DigestSpec Mean { get; } = new() { Kind = DigestKind.Mean, ChunkTokens = 8, Form = DigestForm.Float32 };

    internal static RopeRotation Rotation { get; } = new(10_000, 2, 8, RopePairing.Half, 5);

    internal static ModelProfile Gqa(
        Dtype dtype = Dtype.Float32, int layers = 2, int kvHeads = 2, int headDim = 16, int blockTokens = 16, bool preRotation = false) =>
        new()
        {
            Name = "test",
            Kind = AttentionKind.Gqa,
            Layers = layers,
            KvHeads = kvHeads,
            HeadDim = headDim,
            Dtype = dtype,
            BlockTokens = blockTokens,
            Rope = preRotation ? new RopeParameters(10_000, 2, PreRotation: true) : new RopeParameters(0),
        };

    internal static ModelProfile Mla(Dtype dtype = Dtype.Float32) => Gqa(dtype, kvHeads: 1, headDim: 24) with { Kind = AttentionKind.Mla };

    internal static Selector Selector(double tokens, DigestSpec? digest = null) => new()
    {
        Name = "test",
        Digest = digest ?? Mean,
        Budget = new RecallBudget(BudgetKind.Tokens, tokens),
        SinkChunks = 0,
        RecentChunks = 0,
    };

    internal static Selector All(DigestSpec? digest = null) =>
        Selector(1, digest) with { Budget = new RecallBudget(BudgetKind.Share, 1) };
}
