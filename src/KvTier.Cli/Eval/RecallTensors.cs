using KvTier.Kernels;

namespace KvTier.Cli;

/// <summary>Keys, values and queries of one layer, as fp32; query head h reads KV head h / (Hq / Hkv).</summary>
/// <param name="KvHeads">KV heads (Hkv).</param>
/// <param name="QueryHeads">Query heads (Hq), a multiple of the KV heads.</param>
/// <param name="Tokens">Tokens (T), which every query sees.</param>
/// <param name="HeadDim">Elements of a row (D).</param>
/// <param name="Steps">Queries of each head.</param>
/// <param name="Dtype">Element type in which keys and values are stored.</param>
internal sealed record RecallTensors(int KvHeads, int QueryHeads, int Tokens, int HeadDim, int Steps, Dtype Dtype)
{
    /// <summary>Keys <c>[Hkv, T, D]</c>.</summary>
    public required float[] Keys { get; init; }

    /// <summary>Values <c>[Hkv, T, D]</c>.</summary>
    public required float[] Values { get; init; }

    /// <summary>Queries <c>[steps, Hq, D]</c>.</summary>
    public required float[] Queries { get; init; }

    /// <summary>True when storing them changes nothing; false when they are stored in a narrower dtype than they are judged in.</summary>
    public bool StoredExactly { get; init; } = true;

    /// <summary>What was planted; empty for tensors from files.</summary>
    public IReadOnlyList<Needle> Needles { get; init; } = [];

    /// <summary>Synthetic tensors, in fp32.</summary>
    public static RecallTensors Of(SyntheticKv made) => new(
        made.Options.KvHeads, made.Options.QueryHeads, made.Options.Tokens, made.Options.HeadDim, made.Options.Steps, Dtype.Float32)
    {
        Keys = made.Keys,
        Values = made.Values,
        Queries = made.Queries,
        Needles = made.Needles,
    };

    /// <summary>Query heads of a KV head (G).</summary>
    public int Group => QueryHeads / KvHeads;

    /// <summary>Bytes of all K and V, as stored.</summary>
    public long StoredBytes => 2L * KvHeads * Tokens * HeadDim * Dtype.SizeBytes();

    /// <summary>The key or value rows of a KV head.</summary>
    public ReadOnlySpan<float> Rows(float[] tensor, int kvHead) => tensor.AsSpan(kvHead * Tokens * HeadDim, Tokens * HeadDim);

    /// <summary>The queries of one step, <c>[Hq, D]</c>.</summary>
    public ReadOnlyMemory<float> QueriesOf(int step) => Queries.AsMemory(step * QueryHeads * HeadDim, QueryHeads * HeadDim);

    /// <summary>Rounds keys and values to a dtype, so that what is judged is what is stored.</summary>
    public RecallTensors RoundTo(Dtype dtype) => this with { Dtype = dtype, Keys = Rounded(Keys, dtype), Values = Rounded(Values, dtype) };

    /// <summary>Finds the first query that is not a finite number.</summary>
    /// <returns>Null when all are finite.</returns>
    public KvError? CheckQueries()
    {
        int wrong = Array.FindIndex(Queries, value => !float.IsFinite(value));
        if (wrong < 0) return null;
        (int step, int rest) = Math.DivRem(wrong, QueryHeads * HeadDim);
        return KvError.InvalidArgument($"queries[{step}, {rest / HeadDim}, {rest % HeadDim}]", Queries[wrong], "a finite number");
    }

    private static float[] Rounded(float[] values, Dtype dtype)
    {
        if (dtype == Dtype.Float32) return values;
        const int Piece = 1 << 16;
        float[] rounded = GC.AllocateUninitializedArray<float>(values.Length);
        byte[] bytes = new byte[Piece * dtype.SizeBytes()];
        for (int at = 0; at < values.Length; at += Piece)
        {
            int count = Math.Min(Piece, values.Length - at);
            RowConvert.FromSingle(dtype, values.AsSpan(at, count), bytes);
            RowConvert.ToSingle(dtype, bytes.AsSpan(0, count * dtype.SizeBytes()), rounded.AsSpan(at, count));
        }

        return rounded;
    }
}
