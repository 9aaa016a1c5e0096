namespace KvTier.Kernels;

/// <summary>What digests are made of: statistics of a chunk's rows, channel by channel. Rows are fp32 <c>[n, D]</c>, n at least 1, without
/// NaN (see <see cref="RowCheck"/>); results are fp32 <c>[D]</c>. Sums are fp32, fit for chunks, not for whole sequences.</summary>
public static class ChunkStats
{
    /// <summary>The mean of every channel (ShadowKV's landmark).</summary>
    /// <param name="rows"><c>[n, D]</c>.</param>
    /// <param name="mean">Receives <c>[D]</c>.</param>
    /// <exception cref="ArgumentException">The rows are not whole rows of D, or there are none.</exception>
    public static void Mean(ReadOnlySpan<float> rows, Span<float> mean) =>
        ColumnFold<SumStep>.Run(rows, [], 0, Share(rows, mean), mean);

    /// <summary>The smallest and the largest of every channel (Quest's bounds).</summary>
    /// <param name="rows"><c>[n, D]</c>.</param>
    /// <param name="min">Receives <c>[D]</c>.</param>
    /// <param name="max">Receives <c>[D]</c>.</param>
    /// <exception cref="ArgumentException">The rows are not whole rows of D, or there are none.</exception>
    public static void MinMax(ReadOnlySpan<float> rows, Span<float> min, Span<float> max)
    {
        _ = Share(rows, min);
        _ = Share(rows, max);
        ColumnFold<MinStep>.Run(rows, [], float.PositiveInfinity, 1, min);
        ColumnFold<MaxStep>.Run(rows, [], float.NegativeInfinity, 1, max);
    }

    /// <summary>The mean of |x - centre| of every channel (ArkVale's radius, with the middle of min and max as centre).</summary>
    /// <param name="rows"><c>[n, D]</c>.</param>
    /// <param name="centres"><c>[D]</c>.</param>
    /// <param name="deviation">Receives <c>[D]</c>.</param>
    /// <exception cref="ArgumentException">The rows are not whole rows of D, or there are none.</exception>
    public static void MeanAbsoluteDeviation(ReadOnlySpan<float> rows, ReadOnlySpan<float> centres, Span<float> deviation) =>
        ColumnFold<DeviationStep>.Run(rows, centres, 0, Share(rows, deviation), deviation);

    /// <summary>The variance of every channel, divided by n: a second pass around the mean, so that nothing cancels.</summary>
    /// <param name="rows"><c>[n, D]</c>.</param>
    /// <param name="mean">The mean, <c>[D]</c>.</param>
    /// <param name="variance">Receives <c>[D]</c>.</param>
    /// <exception cref="ArgumentException">The rows are not whole rows of D, or there are none.</exception>
    public static void Variance(ReadOnlySpan<float> rows, ReadOnlySpan<float> mean, Span<float> variance) =>
        ColumnFold<SquareStep>.Run(rows, mean, 0, Share(rows, variance), variance);

    /// <summary>1 / n.</summary>
    private static float Share(ReadOnlySpan<float> rows, Span<float> result)
    {
        if (result.IsEmpty || rows.Length < result.Length || rows.Length % result.Length != 0)
            throw new ArgumentException($"{rows.Length} elements are not one or more rows of {result.Length}", nameof(rows));
        return result.Length / (float)rows.Length;
    }
}
