namespace KvTier.Recall;

/// <summary>What is worked out of the rows of a chunk, all in fp32 <c>[n, D]</c>.</summary>
internal static class KeyStatistics
{
    /// <summary>The mean row.</summary>
    internal static void Mean(ReadOnlySpan<float> rows, int count, Span<float> mean)
    {
        mean.Clear();
        for (int t = 0; t < count; t++) RowMath.Add(mean, rows.Slice(t * mean.Length, mean.Length));
        RowMath.Scale(mean, 1f / count);
    }

    /// <summary>Bounds <c>[max | min]</c> of every channel (Quest).</summary>
    internal static void Bounds(ReadOnlySpan<float> rows, int count, Span<float> bounds)
    {
        int dim = bounds.Length / 2;
        rows[..dim].CopyTo(bounds);
        rows[..dim].CopyTo(bounds[dim..]);
        for (int t = 1; t < count; t++)
        {
            RowMath.Max(bounds[..dim], rows.Slice(t * dim, dim));
            RowMath.Min(bounds[dim..], rows.Slice(t * dim, dim));
        }
    }

    /// <summary>Cuboid <c>[centre + deviation | centre - deviation]</c>: the centre of the bounds and the mean distance of the keys from
    /// it (ArkVale).</summary>
    internal static void Cuboid(ReadOnlySpan<float> rows, int count, Span<float> cuboid)
    {
        int dim = cuboid.Length / 2;
        Bounds(rows, count, cuboid);
        for (int j = 0; j < dim; j++)
        {
            float centre = (cuboid[j] + cuboid[dim + j]) / 2;
            float deviation = 0;
            for (int t = 0; t < count; t++) deviation += MathF.Abs(rows[(t * dim) + j] - centre);
            cuboid[j] = centre + (deviation / count);
            cuboid[dim + j] = centre - (deviation / count);
        }
    }

    /// <summary>The smallest cosine of a row with the mean (ShadowKV: the lower, the worse the mean stands for the chunk); 0 for zero
    /// rows.</summary>
    internal static float SmallestCosine(ReadOnlySpan<float> rows, int count, ReadOnlySpan<float> mean)
    {
        float meanSquare = RowMath.Dot(mean, mean);
        float smallest = 1;
        for (int t = 0; t < count; t++)
        {
            ReadOnlySpan<float> row = rows.Slice(t * mean.Length, mean.Length);
            float norms = MathF.Sqrt(RowMath.Dot(row, row)) * MathF.Sqrt(meanSquare);
            smallest = MathF.Min(smallest, norms > 0 ? RowMath.Dot(row, mean) / norms : 0);
        }

        return smallest;
    }
}
