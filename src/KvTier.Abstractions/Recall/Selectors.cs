namespace KvTier;

/// <summary>The selectors that come with the service, by the names of the papers they follow.</summary>
public static class Selectors
{
    /// <summary>Our own digest, with an estimate for what is not chosen. The default.</summary>
    public static Selector Moments { get; } = new()
    {
        Name = "moments",
        Digest = new DigestSpec
        {
            Kind = DigestKind.Moments,
            ChunkTokens = 16,
            Form = DigestForm.Int8,
            Peaks = 1,
            Rank = 1,
            ValueMap = true
        },
        Reduction = GroupReduction.Sum,
        RecentChunks = 4,
        Estimate = true,
    };

    /// <summary>Moments of 64 tokens: a quarter of the digests for a larger error at the same tokens, and the smallest error for few bytes.
    /// </summary>
    public static Selector MomentsLean { get; } = Moments with
    {
        Name = "moments-lean",
        Digest = Moments.Digest with { ChunkTokens = 64 },
        RecentChunks = 1,
    };

    /// <summary>ShadowKV: mean landmarks of 8 tokens, softmax, max over the group, 4 local chunks, 48 outlier chunks.</summary>
    public static Selector ShadowKv { get; } = new()
    {
        Name = "shadowkv",
        Digest = new DigestSpec { Kind = DigestKind.Mean, ChunkTokens = 8, OutlierChunks = 48 },
        SinkChunks = 0,
        RecentChunks = 4,
    };

    /// <summary>Quest: min/max bounds of 16 tokens, the last page always in, at least 3 pages; on real models the first two layers are read
    /// whole.</summary>
    public static Selector Quest { get; } = new()
    {
        Name = "quest",
        Digest = new DigestSpec { Kind = DigestKind.MinMax, ChunkTokens = 16 },
        Softmax = false,
        SinkChunks = 0,
        MinChunks = 3,
    };

    /// <summary>LServe: pages of 64 tokens judged by the best of their 4 logical pages of 16; a choice serves 4 steps.</summary>
    public static Selector LServe { get; } = new()
    {
        Name = "lserve",
        Digest = new DigestSpec { Kind = DigestKind.MinMax, ChunkTokens = 64, SubChunks = 4 },
        Softmax = false,
        SinkChunks = 0,
        MinChunks = 3,
        Reuse = new ReuseRule(ReuseKind.EverySteps, 4),
    };

    /// <summary>LeoAM: a tree of min/max bounds, searched best first until the answer is certain.</summary>
    public static Selector LeoAm { get; } = new()
    {
        Name = "leoam",
        Digest = new DigestSpec { Kind = DigestKind.MinMax, ChunkTokens = 16, Fanout = 8 },
        Softmax = false,
    };

    /// <summary>ArkVale: cuboids of 32 tokens, 2 sink and 2 recent pages.</summary>
    public static Selector ArkVale { get; } = new()
    {
        Name = "arkvale",
        Digest = new DigestSpec { Kind = DigestKind.Cuboid, ChunkTokens = 32 },
        Softmax = false,
        Reduction = GroupReduction.Sum,
        SinkChunks = 2,
        RecentChunks = 2,
    };

    /// <summary>Squeezed Attention: centroids of clusters of keys, softmax weighted by their sizes, mean over the group.</summary>
    public static Selector Squeezed { get; } = new()
    {
        Name = "squeezed",
        Digest = new DigestSpec { Kind = DigestKind.Centroids, ChunkTokens = 16 },
        Reduction = GroupReduction.Mean,
        RecentChunks = 4,
    };

    /// <summary>RetroInfer: centroids, softmax, sum over the group, and an estimate for the next best 23.2 % of the clusters.</summary>
    public static Selector RetroInfer { get; } = new()
    {
        Name = "retroinfer",
        Digest = new DigestSpec { Kind = DigestKind.Centroids, ChunkTokens = 16 },
        Reduction = GroupReduction.Sum,
        RecentChunks = 4,
        Estimate = true,
        EstimateShare = 0.232,
    };

    /// <summary>LouisKV: centroids, softmax, mean over the group; chooses anew when the queries turn away.</summary>
    public static Selector LouisKv { get; } = new()
    {
        Name = "louiskv",
        Digest = new DigestSpec { Kind = DigestKind.Centroids, ChunkTokens = 16 },
        Reduction = GroupReduction.Mean,
        Reuse = new ReuseRule(ReuseKind.QueryCosine, 0.7),
    };

    /// <summary>A²ATS: vector-quantised keys, single tokens, the union of the group's choices; 64 recent tokens.</summary>
    public static Selector A2Ats { get; } = new()
    {
        Name = "a2ats",
        Digest = new DigestSpec { Kind = DigestKind.Vq, ChunkTokens = 16, CodebookSize = 256 },
        Reduction = GroupReduction.Union,
        Softmax = false,
        RecentChunks = 4,
    };

    /// <summary>TriForce: means of 8 tokens, chunk 0 always in.</summary>
    public static Selector TriForce { get; } = new()
    {
        Name = "triforce",
        Digest = new DigestSpec { Kind = DigestKind.Mean, ChunkTokens = 8 },
        Softmax = false,
        Reduction = GroupReduction.Sum,
    };

    /// <summary>ActQKV: means of 32 tokens, one probe query for a window of queries.</summary>
    public static Selector ActQkv { get; } = new()
    {
        Name = "actqkv",
        Digest = new DigestSpec { Kind = DigestKind.Mean, ChunkTokens = 32 },
        Softmax = false,
        Reduction = GroupReduction.Sum,
        SinkChunks = 2,
        Reuse = new ReuseRule(ReuseKind.Probe, 0),
    };

    /// <summary>Every preset, in the order in which tables show them.</summary>
    public static IReadOnlyList<Selector> BuiltIn { get; } =
        [Moments, MomentsLean, ShadowKv, Quest, LServe, LeoAm, ArkVale, Squeezed, RetroInfer, LouisKv, A2Ats, TriForce, ActQkv];

    /// <summary>Finds a preset by name.</summary>
    /// <returns>Null when there is none.</returns>
    public static Selector? Find(string name) => BuiltIn.FirstOrDefault(selector => selector.Name == name);
}
