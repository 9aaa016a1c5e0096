namespace KvTier.Kernels.Device;

/// <summary>Rows in device memory, one after another.</summary>
/// <param name="Offset">First byte in the device's arena, a multiple of 16.</param>
/// <param name="Rows">How many; 0 is allowed.</param>
/// <param name="FirstQuery">First of the queries that these rows are scored against. Default 0.</param>
/// <param name="ScaleOffset">First byte of their fp32 scales, one a row, a multiple of 4; -1 for none. Default -1.</param>
public readonly record struct RowRange(long Offset, int Rows, int FirstQuery = 0, long ScaleOffset = -1);

/// <summary>
/// Many ranges of rows to score in one launch: digests or keys of all segments, KV heads and layers of a request. Rows are numbered in
/// the order of the ranges.
/// </summary>
/// <remarks>
/// <c>scores[q, r] = Σ_j queries[first(r) + q, j] · rows[r, j] · scale[r]</c>, all in fp32. Other digests come down to this product:
/// min/max bounds as rows <c>[kmin, kmax]</c> with queries <c>[min(q, 0), max(q, 0)]</c>, moments as rows <c>[μ, σ²]</c> with queries
/// <c>[q/√D, q²/(2D)]</c>.
/// </remarks>
public readonly ref struct ScoreBatch
{
    /// <summary>Most queries of a range.</summary>
    public const int QueriesMax = 64;

    /// <summary>Longest row.</summary>
    public const int RowLengthMax = 65_536;

    /// <summary>Dtype of the rows; not raw.</summary>
    public required Dtype Dtype { get; init; }

    /// <summary>Elements of a row and of a query; a multiple of 4, at most <see cref="RowLengthMax"/>.</summary>
    public required int RowLength { get; init; }

    /// <summary>Queries that each range is scored against, 1 to <see cref="QueriesMax"/>.</summary>
    public required int Queries { get; init; }

    /// <summary>All queries, <c>[n, RowLength]</c>.</summary>
    public required ReadOnlySpan<float> QueryRows { get; init; }

    /// <summary>The ranges; those with the same queries next to each other fill tiles best.</summary>
    public required ReadOnlySpan<RowRange> Ranges { get; init; }

    /// <summary>Rows of all ranges together.</summary>
    public long Rows
    {
        get
        {
            long rows = 0;
            foreach (RowRange range in Ranges) rows += range.Rows;
            return rows;
        }
    }

    /// <summary>Checks every field.</summary>
    /// <returns>Null when all are valid, else the first error.</returns>
    internal KvError? Validate(DeviceMemory memory)
    {
        if (Dtype is < Dtype.Float32 or > Dtype.Int8) return KvError.InvalidArgument("score.dtype", Dtype, "fp32, fp16, bf16, fp8 or int8");
        if (RowLength is < 4 or > RowLengthMax || RowLength % 4 != 0)
            return KvError.InvalidArgument("score.rowLength", RowLength, $"a multiple of 4, 4 to {RowLengthMax}");
        if (Queries is < 1 or > QueriesMax) return KvError.InvalidArgument("score.queries", Queries, $"1 to {QueriesMax}");
        if (QueryRows.Length % RowLength != 0)
            return KvError.InvalidArgument("score.queryRows", QueryRows.Length, $"a multiple of the row length, {RowLength}");
        long rowBytes = (long)RowLength * Dtype.SizeBytes();
        int firstMax = (QueryRows.Length / RowLength) - Queries;
        foreach (RowRange range in Ranges)
        {
            if (range.Rows < 0) return KvError.InvalidArgument("score.range.rows", range.Rows, "0 or more");
            if (range.FirstQuery < 0 || range.FirstQuery > firstMax)
                return KvError.InvalidArgument("score.range.firstQuery", range.FirstQuery, $"0 to {firstMax}");
            if (!memory.Holds(range.Offset, range.Rows * rowBytes, 16))
                return KvError.InvalidArgument("score.range.offset", range.Offset, "rows in the arena from a multiple of 16 on");
            if (range.ScaleOffset != -1 && !memory.Holds(range.ScaleOffset, range.Rows * 4L, 4))
                return KvError.InvalidArgument("score.range.scaleOffset", range.ScaleOffset, "-1, or in the arena from a multiple of 4 on");
        }

        return null;
    }
}
