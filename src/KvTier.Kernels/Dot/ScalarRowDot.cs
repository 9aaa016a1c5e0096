namespace KvTier.Kernels;

/// <summary>Scoring, written to be read: what the vector kernels are tested against, and what runs where there are no vectors.</summary>
internal static class ScalarRowDot
{
    internal static void Dot(
        Dtype dtype,
        ReadOnlySpan<byte> rows,
        ReadOnlySpan<float> queries,
        ReadOnlySpan<float> rowScales,
        Span<float> scores,
        DotShape shape)
    {
        for (int r = 0; r < shape.RowCount; r++)
        {
            float factor = rowScales.IsEmpty ? 1 : rowScales[r];
            for (int g = 0; g < shape.QueryCount; g++)
            {
                float sum = 0;
                for (int j = 0; j < shape.RowLength; j++)
                    sum += queries[(g * shape.RowLength) + j] * ScalarConvert.Read(dtype, rows, ((long)r * shape.RowLength) + j);
                scores[(g * shape.ScoreStride) + r] = factor * sum;
            }
        }
    }
}
