namespace KvTier;

/// <summary>What stands in for a chunk when recall scores it. The numbers are part of the wire protocol and of the disk format.</summary>
public enum DigestKind : byte
{
    /// <summary>Mean of the chunk's keys (ShadowKV's landmark, TriForce, InfLLM).</summary>
    Mean = 1,

    /// <summary>Smallest and largest value of every channel (Quest): an upper bound of every q·k in the chunk.</summary>
    MinMax = 2,

    /// <summary>Centre and mean deviation of every channel (ArkVale's cuboid); tighter than min/max, and not a bound.</summary>
    Cuboid = 3,

    /// <summary>Mean and variance of the keys and mean of the values: our own digest, and the default.</summary>
    Moments = 4,

    /// <summary>k-means clusters of a segment's keys with sizes and sums of values (Squeezed Attention, RetroInfer, LouisKV).</summary>
    Centroids = 5,

    /// <summary>Keys vector-quantised under a metric learnt from the sequence's own queries (A²ATS); scores single tokens. Until enough
    /// queries were served, and for what was stored before, the metric is the plain distance.</summary>
    Vq = 6,
}

/// <summary>How the numbers of a digest are stored. The numbers are part of the wire protocol and of the disk format.</summary>
public enum DigestForm : byte
{
    /// <summary>IEEE 754 binary32.</summary>
    Float32 = 1,

    /// <summary>IEEE 754 binary16.</summary>
    Float16 = 2,

    /// <summary>Signed 8-bit integers with one fp32 scale a row.</summary>
    Int8 = 3,
}

/// <summary>Which digests a sequence keeps. A sequence may keep several.</summary>
public sealed record DigestSpec
{
    /// <summary>What stands in for a chunk. Default <see cref="DigestKind.Moments"/>.</summary>
    public DigestKind Kind { get; init; } = DigestKind.Moments;

    /// <summary>Tokens of a chunk: 8, 16, 32 or 64, and a divisor of the profile's block tokens. For centroids the mean size of a cluster.
    /// Default 16.</summary>
    public int ChunkTokens { get; init; } = 16;

    /// <summary>How its numbers are stored. Default fp16.</summary>
    public DigestForm Form { get; init; } = DigestForm.Float16;

    /// <summary>Chunks below one node of an upper level that is scored first and bounds them (LeoAM): 0 for a flat digest, else 2 to 64.
    /// For mean, minmax, cuboid, and moments with <see cref="Bounds"/>. Default 0.</summary>
    public int Fanout { get; init; }

    /// <summary>Parts of a chunk that are judged one by one, the best one counting for the chunk (LServe's logical pages): 1, 2, 4 or 8.
    /// For mean, minmax and cuboid. Default 1.</summary>
    public int SubChunks { get; init; } = 1;

    /// <summary>Tokens of a chunk, farthest from its mean, that <see cref="DigestKind.Moments"/> keeps as they are, key and
    /// value, and leaves out of the moments of the rest: 0 to 4. One finds needles. Default 0.</summary>
    public int Peaks { get; init; }

    /// <summary>Main directions of the keys that <see cref="DigestKind.Moments"/> keeps beside the variances of the channels, 0 to 4.
    /// Default 0.</summary>
    public int Rank { get; init; }

    /// <summary>True when <see cref="DigestKind.Moments"/> also learns, for each layer and KV head, how values follow keys (a D × D matrix,
    /// fitted on the first tokens), which makes the estimate of what is not chosen better. Default false.</summary>
    public bool ValueMap { get; init; }

    /// <summary>True when <see cref="DigestKind.Moments"/> also keeps min/max bounds, so that no score is above the bound. Default false.
    /// </summary>
    public bool Bounds { get; init; }

    /// <summary>Chunks of each KV head whose keys their digest stands for worst and that are always read (ShadowKV's outliers). Default 0.
    /// </summary>
    public int OutlierChunks { get; init; }

    /// <summary>Entries of the codebook of <see cref="DigestKind.Vq"/>, 16 to 4,096; 0 for other kinds. Default 0.</summary>
    public int CodebookSize { get; init; }

    /// <summary>Checks every field against each other and against a profile.</summary>
    /// <returns>Null when the digests can be built for it, else the first error.</returns>
    public KvError? Validate(ModelProfile profile)
    {
        if (!Enum.IsDefined(Kind)) return KvError.InvalidArgument("digest.kind", Kind, "mean, minmax, cuboid, moments, centroids or vq");
        if (!Enum.IsDefined(Form)) return KvError.InvalidArgument("digest.form", Form, "fp32, fp16 or int8");
        if (ChunkTokens is not (8 or 16 or 32 or 64)) return KvError.InvalidArgument("digest.chunkTokens", ChunkTokens, "8, 16, 32 or 64");
        if (profile.BlockTokens % ChunkTokens != 0)
        {
            return KvError.InvalidArgument(
                "digest.chunkTokens", ChunkTokens, $"a divisor of the profile's blockTokens, {profile.BlockTokens}");
        }

        if (Fanout is not (0 or (>= 2 and <= 64))) return KvError.InvalidArgument("digest.fanout", Fanout, "0 or 2 to 64");
        if (OutlierChunks is < 0 or > 4096) return KvError.InvalidArgument("digest.outlierChunks", OutlierChunks, "0 to 4096");
        if (ValidateShape() is { } wrongShape) return wrongShape;
        bool codebookFits = Kind == DigestKind.Vq ? CodebookSize is >= 16 and <= 4096 : CodebookSize == 0;
        return codebookFits
            ? null
            : KvError.InvalidArgument("digest.codebookSize", CodebookSize, Kind == DigestKind.Vq ? "16 to 4096" : "0 for this kind");
    }

    private KvError? ValidateShape()
    {
        bool moments = Kind == DigestKind.Moments;
        bool chunked = Kind is DigestKind.Mean or DigestKind.MinMax or DigestKind.Cuboid;
        if (Fanout != 0 && !chunked && !(moments && Bounds))
            return KvError.InvalidArgument("digest.fanout", Fanout, "0 for this kind (moments need bounds for it)");
        if (SubChunks is not (1 or 2 or 4 or 8)) return KvError.InvalidArgument("digest.subChunks", SubChunks, "1, 2, 4 or 8");
        if (SubChunks != 1 && !chunked) return KvError.InvalidArgument("digest.subChunks", SubChunks, "1 for this kind");
        if (OutlierChunks != 0 && !chunked && !moments)
            return KvError.InvalidArgument("digest.outlierChunks", OutlierChunks, "0 for this kind");
        if (Rank is < 0 or > 4 || (Rank != 0 && !moments))
            return KvError.InvalidArgument("digest.rank", Rank, moments ? "0 to 4" : "0 for this kind");
        if (Peaks is < 0 or > 4 || (Peaks != 0 && !moments))
            return KvError.InvalidArgument("digest.peaks", Peaks, moments ? "0 to 4" : "0 for this kind");
        if (ValueMap && !moments) return KvError.InvalidArgument("digest.valueMap", ValueMap, "false for this kind");
        return Bounds && !moments ? KvError.InvalidArgument("digest.bounds", Bounds, "false for this kind") : null;
    }
}
