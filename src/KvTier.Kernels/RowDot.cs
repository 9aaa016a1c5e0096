namespace KvTier.Kernels;

/// <summary>
/// Scores rows: every digest's score is a dot product of stored rows with a transformed query, so that this is recall's one hot loop.
/// </summary>
public static class RowDot
{
    /// <summary><c>scores[g, r] = rowScales[r] · Σ_j queries[g, j] · rows[r, j]</c>.</summary>
    /// <param name="dtype">Element type of the rows.</param>
    /// <param name="rows">The rows, <c>[rowCount, rowLength]</c>, one after the other.</param>
    /// <param name="rowCount">Rows.</param>
    /// <param name="rowLength">Elements of a row.</param>
    /// <param name="queries">Transformed queries, fp32 <c>[queryCount, rowLength]</c>.</param>
    /// <param name="queryCount">Queries, the G heads of a KV head.</param>
    /// <param name="rowScales">A factor for each row (int8 forms); empty for 1.</param>
    /// <param name="scores">Receives <c>[queryCount, scoreStride]</c>, of which the first rowCount of each line are written.</param>
    /// <param name="scoreStride">Floats from one query's scores to the next one's, at least rowCount.</param>
    public static void Dot(
        Dtype dtype,
        ReadOnlySpan<byte> rows,
        int rowCount,
        int rowLength,
        ReadOnlySpan<float> queries,
        int queryCount,
        ReadOnlySpan<float> rowScales,
        Span<float> scores,
        int scoreStride)
    {
        int rowBytes = rowLength * dtype.SizeBytes();
        float[] row = new float[rowLength];
        for (int r = 0; r < rowCount; r++)
        {
            RowConvert.ToSingle(dtype, rows.Slice(r * rowBytes, rowBytes), row);
            float factor = rowScales.IsEmpty ? 1 : rowScales[r];
            for (int g = 0; g < queryCount; g++)
            {
                float sum = 0;
                for (int j = 0; j < rowLength; j++) sum += queries[(g * rowLength) + j] * row[j];
                scores[(g * scoreStride) + r] = factor * sum;
            }
        }
    }
}
