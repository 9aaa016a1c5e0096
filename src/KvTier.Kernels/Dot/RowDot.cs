namespace KvTier.Kernels;

/// <summary>
/// Scores rows: every digest's score is a dot product of stored rows with a transformed query, so that this is recall's one hot loop.
/// Rows of any dtype are widened in registers and each widened piece meets four or eight queries; nothing is allocated.
/// </summary>
public static class RowDot
{
    /// <summary><c>scores[g, r] = rowScales[r] · Σ_j queries[g, j] · rows[r, j]</c>, summed in fp32.</summary>
    /// <param name="dtype">Element type of the rows, any but raw.</param>
    /// <param name="rows">The rows, <c>[rowCount, rowLength]</c>, one after the other.</param>
    /// <param name="rowCount">Rows.</param>
    /// <param name="rowLength">Elements of a row.</param>
    /// <param name="queries">Transformed queries, fp32 <c>[queryCount, rowLength]</c>.</param>
    /// <param name="queryCount">Queries, the G heads of a KV head.</param>
    /// <param name="rowScales">A factor for each row (int8 forms); empty for 1.</param>
    /// <param name="scores">Receives <c>[queryCount, scoreStride]</c>, of which the first rowCount of each line are written.</param>
    /// <param name="scoreStride">Floats from one query's scores to the next one's, at least rowCount.</param>
    /// <param name="finite">True when the caller knows that no element is an infinity or a NaN, as digests have none: they are not looked
    /// for then, and the scores of a row that has one mean nothing. Default false.</param>
    /// <exception cref="NotSupportedException">The dtype is raw.</exception>
    /// <exception cref="ArgumentException">A span is shorter than its shape, or the stride is too small.</exception>
    public static void Dot(
        Dtype dtype,
        ReadOnlySpan<byte> rows,
        int rowCount,
        int rowLength,
        ReadOnlySpan<float> queries,
        int queryCount,
        ReadOnlySpan<float> rowScales,
        Span<float> scores,
        int scoreStride,
        bool finite = false)
    {
        if (rowCount == 0 || queryCount == 0) return;
        Shapes.Require(rows.Length, (long)rowCount * rowLength * dtype.SizeBytes(), nameof(rows));
        Shapes.Require(queries.Length, (long)queryCount * rowLength, nameof(queries));
        if (!rowScales.IsEmpty) Shapes.Require(rowScales.Length, rowCount, nameof(rowScales));
        Shapes.Require(scoreStride, queryCount == 1 ? 0 : rowCount, nameof(scoreStride));
        Shapes.Require(scores.Length, ((long)(queryCount - 1) * scoreStride) + rowCount, nameof(scores));
        DotShape shape = new(rowCount, rowLength, queryCount, scoreStride, finite);
        if (Lanes512.IsSupported) Run<Lanes512, Vector512<float>>(dtype, rows, queries, rowScales, scores, shape);
        else if (Lanes256.IsSupported) Run<Lanes256, Vector256<float>>(dtype, rows, queries, rowScales, scores, shape);
        else if (Lanes128.IsSupported) Run<Lanes128, Vector128<float>>(dtype, rows, queries, rowScales, scores, shape);
        else ScalarRowDot.Dot(dtype, rows, queries, rowScales, scores, shape);
    }

    /// <summary>With vectors of one width.</summary>
    internal static void Run<TLanes, TVector>(
        Dtype dtype,
        ReadOnlySpan<byte> rows,
        ReadOnlySpan<float> queries,
        ReadOnlySpan<float> rowScales,
        Span<float> scores,
        DotShape shape)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        switch (dtype)
        {
            case Dtype.Float32:
                RowDotKernel<TLanes, TVector, Float32Element>.Dot(rows, queries, rowScales, scores, shape);
                break;
            case Dtype.Float16:
                RowDotKernel<TLanes, TVector, Float16Element>.Dot(rows, queries, rowScales, scores, shape);
                break;
            case Dtype.BFloat16:
                RowDotKernel<TLanes, TVector, BFloat16Element>.Dot(rows, queries, rowScales, scores, shape);
                break;
            case Dtype.Float8E4M3:
                RowDotKernel<TLanes, TVector, E4M3Element>.Dot(rows, queries, rowScales, scores, shape);
                break;
            case Dtype.Float8E5M2:
                RowDotKernel<TLanes, TVector, E5M2Element>.Dot(rows, queries, rowScales, scores, shape);
                break;
            case Dtype.Int8:
                RowDotKernel<TLanes, TVector, Int8Element>.Dot(rows, queries, rowScales, scores, shape);
                break;
            default:
                throw new NotSupportedException(dtype.Name());
        }
    }
}
